"""What a factorization leaves in its run: generations while it goes on, the factors and the record at the end."""

from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import version
from typing import Any

from dnmf import runs, state
from dnmf.job import Job, Point
from dnmf.memory import SPLIT_EVERY
from dnmf.progress import History


def begin(job: Job, point: Point) -> None:
    """The record of a run that has first factors and no pass yet."""
    runs.write_record(job.group, _record(job, point, "running", None))


def commit(job: Job, point: Point, history: History) -> None:
    """Make a generation whose long factor is written the one that the record names; keep the one before."""
    assert point.at is not None
    before = job.group.attrs["dnmf"]["at"]
    _write_all(job, point, point.at, history)
    runs.write_record(job.group, _record(job, point, "running", None))
    runs.drop_generations(job.group, [point.at, before])


def finish(job: Job, point: Point, history: History, reason: str) -> None:
    """Write the last factors to the top of the run, name them, and delete the generations."""
    _save_long(job, point.L)
    final = replace(point, at="")
    _write_all(job, final, "", history)
    runs.write_record(job.group, _record(job, final, "finished", reason))
    runs.drop_generations(job.group, [])


def _saves_long(job: Job) -> bool:
    """Whether the long factor is wanted: V always is."""
    return job.saves.W or job.plan.axis == 1


def _save_long(job: Job, L: Any) -> None:
    """Write the chunks of the long factor, from where its blocks are if that is possible."""
    if not _saves_long(job):
        return
    if job.saves.chunks:
        job.engine.save(L, job.long.array(job.group, ""), name=f"saved-{job.token}")
    else:
        runs.write_rows(job.long, job.group, "", job.engine.collect(L).T)


def stop(job: Job, why: str) -> None:
    """Say in the record why a run that was going on did not end."""
    record = job.group.attrs["dnmf"]
    if record["status"] == "running":
        runs.write_record(job.group, {**record, "status": "stopped", "stopped": why})
        runs.drop_generations(job.group, [record["at"]])


def _write_all(job: Job, point: Point, at: str, history: History) -> None:
    """Beside the chunks of the long factor: the short factor, the history, snapshots; then list the long factor."""
    runs.write_rows(job.short, job.group, at, point.S if job.plan.axis == 0 else point.S.T)
    runs.write_history(job.group, at, history.passes)
    if history.snapshots:
        runs.write_snapshots(job.group, at, job.short.name, history.snapshots)
    if _saves_long(job) and (at or job.saves.chunks):
        job.long.publish(job.group, at)


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("dnmf", "dask", "numpy", "zarr")}


def _record(job: Job, point: Point, status: str, stopped: str | None) -> runs.Record:
    matrix, known = job.matrix, point.iteration > 0
    return {
        "format": runs.FORMAT,
        "status": status,
        "stopped": stopped,
        "at": point.at,
        "iteration": point.iteration,
        "relative_error": state.relative_error(point.loss, point.norm) if known and point.loss is not None else None,
        "x": {
            "path": matrix.location,
            "shape": list(matrix.grid.shape),
            "dtype": str(matrix.stored_dtype),
            "nbytes": matrix.grid.stored_nbytes,
            "chunks": list(matrix.grid.chunk),
            "fingerprint": matrix.fingerprint,
            "norm": point.norm if known else None,
        },
        "parameters": asdict(job.parameters),
        "start": asdict(point.start),
        "state": {
            "axis": job.plan.axis,
            "height": job.plan.height,
            "dtype": str(matrix.dtype),
            "loss": point.loss if known else None,
            "split_every": SPLIT_EVERY,
            "token": job.token,
        },
        "versions": dict(_versions()),
    }
