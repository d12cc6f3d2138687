"""The divergence entry by entry: the model of some rows, and what the rules and the loss need of it.

Rows y (h × N) are dense or sparse; of sparse ones the model M is formed where they are not zero.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import kl_div, xlogy

from dnmf.arrays.products import model_at
from dnmf.arrays.rows import Array, Rows, is_sparse, with_data
from dnmf.plan.parts import part_rows
from dnmf.rules.beta_multiplicative import floor


def require_positive(y: Rows, beta: float) -> Array:
    """Rows, as an array, if none of their entries is zero."""
    zeros = y.nnz < y.shape[0] * y.shape[1] or y.data.min() <= 0 if is_sparse(y) else y.min() <= 0
    if zeros:
        raise ValueError(
            f"X has an entry of 0, and beta_loss is {beta:g}, for which the loss is infinite there: add a small number "
            f"to X, or choose a positive beta_loss"
        )
    return np.asarray(y.toarray() if is_sparse(y) else y)


def form_model(y: Rows, L: Array, S: Array, beta: float) -> Array:
    """M, of sparse rows where they are not zero."""
    M = model_at(y, L, np.ascontiguousarray(S.T)) if is_sparse(y) else L.T @ S
    return np.maximum(M, floor(beta, M.dtype), out=M)


def split_terms(y: Rows, M: Array, beta: float) -> tuple[Rows, Array | None]:
    """Y ⊙ M^(β−2), sparse where Y is, and M^(β−1), or None where it has a closed form or Y is sparse. M is lost."""
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
    if not is_sparse(y):
        return np.asarray(_divergence(y, M, beta).sum(axis=1, dtype="f8"))
    y8, M = y.data.astype("f8"), M.astype("f8")
    extra = xlogy(y8, y8 / M) - y8 if beta == 1 else _divergence(y8, M, beta) - M**beta / beta
    rows = np.asarray(with_data(y, extra).sum(axis=1)).ravel()
    return np.asarray(rows + _row_powers_of_model(L, S, beta) / beta)


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
