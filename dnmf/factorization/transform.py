"""`transform`: the W that belongs to a V for new rows of X, every row by itself, in one read."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import dask
import dask.array as da
import numpy as np
from dask.delayed import Delayed
from numpy.typing import NDArray

from dnmf.arrays.rows import Array, aligned, is_sparse
from dnmf.clusters.workers import available, check_workers, current_client, set_up
from dnmf.engine import source
from dnmf.engine.dask_engine import Expressions
from dnmf.engine.outcome import Seen
from dnmf.engine.passes import totals
from dnmf.engine.schedulers import Cluster, Threads
from dnmf.engine.source import strips_of
from dnmf.factorization.factorize import check_apart
from dnmf.factorization.job import minimized
from dnmf.losses import beta_of, solvers_of
from dnmf.losses.protocol import AnyLoss, Known
from dnmf.matrix.matrix import Matrix, open_matrix
from dnmf.matrix.strips import prepare
from dnmf.parameters import Parameters, plain
from dnmf.plan.choose import plan
from dnmf.plan.grid import SparseGrid
from dnmf.plan.strips import Plan
from dnmf.run.factors import Factor
from dnmf.run.opening import TRANSFORMED, check_out, create_transformed
from dnmf.run.result import Factorization, as_stored
from dnmf.stores.local_disk import writing
from dnmf.stores.paths import absolute


def transform(
    X: Any,
    model: Any,
    *,
    beta_loss: float | str = 2.0,
    alpha_W: float = 0.0,
    l1_ratio: float = 0.0,
    tol: float = 1e-4,
    max_iter: int = 200,
    out: str | Path | None = None,
    memory_limit: int | None = None,
    overwrite: bool = False,
    layer: str | None = None,
) -> Any:
    """The W (m, k) with which W V is nearest to X, for a given V: what new rows of X are made of.

    X is read once, and no row depends on the others. Of the X that a model was fitted to, W is that of the fit, up to
    the tolerance of both.

    Parameters
    ----------
    X : (m, n), anything that `factorize` takes.
    model : a `Factorization`, whose loss and penalties are taken, or V (k, n) itself.
    beta_loss, alpha_W, l1_ratio : loss and penalty, where V itself is given: see `factorize`.
    tol : a row is done when ten updates change no entry of it by more than this share of its largest one.
    max_iter : updates of a row at most.
    out : path of a Zarr group to write W to, which every worker must reach; None writes nothing.
    memory_limit : bytes that a worker (or this process) may use.
    overwrite : replace what `transform` wrote to `out` before.
    layer : of an AnnData X: which of its layers is meant.

    Returns
    -------
    array of shape (m, k)
        NumPy for X in memory. Otherwise a Dask array: over `out`, or one that reads X where and when it is computed,
        in the row chunks of a Dask X, or in strips of a stored one.

    Raises
    ------
    ValueError, TypeError, FileNotFoundError, FileExistsError, MemoryError, RuntimeError
        As `factorize` does; if X has not as many columns as V.

    Examples
    --------
    >>> V = np.array([[1.0, 0.0, 1.0], [0.0, 2.0, 0.0]])
    >>> transform(np.array([[3.0, 4.0, 3.0], [0.0, 2.0, 0.0]]), V).round(6)
    array([[3., 2.],
           [0., 1.]])
    """
    if isinstance(model, Factorization):
        asked = model.record["parameters"]
        beta_loss, alpha_W, l1_ratio = asked["beta_loss"], asked["alpha_W"], asked["l1_ratio"]
        model = model.V
    # In memory any sparse X can be read by rows.
    matrix = open_matrix(X.tocsr() if is_sparse(X) else X, layer=layer)
    V = _checked(model, matrix)
    tol, max_iter = plain(tol), plain(max_iter)
    how = How(_objective(V, beta_loss, alpha_W, l1_ratio, tol, max_iter, matrix), tol, max_iter)
    if matrix.kind == "dask" and out is None:
        return _in_its_chunks(matrix, V, how)
    if out is not None:
        check_out(out, overwrite=overwrite, mark=TRANSFORMED)
        check_apart(matrix, out)
    _check_rows(matrix, how.objective)
    in_memory = matrix.kind in ("numpy", "scipy")
    client = None if in_memory or out is None else current_client()
    workers = available(client, memory_limit)
    cut = plan(matrix.grid, rank=len(V), workers=workers, cache=False, axes=(0,))
    W = _expression(matrix, V, cut, how)
    if cut.axis == 1:
        # Strips are columns, but W is one block of rows.
        cut = replace(cut, axis=0, height=len(W), counts=(), length=len(W), width=cut.length)
    if out is None and not in_memory:
        return W
    if client:
        check_workers(client, matrix, absolute(str(out)))
    scheduler = Cluster(client) if client else Threads(workers.threads)
    with set_up(client, matrix.grid.in_flight):
        if out is not None:
            return _written(W, out, Expressions(scheduler, cut), matrix, overwrite=overwrite)
        return W.compute(scheduler="threads", num_workers=workers.threads)


@dataclass(frozen=True, slots=True)
class How:
    """How rows are solved: what for, to which tolerance, with how many updates at most."""

    objective: AnyLoss
    tol: float
    max_iter: int

    def rows(self, y: Any, V: Array) -> Array:
        """The rows of W (h, k) for rows of X (h, n)."""
        return self._turned(self.objective.settle(aligned(y), aligned(V), tol=self.tol, iterations=self.max_iter))

    def from_sums(self, seen: Seen, V: Array) -> Array:
        """All rows of W from the sums over strips of columns."""
        settle = self.objective.settle_sums
        assert settle is not None  # else `_check_rows` has refused X
        return self._turned(settle(seen.value, V, tol=self.tol, iterations=self.max_iter))

    def _turned(self, block: Array) -> Array:
        return np.ascontiguousarray(block.T)


def _checked(V: Any, matrix: Matrix) -> Array:
    """V as it is computed with, if it fits X."""
    V, n = np.asarray(V), matrix.grid.shape[1]
    if V.ndim != 2 or V.shape[1] != n:
        raise ValueError(f"V has shape {V.shape} and X has {n} columns: V of shape (k, {n}) is required")
    if not (V.min() >= 0 and V.max() < np.inf):
        raise ValueError("V has a negative, NaN or infinite entry: finite entries ≥ 0 are required")
    return np.ascontiguousarray(V, matrix.dtype)


def _objective(
    V: Array, loss: float | str, alpha: float, l1_ratio: float, tol: float, max_iter: int, matrix: Matrix
) -> AnyLoss:
    beta = beta_of(plain(loss))
    asked = Parameters(
        rank=len(V), solver=solvers_of(beta)[0], beta_loss=beta, init="given", max_iter=max_iter, tol=tol, seed=0,
        inner_iter=None, alpha_W=plain(alpha), alpha_H=0.0, l1_ratio=plain(l1_ratio), shuffle=False,
        snapshot_every=None, cache=False, memory_limit=None,
    )  # fmt: skip
    return minimized(asked, matrix, 0)


def _check_rows(matrix: Matrix, objective: AnyLoss) -> None:
    """Refuse X that cannot be read by rows, where that is needed."""
    columns = isinstance(matrix.grid, SparseGrid) and matrix.grid.axis == 1
    if columns and objective.settle_sums is None:
        raise ValueError(
            f"X is {matrix.location} and stored column by column (CSC), and every row of W needs a whole row of X for "
            f"this loss: write X row by row, as CSR"
        )


def _in_its_chunks(matrix: Matrix, V: Array, how: How) -> da.Array:
    """Lazily, in the row chunks of a Dask array."""
    X = matrix.array.rechunk({1: -1})
    rows, S, places = partial(_lazy_rows, dtype=matrix.dtype, how=how), _value(V), source.places(X.chunks[0])
    meta, chunks, name = np.empty((0, 0), matrix.dtype), (X.chunks[0], (len(V),)), f"W-{uuid4().hex}"
    return da.map_blocks(rows, X, places, S, name=name, chunks=chunks, meta=meta)


def _lazy_rows(x: Any, place: NDArray[np.int64], V: Array, dtype: np.dtype[Any], how: How) -> Array:
    return how.rows(prepare(x, dtype, axis=0, first=int(place[0, 0]), check=True), V)


def _expression(matrix: Matrix, V: Array, cut: Plan, how: How) -> da.Array:
    """W as a Dask expression: strip by strip, or from the sums over all strips of columns."""
    token, meta = uuid4().hex, np.empty((0, 0), matrix.dtype)
    Y = strips_of(matrix, cut, name=f"X-{token}", check=True)
    if cut.axis == 0:
        chunks = (Y.chunks[0], (len(V),))
        return da.map_blocks(how.rows, Y, _value(V), name=f"W-{token}", chunks=chunks, meta=meta)
    L = da.from_array(V.T, chunks=(cut.heights, (len(V),)), name=f"V-{token}")
    # The short factor of these strips is what is looked for: their sums are about 0.
    nothing = how.objective.prepare(np.zeros((len(V), matrix.grid.shape[0])), Known(np.inf, 0.0, exact=False))
    sums = totals(Y, L, _value(nothing), how.objective, name=f"sums-{token}", reads=False)
    chunks = ((matrix.grid.shape[0],), (len(V),))
    return da.map_blocks(how.from_sums, sums, _value(V), new_axis=1, name=f"W-{token}", chunks=chunks, meta=meta)


def _value(value: object) -> Delayed:
    return dask.delayed(value, name=f"V-{uuid4().hex}", traverse=False)


def _written(W: da.Array, out: str | Path, engine: Expressions, matrix: Matrix, *, overwrite: bool) -> da.Array:
    """Write W to a group, and list it there when all of it is written."""
    record = {"x": matrix.location, "shape": list(matrix.grid.shape)}
    with writing(out):
        group = create_transformed(out, record, overwrite=overwrite)
        (m, k), height = W.shape, engine.plan.height
        factor = Factor("W", (m, k), (min(m, height), k), W.dtype)
        engine.save(W, factor.array(group, ""), name=f"saved-{uuid4().hex}")
        factor.publish(group, "")
    return as_stored(group["W"], name=f"W-{uuid4().hex}")
