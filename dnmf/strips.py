"""How X is cut: the axis and the heights of strips, as pure functions of integers.

Nothing here reads X or knows Dask or Zarr. Sizes are in bytes, lengths in entries.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from math import ceil, prod
from typing import Any

from dnmf.memory import (
    MIB,
    USABLE_SHARE,
    Grid,
    SparseGrid,
    Workers,
    partial_sums_bytes,
    peak_bytes,
    sample_rows,
    sparse_peak_bytes,
)
from dnmf.sparse_cuts import Cut, cuts

# A strip costs some 9 ms of scheduling. Below SMALL a strip is not worth a thread of its own, below WORTHWHILE
# scheduling is over a tenth of reading it, above LARGE it is under 2 % and a lost strip only costs more.
SMALL_STRIP, WORTHWHILE_STRIP, LARGE_STRIP = 24 * MIB, 64 * MIB, 512 * MIB


@dataclass(frozen=True, slots=True)
class Plan:
    """How X is cut and what that costs.

    Attributes
    ----------
    axis : 0 where strips are whole rows of X, 1 where they are whole columns.
    height : rows (or columns) of a unit, the last one may be lower: strips are whole units, and the long factor is
        stored in chunks of this height. A strip of dense X is one unit.
    length : rows (or columns) of X along the cut axis.
    width : entries of X along the other axis.
    peak : projected peak memory of one worker, bytes.
    in_run : whether the long factor lives in the run instead of the workers' memory: where its share is over a fifth of
        that, or nothing fits otherwise.
    cached : whether X stays in the workers' memory after the first pass.
    sample : rows of the sample from which first factors are computed, 0 for none.
    largest : bytes of the largest strip, as it is computed with.
    counts : how many units each strip has, in order, where X is sparse; empty where each has one.
    """

    axis: int
    height: int
    length: int
    width: int
    peak: int
    in_run: bool
    cached: bool
    sample: int = 0
    largest: int = 0
    counts: tuple[int, ...] = ()

    @property
    def heights(self) -> tuple[int, ...]:
        """Height of every strip, in order."""
        counts = self.counts or (1,) * ceil(self.length / self.height)
        return Cut(self.height, counts).heights(self.length)

    def lines(self, strip: int) -> str:
        """The rows or columns of a strip, in words."""
        heights = self.heights
        first = sum(heights[:strip])
        return f"{('rows', 'columns')[self.axis]} {first} to {first + heights[strip] - 1}"


def well_chunked(
    shape: tuple[int, int], itemsize: int, *, target: int = 8 * MIB, buffer: int = 256 * MIB
) -> tuple[int, int]:
    """Chunks in which X is read fast whichever way it is cut, and which can be written row by row.

    Tall X gets whole rows, about `target` bytes a chunk; of wide X as many rows as a writer's `buffer` holds.

    >>> well_chunked((1_000_000, 2048), 4)
    (1024, 2048)
    >>> well_chunked((512, 16_384), 4)
    (512, 4096)
    """
    m, n = shape
    if m >= n:
        return max(1, min(m, target // max(1, n * itemsize))), n
    height = max(1, min(m, buffer // (n * itemsize)))
    return height, max(1, min(n, target // (height * itemsize)))


def plan(
    grid: Grid | SparseGrid,
    *,
    rank: int,
    workers: Workers,
    cache: bool = True,
    sampled: bool = False,
    axes: Sequence[int] = (0, 1),
) -> Plan:
    """Choose the axis to cut and the highest strips that fit in the workers' memory and still pay.

    `axes` are those that may be cut where X is dense. With `sampled`, rows are also sampled from it. Every strip of
    dense X is a whole number of chunks high (of shards, where those fit), so a pass reads each chunk once. The axis is
    the one along which a pass costs less: bytes that one thread reads, and bytes of partial sums that move. Sparse X is
    cut along the axis in which it is stored, into strips that weigh the same: see `dnmf.sparse_cuts`.

    Raises
    ------
    MemoryError
        If no strip of one chunk's height fits along either axis, or no strip of sparse X: the message holds the bytes,
        the limit, and the chunks in which X would have to be written again.
    """
    keep = cache and 2 * grid.nbytes <= workers.count * workers.memory
    for cached in (True, False) if keep else (False,):
        if isinstance(grid, SparseGrid):
            found = [_cut_sparse(grid, rank, workers, cached=cached, sampled=sampled)]
        else:
            found = [_cut(grid, axis, rank, workers, cached=cached, sampled=sampled) for axis in axes]
        if plans := [p for p in found if p]:
            return min(plans, key=lambda p: _cost(p, grid, rank, workers))
    if isinstance(grid, SparseGrid):
        raise MemoryError(_sparse_refusal(grid, rank, workers, sampled=sampled))
    raise MemoryError(_refusal(grid, rank, workers, sampled=sampled))


def fitting(cut: Plan, grid: Grid | SparseGrid, *, rank: int, workers: Workers) -> Plan | None:
    """The same strips with other workers, X kept in memory or not, or None where they do not fit."""
    for cached in (True, False) if 2 * grid.nbytes <= workers.count * workers.memory and cut.cached else (False,):
        terms: dict[str, Any] = {"in_run": cut.in_run, "cached": cached, "sample": cut.sample}
        if isinstance(grid, SparseGrid):
            peak = sparse_peak_bytes(grid, cut.heights, rank=rank, workers=workers, **terms)
        else:
            peak = peak_bytes(grid, cut.axis, cut.height, rank=rank, workers=workers, **terms)
        if peak <= workers.usable:
            return replace(cut, peak=peak, cached=cached)
    return None


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


def _samples(grid: Grid | SparseGrid, axis: int, rank: int, workers: Workers, *, sampled: bool) -> list[int]:
    """Rows of a sample to try: smaller ones where nothing fits otherwise."""
    rows = sample_rows(grid, axis, rank=rank, workers=workers) if sampled else 0
    return [max(1, rows // 4**i) for i in range(rows.bit_length() // 2 + 1)] if rows else [0]


def _places(grid: Grid | SparseGrid, axis: int, rank: int, workers: Workers) -> list[bool]:
    """Whether the long factor lives in the run, to try one after the other."""
    share = ceil(grid.shape[axis] / workers.count) * rank * grid.itemsize
    return list(dict.fromkeys((5 * share > workers.memory, True)))


def _wanted_bytes(grid: Grid | SparseGrid, sums: int, threads: int) -> int:
    """Bytes of a strip if memory were no concern: four to a thread where they are large enough, one at least."""
    balanced = max(grid.nbytes // (4 * threads), min(WORTHWHILE_STRIP, max(grid.nbytes // threads, SMALL_STRIP)))
    return max(1, min(balanced, max(LARGE_STRIP, 16 * sums)))


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


def _cost(plan: Plan, grid: Grid | SparseGrid, rank: int, workers: Workers) -> float:
    """Bytes that the busiest thread reads in a pass, and bytes of partial sums that are moved."""
    strips = len(plan.counts) or ceil(plan.length / plan.height)
    return grid.nbytes / min(strips, workers.count * workers.threads) + strips * 8 * rank * (plan.width + rank)


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
