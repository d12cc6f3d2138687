"""The divergence entry by entry: the model of some rows, and what the rules and the loss need of it.

Rows y (h × N) are dense or sparse; of sparse ones the model M is formed where they are not zero. Of rows with weights
the loss is Σ ω_ij d(y_ij, m_ij), over what is there: of sparse ones nothing else is formed, for no β.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import kl_div, xlogy

from dnmf.arrays.parts import cuts, part_of
from dnmf.arrays.products import left, model_at, right, row_powers
from dnmf.arrays.rows import Array, Rows, is_sparse, with_data
from dnmf.arrays.weighted import Weighted
from dnmf.plan.parts import part_rows
from dnmf.rules.beta_multiplicative import floor


def require_positive(y: Rows, beta: float) -> Rows:
    """Rows, as an array where all entries are there, if none of these is zero."""
    if _has_zeros(y):
        raise ValueError(
            f"X has an entry of 0, and beta_loss is {beta:g}, for which the loss is infinite there: add a small number "
            f"to X, or choose a positive beta_loss"
        )
    return y.toarray() if is_sparse(y) else y


def _has_zeros(y: Rows) -> bool:
    """Whether an entry that is there is zero."""
    if isinstance(y, Weighted):
        entries = y.values.data if y.sparse else y.values[y.weights > 0]
        return bool(entries.min(initial=np.inf) <= 0)
    return bool(y.nnz < y.shape[0] * y.shape[1] or y.data.min() <= 0 if is_sparse(y) else y.min() <= 0)


def form_model(y: Rows, L: Array, S: Array, beta: float) -> Array:
    """M, of sparse rows where they are not zero."""
    places = y.values if isinstance(y, Weighted) else y
    M = model_at(places, L, np.ascontiguousarray(S.T)) if is_sparse(places) else L.T @ S
    return np.maximum(M, floor(beta, M.dtype), out=M)


def linear_terms(y: Rows, S: Array) -> Array:
    """Σ_j s_j (k, 1), the denominator of the rule for β = 1; of rows with weights Σ_j ω_ij s_j (k, h)."""
    if not isinstance(y, Weighted):
        return np.asarray(S.sum(axis=1, keepdims=True))
    terms = np.empty((len(S), y.shape[0]), S.dtype)
    for cut in cuts(y):
        terms[:, cut] = right(S, part_of(y, cut).omega)
    return terms


def row_totals(y: Rows) -> Array:
    """Σ_j ω_ij for every row, (h,): how many entries it has where all count once."""
    return row_powers(y, 0).astype(y.dtype)


def column_totals(y: Rows, counts: Array | None) -> NDArray[np.float64]:
    """Σ_i ω_ij for every column (N,), of rows that count so many times (h,), or once."""
    total = np.zeros(y.shape[1])
    for cut in cuts(y):
        rows = np.ones((1, cut.stop - cut.start)) if counts is None else counts[None, cut]
        part = part_of(y, cut)
        total += left(rows.astype(y.dtype), part.omega)[0] if isinstance(y, Weighted) else rows.sum()
    return total


def row_sums(y: Rows, L: Array, S: Array) -> Array:
    """Σ_j m_ij for every row, (h,); of rows with weights Σ_j ω_ij m_ij."""
    if not isinstance(y, Weighted):
        return np.asarray(L.T @ S.sum(axis=1))
    return np.asarray(np.einsum("kh,kh->h", L, linear_terms(y, S)))


def split_terms(y: Rows, M: Array, beta: float) -> tuple[Rows, Rows | None]:
    """Y ⊙ M^(β−2), sparse where Y is, and M^(β−1), or None where it has a closed form or Y is sparse. M is lost.

    Of rows with weights, both times these, and both sparse where Y is; the second is None for β = 1 alone.
    """
    if isinstance(y, Weighted):
        return _split_weighted(y, M, beta)
    if is_sparse(y):
        return (y if beta == 2 else with_data(y, numerator_entries(y.data, M, beta))), None
    if beta == 2:
        return y, M
    if beta == 1:
        return np.divide(y, M, out=M), None
    if beta > 2:
        # M may be next to 0 here: it is not divided by.
        return numerator_entries(y, M, beta), M ** (beta - 1)
    Q = 1 / M if beta == 0 else M ** (beta - 1)
    return np.multiply(np.divide(y, M, out=M), Q, out=M), Q


def _split_weighted(y: Weighted, M: Array, beta: float) -> tuple[Rows, Rows | None]:
    counted = y.counted
    P, Q = weighted_terms(counted.data if y.sparse else counted, y.weights, M, beta)
    if y.sparse:
        return with_data(counted, P), None if beta == 1 else with_data(counted, Q)
    return P, None if beta == 1 else Q


def weighted_terms(counted: Array, weights: Array, M: Array, beta: float) -> tuple[Array, Array]:
    """(Ω ⊙ Y) ⊙ M^(β−2) and Ω ⊙ M^(β−1), entry by entry, from Ω ⊙ Y and Ω; for β = 1 the second is Ω. M is lost."""
    if beta == 1:
        return np.divide(counted, M, out=M), weights
    Q = M ** (beta - 1)
    # Past β = 2, M may be next to 0: it is not divided by.
    P = numerator_entries(counted, M, beta) if beta > 2 else counted * np.divide(Q, M, out=M)
    return P, np.multiply(Q, weights, out=Q)


def numerator_entries(y: Array, M: Array, beta: float) -> Array:
    """Y ⊙ M^(β−2), entry by entry."""
    return np.asarray(y / M if beta == 1 else y * M ** (beta - 2))


def dense_models(L: Array, S: Array, beta: float) -> Iterator[tuple[slice, Array]]:
    """Parts of M^(β−1), (rows × N), each with where its rows are."""
    rows = part_rows(S.shape[1], residual=True)
    for start in range(0, L.shape[1], rows):
        cut = slice(start, start + rows)
        M = L[:, cut].T @ S
        yield cut, np.maximum(M, floor(beta, M.dtype), out=M) ** (beta - 1)


def row_divergences(y: Rows, M: Array, L: Array, S: Array, beta: float) -> NDArray[np.float64]:
    """D of every row, (h,)."""
    if isinstance(y, Weighted):
        return _weighted_divergences(y, M, beta)
    if not is_sparse(y):
        return np.asarray(_divergence(y, M, beta).sum(axis=1, dtype="f8"))
    y8, M = y.data.astype("f8"), M.astype("f8")
    extra = xlogy(y8, y8 / M) - y8 if beta == 1 else _divergence(y8, M, beta) - M**beta / beta
    rows = np.asarray(with_data(y, extra).sum(axis=1)).ravel()
    return np.asarray(rows + _row_powers_of_model(L, S, beta) / beta)


def _weighted_divergences(y: Weighted, M: Array, beta: float) -> NDArray[np.float64]:
    if y.sparse:
        d = _divergence(y.values.data.astype("f8"), M.astype("f8"), beta) * y.weights
        return np.asarray(with_data(y.values, d).sum(axis=1)).ravel()
    # What is missing counts nothing; of the 0 in its place the divergence may be infinite.
    d = _divergence(np.where(y.weights, y.values, M), M, beta) * y.weights
    return np.asarray(d.sum(axis=1, dtype="f8"))


def _divergence(y: Array, M: Array, beta: float) -> Array:
    """d, entry by entry."""
    if beta == 1:
        return np.asarray(kl_div(y, M))
    if beta == 2:
        return np.asarray((y - M) ** 2 / 2)
    if beta == 0:
        ratio = y / M
        return np.asarray(ratio - np.log(ratio) - 1)
    # The terms nearly cancel: in float32 they would lose digits.
    y, M = y.astype("f8", copy=False), M.astype("f8", copy=False)
    return np.asarray((y**beta + (beta - 1) * M**beta - beta * y * M ** (beta - 1)) / (beta * (beta - 1)))


def _row_powers_of_model(L: Array, S: Array, beta: float) -> NDArray[np.float64]:
    """Σ_j m_ij^β for every row, (h,)."""
    L8, S8 = L.astype("f8"), S.astype("f8")
    if beta == 1:
        return np.asarray(L8.T @ S8.sum(axis=1))
    if beta == 2:
        return np.asarray(np.einsum("kh,kh->h", L8, (S8 @ S8.T) @ L8))
    parts = [(M ** (beta / (beta - 1))).sum(axis=1, dtype="f8") for _, M in dense_models(L, S, beta)]
    return np.concatenate(parts)
