"""The choice of a plan for X in its grid and for workers as they are."""

from collections.abc import Sequence
from dataclasses import replace

from dnmf.plan.grid import Demand, Grid
from dnmf.plan.memory import Workers
from dnmf.plan.strips import Plan


def plan(
    grid: Grid,
    *,
    rank: int,
    workers: Workers,
    cache: bool = True,
    sampled: bool = False,
    axes: Sequence[int] = (0, 1),
) -> Plan:
    """Choose the axis to cut and the highest strips that fit in the workers' memory and still pay.

    `axes` are those that may be cut, where X can be cut along one of them. With `sampled`, rows are also sampled from
    it. Every strip of dense X is a whole number of chunks high (of shards, where those fit), so a pass reads each chunk
    once. The axis is the one along which a pass costs less: bytes that one thread reads, and bytes of partial sums that
    move. Sparse X is cut along the axis in which it is stored, into strips that weigh the same.

    Raises
    ------
    MemoryError
        If no strip of one chunk's height fits along either axis, or no strip of sparse X: the message holds the bytes,
        the limit, and the chunks in which X would have to be written again.
    """
    demand = Demand(rank, workers, sampled)
    allowed = [axis for axis in grid.axes if axis in axes] or grid.axes
    for cached in (True, False) if cache and _may_stay(grid, workers) else (False,):
        found = [_first_that_fits(grid, axis, demand, cached=cached) for axis in allowed]
        if plans := [each for each in found if each]:
            return min(plans, key=lambda each: _cost(each, grid, demand))
    raise MemoryError(grid.refusal(demand))


def refit(cut: Plan, grid: Grid, *, rank: int, workers: Workers) -> Plan | None:
    """The same strips with other workers, X kept in memory or not, or None where they do not fit."""
    demand = Demand(rank, workers)
    for cached in (True, False) if cut.cached and _may_stay(grid, workers) else (False,):
        same = _project(replace(cut, cached=cached), grid, demand)
        if same.peak <= workers.usable:
            return same
    return None


def _may_stay(grid: Grid, workers: Workers) -> bool:
    """Whether X is small enough to stay in the workers' memory."""
    return 2 * grid.nbytes <= workers.count * workers.memory


def _first_that_fits(grid: Grid, axis: int, demand: Demand, *, cached: bool) -> Plan | None:
    """The best plan along one axis, or None where not even the smallest strips fit."""
    plans = (_project(each, grid, demand) for each in grid.candidates(axis, demand, cached=cached))
    return next((each for each in plans if each.peak <= demand.workers.usable), None)


def _project(candidate: Plan, grid: Grid, demand: Demand) -> Plan:
    return replace(candidate, peak=grid.peak(candidate, demand))


def _cost(plan: Plan, grid: Grid, demand: Demand) -> float:
    """Bytes that the busiest thread reads in a pass, and bytes of partial sums that are moved."""
    strips, rank = len(plan.heights), demand.rank
    return grid.nbytes / min(strips, demand.threads) + strips * 8 * rank * (plan.width + rank)
