"""How rows of the long factor move while their rows of Y are in memory, a few at a time."""

import numpy as np

from dnmf.arrays.parts import cuts, pad_rows, part_of
from dnmf.arrays.products import gram, right
from dnmf.arrays.rows import Array, Rows, is_sparse
from dnmf.losses.divergence.entries import dense_models, form_model, numerator_entries, split_terms
from dnmf.rules import Penalty, coordinate_descent
from dnmf.rules.beta_multiplicative import floor, multiply
from dnmf.rules.from_scratch import from_scratch, least_start

# Sweeps of least squares that rows from scratch begin with.
FIRST_SWEEPS = 10


def solve_rows(y: Rows, S: Array, sweeps: int, *, beta: float, penalty: Penalty) -> Array:
    """Rows (k, h) from scratch: least squares, without zeros, and moved `sweeps` times."""
    N, G = right(S, y), gram(S)
    start = from_scratch(coordinate_descent, keeps_zeros=False)(N, G, FIRST_SWEEPS)
    np.maximum(start, least_start(N, G), out=start)
    return move_rows(y, start, S, sweeps, beta=beta, penalty=penalty)


def move_rows(y: Rows, L: Array, S: Array, sweeps: int, *, beta: float, penalty: Penalty) -> Array:
    """Move the rows of a strip `sweeps` times: L ← L ⊙ (S (Y ⊙ M^(β−2))ᵀ / (S (M^(β−1))ᵀ + l1 + l2 L))^exponent.

    Parameters
    ----------
    y : (h, N) rows.
    L : (k, h). Not changed.
    S : (k, N).
    sweeps : number of updates.
    beta, penalty : of the loss, and on L.
    """
    if is_sparse(y) and beta != 2:
        return _move_sparse(y, L, S, sweeps, beta, penalty)
    moved = np.empty_like(L, order="C")
    for cut in cuts(y):
        block, part = L[:, cut], part_of(y, cut)
        for _ in range(sweeps):
            P, Q = split_terms(part, form_model(part, block, S, beta), beta)
            block = multiply(block, right(S, P), _below(block, S, Q, beta), beta, penalty)
        moved[:, cut] = block
    return moved


def _move_sparse(y: Rows, L: Array, S: Array, sweeps: int, beta: float, penalty: Penalty) -> Array:
    """Move sparse rows: columns of S are gathered once, and serve all updates."""
    moved, S_rows, least = np.empty_like(L, order="C"), np.ascontiguousarray(S.T), floor(beta, S.dtype)
    total = S.sum(axis=1, keepdims=True)
    for rows, columns, entries in pad_rows(y):
        part, gathered = np.ascontiguousarray(L[:, rows]), S_rows.take(columns, axis=0)
        for _ in range(sweeps):
            M = np.matmul(gathered, part.T[:, :, None])[:, :, 0]
            P = numerator_entries(entries, np.maximum(M, least, out=M), beta)
            top = np.matmul(P[:, None, :], gathered)[:, 0].T
            part = multiply(part, top, total if beta == 1 else _below(part, S, None, beta), beta, penalty)
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
    dense = (S @ Q.T for _, Q in dense_models(L, S, beta))
    return np.concatenate(list(dense), axis=1)
