"""What a factorization leaves in its run: generations while it goes on, the factors and the record at the end.

A generation is written whole, then one write of the record names it, then the one before the previous is deleted. So a
process that dies at any moment leaves a run from which the next one goes on.
"""

from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import version
from typing import Any

from dnmf.factorization.job import Job, Point
from dnmf.losses.accuracy import relative_error
from dnmf.plan.memory import SPLIT_EVERY
from dnmf.run.checkpoint import write_next
from dnmf.run.factors import write_history, write_rows, write_snapshots
from dnmf.run.generations import clear_top, drop_all_generations, drop_generations, new_generation
from dnmf.run.history import History
from dnmf.run.kept_sample import Kept, write_sample
from dnmf.run.record import FORMAT, Record, fresh_record, keep_record, write_record
from dnmf.stores.local_disk import sweep

# What a point knows in numbers, and in arrays, beside its factors.
NUMBERS = ("iteration", "loss", "total", "gain", "norm")


def begin(job: Job) -> None:
    """The record of a run that holds nothing yet, but for the sample that it is given."""
    if job.kept is not None:
        # Before the record says what is asked for: who goes on with this run must not draw another one.
        write_sample(job.group, job.kept)
    write_record(job.group, _record(job, None, None, "running", None))


def keep_sample(job: Job, kept: Kept) -> None:
    """Write the sample that a run has drawn, which has nothing else yet."""
    job.check()
    write_sample(job.group, kept)


def keep_start(job: Job, point: Point) -> bool:
    """Save first factors, unless drawing them again is as good; whether they were."""
    if job.saves.every is None or job.parameters.init == "random":
        return False
    at = point.at or new_generation(job.group, 0)
    following = _write_next(job, point, at)
    _name(job, _record(job, replace(point, at=None), following, "running", None))
    return True


def commit(job: Job, ended: Point, point: Point, history: History) -> None:
    """Make a generation whose long factor is written the one that the record names; keep the one before.

    `ended` is where a pass ended, `point` is where the next one begins.
    """
    assert ended.at is not None
    before = job.group.attrs["dnmf"]["at"]
    _write_all(job, ended, ended.at, history)
    following = _write_next(job, point, ended.at)
    record = _record(job, ended, following, "running", None)
    record["state"]["before"] = before
    keep_record(job.group, ended.at, record)
    _name(job, record)
    job.check()
    drop_generations(job.group, [ended.at, before])


def finish(job: Job, point: Point, history: History) -> None:
    """Write the last factors to the top of the run, name them, and delete the generations."""
    job.check()
    _save_long(job, point.L)
    job.check()
    final = replace(point, at="")
    _write_all(job, final, "", history)
    following = _write_next(job, final, "") if job.saves.every else None
    _name(job, _record(job, final, following, "finished", point.reason))
    drop_all_generations(job.group)
    # A worker that was killed may have left a part of a chunk.
    sweep(job.group)


def move_down(job: Job, point: Point, history: History) -> Point:
    """Make the factors of a finished run a generation again, so that it can go on: its top is free then."""
    at = new_generation(job.group, point.iteration)
    job.engine.save(point.L, job.long.array(job.group, at))
    down = replace(point, at=at)
    commit(job, down, down, history)
    clear_top(job.group)
    return replace(down, L=job.engine.load(job.long.array(job.group, at)))


def stop(job: Job, why: str) -> None:
    """Say in the record why a run that was going on did not end."""
    job.check()
    set_stopped(job.group, why)


def go_on(job: Job, record: Record) -> None:
    """Say in the record of a run that was stopped that it goes on, and with what."""
    job.check()
    # Why a finished run ended is no reason for one that goes on.
    reason = None if record["status"] == "finished" else record["state"]["reason"]
    state = record["state"] | {"every": job.saves.every, "reason": reason}
    parameters = asdict(job.parameters)
    write_record(job.group, {**record, "status": "running", "stopped": None, "parameters": parameters, "state": state})


def set_stopped(group: Any, why: str) -> None:
    """The same for a run that no job drives: its lease must be held."""
    record = fresh_record(group)
    if record["status"] == "running":
        # Nothing is deleted: a write of the record that was interrupted may still arrive.
        write_record(group, {**record, "status": "stopped", "stopped": why})


def _name(job: Job, record: Record) -> None:
    """Replace the record, unless another process drives the run by now."""
    job.check()
    write_record(job.group, record)


def _saves_long(job: Job) -> bool:
    """Whether the long factor is wanted: V always is."""
    return job.saves.W or job.plan.axis == 1


def _save_long(job: Job, L: Any) -> None:
    """Write the chunks of the long factor, from where its blocks are if that is possible."""
    if not _saves_long(job):
        return
    if job.saves.chunks:
        job.engine.save(L, job.long.array(job.group, ""))
    else:
        write_rows(job.long, job.group, "", job.engine.collect(L).T)


def _write_all(job: Job, point: Point, at: str, history: History) -> None:
    """Beside the chunks of the long factor: the short factor, the history, snapshots; then list the long factor."""
    write_rows(job.short, job.group, at, point.S if job.plan.axis == 0 else point.S.T)
    write_history(job.group, at, history.passes)
    if history.snapshots:
        write_snapshots(job.group, at, job.short.name, history.snapshots)
    if _saves_long(job) and (at or job.saves.chunks):
        job.long.publish(job.group, at)


def _write_next(job: Job, point: Point, at: str) -> str:
    """Where the next pass begins: its short factor, and what belongs to the model. Its path."""
    arrays = {"short": point.S, "plain": point.plain, "checksums": point.checksums}
    if point.model is not None:
        arrays["rows"] = point.model.rows
    facts = {name: getattr(point, name) for name in NUMBERS} | {"modelled": point.model is not None}
    there = {name: values for name, values in arrays.items() if values is not None}
    return write_next(job.group, f"{at}/next".lstrip("/"), there, facts)


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("dnmf", "dask", "numpy", "zarr")}


def _record(job: Job, point: Point | None, following: str | None, status: str, stopped: str | None) -> Record:
    matrix, known = job.matrix, point if point is not None and point.iteration > 0 else None
    return {
        "format": FORMAT,
        "status": status,
        "stopped": stopped,
        "at": known and known.at,
        "iteration": known.iteration if known else 0,
        "relative_error": known and relative_error(known.loss or 0.0, known.norm),
        "x": {
            "path": matrix.location,
            "shape": list(matrix.grid.shape),
            "dtype": str(matrix.stored_dtype),
            "nbytes": matrix.grid.stored_nbytes,
            "chunks": list(matrix.grid.chunk),
            "fingerprint": matrix.fingerprint,
            "norm": known and known.norm,
        },
        "parameters": asdict(job.parameters),
        "start": None if point is None else asdict(point.start),
        "state": {
            **asdict(job.plan),
            "every": job.saves.every,
            "dtype": str(matrix.dtype),
            "split_every": SPLIT_EVERY,
            "token": job.token,
            "next": following,
            "reason": known and known.reason,
        },
        "versions": dict(_versions()),
    }
