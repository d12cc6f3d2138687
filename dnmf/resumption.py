"""`resume`: a run that was stopped, or whose process died, goes on from its last generation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from dnmf import cluster, lease, runs, saving
from dnmf.assembly import drive, job_for
from dnmf.disks import writing
from dnmf.job import Job, Point, Start
from dnmf.kept_sample import has_sample, read_sample
from dnmf.lease import Lease
from dnmf.leftovers import sweep
from dnmf.loop import first_factors
from dnmf.matrices import Matrix, open_matrix
from dnmf.memory import Workers
from dnmf.next_pass import read_next
from dnmf.parameters import Parameters, loss_by_number, plain
from dnmf.paths import absolute, shown
from dnmf.progress import History, Listener
from dnmf.results import Factorization, open_run, read_history, read_snapshots
from dnmf.starts import model_of
from dnmf.stores import missing
from dnmf.strips import Plan, fitting, plan

# What may be another than the run was begun with: none of it has a part in a pass.
MAY_CHANGE = ("max_iter", "tol", "checkpoint_every", "memory_limit", "cache")

# Where X was that no other process finds, see `dnmf.stores.find`.
NOT_STORED = ("a Dask array", "an array in memory")

ARRAYS = ("short", "plain", "rows", "checksums")


def resume(run: str | Path, X: object = None, *, listeners: Sequence[Listener] = (), **changes: Any) -> Factorization:
    """Go on with a run from its last generation, on the current `dask.distributed.Client` or on threads.

    With the strips that the run was begun with, which are kept where workers have the memory for them, the factors are
    those of a run that was never stopped, bit for bit, on the same kind of machine.

    Parameters
    ----------
    run : path of the run.
    X : the matrix, if it is not in a store, or has moved since.
    listeners : called with every event of `dnmf.progress`.
    changes : `max_iter`, `tol`, `checkpoint_every`, `memory_limit` and `cache` may be other than before. All other
        parameters of `factorize` may be given, and must be what they were.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        If there is no run, if it has ended, if X or a parameter is not what it was.
    RuntimeError
        If another process is at work on the run.
    OSError
        If a strip of X is not what it was when the run read it.
    """
    group, record = runs.open_group(run, mode="r+")
    with writing(run):
        lease.check_free(group)
        lease.let_go_on(group)
        _tidy(group, record)
        job, client = prepared(group, record, X, changes, listeners)
    drive(job, client, partial(restored, record=record))
    return open_run(group)


def _tidy(group: Any, record: runs.Record) -> None:
    """Delete the generations of a finished run, whose process may have been killed before it did."""
    if record["status"] == "finished":
        with Lease(group):
            if runs.fresh_record(group) == record:
                runs.drop_all_generations(group)


def prepared(
    group: Any, record: runs.Record, X: object, changes: dict[str, Any], listeners: Sequence[Listener]
) -> tuple[Job, Any]:
    """The job of a run, and the client that it is computed with."""
    where = shown(group.store_path)
    if "parameters" not in record:
        raise ValueError(f"the process that began {where} was killed before it said what was asked for: start it again")
    parameters = changed(record, changes)
    _check_goes_on(record, parameters, where)
    if X is None and record["x"]["path"] in NOT_STORED:
        raise ValueError(f"X of this run was {record['x']['path']}: give it again, resume(run, X)")
    matrix = open_matrix(record["x"]["path"] if X is None else X)
    _check_same(matrix, record)
    client = None if matrix.in_memory else cluster.current_client()
    workers = cluster.available(client, parameters.memory_limit)
    before = _recorded(record)
    cut = _cut(before, matrix, parameters, workers)
    if client:
        cluster.check_workers(client, matrix, absolute(where))
    kept = read_sample(group) if has_sample(group) else None
    if kept and cut.heights != before.heights:
        kept = replace(kept, checksums=None)
    return job_for(matrix, parameters, cut, client, workers, group, listeners, on_disk=True, kept=kept), client


def changed(record: runs.Record, changes: dict[str, Any]) -> Parameters:
    """The parameters of a run, with those that may change.

    Raises
    ------
    TypeError, ValueError
        If there is no such parameter, or if one that may not change is another than before.
    """
    before: dict[str, Any] = record["parameters"]
    changes = {name: plain(value) for name, value in changes.items()}
    if isinstance(changes.get("beta_loss"), str):
        changes["beta_loss"] = loss_by_number(changes["beta_loss"])
    if changes.get("alpha_H") == "same":
        changes["alpha_H"] = changes.get("alpha_W", before["alpha_W"])
    for name, value in changes.items():
        if name not in before:
            raise TypeError(f"resume has no parameter {name!r}: it takes those of factorize")
        if name not in MAY_CHANGE and value != before[name]:
            raise ValueError(
                f"{name} was {before[name]!r} when the run began and is {value!r} now: a run goes on with what it "
                f"began with, but for {', '.join(MAY_CHANGE)}; start a new one"
            )
    return Parameters(**(before | changes))


def _check_goes_on(record: runs.Record, parameters: Parameters, where: object) -> None:
    """Refuse a run that has nowhere to go on from, or no reason to."""
    if "next" not in record.get("state", {}):
        raise ValueError(f"{where} is of an older dnmf, which kept nothing to go on from: start it again")
    if record["state"]["next"] is None and parameters.init == "given":
        raise ValueError(f"{where} was stopped before its first factors were written, which were given: start it again")
    before = Parameters(**record["parameters"])
    if record["status"] == "finished":
        if parameters.max_iter <= before.max_iter and parameters.tol >= before.tol:
            raise ValueError(f"{where} is finished ({record['stopped']}): give a larger max_iter or a smaller tol")
        if not (before.keep_W or record["state"]["axis"]):
            raise ValueError(f"{where} is finished and keeps no W, which going on needs: start it again")
    if record["iteration"] >= parameters.passes and not record["state"]["reason"]:
        raise ValueError(
            f"{where} has made {record['iteration']} passes and max_iter is {parameters.max_iter}: give a larger one"
        )


def _check_same(matrix: Matrix, record: runs.Record) -> None:
    """Refuse X that is not the one that the run was begun with, as far as can be told without reading it."""
    now = {
        "shape": list(matrix.grid.shape),
        "dtype": str(matrix.stored_dtype),
        "chunks": list(matrix.grid.chunk),
        "fingerprint": matrix.fingerprint,
    }
    for name, value in now.items():
        if value != (before := record["x"][name]):
            said = "codecs" if name == "fingerprint" else name
            raise ValueError(
                f"X at {matrix.location} is not the one that the run was begun with: its {said} were {before} and are "
                f"{value} now; a run goes on with the same X"
            )


def _recorded(record: runs.Record) -> Plan:
    """How X was cut."""
    state = {field.name: record["state"][field.name] for field in fields(Plan)}
    return Plan(**(state | {"counts": tuple(state["counts"])}))


def _cut(before: Plan, matrix: Matrix, parameters: Parameters, workers: Workers) -> Plan:
    """How X is cut now: as before, unless workers have too little memory for that."""
    same = fitting(replace(before, cached=parameters.cache), matrix.grid, rank=parameters.rank, workers=workers)
    if same is not None:
        return same
    cut = plan(matrix.grid, rank=parameters.rank, workers=workers, cache=parameters.cache, axes=(before.axis,))
    return replace(cut, sample=before.sample)


def _stored_long(job: Job, record: runs.Record) -> Any:
    """The long factor that a generation holds, in the chunks that it was written in."""
    before, at = _recorded(record), record["state"]["next"].rpartition("next")[0].rstrip("/")
    m, n = job.long.shape
    chunks = (before.height, n) if job.plan.axis == 0 else (m, before.height)
    return replace(job.long, chunks=chunks).array(job.group, at)


def check_unchanged(job: Job, record: runs.Record) -> None:
    """Raise Busy where another process has driven the run since its record was read. The lease must be held."""
    job.check()
    if runs.fresh_record(job.group) != record:
        raise lease.Busy(f"the run {shown(job.group.store_path)} went on while it was opened: try again")


@dataclass(frozen=True, slots=True)
class Generation:
    """What a run goes on from, as it was read: its record, what the next pass needs, and the history."""

    record: runs.Record
    arrays: Mapping[str, Any]
    facts: Mapping[str, Any]
    passes: Mapping[str, Any]
    snapshots: Mapping[int, Any]


def _sound(job: Job, record: runs.Record) -> Generation:
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
                record = runs.record_of(job.group, record["state"]["before"] or "")
            except (FileNotFoundError, KeyError):
                raise OSError(f"what the run would go on from is damaged ({wrong}): start it again") from None


def _read(job: Job, record: runs.Record) -> Generation:
    """All of a generation but its factors, of which the long one must have all of its chunks."""
    at, iteration = record["at"], record["iteration"]
    arrays, facts = read_next(job.group, record["state"]["next"], ARRAYS)
    passes = read_history(job.group, at, iteration) if iteration else {}
    snapshots = read_snapshots(job.group, at) if iteration else {}
    found = missing(_stored_long(job, record)) if at else None
    if found and found.count:
        raise OSError(f"{found.count} of {found.total} chunks of {job.long.name} are missing")
    return Generation(record, arrays, facts, passes, snapshots)


def restored(job: Job, *, record: runs.Record) -> tuple[Point, History]:
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
        runs.clear_top(job.group)
    found = _sound(job, record) if record["state"]["next"] is not None else None
    if not finished:
        saving.go_on(job, found.record if found else record)
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
        Y=job.engine.strips(job.matrix, name=f"X-{job.token}"),
        L=job.engine.stored(_stored_long(job, record), name=f"L-{job.token}-{iteration}") if begun else None,
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


def _asks_the_same(job: Job, record: runs.Record) -> bool:
    """Whether what ended the run, if anything did, ends it still."""
    before = Parameters(**record["parameters"])
    same = (before.max_iter, before.tol) == (job.parameters.max_iter, job.parameters.tol)
    return same and record["status"] != "finished"


def _opened_again(job: Job, point: Point, history: History) -> Point:
    """A finished run, as one that goes on."""
    if job.parameters.published and job.plan.axis == 0:
        # The last pass moved nothing: it told the loss.
        point = replace(point, iteration=point.iteration - 1)
        for values in history.passes.values():
            values.pop()
    return saving.move_down(job, point, history)
