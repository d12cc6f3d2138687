"""dnmf.losses.divergence.rows."""

from typing import Any

import numpy as np

from dnmf.arrays.pieces import cuts, padded, part_of
from dnmf.arrays.products import right
from dnmf.arrays.rows import Array, Rows, is_sparse
from dnmf.losses.divergence.entries import _dense_models, _model, _numerator_entries, _terms
from dnmf.rules import Penalty
from dnmf.rules.beta_multiplicative import floor, stepped


def update(y: Rows, L: Array, S: Array, inner: int, *, beta: float, penalty: Penalty) -> Array:
    """Move the rows of a strip `inner` times: L ← L ⊙ (S (Y ⊙ M^(β−2))ᵀ / (S (M^(β−1))ᵀ + l1 + l2 L))^exponent.

    Parameters
    ----------
    y : (h, N) rows.
    L : (k, h). Not changed.
    S : (k, N).
    inner : number of updates.
    beta, penalty : of the loss, and on L.
    """
    if is_sparse(y) and beta != 2:
        return _update_sparse(y, L, S, inner, beta, penalty)
    moved = np.empty_like(L, order="C")
    for cut in cuts(y):
        part, piece = L[:, cut], part_of(y, cut)
        for _ in range(inner):
            P, Q = _terms(piece, _model(piece, part, S, beta), beta)
            part = stepped(part, right(S, P), _below(part, S, Q, beta), beta, penalty)
        moved[:, cut] = part
    return moved


def _update_sparse(y: Any, L: Array, S: Array, inner: int, beta: float, penalty: Penalty) -> Array:
    """The same for sparse rows: columns of S are gathered once, and serve all updates."""
    moved, S_rows, least = np.empty_like(L, order="C"), np.ascontiguousarray(S.T), floor(beta, S.dtype)
    total = S.sum(axis=1, keepdims=True)
    for rows, columns, entries in padded(y):
        part, gathered = np.ascontiguousarray(L[:, rows]), S_rows.take(columns, axis=0)
        for _ in range(inner):
            M = np.matmul(gathered, part.T[:, :, None])[:, :, 0]
            P = _numerator_entries(entries, np.maximum(M, least, out=M), beta)
            top = np.matmul(P[:, None, :], gathered)[:, 0].T
            part = stepped(part, top, total if beta == 1 else _below(part, S, None, beta), beta, penalty)
        moved[:, rows] = part
    return moved


def _below(L: Array, S: Array, Q: Array | None, beta: float) -> Array:
    """S (M^(β−1))ᵀ (k × h)."""
    if beta == 1:
        return np.asarray(S.sum(axis=1, keepdims=True))
    if Q is not None:
        return S @ Q.T
    if beta == 2:
        return (S @ S.T) @ L
    dense = (S @ Q.T for _, Q in _dense_models(L, S, beta))
    return np.concatenate(list(dense), axis=1)
