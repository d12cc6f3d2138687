"""`factorize` and what it gives back: X, a cluster and an output are opened, checked and handed to the loop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from dnmf import cluster, passes, runs
from dnmf.engines import Direct, Engine, Expressions
from dnmf.job import SAMPLED, Factors, Job, Parameters
from dnmf.loop import run
from dnmf.matrices import Matrix, open_matrix
from dnmf.memory import Workers
from dnmf.paths import absolute
from dnmf.progress import KEPT, Listener, Planned
from dnmf.sample import Sample
from dnmf.schedulers import Cluster, Threads
from dnmf.strips import Plan, plan


@dataclass(frozen=True, slots=True)
class Factorization:
    """X ≈ W V.

    Attributes
    ----------
    W : Dask array (m, k) over the run, in chunks that line up with strips; nothing of it is in memory.
    V : NumPy array (k, n).
    loss : ‖X − W V‖² of this very W and V.
    relative_error : ‖X − W V‖ / ‖X‖.
    stopped : a sentence that says why the factorization ended; None while it is going on.
    history : one value per pass, that of the sample aside: `loss`, `gradient` (norm of the projected gradient of the
        loss with respect to the short factor), `gain` (share of the loss that its next move takes), `sweeps` (updates
        of the long factor), `seconds`, `bytes_read`.
    snapshots : the short factor by pass, where snapshots were asked for: (k, n) for V, (m, k) for W.
    record : what the run says of itself: see `dnmf.runs`.
    """

    W: Any
    V: NDArray[np.floating]
    loss: float
    relative_error: float
    stopped: str | None
    history: Mapping[str, NDArray[Any]]
    snapshots: Mapping[int, NDArray[np.floating]]
    record: Mapping[str, Any]

    @property
    def reads(self) -> float:
        """How often X was read, the read for the sample included."""
        m, n = self.record["x"]["shape"]
        nbytes = m * n * np.dtype(self.record["x"]["dtype"]).itemsize
        return (self.record["start"]["bytes_read"] + int(sum(self.history["bytes_read"]))) / nbytes


def open_run(path: Any) -> Factorization:
    """Open a run: its last whole state, whether it has ended or not.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no run, or one of a newer format, or one that holds no finished pass yet.
    """
    group, record = runs.open_group(path)
    at: Any = group[record["at"]] if record["at"] else group
    history = {name: at[name][...] for name in KEPT}
    token = uuid4().hex[:12]
    return Factorization(
        W=passes.as_stored(at["W"], name=f"W-{token}"),
        V=np.asarray(at["V"][...]),
        loss=float(history["loss"][-1]),
        relative_error=record["relative_error"],
        stopped=record["stopped"],
        history=history,
        snapshots=_snapshots(at),
        record=record,
    )


def _snapshots(at: Any) -> dict[int, NDArray[np.floating]]:
    if "snapshots" not in at:
        return {}
    return dict(zip(at["snapshot_pass"][...].tolist(), at["snapshots"][...], strict=True))


def factorize(
    X: object,
    rank: int,
    *,
    out: str | Path | None = None,
    solver: str = "cd",
    init: str | Factors = "sample",
    max_iter: int = 200,
    tol: float = 3e-4,
    seed: int = 0,
    inner_iter: int | None = None,
    snapshot_every: int | None = None,
    cache: bool = True,
    memory_limit: int | None = None,
    sample: str | Path | None = None,
    overwrite: bool = False,
    listeners: Sequence[Listener] = (),
) -> Factorization:
    """Factorize a non-negative matrix, X ≈ W V, reading X once per iteration.

    Computes on the current `dask.distributed.Client`, if there is one, otherwise on Dask's threads in this process.
    An X that is a NumPy array is in this process already and is always computed with here.

    Parameters
    ----------
    X : (m, n), entries finite and not negative: the path of a Zarr array, a `zarr.Array`, a Dask or a NumPy array.
    rank : number of components k.
    out : path of the run to write, which every worker must reach. None keeps the run in this process's memory.
    solver : "cd" (coordinate descent, also called HALS) or "mu" (Lee and Seung's multiplicative updates).
    init : first factors. "sample": X is read once for a sample of its rows, which is factorized in memory, see
        `dnmf.starts`. "nndsvd", "nndsvda", "nndsvdar": singular vectors of that sample, their zeros kept (unless by
        solver "mu", which could not leave them), or replaced by the mean of X, or by random numbers below a hundredth
        of it. "random": uniform numbers, without that read. Or your own (W, V), of shapes (m, k) and (k, n).
    max_iter : passes over X at most, that of the sample aside.
    tol : stop when one more pass would decrease the loss by less than this share of itself; 0 never stops early.
    seed : of everything random. The result depends on it, X and the parameters, not on the cluster.
    inner_iter : updates of a factor per pass; more cost no further read. 1 is the published rule; None makes as many as
        pay on the sample, 10 where there is none.
    snapshot_every : keep the short factor (V, or W where strips are whole columns) every so many passes.
    cache : keep X in memory after the first pass where it fits in half of it.
    memory_limit : bytes that a worker (or this process) may use; its own limit if that is lower or this is None.
    sample : path of an earlier run on the same X, whose sample is taken: X need not be read for one.
    overwrite : replace a run at `out`.
    listeners : called with every event of `dnmf.progress`.

    Returns
    -------
    Factorization
        W and V belong together: their loss is the one reported, to six digits, and W was solved against V.

    Raises
    ------
    ValueError, TypeError, FileNotFoundError, FileExistsError
        If X, a parameter or the output is not as required; if an entry of X is negative, NaN or infinite.
    MemoryError
        If no strip of X fits in a worker.
    RuntimeError
        If the cluster has no workers, or a worker does not reach X or the run.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((60, 2)) @ rng.random((2, 40))
    >>> result = factorize(X, rank=2, tol=0)
    >>> bool(result.relative_error < 1e-3), result.W.shape, result.V.shape
    (True, (60, 2), (2, 40))
    """
    rank, max_iter, seed, inner_iter = (_plain(value) for value in (rank, max_iter, seed, inner_iter))
    first = init if isinstance(init, str) else "given"
    parameters = Parameters(
        rank, solver, first, max_iter, _plain(tol), seed, inner_iter, snapshot_every, cache, memory_limit
    )
    matrix = open_matrix(X)
    factors = None if isinstance(init, str) else _given_factors(init, matrix, rank)
    client = None if matrix.kind == "numpy" else cluster.current_client()
    _check_out(matrix, out, overwrite=overwrite, on_cluster=client is not None)
    workers = cluster.survey(client, memory_limit) if client else cluster.threads_here(memory_limit)
    cut = plan(
        matrix.grid, rank=rank, workers=workers, cache=cache and matrix.kind != "numpy", sampled=first in SAMPLED
    )
    kept = None if sample is None else _kept_sample(sample, matrix, cut, first)
    if kept is not None:
        cut = replace(cut, sample=kept[1])
    for listener in listeners:
        listener(_planned(matrix, cut, workers, max_iter))
    if client:
        cluster.check_workers(client, matrix, absolute(str(out)))
    group = runs.create_run(out, overwrite=overwrite)
    cut, engine = _engine(matrix, cut, client, workers)
    with cluster.set_up(client, matrix.grid.in_flight):
        sampled = kept and kept[0]
        job = _job(matrix, parameters, cut, engine, group, listeners, given=factors, sample=sampled, keeps=bool(out))
        run(job)
    return open_run(group)


def _engine(matrix: Matrix, cut: Plan, client: Any, workers: Workers) -> tuple[Plan, Engine]:
    """What computes, and the plan as it then is: where one strip in this process is all of X, it stays in memory."""
    if client is None and len(cut.heights) == 1 and matrix.kind != "dask":
        cut = replace(cut, cached=True)
        return cut, Direct(cut)
    return cut, Expressions(Cluster(client) if client else Threads(workers.threads), cut)


def _kept_sample(path: str | Path, matrix: Matrix, cut: Plan, init: str) -> tuple[Sample, int]:
    """The sample of an earlier run, and its size, if it was drawn from this X along the axis that is cut."""
    group, record = runs.open_group(path)
    if init not in SAMPLED:
        raise ValueError(f"a sample is given and init is {init!r}: one of {', '.join(SAMPLED)} is required with it")
    if matrix.kind != "zarr":
        raise ValueError(f"a sample is given and X is {matrix.location}: only stored X is known to be the same again")
    if (record["x"]["path"], record["x"]["fingerprint"]) != (matrix.location, matrix.fingerprint):
        raise ValueError(
            f"the sample in {path} is of {record['x']['path']} and not of {matrix.location} as it is now: name a run "
            f"on this X, or give no sample"
        )
    sample, axis, size = runs.read_sample(group)
    if axis != cut.axis:
        names = ("rows", "columns")
        raise ValueError(
            f"the sample in {path} is one of {names[axis]}, and X is now cut along its {names[cut.axis]}: "
            f"give no sample"
        )
    return sample, size


def _plain(value: Any) -> Any:
    """A number of Python's own: a run's record is JSON."""
    return value.item() if isinstance(value, np.generic) else value


def _check_out(matrix: Matrix, out: str | Path | None, *, overwrite: bool, on_cluster: bool) -> None:
    """Refuse an output that is missing where it is needed, exists, or is where X is."""
    if out is None:
        if on_cluster:
            raise ValueError(
                "out is None on a cluster, whose workers write W there: give a path that all of them reach"
            )
        return
    exists = runs.check_out(out, overwrite=overwrite)
    place, source = Path(absolute(out)), Path(matrix.location)
    if matrix.kind == "zarr" and (place == source or place in source.parents or source in place.parents):
        raise ValueError(f"the output {out} and X at {matrix.location} are inside one another: choose another output")
    if exists and matrix.kind == "dask":
        raise FileExistsError(
            f"{out} exists, and a Dask array may be made of it, so it is not overwritten: remove it, or choose another"
        )


def _given_factors(init: Factors, matrix: Matrix, rank: int) -> Factors:
    """The caller's first factors, checked."""
    W, V = (factor if hasattr(factor, "shape") else np.asarray(factor) for factor in init)
    m, n = matrix.grid.shape
    for name, factor, shape in (("W", W, (m, rank)), ("V", V, (rank, n))):
        if tuple(factor.shape) != shape:
            raise ValueError(
                f"the first {name} has shape {tuple(factor.shape)}: {shape} is required for this X and rank"
            )
        if not bool(np.asarray(factor.min() >= 0) & np.asarray(factor.max() < np.inf)):
            raise ValueError(f"the first {name} has a negative, NaN or infinite entry: finite entries ≥ 0 are required")
    return W, V


def _job(
    matrix: Matrix,
    parameters: Parameters,
    cut: Plan,
    engine: Engine,
    group: Any,
    listeners: Sequence[Listener],
    *,
    given: Factors | None,
    sample: Sample | None,
    keeps: bool,
) -> Job:
    (m, n), k = matrix.grid.shape, parameters.rank
    height = cut.height
    if cut.axis == 0:
        long = runs.Factor("W", (m, k), (height, k), matrix.dtype)
        short = runs.Factor("V", (k, n), (k, n), matrix.dtype)
    else:
        long = runs.Factor("V", (k, n), (k, height), matrix.dtype)
        short = runs.Factor("W", (m, k), (m, k), matrix.dtype)
    token = uuid4().hex[:12]
    return Job(matrix, parameters, cut, engine, group, long, short, token, given, sample, keeps, tuple(listeners))


def _planned(matrix: Matrix, cut: Plan, workers: Workers, max_iter: int) -> Planned:
    return Planned(
        shape=matrix.grid.shape,
        nbytes=matrix.grid.stored_nbytes,
        strips=len(cut.heights),
        strip_bytes=cut.height * cut.width * matrix.grid.itemsize,
        axis=cut.axis,
        workers=workers.count,
        threads=workers.threads,
        peak=cut.peak,
        limit=workers.memory,
        max_iter=max_iter,
    )
