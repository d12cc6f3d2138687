"""`transform`: the W that belongs to a V for new rows of X, every row by itself, in one read."""

from functools import partial
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.delayed import Delayed

from dnmf.arrays.rows import Array, is_sparse
from dnmf.engine.passes import empty, moved_rows, named, parts, saved, total
from dnmf.engine.read import Outcome, Read
from dnmf.engine.source import lazy_strips, strips_of
from dnmf.factorization.factorize import check_apart
from dnmf.factorization.reads import Shared, products_with, solving
from dnmf.factorization.session import Session, open_session
from dnmf.losses import Objective, Squared, loss_by_number
from dnmf.matrix.matrix import Matrix
from dnmf.parameters import check, minimized, plain
from dnmf.plan.choose import plan
from dnmf.plan.strips import Plan
from dnmf.run.arrays import open_array
from dnmf.run.factors import Factor, as_stored
from dnmf.run.opening import TRANSFORMED, check_out, create_transformed
from dnmf.run.result import Factorization


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
        asked = model.about.parameters
        beta_loss, alpha_W, l1_ratio = asked.beta_loss, asked.alpha_W, asked.l1_ratio
        model = model.V
    # In memory any sparse X can be read by rows.
    X, beta, tol, max_iter = (
        X.tocsr() if is_sparse(X) else X,
        loss_by_number(plain(beta_loss)),
        plain(tol),
        plain(max_iter),
    )
    alpha, share = plain(alpha_W), plain(l1_ratio)
    check(alpha_W=alpha, l1_ratio=share, tol=tol, max_iter=max_iter)
    with open_session(X, out=out, layer=layer, memory_limit=memory_limit, here=out is None) as session:
        matrix = session.matrix
        V = _checked(model, matrix)
        solver = "cd" if beta == 2 else "mu"
        objective = minimized(solver, beta, (alpha, 0.0), share, matrix.grid.shape, sparse=matrix.sparse)
        what = solving(objective, V, tol=tol, max_iter=max_iter)
        if matrix.lazy and out is None:
            return moved_rows(lazy_strips(matrix, matrix.array.chunks[0], 0, check=True), None, _value(what), what)
        if out is not None:
            check_out(out, overwrite=overwrite, mark=TRANSFORMED)
            check_apart(matrix, out)
        _check_rows(matrix, objective)
        cut = plan(matrix.grid, rank=len(V), workers=session.workers, cache=False, axes=(0,))
        W = _expression(matrix, cut, what, objective, {"tol": tol, "iterations": max_iter})
        if out is not None:
            session.check_workers(out)
            return _written(W, out, session, cut, overwrite=overwrite)
        if matrix.in_memory:
            return W.compute(scheduler="threads", num_workers=session.workers.threads)
        return W


def _checked(V: Any, matrix: Matrix) -> Array:
    """V as it is computed with, if it fits X."""
    V, n = np.asarray(V), matrix.grid.shape[1]
    if V.ndim != 2 or V.shape[1] != n:
        raise ValueError(f"V has shape {V.shape} and X has {n} columns: V of shape (k, {n}) is required")
    if not (V.min() >= 0 and V.max() < np.inf):
        raise ValueError("V has a negative, NaN or infinite entry: finite entries ≥ 0 are required")
    return np.ascontiguousarray(V, matrix.dtype)


def _check_rows(matrix: Matrix, objective: Objective) -> None:
    """Refuse X that cannot be read by rows, where that is needed."""
    if 0 not in matrix.grid.axes and not isinstance(objective, Squared):
        raise ValueError(
            f"X is {matrix.location} and stored column by column (CSC), and every row of W needs a whole row of X for "
            f"this loss: write X row by row, as CSR"
        )


def _expression(matrix: Matrix, cut: Plan, what: Read, objective: Objective, how: dict) -> da.Array:
    """W as a Dask expression: strip by strip, or from the products over all strips of columns."""
    Y = strips_of(matrix, cut, check=True)
    if cut.axis == 0:
        return moved_rows(Y, None, _value(what), what)
    V, adding = what.shared.S, products_with(objective)
    L = da.from_array(V.T, chunks=(cut.heights, (len(V),)), name=named("V"))
    products = total(parts(Y, L, None, adding, reads=False), adding)
    chunks, solve = (
        ((matrix.grid.shape[0],), (len(V),)),
        partial(_solve, dtype=matrix.dtype, objective=objective, how=how),
    )
    return da.map_blocks(
        solve, products, _value(what), new_axis=1, name=named("W"), chunks=chunks, meta=empty(matrix.dtype)
    )


def _solve(sums: Outcome, shared: Shared, *, dtype: np.dtype[np.floating], objective: Squared, how: dict) -> Array:
    """W (m, k) from the products of V with all columns of X."""
    return np.ascontiguousarray(objective.settled_products(sums.value.cross.astype(dtype), shared.S, **how).T)


def _value(what: Read) -> Delayed:
    return dask.delayed(what.shared, name=named("V"), traverse=False)


def _written(W: da.Array, out: str | Path, session: Session, cut: Plan, *, overwrite: bool) -> da.Array:
    """Write W to a group, and list it there when all of it is written."""
    record = {"x": session.matrix.location, "shape": list(session.matrix.grid.shape)}
    group = create_transformed(out, record, overwrite=overwrite)
    (m, k), height = W.shape, cut.height if cut.axis == 0 else len(W)
    factor = Factor("W", (m, k), (min(m, height), k), W.dtype)
    flags = saved(W, factor.array(group, ""), 0)
    session.scheduler.start([flags, flags.all()], lambda done: None).wait()
    factor.publish(group, "")
    return as_stored(open_array(group, "W", (m, k)), name=named("W"))
