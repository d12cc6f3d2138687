"""How X is cut: the axis and the height of a strip, as pure functions of integers.

Nothing here reads X or knows Dask or Zarr. Sizes are in bytes, lengths in entries.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import ceil, prod

from dnmf.memory import MIB, USABLE_SHARE, Grid, Workers, peak_bytes, sample_rows

# A strip costs some 9 ms of scheduling. Below SMALL a strip is not worth a thread of its own, below WORTHWHILE
# scheduling is over a tenth of reading it, above LARGE it is under 2 % and a lost strip only costs more.
SMALL_STRIP, WORTHWHILE_STRIP, LARGE_STRIP = 24 * MIB, 64 * MIB, 512 * MIB


@dataclass(frozen=True, slots=True)
class Plan:
    """How X is cut and what that costs.

    Attributes
    ----------
    axis : 0 where strips are whole rows of X, 1 where they are whole columns.
    height : rows (or columns) of a strip; the last one may be lower.
    length : rows (or columns) of X along the cut axis.
    width : entries of X along the other axis.
    peak : projected peak memory of one worker, bytes.
    in_run : whether the long factor lives in the run instead of the workers' memory: where its share is over a fifth of
        that, or nothing fits otherwise.
    cached : whether X stays in the workers' memory after the first pass.
    sample : rows of the sample from which first factors are computed, 0 for none.
    """

    axis: int
    height: int
    length: int
    width: int
    peak: int
    in_run: bool
    cached: bool
    sample: int = 0

    @property
    def heights(self) -> tuple[int, ...]:
        """Height of every strip, in order."""
        return tuple(min(self.height, self.length - start) for start in range(0, self.length, self.height))


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


def plan(grid: Grid, *, rank: int, workers: Workers, cache: bool = True, sampled: bool = False) -> Plan:
    """Choose the axis to cut and the highest strips that fit in the workers' memory and still pay.

    With `sampled`, rows are also sampled from it. Every strip is a whole number of chunks high (of shards, where those
    fit), so a pass reads each chunk once. The axis is the one along which a pass costs less: bytes that one thread
    reads, and bytes of partial sums that move.

    Raises
    ------
    MemoryError
        If no strip of one chunk's height fits along either axis: the message holds the bytes, the limit, and the
        chunk shape with which X would have to be written again.
    """
    keep = cache and 2 * grid.nbytes <= workers.count * workers.memory
    for cached in (True, False) if keep else (False,):
        plans = [p for axis in (0, 1) if (p := _cut(grid, axis, rank, workers, cached=cached, sampled=sampled))]
        if plans:
            return min(plans, key=lambda p: _cost(p, grid, rank, workers))
    raise MemoryError(_refusal(grid, rank, workers))


def _cut(grid: Grid, axis: int, rank: int, workers: Workers, *, cached: bool, sampled: bool) -> Plan | None:
    """The best plan along one axis, or None where not even one chunk's height fits."""
    sample = sample_rows(grid, axis, rank=rank, workers=workers) if sampled else 0
    length, width = grid.shape[axis], grid.shape[1 - axis]
    share = ceil(length / workers.count) * rank * grid.itemsize
    wanted = _wanted_bytes(grid, rank * width * 8, workers.count * workers.threads)
    for in_run, unit in product(
        dict.fromkeys((5 * share > workers.memory, True)), (grid.shard[axis], grid.chunk[axis])
    ):
        for height in _heights(length, unit, ceil(wanted / (unit * width * grid.itemsize)), workers):
            peak = peak_bytes(
                grid, axis, height, rank=rank, workers=workers, in_run=in_run, cached=cached, sample=sample
            )
            if peak <= workers.usable:
                return Plan(axis, height, length, width, peak, in_run, cached, sample)
    return None


def _wanted_bytes(grid: Grid, sums: int, threads: int) -> int:
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


def _cost(plan: Plan, grid: Grid, rank: int, workers: Workers) -> float:
    """Bytes that the busiest thread reads in a pass, and bytes of partial sums that are moved."""
    strips = ceil(plan.length / plan.height)
    return grid.nbytes / min(strips, workers.count * workers.threads) + strips * 8 * rank * (plan.width + rank)


def _refusal(grid: Grid, rank: int, workers: Workers) -> str:
    """Why neither axis fits, with the numbers, and what to do."""
    peaks = [
        peak_bytes(
            grid, axis, min(grid.chunk[axis], grid.shape[axis]), rank=rank, workers=workers, in_run=True, cached=False
        )
        for axis in (0, 1)
    ]
    needed = min(peaks)
    remedy = _fitting_chunk(grid, rank, workers)
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


def _fitting_chunk(grid: Grid, rank: int, workers: Workers) -> tuple[int, int] | None:
    """The largest power of two of rows (columns, where X is wide) in a chunk that would fit, or None."""
    axis = 0 if grid.shape[0] >= grid.shape[1] else 1
    for exponent in range(grid.shape[axis].bit_length(), -1, -1):
        height = min(2**exponent, grid.shape[axis])
        chunk = (height, grid.shape[1]) if axis == 0 else (grid.shape[0], height)
        small = prod(chunk) * grid.stored <= 8 * MIB or exponent == 0
        trial = replace(grid, chunk=chunk, shard=chunk)
        if (
            small
            and peak_bytes(trial, axis, height, rank=rank, workers=workers, in_run=True, cached=False) <= workers.usable
        ):
            return chunk
    return None
