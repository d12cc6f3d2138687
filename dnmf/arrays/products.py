"""Products of whole rows of a matrix, dense or sparse, with factors. Pure NumPy and SciPy.

Rows y (h × N) are a NumPy array or a `scipy.sparse.csr_matrix`; factors are component-major: L (k × h), S (k × N).
"""

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.parts import cuts, parts
from dnmf.arrays.rows import Array, Rows, in_lines, is_sparse, with_data
from dnmf.arrays.weighted import Weighted
from dnmf.plan.parts import LARGE_PART

# Entries of rows that are added up by column at a time: of 2**15 it took a half more, of 2**20 a fifth.
COLUMN_ENTRIES = 2**18


def right(S: Array, y: Rows) -> Array:
    """S yᵀ (k × h)."""
    return np.asarray((y @ np.ascontiguousarray(S.T)).T if is_sparse(y) else S @ y.T)


def left(L: Array, y: Rows) -> Array:
    """L y (k × N)."""
    return np.asarray((y.T @ np.ascontiguousarray(L.T)).T if is_sparse(y) else L @ y)


def gram(S: Array) -> Array:
    """S Sᵀ (k × k), multiplied in float64, in S's dtype."""
    return np.asarray(gram8(S), S.dtype)


def gram8(S: Array) -> NDArray[np.float64]:
    """S Sᵀ (k × k) in float64."""
    S8 = S.astype("f8")
    return np.asarray(S8 @ S8.T)


def row_powers(y: Rows, beta: float) -> NDArray[np.float64]:
    """Σ_j y_ij^β for every row, (h,), over what is not zero; for β = 0 all entries count. Weighted, Σ_j ω_ij y_ij^β."""
    if isinstance(y, Weighted):
        return _weighted_powers(y, beta)
    if beta == 0:
        return np.full(y.shape[0], float(y.shape[1]))
    if is_sparse(y):
        powers = (with_data(part, _powers(part.data.astype("f8"), beta)) for part in parts(y, LARGE_PART))
        return np.concatenate([np.zeros(0), *(np.asarray(part.sum(axis=1)).ravel() for part in powers)])
    lines = in_lines(y)
    if beta == 2:
        return np.asarray(np.einsum("ij,ij->i", lines, lines), "f8")
    if beta == 1:
        return np.asarray(lines.sum(axis=1, dtype="f8"))
    return np.concatenate([np.zeros(0), *(_powers(part.astype("f8"), beta).sum(axis=1) for part in parts(lines))])


def _weighted_powers(y: Weighted, beta: float) -> NDArray[np.float64]:
    """As `row_powers`, of rows with weights."""
    if y.masked and beta != 0:
        return row_powers(y.values, beta)
    sums = [np.zeros(0)]
    for part in parts(y):
        values, weights = (part.values.data, part.weights) if part.sparse else (part.values, part.weights)
        powers = weights * (1.0 if beta == 0 else _powers(values.astype("f8"), beta))
        sums.append(np.asarray((with_data(part.values, powers) if part.sparse else powers).sum(axis=1)).ravel())
    return np.concatenate(sums)


def _powers(x: Array, beta: float) -> Array:
    return x * x if beta == 2 else x if beta == 1 else np.power(x, beta, out=np.zeros_like(x), where=x > 0)


def total(y: Rows) -> float:
    """Sum of all entries, rows added up in float64; of weighted ones Σ ω y."""
    if isinstance(y, Weighted):
        return float(row_powers(y, 1).sum())
    return float(y.data.sum(dtype="f8") if is_sparse(y) else y.sum(axis=1).sum(dtype="f8"))


def add_columns(y: Rows, sums: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
    """Add Σ_i y_ij and Σ_i y_ij² of each column to `sums` and `squares` (N,). Changes both.

    All of it is float64: a variance is what is left of the second when the first is subtracted.
    """
    if isinstance(y, Weighted):
        if y.masked:
            add_columns(y.values, sums, squares)
        else:
            _add_weighted_columns(y, sums, squares)
        return
    if is_sparse(y):
        for part in parts(y, LARGE_PART):
            data = part.data.astype("f8")
            sums += np.bincount(part.indices, data, len(sums))
            squares += np.bincount(part.indices, data * data, len(sums))
        return
    # Rows are turned into float64 a few at a time, in a core's cache: entry by entry it took twice as long.
    height = max(1, COLUMN_ENTRIES // y.shape[1])
    ones, wide = np.ones(height), np.empty((min(height, len(y)), y.shape[1]))
    for start in range(0, len(y), height):
        part = y[start : start + height]
        rows = wide[: len(part)]
        rows[...] = part
        sums += ones[: len(part)] @ rows
        squares += np.einsum("ij,ij->j", rows, rows)


def _add_weighted_columns(y: Weighted, sums: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
    """Add Σ_i ω_ij y_ij and Σ_i ω_ij y_ij² of each column."""
    if y.sparse:
        for part in parts(y, LARGE_PART):
            data, places = part.values.data.astype("f8"), part.values.indices
            counted = data * part.weights
            sums += np.bincount(places, counted, len(sums))
            squares += np.bincount(places, counted * data, len(sums))
        return
    for part in parts(y):
        rows = part.values.astype("f8")
        counted = rows * part.weights
        sums += counted.sum(axis=0)
        squares += np.einsum("ij,ij->j", counted, rows)


def add_weights(y: Weighted, totals: NDArray[np.float64]) -> None:
    """Add Σ_i ω_ij of each column to `totals` (N,). Changes them."""
    if y.sparse:
        totals += np.bincount(y.values.indices, y.weights, len(totals))
    else:
        totals += y.weights.sum(axis=0, dtype="f8")


def model_at(y: Rows, L: Array, S_rows: Array) -> Array:
    """(Lᵀ S) where sparse rows y have their non-zeros, in their order; `S_rows` is Sᵀ (N × k), contiguous."""
    model, L_rows = np.empty(y.nnz, S_rows.dtype), np.ascontiguousarray(L.T)
    for cut in cuts(y):
        at = slice(y.indptr[cut.start], y.indptr[cut.stop])
        own = np.repeat(L_rows[cut], np.diff(y.indptr[cut.start : cut.stop + 1]), axis=0)
        np.einsum("pk,pk->p", own, S_rows.take(y.indices[at], axis=0), out=model[at])
    return model
