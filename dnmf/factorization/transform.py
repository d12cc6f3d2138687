"""`transform`: the W that belongs to a V for new rows of X, every row by itself, in one read."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.delayed import Delayed

from dnmf.arrays.rows import Array
from dnmf.engine.dask_engine import DaskEngine
from dnmf.engine.passes import empty, folded, moved_rows, named, outcomes, tree
from dnmf.engine.read import Outcome
from dnmf.engine.source import lazy_strips, strips_of
from dnmf.factorization.model import Model
from dnmf.factorization.reads import Given, adding_columns, solving
from dnmf.factorization.session import Session, open_session
from dnmf.losses import beta_of, solvers_of
from dnmf.losses.choose import loss_of
from dnmf.losses.protocol import AnyLoss
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.opening import open_matrix, tell_missing
from dnmf.parameters import check, is_signed, plain
from dnmf.plan.choose import plan
from dnmf.plan.sizes import current, using
from dnmf.plan.strips import Plan
from dnmf.rules import NO_PENALTY, Penalty
from dnmf.run.factors import Factor, as_stored
from dnmf.run.labels import write_labels
from dnmf.run.opening import TRANSFORMED, check_out, create_transformed


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
    missing: str | None = "same",
    weights: object = None,
    negative: str = "refuse",
) -> Any:
    """The W (m, k) with which W V is nearest to X, for a given V: what new rows of X are made of.

    X is read once, and no row depends on the others. Of the X that a model was fitted to, W is that of the fit, up to
    the tolerance of both.

    Parameters
    ----------
    X : (m, n), anything that `factorize` takes. Where its columns and those of the model have names, they are matched
        by these, in any order.
    model : a `Factorization`, the path of a run, or a fitted `NMF` or `MiniBatchNMF`, scikit-learn's too, whose loss
        and penalties are taken; or V (k, n) itself.
    beta_loss, alpha_W, l1_ratio : loss and penalty, where V itself is given: see `factorize`.
    tol : a row is done when ten updates change no entry of it by more than this share of its largest one.
    max_iter : updates of a row at most.
    out : path of a Zarr group to write W to, which every worker must reach; None writes nothing.
    memory_limit : bytes that a worker (or this process) may use.
    overwrite : replace what `transform` wrote to `out` before.
    layer : of an AnnData X: which of its layers is meant.
    missing : which entries of X are not there, see `factorize`; "same": as for what the model was fitted to. Each row
        is solved with what is there, and one without anything gets zeros.
    weights : (m, n) of the entries of X, see `factorize`; those of a row decide about that row alone.
    negative : "allow" takes entries of X below zero for data, as a run does that was made so: see `factorize`.

    Returns
    -------
    array of shape (m, k)
        NumPy for X in memory. Otherwise a Dask array: over `out`, or one that reads X where and when it is computed,
        in the row chunks of a Dask X, or in strips of a stored one.

    Raises
    ------
    ValueError, TypeError, FileNotFoundError, FileExistsError, MemoryError, RuntimeError
        As `factorize` does; if X has not as many columns as V, or columns of other names.

    Examples
    --------
    >>> V = np.array([[1.0, 0.0, 1.0], [0.0, 2.0, 0.0]])
    >>> transform(np.array([[3.0, 4.0, 3.0], [0.0, 2.0, 0.0]]), V).round(6)
    array([[3., 2.],
           [0., 1.]])
    """
    asked = Model.of(model, beta_loss, alpha_W, l1_ratio)
    how = {"tol": plain(tol), "iterations": plain(max_iter)}
    alpha_W, l1_ratio = plain(asked.alpha), plain(asked.l1_ratio)
    check(alpha_W=alpha_W, l1_ratio=l1_ratio, tol=how["tol"], max_iter=how["iterations"])
    signed = is_signed("allow" if asked.signed else negative, beta_of(plain(asked.loss)))
    missing = asked.missing if missing == "same" else missing
    # In memory any sparse X can be read by rows.
    matrix = open_matrix(X, layer=layer, missing=missing, weights=weights).by_rows()
    with open_session(matrix, out=out, memory_limit=memory_limit, signed=signed, here=out is None) as session:
        matrix = session.matrix
        tell_missing(matrix)
        V = _checked(asked.for_columns_of(matrix), matrix)
        loss = _loss(beta_of(plain(asked.loss)), alpha_W, l1_ratio, matrix, asked.alpha_scale)
        if matrix.lazy and out is None:
            strips = lazy_strips(matrix, matrix.array.chunks[0], 0, check=True)
            return _rows(strips, loss, V, how)
        _check_rows(matrix, loss)
        if out is not None:
            session.check_apart(out, exists=check_out(out, overwrite=overwrite, mark=TRANSFORMED))
        # Of an expression some rows may be asked for alone.
        sizes = current() if out is not None else replace(current(), large_strip=current().whole_strip)
        with using(sizes):
            cut = plan(matrix.grid, rank=len(V), workers=session.workers, cache=False, axes=(0,))
        W = _expression(matrix, cut, loss, V, how)
        if out is not None:
            session.check_workers(out)
            return _written(W, out, session, cut, overwrite=overwrite)
        return DaskEngine(session.scheduler, cut).collect(W) if matrix.in_memory else W


def _checked(V: Any, matrix: Matrix) -> Array:
    """V as it is computed with, if it fits X."""
    V, n = np.asarray(V), matrix.grid.shape[1]
    if V.ndim != 2 or V.shape[1] != n:
        raise ValueError(f"V has shape {V.shape} and X has {n} columns: V of shape (k, {n}) is required")
    if not (V.min() >= 0 and V.max() < np.inf):
        raise ValueError("V has a negative, NaN or infinite entry: finite entries ≥ 0 are required")
    with np.errstate(over="ignore", under="ignore"):
        cast = np.ascontiguousarray(V, matrix.dtype)
    if not (np.isfinite(cast).all() and cast.any() == V.any()):
        raise ValueError(
            f"V has entries up to {V.max():.1e}, which {matrix.dtype}, the dtype of X, does not hold: give X as float64"
        )
    return cast


def _loss(beta: float, alpha: float, l1_ratio: float, matrix: Matrix, scale: str) -> AnyLoss:
    """What is minimized over W."""
    per_observed = matrix.weighted and scale == "observed"
    penalty = Penalty.scaled(1 if per_observed else matrix.grid.shape[1], alpha, l1_ratio)
    return loss_of(
        solvers_of(beta)[0], beta, penalty, NO_PENALTY, sparse=matrix.sparse, short_sweeps=1, signed=matrix.signed,
        weighted=matrix.weighted, per_observed=per_observed,
    )  # fmt: skip


def _check_rows(matrix: Matrix, loss: AnyLoss) -> None:
    """Refuse X that is cut into columns where the loss needs whole rows."""
    if 0 not in matrix.grid.axes and loss.from_columns is None:
        raise ValueError(
            f"X is {matrix.location} and stored column by column (CSC), and every row of W needs a whole row of X for "
            f"this loss: write X row by row, as CSR"
        )


def _shared(value: object) -> Delayed:
    return dask.delayed(value, name=named("V"), traverse=False)


def _expression(matrix: Matrix, cut: Plan, loss: AnyLoss, V: Array, how: dict[str, Any]) -> da.Array:
    """W as a Dask expression: strip by strip, or from the sums over all strips of columns."""
    strips = strips_of(matrix, cut, check=True)
    if cut.axis == 0:
        return _rows(strips, loss, V, how)
    assert loss.from_columns is not None
    adding, L = adding_columns(loss.from_columns), da.from_array(V.T, chunks=(cut.heights, (len(V),)), name=named("V"))
    sums = tree(outcomes(folded(strips, L, None, adding, reads=False)), adding.total)
    solve = partial(_solved, settle=partial(loss.from_columns.settle, **how))
    chunks, meta = ((matrix.grid.shape[0],), (len(V),)), empty(matrix.dtype)
    return da.map_blocks(solve, sums, _shared(Given(V)), new_axis=1, name=named("W"), chunks=chunks, meta=meta)


def _rows(strips: da.Array, loss: AnyLoss, V: Array, how: dict[str, Any]) -> da.Array:
    """W as a Dask expression, strip by strip, each block row by row in memory."""
    read = solving(loss, V, **how)
    W = moved_rows(folded(strips, None, _shared(read.shared), read, reads=False), strips, len(V))
    return da.map_blocks(np.ascontiguousarray, W, name=named("W"), meta=empty(W.dtype))


def _solved(sums: Outcome, given: Given, *, settle: Callable[..., Array]) -> Array:
    """W (m, k) from the sums over strips of columns."""
    return np.ascontiguousarray(settle(sums.value, given.S).T)


def _written(W: da.Array, out: str | Path, session: Session, cut: Plan, *, overwrite: bool) -> da.Array:
    """Write W to a group, and list it there when all of it is written."""
    record = {"x": session.matrix.location, "shape": list(session.matrix.grid.shape)}
    group = create_transformed(out, record, overwrite=overwrite)
    (m, k), height = W.shape, cut.height if cut.axis == 0 else len(W)
    factor = Factor("W", (m, k), (min(m, height), k), W.dtype)
    DaskEngine(session.scheduler, replace(cut, axis=0)).save(W, factor.array(group, ""))
    factor.publish(group, "")
    write_labels(group, replace(session.matrix.labels, columns=None))
    return as_stored(factor.array(group, ""), name=named("W"))
