"""dnmf.factorization.restore."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from dnmf.factorization.job import Job, Point, Start
from dnmf.factorization.starts import first_factors
from dnmf.factorization.trials import model_of
from dnmf.parameters import Parameters
from dnmf.plan.strips import Plan
from dnmf.run.checkpoint import read_next
from dnmf.run.generations import clear_top
from dnmf.run.history import History
from dnmf.run.keeper import go_on, move_down
from dnmf.run.lease import Busy
from dnmf.run.record import Record, fresh_record, record_of
from dnmf.run.result import read_history, read_snapshots
from dnmf.stores.local_disk import sweep
from dnmf.stores.missing_chunks import missing
from dnmf.stores.paths import shown

ARRAYS = ("short", "plain", "rows", "checksums")


@dataclass(frozen=True, slots=True)
class Generation:
    """What a run goes on from, as it was read: its record, what the next pass needs, and the history."""

    record: Record
    arrays: Mapping[str, Any]
    facts: Mapping[str, Any]
    passes: Mapping[str, Any]
    snapshots: Mapping[int, Any]


def _sound(job: Job, record: Record) -> Generation:
    """The last generation that lacks nothing: one that was damaged has one before it.

    Raises
    ------
    OSError
        If that is damaged too.
    """
    while True:
        try:
            return _read(job, record)
        except (OSError, ValueError, KeyError) as wrong:
            if not record["at"]:
                raise
            try:
                record = record_of(job.group, record["state"]["before"] or "")
            except (FileNotFoundError, KeyError):
                raise OSError(f"what the run would go on from is damaged ({wrong}): start it again") from None


def _read(job: Job, record: Record) -> Generation:
    """All of a generation but its factors, of which the long one must have all of its chunks."""
    at, iteration = record["at"], record["iteration"]
    arrays, facts = read_next(job.group, record["state"]["next"], ARRAYS)
    passes = read_history(job.group, at, iteration) if iteration else {}
    snapshots = read_snapshots(job.group, at) if iteration else {}
    found = missing(_stored_long(job, record)) if at else None
    if found and found.count:
        raise OSError(f"{found.count} of {found.total} chunks of {job.long.name} are missing")
    return Generation(record, arrays, facts, passes, snapshots)


def _recorded(record: Record) -> Plan:
    """How X was cut."""
    state = {field.name: record["state"][field.name] for field in fields(Plan)}
    return Plan(**(state | {"counts": tuple(state["counts"])}))


def _stored_long(job: Job, record: Record) -> Any:
    """The long factor that a generation holds, in the chunks that it was written in."""
    before, at = _recorded(record), record["state"]["next"].rpartition("next")[0].rstrip("/")
    m, n = job.long.shape
    chunks = (before.height, n) if job.plan.axis == 0 else (m, before.height)
    return replace(job.long, chunks=chunks).array(job.group, at)


def check_unchanged(job: Job, record: Record) -> None:
    """Raise Busy where another process has driven the run since its record was read. The lease must be held."""
    job.check()
    if fresh_record(job.group) != record:
        raise Busy(f"the run {shown(job.group.store_path)} went on while it was opened: try again")


def restored(job: Job, *, record: Record) -> tuple[Point, History]:
    """Where the run stands: its last generation, as the loop had it. Its lease is held.

    Raises
    ------
    Busy
        If another process has driven the run since its record was read.
    """
    check_unchanged(job, record)
    sweep(job.group)
    finished = record["at"] == ""
    if not finished:
        clear_top(job.group)
    found = _sound(job, record) if record["state"]["next"] is not None else None
    if not finished:
        go_on(job, found.record if found else record)
    return _stands(job, found) if found else first_factors(job)


def _stands(job: Job, found: Generation) -> tuple[Point, History]:
    """Where the run stands by a generation."""
    record, arrays, facts = found.record, found.arrays, dict(found.facts)
    iteration, modelled = int(facts.pop("iteration")), facts.pop("modelled")
    begun = iteration > 0 or job.parameters.init == "given"
    assert job.kept or not modelled
    cut_alike = job.plan.heights == _recorded(record).heights
    point = Point(
        iteration=iteration,
        source=job.engine.open(job.matrix),
        L=job.engine.load(_stored_long(job, record)) if begun else None,
        S=arrays["short"],
        update=job.objective.update if begun else job.objective.solve,
        start=Start(**record["start"]),
        model=replace(model_of(job, job.kept.sample)[1], rows=arrays.get("rows")) if modelled and job.kept else None,
        plain=arrays.get("plain"),
        checksums=arrays.get("checksums") if cut_alike else None,
        at=record["at"],
        reason=record["state"]["reason"] if _asks_the_same(job, record) else None,
        **facts,
    )
    history = History(job.parameters.snapshot_every, job.plan.axis, point.S)
    if iteration:
        history.recall(found.passes, found.snapshots)
    return (point, history) if record["at"] != "" else (_opened_again(job, point, history), history)


def _asks_the_same(job: Job, record: Record) -> bool:
    """Whether what ended the run, if anything did, ends it still."""
    before = Parameters.of(record["parameters"])
    same = (before.max_iter, before.tol) == (job.parameters.max_iter, job.parameters.tol)
    return same and record["status"] != "finished"


def _opened_again(job: Job, point: Point, history: History) -> Point:
    """A finished run, as one that goes on."""
    if job.parameters.published and job.plan.axis == 0:
        # The last pass moved nothing: it told the loss.
        point = replace(point, iteration=point.iteration - 1)
        for values in history.passes.values():
            values.pop()
    return move_down(job, point, history)
