"""Where a run stands that goes on: its last generation, as the loop had it."""

from dataclasses import replace
from functools import partial

from dnmf.arrays.rows import Array
from dnmf.arrays.sample import stand_in
from dnmf.factorization.job import Iterate, Job
from dnmf.factorization.starts import first_factors, first_move
from dnmf.losses.protocol import AnySurrogate
from dnmf.run.arrays import scaled_array
from dnmf.run.checkpoint import Generation, read_generation
from dnmf.run.factors import stored_long
from dnmf.run.generations import clear_top
from dnmf.run.history import History
from dnmf.run.keeper import Keeper
from dnmf.run.lease import Busy
from dnmf.run.record import Begun, Record, read_record
from dnmf.stores.local_disk import sweep
from dnmf.stores.paths import shown


def check_unchanged(keeper: Keeper, record: Begun) -> None:
    """Raise Busy where another process has driven the run since its record was read. The lease must be held."""
    keeper.check()
    if read_record(keeper.group) != record:
        raise Busy(f"the run {shown(keeper.group.store_path)} went on while it was opened: try again")


def restore(job: Job, *, record: Record) -> tuple[Iterate, History]:
    """Where the run stands: its last generation, as the loop had it. Its lease is held.

    Raises
    ------
    Busy
        If another process has driven the run since its record was read.
    """
    check_unchanged(job.keeper, record)
    sweep(job.group)
    finished = record.at == ""
    if not finished:
        clear_top(job.group)
    found = read_generation(job.group, record) if record.state.next else None
    if not finished:
        job.keeper.go_on(found.record if found else record)
    return _iterate_from(job, found) if found else first_factors(job)


def _iterate_from(job: Job, found: Generation) -> tuple[Iterate, History]:
    """Where the run stands by a generation."""
    record, last = found.record, found.checkpoint
    begun = last.iteration > 0 or job.parameters.init == "given"
    assert record.start is not None
    cut_alike = job.plan.reads_as(record.state.plan)
    iterate = Iterate(
        iteration=last.iteration,
        source=job.engine.open(job.matrix),
        L=job.engine.load(scaled_array(stored_long(job.group, record), job.matrix.exponent)) if begun else None,
        S=last.short,
        move=job.loss.update if begun else first_move(job),
        start=record.start,
        surrogate=_surrogate(job, last.rows) if last.modelled else None,
        plain=last.plain,
        steps=last.steps,
        loss=last.loss,
        total=last.total,
        gain=last.gain,
        norm=last.norm,
        checksums=last.checksums if cut_alike else None,
        at=record.at,
        sums=found.sums,
        observed=record.observed,
        reason=record.state.reason if _asks_the_same(job, record) else None,
    )
    history = History(job.parameters.snapshot_every, job.plan.axis, iterate.S)
    if last.iteration:
        history.recall(found.passes, found.snapshots)
    return (iterate, history) if record.at != "" else (_open_again(job, iterate, history), history)


def _surrogate(job: Job, rows: Array | None) -> AnySurrogate:
    """What stood for X between passes, with what it knew of the long factor."""
    if job.kept is None:
        raise OSError(f"{shown(job.group.store_path)} has lost the sample that it would go on with: start it again")
    drawn = stand_in(job.kept.sample, job.plan.sample, rank=job.parameters.rank, seed=job.parameters.seed)
    return job.loss_of_all.surrogate(drawn).with_rows(rows)


def _asks_the_same(job: Job, record: Record) -> bool:
    """Whether what ended the run, if anything did, ends it still."""
    before, now = record.parameters, job.parameters
    if job.before:  # one pass, whatever is asked for
        return True
    return (before.max_iter, before.tol) == (now.max_iter, now.tol) and record.status != "finished"


def _open_again(job: Job, iterate: Iterate, history: History) -> Iterate:
    """A finished run, as one that goes on: the top of the run is free for what it ends with."""
    if job.parameters.published and job.plan.axis == 0:
        # The last pass moved nothing: it told the loss.
        iterate = replace(iterate, iteration=iterate.iteration - 1)
        history.forget_last()
    at = job.keeper.move_down(iterate.ending, iterate.checkpoint, history, partial(job.save, iterate.L))
    return replace(iterate, at=at, L=job.engine.load(job.long_at(at)))
