"""Where a run stands that goes on: its last generation, as the loop had it."""

from dataclasses import replace

from dnmf.factorization.job import Job, LongBlocks, Point
from dnmf.factorization.starts import first_factors
from dnmf.factorization.trials import model_of
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


def restored(job: Job, *, record: Record) -> tuple[Point, History]:
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
    return _stands(job, found) if found else first_factors(job)


def _stands(job: Job, found: Generation) -> tuple[Point, History]:
    """Where the run stands by a generation."""
    record, last = found.record, found.checkpoint
    begun = last.iteration > 0 or job.parameters.init == "given"
    assert record.start is not None
    assert job.kept or not last.modelled
    cut_alike = job.plan.heights == record.state.plan.heights
    point = Point(
        iteration=last.iteration,
        source=job.engine.open(job.matrix),
        L=job.engine.load(stored_long(job.group, record)) if begun else None,
        S=last.short,
        update=job.objective.update if begun else job.objective.solve,
        start=record.start,
        model=replace(model_of(job, job.kept.sample)[1], rows=last.rows) if last.modelled and job.kept else None,
        plain=last.plain,
        loss=last.loss,
        total=last.total,
        gain=last.gain,
        norm=last.norm,
        checksums=last.checksums if cut_alike else None,
        at=record.at,
        reason=record.state.reason if _asks_the_same(job, record) else None,
    )
    history = History(job.parameters.snapshot_every, job.plan.axis, point.S)
    if last.iteration:
        history.recall(found.passes, found.snapshots)
    return (point, history) if record.at != "" else (_opened_again(job, point, history), history)


def _asks_the_same(job: Job, record: Record) -> bool:
    """Whether what ended the run, if anything did, ends it still."""
    before, now = record.parameters, job.parameters
    return (before.max_iter, before.tol) == (now.max_iter, now.tol) and record.status != "finished"


def _opened_again(job: Job, point: Point, history: History) -> Point:
    """A finished run, as one that goes on: the top of the run is free for what it ends with."""
    if job.parameters.published and job.plan.axis == 0:
        # The last pass moved nothing: it told the loss.
        point = replace(point, iteration=point.iteration - 1)
        history.forget_last()
    at = job.keeper.move_down(point.outcome, point.checkpoint, history, LongBlocks(job.engine, point.L))
    return replace(point, at=at, L=job.engine.load(job.keeper.long.array(job.group, at)))
