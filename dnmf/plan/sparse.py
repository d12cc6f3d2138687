"""Where sparse X may be cut: strips that weigh the same, whatever its rows hold. Pure functions of integers.

Rows stand for the lines in which X is stored: its columns, where those come one after the other.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, product
from math import ceil

from dnmf.plan.grid import SparseGrid
from dnmf.plan.memory import MIB, RULE_BLOCKS, USABLE_SHARE, Workers, partial_sums_bytes, sparse_peak_bytes
from dnmf.plan.strips import Cut, Plan, _places, _samples, _wanted_bytes

# Bytes that a strip weighs at least. Smaller ones would not fit either: what is too large then is something else.
LEAST_STRIP = MIB


# Strips are whole units of rows, some as many each: the long factor is stored in chunks of one height.
UNITS = 8


def weight(grid: SparseGrid, rank: int, rows: int) -> int:
    """Bytes of the first rows: their non-zeros, and what a rule works with, so that empty rows count too."""
    return int(grid.ends[rows]) * (grid.itemsize + grid.index_size) + rows * RULE_BLOCKS * rank * grid.itemsize


def cuts(grid: SparseGrid, rank: int, *, strips: int, threads: int) -> Iterator[Cut]:
    """Ways to cut X, from about as many strips as are wanted up to those of a `LEAST_STRIP`.

    More strips than one are a multiple of the threads, unless rows or units are too heavy for that.

    >>> grid = SparseGrid((1000, 99), 0, range(0, 10_010, 10), (100,), 8, 4, 4, fullest=10)
    >>> [cut.heights(1000) for cut in cuts(grid, 5, strips=3, threads=2)]
    [(248, 248, 248, 256)]
    """
    last = max(strips, ceil(weight(grid, rank, grid.shape[grid.axis]) / LEAST_STRIP))
    while True:
        even = threads * ceil(strips / threads) if strips > 1 else 1
        yield _cut(grid, rank, even)
        if strips >= last:
            return
        strips = min(2 * even, last)


def _cut(grid: SparseGrid, rank: int, strips: int) -> Cut:
    """At most so many strips, none heavier than their mean and one unit."""
    length = grid.shape[grid.axis]
    unit = grid.unit or (length if strips == 1 else max(1, length // (UNITS * strips)))
    units, total = ceil(length / unit), weight(grid, rank, length)

    def before(edge: int) -> int:
        return weight(grid, rank, min(edge * unit, length))

    def nearest(target: int) -> int:
        above = bisect_left(range(units + 1), target, key=before)
        return above - (above > 0 and target - before(above - 1) < before(above) - target)

    edges = sorted({0, *(nearest(total * i // strips) for i in range(1, strips)), units})
    return Cut(unit, tuple(stop - start for start, stop in pairwise(edges)))


def _cut_sparse(grid: SparseGrid, rank: int, workers: Workers, *, cached: bool, sampled: bool) -> Plan | None:
    """The best plan along the axis in which sparse X is stored, or None where not even the smallest strips fit."""
    axis = grid.axis
    length, width = grid.shape[axis], grid.shape[1 - axis]
    for sample, in_run in product(
        _samples(grid, axis, rank, workers, sampled=sampled), _places(grid, axis, rank, workers)
    ):
        for cut in _sparse_cuts(grid, rank, workers):
            heights = cut.heights(length)
            peak = sparse_peak_bytes(
                grid, heights, rank=rank, workers=workers, in_run=in_run, cached=cached, sample=sample
            )
            if peak <= workers.usable:
                largest = max(grid.strips_bytes(heights))
                return Plan(axis, cut.unit, length, width, peak, in_run, cached, sample, largest, cut.counts)
    return None


def _sparse_cuts(grid: SparseGrid, rank: int, workers: Workers) -> Iterator[Cut]:
    """Ways to cut sparse X, from as many strips as are wanted on."""
    threads = workers.count * workers.threads
    wanted = _wanted_bytes(grid, rank * grid.shape[1 - grid.axis] * 8, threads)
    # Every strip decodes the chunks in which it begins and ends: where chunks are large, fewer strips read less.
    chunk = grid.chunk[0] * (grid.itemsize + grid.index_size)
    wanted = max(wanted, min(chunk, ceil(grid.nbytes / threads)))
    # What is wanted was rounded down: that makes no strip more.
    return cuts(grid, rank, strips=ceil(grid.nbytes / (wanted + 1)), threads=threads)


def _sparse_refusal(grid: SparseGrid, rank: int, workers: Workers, *, sampled: bool) -> str:
    """Why sparse X does not fit, with the numbers, and what to do."""
    length, width = grid.shape[grid.axis], grid.shape[1 - grid.axis]

    def least(grid: SparseGrid) -> int:
        *_, cut = _sparse_cuts(grid, rank, workers)
        return sparse_peak_bytes(
            grid, cut.heights(length), rank=rank, workers=workers, in_run=True, cached=False, sample=int(sampled)
        )

    needed, sums = least(grid), partial_sums_bytes(rank, width)
    lines = ("rows", "columns")[grid.axis]
    fitting = next((better for better in _rewritten(grid) if least(better) <= workers.usable), None)
    if fitting is None:
        advice = f"no chunks would help at rank {rank}: give"
    elif grid.unit:
        advice = f"rechunk X to blocks of {fitting.unit} {lines}, or give"
    else:
        advice = f"write X again in chunks of {fitting.chunk[0]} non-zeros, as `dnmf convert` does, or give"
    return (
        f"X does not fit: with {grid.chunk[0]} non-zeros in a chunk, {grid.fullest} in the fullest of its {lines} and "
        f"{sums / MIB:.0f} MiB of partial sums of {rank} × {width}, the smallest strips need {needed / MIB:.0f} MiB in "
        f"a worker that may use {workers.usable / MIB:.0f} MiB ({USABLE_SHARE} of its limit of "
        f"{workers.memory / MIB:.0f} MiB); {advice} workers {ceil(needed / USABLE_SHARE / MIB)} MiB"
    )


def _rewritten(grid: SparseGrid) -> Iterator[SparseGrid]:
    """X in smaller chunks, each time half as large, of 8 MiB at most; or in smaller blocks of lines."""
    non_zeros, most = grid.chunk[0], max(1, 8 * MIB // grid.stored)
    for size in (2**e for e in reversed(range((grid.unit or non_zeros).bit_length()))):
        chunk = ceil(size * non_zeros / grid.unit) if grid.unit else size
        if size < (grid.unit or non_zeros) and (chunk <= most or size == 1):
            yield replace(grid, chunk=(chunk,), unit=size if grid.unit else 0)
