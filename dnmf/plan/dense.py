"""dnmf.plan.dense."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from math import ceil, prod

from dnmf.plan.grid import Grid
from dnmf.plan.memory import MIB, USABLE_SHARE, Workers, peak_bytes
from dnmf.plan.strips import Plan, _places, _samples, _wanted_bytes


def _cut(grid: Grid, axis: int, rank: int, workers: Workers, *, cached: bool, sampled: bool) -> Plan | None:
    """The best plan along one axis, or None where not even one chunk's height fits."""
    length, width = grid.shape[axis], grid.shape[1 - axis]
    wanted = _wanted_bytes(grid, rank * width * 8, workers.count * workers.threads)
    for sample, in_run, unit in product(
        _samples(grid, axis, rank, workers, sampled=sampled),
        _places(grid, axis, rank, workers),
        (grid.shard[axis], grid.chunk[axis]),
    ):
        for height in _heights(length, unit, ceil(wanted / (unit * width * grid.itemsize)), workers):
            peak = peak_bytes(
                grid, axis, height, rank=rank, workers=workers, in_run=in_run, cached=cached, sample=sample
            )
            if peak <= workers.usable:
                largest = height * width * grid.itemsize
                return Plan(axis, height, length, width, peak, in_run, cached, sample, largest)
    return None


def _heights(length: int, unit: int, wanted: int, workers: Workers) -> Iterator[int]:
    """Heights to try, from the wanted number of units down to one, each with strips of nearly equal height."""
    units, threads = ceil(length / unit), workers.count * workers.threads
    count = ceil(units / min(wanted, units))
    while True:
        even = threads * ceil(count / threads) if count > 1 else 1
        per_strip = ceil(units / min(even, units))
        yield min(per_strip * unit, length)
        if per_strip == 1:
            return
        count = ceil(units / (per_strip - 1))


def _refusal(grid: Grid, rank: int, workers: Workers, *, sampled: bool) -> str:
    """Why neither axis fits, with the numbers, and what to do."""
    least = partial(peak_bytes, rank=rank, workers=workers, in_run=True, cached=False, sample=int(sampled))
    needed = min(least(grid, axis, min(grid.chunk[axis], grid.shape[axis])) for axis in (0, 1))
    remedy = _fitting_chunk(grid, workers, least)
    advice = (
        f"rewrite X in chunks of {remedy[0]} × {remedy[1]}, or give workers {ceil(needed / USABLE_SHARE / MIB)} MiB"
        if remedy
        else f"no chunk shape would help at rank {rank}: give workers {ceil(needed / USABLE_SHARE / MIB)} MiB"
    )
    return (
        f"X does not fit: with chunks of {grid.chunk[0]} × {grid.chunk[1]} the smallest strip needs "
        f"{needed / MIB:.0f} MiB in a worker that may use {workers.usable / MIB:.0f} MiB ({USABLE_SHARE} of its limit "
        f"of {workers.memory / MIB:.0f} MiB); {advice}"
    )


def _fitting_chunk(grid: Grid, workers: Workers, least: Callable[[Grid, int, int], int]) -> tuple[int, int] | None:
    """The largest power of two of rows (columns, where X is wide) in a chunk that would fit, or None."""
    axis = 0 if grid.shape[0] >= grid.shape[1] else 1
    for exponent in range(grid.shape[axis].bit_length(), -1, -1):
        height = min(2**exponent, grid.shape[axis])
        chunk = (height, grid.shape[1]) if axis == 0 else (grid.shape[0], height)
        small = prod(chunk) * grid.stored <= 8 * MIB or exponent == 0
        if small and least(replace(grid, chunk=chunk, shard=chunk), axis, height) <= workers.usable:
            return chunk
    return None
