"""The loop: passes, and when to stop. It knows neither formulas nor graphs nor how to draw.

An iteration moves the long factor, then the short one. Where strips are whole rows of X that is W, then V, the order of
Lee and Seung and of scikit-learn. Where strips are whole columns it is V, then W: the same iteration on Xᵀ. Iterations
of the published rules move W, then V in both cases, at the price of one more pass: it moves nothing, and comes first
where strips are columns, to move W by its sums; last where they are rows, to tell the loss.

Whether a pass was the last one is decided before the short factor moves, from what moving it would bring. So the long
factor that is kept was solved against the short one that is kept, which is what solving for new rows of X gives.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from dnmf.arrays.draws import random_order
from dnmf.arrays.rows import Array
from dnmf.engine.protocol import Pending
from dnmf.events import Cancelled, Decided, PassDone, Paused, Stopped, Terminated
from dnmf.factorization.job import Iterate, Job, OutOfRange, loss_for
from dnmf.factorization.reads import Seen, pass_over
from dnmf.factorization.saving import Saving
from dnmf.factorization.starts import first_factors
from dnmf.losses.protocol import (
    AnyLoss,
    Evaluation,
    Known,
    Shared,
    check_finite,
    is_noisy,
    relative_error,
)
from dnmf.run.arrays import StoredArray
from dnmf.run.generations import new_generation
from dnmf.run.history import History
from dnmf.run.lease import Busy
from dnmf.stores.local_disk import full_disk
from dnmf.stores.paths import shown

# What is said of a run that ended early, where that was no failure.
ENDED = {KeyboardInterrupt: "was interrupted", Terminated: "was terminated", Cancelled: "was cancelled"}

First = Callable[[Job], tuple[Iterate, History]]

# By what a gain falls from one pass to the next, at most: with a model of X, and without one.
FALLS = {True: 100.0, False: 2.0}

# A loss this small relative to ‖X‖² is as good as none: a decrease counts relative to the loss and this.
NEGLIGIBLE = 1e-4


@dataclass(frozen=True, slots=True)
class RunningPass:
    """A pass: what the engine began, the loss, what strips share, its sweeps, what it reads, since when."""

    pending: Pending[Any]
    loss: AnyLoss
    shared: Shared
    sweeps: int
    bytes_read: int
    began: float


def run(job: Job, first: First) -> None:
    """All passes, from where the run stands to its end; a run that ends early says why, and keeps what it can."""
    saving = Saving()
    try:
        job.tell(job.planned)
        try:
            job, iterate, history = _all_passes(job, first, saving)
        except OutOfRange as found:
            # No pass is kept yet: only the first read of X tells.
            job, iterate, history = _all_passes(_begun_again(job, found.exponent), first_factors, saving)
        job.keeper.finish(iterate.ending, iterate.checkpoint, history, partial(job.save, iterate.L))
    except (Paused, Busy):
        raise
    except BaseException as error:
        _end_early(job, saving, error)
        raise
    assert iterate.reason is not None
    job.tell(Stopped(iterate.reason))


def _end_early(job: Job, saving: Saving, error: BaseException) -> None:
    """Say in the run why it ends, then keep its last finished pass, as far as that is possible."""
    if job.relayed and isinstance(error, ConnectionError):
        return
    why = ENDED.get(type(error)) or f"failed: {full_disk(error, shown(job.group.store_path))}"
    # Where the run cannot be written, or is another's by now, it stays as it is. A worker may be writing to a
    # generation that was given up: then that stays, and nothing names it.
    with suppress(Exception):
        job.keeper.stop(why)
        # What a lost cluster held is lost with it.
        if not isinstance(error, ConnectionError):
            saving.keep_last(why)


def _all_passes(job: Job, first: First, saving: Saving) -> tuple[Job, Iterate, History]:
    """Pass after pass until one was the last one; the job, with its history as a listener."""
    iterate, history = first(job)
    job = replace(job, listeners=(history, *job.listeners))
    saving.begin(job, history, iterate.iteration)
    while iterate.reason is None:
        iterate, running = _begin(job, iterate)
        outcome = running.pending.wait()
        sums = outcome.value
        if isinstance(sums, Seen):
            job.check_range(sums.extent)
            if iterate.observed is None:
                iterate = replace(iterate, observed=job.observe(sums.observed))
            sums = sums.value
        iterate = replace(iterate, checksums=job.checked(iterate.checksums, outcome.checksums))
        iterate = _complete(job, iterate, running, sums, saving)
    return job, iterate, history


def _begun_again(job: Job, exponent: int) -> Job:
    """The job on 2ᵉ X, from the start."""
    given = job.parameters.init == "given" and job.given is None
    if given or (job.keeper.record.extends and job.warm is None):
        raise ValueError(
            f"{shown(job.group.store_path)} was stopped before X was read once, and its first factors, which were "
            f"given, belong to another scale of X: start it again"
        )
    return job.scaled(exponent)


def _begin(job: Job, iterate: Iterate) -> tuple[Iterate, RunningPass]:
    """Hand a pass to the engine. The iterate that comes back has the new long factor and still the old short one."""
    began, iteration = time.perf_counter(), iterate.iteration + 1
    loss, surrogate, sweeps = _loss(job, iteration), iterate.surrogate, _sweeps(job, iteration)
    decided = None if surrogate is None else surrogate.decide(len(iterate.S))
    known = Known(iterate.loss, iterate.norm, exact=_may_be_last(job, iterate), decided=decided)
    shared = loss.prepare(iterate.S, known)
    if iteration == 1 and shared.decided is not None:
        job.tell(Decided(shared.decided))
    if surrogate is not None:
        surrogate, sweeps = surrogate.follow(shared, job.parameters.inner_iter)
    at, target = _generation(job, iteration)
    # The first pass sets components in their own order.
    move = iterate.move if iteration == 1 else loss.update
    unseen = iteration == 1 and (iterate.surrogate is None or (job.kept is not None and not job.before))
    what = pass_over(loss, shared, move, sweeps=sweeps, target=target, first=unseen)
    bytes_read = job.matrix.grid.stored_nbytes if iterate.source.stored else 0
    pending = job.engine.read(iterate.source, iterate.L, what, job.ticker(iteration))
    iterate = replace(iterate, iteration=iteration, source=pending.source, L=pending.L, surrogate=surrogate, at=at)
    return iterate, RunningPass(pending, loss, shared, sweeps, bytes_read, began)


def _generation(job: Job, iteration: int) -> tuple[str | None, StoredArray | None]:
    """Where a pass writes its long factor, in the generation that is saved then; None where it is in memory."""
    if not job.plan.in_run:
        return None, None
    at = new_generation(job.group, iteration)
    return at, job.long_at(at)


def _loss(job: Job, iteration: int) -> AnyLoss:
    """The job's, in a pass of its own order of components where those are shuffled."""
    parameters = job.parameters
    if not parameters.shuffle:
        return job.loss
    return loss_for(parameters, job.matrix, job.plan.axis, random_order(parameters.seed, iteration, parameters.rank))


def _sweeps(job: Job, iteration: int) -> int:
    """Updates of the long factor in a pass, where no sample tells how many pay."""
    extra = job.parameters.passes if job.plan.axis == 0 else 1
    return 0 if job.parameters.published and iteration == extra else job.parameters.sweeps


def _complete(job: Job, iterate: Iterate, running: RunningPass, sums: object, saving: Saving) -> Iterate:
    """Tell and save what is known now, and move the short factor; or say why this pass was the last one."""
    found = running.loss.evaluate(sums, running.shared)
    check_finite(found.loss)
    total, moved = found.loss + found.penalties, found.step()
    misled = iterate.surrogate is not None and iterate.iteration > 1 and _rose(job, iterate, total)
    gain = _gain(iterate, found, moved, total) / (total + NEGLIGIBLE * found.norm) if found.norm else 0.0
    ended = replace(iterate, loss=found.loss, total=total, norm=found.norm, gain=gain, sums=found.of_components)
    # Only a loss that is good to six digits ends a run.
    if found.exact or iterate.iteration == job.passes:
        ended = replace(ended, reason=_reason(job, ended, misled=misled))
    if iterate.surrogate is not None and _disappoints(job, iterate, found, total):
        ended = replace(ended, steps=max(1, ended.steps // 2))
    following = ended if ended.reason else _moved(ended, found, moved, misled=misled)
    saving.passed(ended, following)
    _tell(job, ended, running, found)
    return saving.save()


def _gain(iterate: Iterate, found: Evaluation, moved: Array, total: float) -> float:
    """By how much one more pass would decrease the objective, as far as that is known before it.

    It is what a move of the short factor gives at least, times as many moves as a pass is worth. Where a sample makes
    the moves, a pass brings hardly more than the one before it did; that one which brought little for once does not
    decide, what was expected of it counts for half.
    """
    least = found.gain(moved)
    if iterate.surrogate is None or iterate.iteration == 1:
        return found.moves * least
    expected = iterate.gain * (total + NEGLIGIBLE * found.norm) / 2
    return min(found.moves * least, max(least, iterate.total - total, expected))


def _moved(iterate: Iterate, found: Evaluation, moved: Array, *, misled: bool) -> Iterate:
    """Where the next pass begins: `moved` by the pass alone, or by steps on the surrogate."""
    if misled:
        # Go on from where the pass before would have gone without the sample.
        assert iterate.plain is not None
        return replace(iterate, S=iterate.plain)
    if iterate.surrogate is None:
        return replace(iterate, S=moved)
    # One step alone is the move that needs no sample.
    step = iterate.surrogate.correct(found, iterate.steps) if iterate.steps > 1 else None
    if step is None:
        return replace(iterate, S=moved, surrogate=None, plain=moved)
    return replace(iterate, S=step, plain=moved)


def _disappoints(job: Job, iterate: Iterate, found: Evaluation, total: float) -> bool:
    """Whether a pass brought less than the move would have that needs no sample: steps on it went too far."""
    if iterate.iteration == 1:
        return False
    missing = iterate.gain * iterate.total / found.moves - (iterate.total - total)
    return missing > 0 and not is_noisy(missing, iterate.norm, job.matrix.dtype)


def _rose(job: Job, iterate: Iterate, total: float) -> bool:
    """Whether an objective is above that of the pass before, by more than rounding."""
    return total > iterate.total and not is_noisy(total - iterate.total, iterate.norm, job.matrix.dtype)


def _tell(job: Job, iterate: Iterate, running: RunningPass, found: Evaluation) -> None:
    """A pass is done: tell of it."""
    assert iterate.loss is not None
    job.tell(
        PassDone(
            iteration=iterate.iteration,
            loss=job.in_units_of_x(iterate.loss),
            objective=job.in_units_of_x(iterate.total),
            relative_error=relative_error(iterate.loss, iterate.norm),
            gradient=job.in_units_of_x(found.gradient_norm()),
            gain=iterate.gain,
            sweeps=running.sweeps,
            seconds=time.perf_counter() - running.began,
            bytes_read=running.bytes_read,
            short=iterate.S,
        )
    )


def _may_be_last(job: Job, iterate: Iterate) -> bool:
    """Whether the pass after this one may end the run, so that its loss must be exact."""
    tol = job.parameters.tol
    if iterate.iteration + 1 == job.passes:
        return True
    if iterate.iteration == 0:
        return iterate.surrogate is not None and iterate.surrogate.whole
    decrease = tol * (iterate.total + NEGLIGIBLE * iterate.norm)
    return tol > 0 and (
        iterate.gain < FALLS[iterate.surrogate is not None] * tol or is_noisy(decrease, iterate.norm, job.matrix.dtype)
    )


def _reason(job: Job, iterate: Iterate, *, misled: bool) -> str | None:
    """Why to stop after a pass, as a sentence, or None to go on. What the sample misled to is no place to stop at."""
    parameters, iteration, gain = job.parameters, iterate.iteration, iterate.gain
    passes = f"{iteration} pass" + ("" if iteration == 1 else "es")
    if job.before:
        return f"V is that of a sample of all {job.before + job.plan.length} rows, and W of the new ones belongs to it"
    if parameters.all_known:
        return "all components are known, and W belongs to them"
    if iterate.norm == 0 and job.matrix.weighted:
        return f"after {passes} the loss is 0: nothing of X is observed but zeros, if anything"
    if iterate.loss == 0:
        return f"after {passes} the loss is 0: X is factorized exactly"
    # The published rules may overshoot where penalties outweigh the loss: a move that does is no reason to stop.
    if parameters.tol > 0 and abs(gain) < parameters.tol and not misled:
        return (
            f"after {passes}, one more would decrease the loss by some {max(gain, 0.0):.1e} of itself, less than "
            f"tol = {parameters.tol:g}"
        )
    if iteration == parameters.passes:
        most = f"{parameters.max_iter} iterations" if parameters.published else passes
        return f"reached max_iter = {most}; one more would decrease the loss by some {max(gain, 0.0):.1e} of itself"
    return None
