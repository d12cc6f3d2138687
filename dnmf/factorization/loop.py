"""The loop: passes, and when to stop. It knows neither formulas nor graphs nor how to draw.

An iteration moves the long factor, then the short one. Where strips are whole rows of X that is W, then V, the order of
Lee and Seung and of scikit-learn. Where strips are whole columns it is V, then W: the same iteration on Xᵀ. Iterations
of the published rules move W, then V in both cases, at the price of one more pass: it moves nothing, and comes first
where strips are columns, to move W by its sums; last where they are rows, to tell the loss.

Whether a pass was the last one is decided before the short factor moves, from what moving it would bring. So the long
factor that is kept was solved against the short one that is kept, which is what solving for new rows of X gives.
"""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from dnmf.arrays.draws import random_order
from dnmf.arrays.rows import Array
from dnmf.engine.protocol import Pending
from dnmf.events import Cancelled, PassDone, Paused, Saved, Stopped, Terminated
from dnmf.factorization.job import Job, LongBlocks, Point
from dnmf.factorization.reads import Shared, pass_over
from dnmf.losses import Objective
from dnmf.losses.accuracy import check_finite, is_noisy, relative_error
from dnmf.parameters import Parameters
from dnmf.run.generations import new_generation
from dnmf.run.history import History
from dnmf.run.lease import Busy
from dnmf.stores.local_disk import full_disk
from dnmf.stores.paths import shown

# What is said of a run that ended early, where that was no failure.
ENDED = {KeyboardInterrupt: "was interrupted", Terminated: "was terminated", Cancelled: "was cancelled"}


First = Callable[[Job], tuple[Point, History]]


# Sweeps of a factor per pass where no sample tells how many pay.
SWEEPS = 10


# By what a gain falls from one pass to the next, at most: with a model of X, and without one.
FALLS = {True: 100.0, False: 2.0}


# A loss this small relative to ‖X‖² is as good as none: a decrease counts relative to the loss and this.
NEGLIGIBLE = 1e-4


@dataclass(frozen=True, slots=True)
class Going:
    """A pass: what the engine began, its objective, the base of its sums, its sweeps, what it reads, since when."""

    pending: Pending[Any]
    objective: Objective
    base: Array | None
    sweeps: int
    bytes_read: int
    began: float


def run(job: Job, first: First) -> None:
    """All passes, from where the run stands to its end; a run that ends early says why."""
    try:
        job.tell(job.planned)
        point, history = first(job)
        job = replace(job, listeners=(history, *job.listeners))
        while point.reason is None:
            # Rebinding `point` lets go of the old long factor while the pass goes on.
            point, going = _begin(job, point)
            outcome = going.pending.wait()
            point = replace(point, checksums=job.checked(point.checksums, outcome.checksums))
            point = _complete(job, point, going, outcome.value, history)
        job.keeper.finish(point.outcome, point.checkpoint, history, LongBlocks(job.engine, point.L))
    except (Paused, Busy):
        raise
    except BaseException as error:
        if job.relayed and isinstance(error, ConnectionError):
            raise
        # Where the run cannot be written, or is another's by now, it stays as it is. A worker may be writing to the
        # generation that was given up: then that stays, and nothing names it.
        with suppress(Exception):
            job.keeper.stop(ENDED.get(type(error)) or f"failed: {full_disk(error, shown(job.group.store_path))}")
        raise
    job.tell(Stopped(point.reason))


def _begin(job: Job, point: Point) -> tuple[Point, Going]:
    """Hand a pass to the engine. The point that comes back has the new long factor and still the old short one."""
    began, iteration, parameters = time.perf_counter(), point.iteration + 1, job.parameters
    objective, model, sweeps = _objective(job, iteration), point.model, _sweeps(job, iteration)
    if model is not None:
        model, sweeps = objective.follow(model, point.S, first=point.L is None, inner=parameters.inner_iter)
    every = job.keeper.policy.every
    writes = job.plan.in_run or (every is not None and iteration % every == 0)
    at = new_generation(job.group, iteration) if writes else None
    base = objective.base(point.S, point.loss, point.norm, exact=_may_be_last(job, point))
    target = None if at is None else job.keeper.long.array(job.group, at)
    update = point.update if iteration == 1 else objective.update
    what = pass_over(objective, Shared(point.S, objective.shared(point.S), base), update, sweeps, target)
    bytes_read = job.matrix.grid.stored_nbytes if point.source.stored else 0
    pending = job.engine.read(point.source, point.L, what, job.ticker(iteration))
    point = replace(point, iteration=iteration, source=pending.source, L=pending.L, model=model, at=at)
    return point, Going(pending, objective, base, sweeps, bytes_read, began)


def _objective(job: Job, iteration: int) -> Objective:
    """The job's, in a pass of its own order of components where those are shuffled."""
    if not job.parameters.shuffle:
        return job.objective
    return job.objective.shuffled(random_order(job.parameters.seed, iteration, job.parameters.rank))


def _sweeps(job: Job, iteration: int) -> int:
    """Updates of the long factor in a pass, where no sample tells how many pay."""
    extra = job.parameters.passes if job.plan.axis == 0 else 1
    return 0 if job.parameters.published and iteration == extra else job.parameters.inner_iter or SWEEPS


def _complete(job: Job, point: Point, going: Going, sums: Any, history: History) -> Point:
    """Tell and save what is known now, and move the short factor; or say why this pass was the last one."""
    norm, objective = sums.norm if math.isnan(point.norm) else point.norm, going.objective
    objective.check_range(norm, math.prod(job.matrix.grid.shape), job.matrix.dtype)
    loss = objective.loss(sums, going.base, point.S, norm)
    check_finite(loss)
    total = loss + objective.penalties(sums, point.S)
    moved = objective.moved(sums, going.base, point.S, job.parameters.inner_iter or SWEEPS)
    decrease = objective.decrease(sums, going.base, point.S, moved, norm)
    misled = point.model is not None and point.iteration > 1 and _rose(job, point, total)
    gain = decrease / (total + NEGLIGIBLE * norm) if norm else 0.0
    point = replace(point, loss=loss, total=total, norm=norm, gain=gain)
    # Only a loss that is good to six digits ends a run.
    exact = objective.is_exact(going.base, loss, norm) or point.iteration == job.parameters.passes
    reason = _reason(job.parameters, point, misled=misled) if exact else None
    ended = point = replace(point, reason=reason)
    if reason is None and misled:
        # The sample misleads: go on without it, from where the pass before would have gone without it.
        point = replace(point, S=point.plain, model=None)
    elif reason is None and point.model is not None:
        step = objective.corrected(point.model, point.S, sums, going.base)
        model = None if step is None else point.model
        point = replace(point, S=moved if step is None else step, model=model, plain=moved)
    elif reason is None:
        point = replace(point, S=moved)
    _tell(job, ended, going, sums)
    if point.at is not None:
        job.keeper.commit(point.at, ended.outcome, point.checkpoint, history)
        job.tell(Saved(point.iteration))
    return point


def _rose(job: Job, point: Point, total: float) -> bool:
    """Whether an objective is above that of the pass before, by more than rounding."""
    return total > point.total and not is_noisy(total - point.total, point.norm, job.matrix.dtype)


def _tell(job: Job, point: Point, going: Going, sums: Any) -> None:
    """A pass is done: tell of it."""
    assert point.loss is not None
    job.tell(
        PassDone(
            iteration=point.iteration,
            loss=point.loss,
            objective=point.total,
            relative_error=relative_error(point.loss, point.norm),
            gradient=going.objective.gradient(sums, going.base, point.S),
            gain=point.gain,
            sweeps=going.sweeps,
            seconds=time.perf_counter() - going.began,
            bytes_read=going.bytes_read,
            short=point.S,
        )
    )


def _may_be_last(job: Job, point: Point) -> bool:
    """Whether the pass after this point may end the run, so that its loss must be exact."""
    tol = job.parameters.tol
    if point.iteration + 1 == job.parameters.passes:
        return True
    if point.iteration == 0:
        return point.model is not None and job.objective.is_whole(point.model)
    decrease = tol * (point.total + NEGLIGIBLE * point.norm)
    return tol > 0 and (
        point.gain < FALLS[point.model is not None] * tol or is_noisy(decrease, point.norm, job.matrix.dtype)
    )


def _reason(parameters: Parameters, point: Point, *, misled: bool) -> str | None:
    """Why to stop after a pass, as a sentence, or None to go on. What the sample misled to is no place to stop at."""
    iteration, gain = point.iteration, point.gain
    passes = f"{iteration} pass" + ("" if iteration == 1 else "es")
    if point.loss == 0:
        return f"after {passes} the loss is 0: X is factorized exactly"
    # The published rules may overshoot where penalties outweigh the loss: a move that does is no reason to stop.
    if parameters.tol > 0 and abs(gain) < parameters.tol and not misled:
        return (
            f"after {passes} one more would decrease the loss by some {max(gain, 0.0):.1e} of itself, less than "
            f"tol = {parameters.tol:g}"
        )
    if iteration == parameters.passes:
        most = f"{parameters.max_iter} iterations" if parameters.published else passes
        return f"reached max_iter = {most}; one more would decrease the loss by some {max(gain, 0.0):.1e} of itself"
    return None
