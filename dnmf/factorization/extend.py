"""`extend`: new rows of X and a run on the old ones become a run whose V is that of all rows; the old are not read.

Rows of a sample have keys that their numbers give, and the sample are the rows of smallest keys. So the sample that the
run keeps and that of the new rows, whose numbers go on from there, merge to the sample of all rows: the same as if all
had been read anew. On it V is found as ever, but from the V that there is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from dnmf.arrays.rows import Array
from dnmf.arrays.sample import is_whole
from dnmf.events import Listener
from dnmf.factorization.base import Base, all_rows, new_rows
from dnmf.factorization.job import Job, OutOfRange
from dnmf.factorization.session import Session, check_held, check_output, drive, job_for, open_session
from dnmf.factorization.starts import draw, first_factors
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.opening import check_complete, open_matrix, tell_missing
from dnmf.parameters import Parameters, check, plain
from dnmf.plan.choose import plan
from dnmf.plan.grid import Demand
from dnmf.plan.strips import Plan
from dnmf.run.kept_sample import StoredSample
from dnmf.run.labels import write_labels
from dnmf.run.opening import check_out, create_run
from dnmf.run.record import Extends
from dnmf.run.result import Factorization, open_run


def extend(
    run: str | Path | zarr.Group,
    X: Any,
    *,
    out: str | Path | None = None,
    rank: int | str | None = None,
    exact: bool = False,
    layer: str | None = None,
    weights: object = None,
    memory_limit: int | None = None,
    strict: bool = False,
    overwrite: bool = False,
    listeners: Sequence[Listener] = (),
) -> Factorization:
    """New rows X for a run: the V of old and new rows together, and the W of the new ones. Old rows are not read.

    X is read twice: once for a sample, which with the one that the run keeps is the sample of all rows, bit by bit;
    once for W. V is found on that sample, from the run's V on. Loss, penalties and all other parameters are the run's.

    Parameters
    ----------
    run : path of the run, which kept a sample of rows, as all do whose `init` is "sample".
    X : (m, n) new rows, anything that `factorize` takes, with the columns of the run's X: where both have names of
        columns, they are matched by these, in any order. Or the same array as the run's, to which rows were appended:
        of that, only these are read.
    out : path of the run to write. None keeps it in this process's memory.
    rank : components of all rows, at least those of the run: their number; "+1" for one more, which begins at random;
        None for as many.
    exact : go on with passes over all rows, old and new, from that V, as `factorize` does; W is then that of all rows.
        The old rows are read from where the run found them. A run that was extended before may be given without any
        rows that are new to it.
    weights : of the entries of the new rows, where the run has weights of the old ones: see `factorize`. Which entries
        are missing is as the run says.
    layer, memory_limit, strict, overwrite, listeners : as for `factorize`.

    Returns
    -------
    Factorization
        A run like any other, with X of the new rows (of all, with `exact`): its W (m, k), loss and relative error are
        theirs, its V (k, n) and its sample are those of all rows. It may be extended again.

    Raises
    ------
    FileNotFoundError, FileExistsError, ValueError, TypeError, MemoryError, RuntimeError
        As `factorize` does; if the run keeps no sample of rows; if X has no new rows, other columns, another dtype than
        the run was computed in, or is sparse where that was dense; with `exact`, if the old rows are in no store.

    Examples
    --------
    >>> import dnmf, tempfile
    >>> rng = np.random.default_rng(0)
    >>> old, V = rng.random((60, 2)), rng.random((3, 40))
    >>> new = rng.random((20, 3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = dnmf.factorize(old @ V[:2], rank=2, tol=0, out=f"{folder}/run.zarr")
    ...     more = extend(f"{folder}/run.zarr", new @ V, rank="+1")
    >>> more.W.shape, more.V.shape, more.relative_error < 0.01
    ((20, 3), (3, 40), True)
    """
    base = Base.of(run)
    X = open_matrix(X, layer=layer, missing=base.record.parameters.missing, weights=base.checked_weights(weights))
    new = new_rows(X, base.record)
    if new is not None:
        base.check(new)
        base = base.in_columns_of(new)
    elif not (exact and base.record.before):
        raise ValueError(f"the run has seen all {X.grid.shape[0]} rows of {X.location}: it has no new rows")
    parameters = replace(
        base.record.parameters, rank=rank_of(rank, len(base.V)), init="sample", memory_limit=memory_limit
    )
    if parameters.all_known:
        raise ValueError(
            f"all {parameters.fixed} components of the run are known and stay, whatever rows come: for the W of new "
            f"rows take `dnmf transform`, or give a larger rank"
        )
    X = all_rows(base, new) if exact or new is None else new
    if strict:
        check_complete(X)
    tell_missing(X)
    if out is not None:
        # What is wrong with it is told before anything is read.
        base.check_apart(out)
        check_out(out, overwrite=overwrite)
    asked = Asked(base, parameters, out, overwrite, tuple(listeners))
    kept = _merged(asked, new) if exact and new is not None else replace(base.kept, bytes_read=0, checksums=None)
    with open_session(X, out=out, memory_limit=memory_limit, signed=parameters.signed) as session:
        group = _extend(asked, session, kept, exact=exact)
    return open_run(group)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is extended, with what parameters, where to, and who listens."""

    base: Base
    parameters: Parameters
    out: str | Path | None
    overwrite: bool
    listeners: tuple[Listener, ...]

    def known(self, V: Array) -> Array | None:
        """The components (k₀, n) of the run's V that were given to it, if any."""
        return None if self.parameters.fixed is None else V[: self.parameters.fixed]

    def job(self, session: Session, kept: StoredSample, cut: Plan, group: zarr.Group, *, exact: bool) -> Job:
        """The job in a session; without `exact`, `kept` is the sample of the old rows alone."""
        base = self.base
        V = np.ascontiguousarray(base.V, session.matrix.dtype)
        extends = Extends(run=base.path, identity=base.identity, earlier=base.record.all_rows, exact=exact)
        return job_for(
            session, self.parameters, cut, group, self.listeners, on_disk=bool(self.out), kept=kept,
            exponent=kept.exponent, warm=V, extends=extends, known=self.known(V),
        )  # fmt: skip


def rank_of(asked: int | str | None, before: int) -> int:
    """How many components there will be.

    Raises
    ------
    ValueError
        If that is no number, or less than there are.

    >>> rank_of(None, 4), rank_of("+1", 4), rank_of(6, 4)
    (4, 5, 6)
    """
    if asked is None:
        return before
    rank: Any = plain(asked)
    if isinstance(rank, str):
        if not rank.removeprefix("+").isdecimal():
            raise ValueError(f"rank is {rank!r}: an integer, or how many more, as in '+1', is required")
        rank = int(rank) + (before if rank.startswith("+") else 0)
    check(rank=rank)
    if rank < before:
        raise ValueError(
            f"rank is {rank} and the run has {before} components: as many at least are required; for fewer, factorize "
            f"all rows together"
        )
    return rank


def _cut(asked: Asked, session: Session, size: int) -> Plan:
    """How X is cut, with a sample of so many rows."""
    parameters, matrix = asked.parameters, session.matrix
    cache = parameters.cache and not matrix.in_memory
    cut = plan(matrix.grid, rank=parameters.rank, workers=session.workers, cache=cache, sampled=True, axes=(0,))
    return replace(cut, sample=size)


def _size(asked: Asked, session: Session) -> int:
    """Rows of the sample: as many as that of the run, or, where that lacks none, as one of all rows would have."""
    kept, record = asked.base.kept, asked.base.record
    if not is_whole(kept.sample, kept.size):
        return kept.size
    before = sum(part.stop - part.start for part in record.all_rows)
    demand = Demand(asked.parameters.rank, session.workers)
    return max(kept.size, session.matrix.grid.sample_rows(0, demand, before=before))


def _merged(asked: Asked, new: Matrix) -> StoredSample:
    """The sample of all rows, from a read of the new ones."""
    base, quiet, parameters = asked.base, replace(asked, out=None, listeners=()), asked.parameters
    limit, signed = parameters.memory_limit, parameters.signed
    with open_session(new, out=None, memory_limit=limit, signed=signed) as session:
        cut = _cut(asked, session, _size(asked, session))
        session.check_workers(None)
        job = quiet.job(session, base.kept, cut, create_run(None, overwrite=False), exact=False)
        try:
            kept, *_ = draw(job, job.engine.open(job.matrix))
        except OutOfRange as found:
            job = job.scaled(found.exponent)
            kept, *_ = draw(job, job.engine.open(job.matrix))
    return replace(kept, checksums=None)


def _extend(asked: Asked, session: Session, kept: StoredSample, *, exact: bool) -> zarr.Group:
    """Write the run, from its sample: that of all rows with `exact`, else that of the old ones."""
    parameters, out, matrix = asked.parameters, asked.out, session.matrix
    check_output(session, out, overwrite=asked.overwrite, keep_W=parameters.keep_W)
    cut = _cut(asked, session, kept.size if exact else _size(asked, session))
    check_held(session, cut, out)
    session.check_workers(out)
    group = create_run(out, overwrite=asked.overwrite)
    job = asked.job(session, kept, cut, group, exact=exact)
    write_labels(group, replace(asked.base.columns, rows=matrix.labels.rows))
    job.keeper.begin(kept if exact else None, job.known)
    drive(job, first_factors)
    return group
