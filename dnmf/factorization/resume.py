"""`resume`: a run that was stopped, or whose process died, goes on from its last generation."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import zarr
from msgspec import UNSET

from dnmf.events import Listener
from dnmf.factorization.job import Job
from dnmf.factorization.known import check_same, known_components
from dnmf.factorization.restore import restore
from dnmf.factorization.session import drive, job_for, open_session
from dnmf.matrix.foreign import is_given
from dnmf.matrix.matrix import Matrix
from dnmf.parameters import DECLARED, MAY_CHANGE, Parameters, values_of
from dnmf.plan.choose import plan, refit
from dnmf.plan.memory import Workers
from dnmf.plan.strips import Plan
from dnmf.run.generations import drop_all_generations
from dnmf.run.kept_sample import has_sample, read_sample
from dnmf.run.known import read_known
from dnmf.run.lease import Lease, check_free, let_go_on
from dnmf.run.opening import open_group
from dnmf.run.record import Begun, Record, StoredX, as_json, full_record, read_record
from dnmf.run.result import Factorization, open_run
from dnmf.run.stored_x import open_x
from dnmf.stores.local_disk import writing
from dnmf.stores.paths import shown


def resume(
    run: str | Path,
    X: object = None,
    *,
    weights: object = None,
    listeners: Sequence[Listener] = (),
    **changes: Any,
) -> Factorization:
    """Go on with a run from its last generation, on the current `dask.distributed.Client` or on threads.

    With the strips that the run was begun with, which are kept where workers have the memory for them, the factors are
    those of a run that was never stopped, bit for bit, on the same kind of machine.

    Parameters
    ----------
    run : path of the run.
    X : the matrix, if it is not in a store, or has moved since.
    weights : of its entries, if the run has some and they are not in a store, or have moved since.
    listeners : called with every event of `dnmf.events`.
    changes : `max_iter`, `tol`, `checkpoint_every`, `memory_limit` and `cache` may be other than before. All other
        parameters of `factorize` may be given, and must be what they were.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        If there is no run, if it has ended, if X, its weights or a parameter is not what it was.
    RuntimeError
        If another process is at work on the run.
    OSError
        If a strip of X is not what it was when the run read it.
    """
    group, begun = open_group(run, mode="r+")
    with writing(run):
        check_free(group)
        let_go_on(group)
        _tidy(group, begun)
        record = full_record(begun, shown(group.store_path))
        with open_job(group, record, X, changes, listeners, weights=weights) as job:
            drive(job, partial(restore, record=record))
    return open_run(group)


def _tidy(group: zarr.Group, record: Begun) -> None:
    """Delete the generations of a finished run, whose process may have been killed before it did."""
    if record.status == "finished":
        with Lease(group):
            if read_record(group) == record:
                drop_all_generations(group)


@contextmanager
def open_job(
    group: zarr.Group,
    record: Record,
    X: object,
    changes: dict[str, Any],
    listeners: Sequence[Listener],
    *,
    weights: object = None,
) -> Iterator[Job]:
    """The job of a run that goes on, in a session for the length of a block."""
    where = shown(group.store_path)
    asked = known_components(changes.get("fixed"))
    parameters = with_changes(record, changes if asked is None else changes | {"fixed": asked})
    known = read_known(group, record)
    check_same(asked, known)
    _check_goes_on(record, parameters, where)
    if X is None and is_given(record.x.path):
        raise ValueError(f"X of this run was {record.x.path}: give it again, resume(run, X)")
    X = open_x(record.x) if X is None else X
    read: Any = {"missing": parameters.missing, "weights": _weights(record, weights), "signed": parameters.signed}
    with open_session(X, out=where, memory_limit=parameters.memory_limit, **read) as session:
        if record.weights is not None and session.matrix.weights is not None:
            _check_same("the array of weights", session.matrix.weights, record.weights)
        _check_same("X", session.matrix, record.x)
        before = record.state.plan
        cut = _cut(before, session.matrix, parameters, session.workers)
        session.check_workers(where)
        kept = read_sample(group) if has_sample(group) else None
        if kept and cut.heights != before.heights:
            kept = replace(kept, checksums=None)
        exponent = record.state.exponent
        yield job_for(
            session, parameters, cut, group, listeners, on_disk=True, kept=kept, exponent=exponent,
            extends=record.extends, known=known,
        )  # fmt: skip


def _weights(record: Record, weights: object) -> object:
    """The weights of a run's X, as they are given now, or from where its record says that they are."""
    if record.weights is None:
        if weights is not None:
            raise ValueError("weights are given, and the run began without any: leave them out, or start a new run")
        return None
    if weights is None and is_given(record.weights.path):
        raise ValueError(f"the weights of this run were {record.weights.path}: give them again, resume(run, weights=…)")
    try:
        return open_x(record.weights) if weights is None else weights
    except FileNotFoundError as error:
        moved = "if the weights have moved since, say where they are: --weights, resume(run, weights=…)"
        raise FileNotFoundError(f"the weights cannot be used: {error}; {moved}") from error


def with_changes(record: Record, changes: dict[str, Any]) -> Parameters:
    """The parameters of a run, with those that may change.

    Raises
    ------
    TypeError, ValueError
        If there is no such parameter, or if one that may not change is another than before.
    """
    before = asdict(record.parameters)
    if unknown := [name for name in changes if name not in DECLARED]:
        raise TypeError(f"resume has no parameter {unknown[0]!r}: it takes those of factorize")
    was, now = values_of(before), values_of(before | changes)
    for name in changes:
        if name not in MAY_CHANGE and now[name] != was[name]:
            raise ValueError(
                f"{name} was {was[name]!r} when the run began and is {now[name]!r} now: a run goes on with what it "
                f"began with, but for {', '.join(MAY_CHANGE)}; start a new one"
            )
    return Parameters(**now)


def _check_goes_on(record: Record, parameters: Parameters, where: object) -> None:
    """Refuse a run that has nowhere to go on from, or no reason to."""
    state = record.state
    if state.next is UNSET:
        raise ValueError(f"{where} is of an older dnmf, which kept nothing to go on from: start it again")
    if state.next is None and parameters.init == "given":
        raise ValueError(f"{where} was stopped before its first factors were written, which were given: start it again")
    _check_extension(record, where)
    if record.status == "finished":
        _check_finished(record, parameters, where)
    if not record.before and record.iteration >= parameters.passes and not state.reason:
        raise ValueError(
            f"{where} has made {record.iteration} passes and max_iter is {parameters.max_iter}: give a larger one"
        )


def _check_finished(record: Record, parameters: Parameters, where: object) -> None:
    """Refuse a run that is finished, and asked for no more than it has."""
    before = record.parameters
    if parameters.all_known:
        raise ValueError(f"{where} is finished: all of its components are known, and W belongs to them")
    if parameters.max_iter <= before.max_iter and parameters.tol >= before.tol:
        raise ValueError(f"{where} is finished ({record.stopped}): give a larger max_iter or a smaller tol")
    if not (before.keep_W or record.state.axis):
        raise ValueError(f"{where} is finished and keeps no W, which going on needs: start it again")


def _check_extension(record: Record, where: object) -> None:
    """Refuse a run that extends another one where it cannot go on by itself."""
    if record.extends and record.state.next is None:
        raise ValueError(f"{where} was stopped before its first factors were written: start it again, `dnmf extend`")
    if record.before and record.status == "finished":
        raise ValueError(
            f"{where} is finished: it has W of new rows alone, and more passes over these would fit V to them; passes "
            f"over all rows are made by `dnmf extend {where} {record.x.path} --exact`"
        )


def _check_same(what: str, matrix: Matrix, x: StoredX) -> None:
    """Refuse X, or weights, that are not those that the run was begun with, as far as can be told without reading."""
    now = {
        "shape": list(matrix.grid.shape),
        "dtype": str(matrix.stored_dtype),
        "chunks": list(matrix.grid.chunk),
        "fingerprint": matrix.fingerprint,
    }
    was = as_json(x)
    for name, value in now.items():
        if value != (before := was[name]):
            said = "codecs" if name == "fingerprint" else name
            raise ValueError(
                f"{what} at {matrix.location} is not the one that the run was begun with: its {said} were {before} and "
                f"are {value} now; a run goes on with the same X and the same weights"
            )


def _cut(before: Plan, matrix: Matrix, parameters: Parameters, workers: Workers) -> Plan:
    """How X is cut now: as before, unless workers have too little memory for that."""
    same = refit(replace(before, cached=parameters.cache), matrix.grid, rank=parameters.rank, workers=workers)
    if same is not None:
        return same
    cut = plan(matrix.grid, rank=parameters.rank, workers=workers, cache=parameters.cache, axes=(before.axis,))
    return replace(cut, sample=before.sample)
