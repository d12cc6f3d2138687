"""How X is cut: the axis and the heights of strips, as pure functions of integers.

Nothing here reads X or knows Dask or Zarr. Sizes are in bytes, lengths in entries.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Any

from dnmf.plan.dense import _cut, _refusal
from dnmf.plan.grid import Grid, SparseGrid
from dnmf.plan.memory import Workers, peak_bytes, sparse_peak_bytes
from dnmf.plan.sparse import _cut_sparse, _sparse_refusal
from dnmf.plan.strips import Plan


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


def _cost(plan: Plan, grid: Grid | SparseGrid, rank: int, workers: Workers) -> float:
    """Bytes that the busiest thread reads in a pass, and bytes of partial sums that are moved."""
    strips = len(plan.counts) or ceil(plan.length / plan.height)
    return grid.nbytes / min(strips, workers.count * workers.threads) + strips * 8 * rank * (plan.width + rank)
