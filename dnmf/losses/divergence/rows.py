"""How rows of the long factor move while their rows of Y are in memory, a few at a time."""

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.parts import cuts, pad_rows, pad_weighted, part_of
from dnmf.arrays.products import gram, right
from dnmf.arrays.rows import Array, Rows, is_sparse
from dnmf.arrays.weighted import Weighted
from dnmf.losses.divergence.entries import (
    dense_models,
    form_model,
    linear_terms,
    numerator_entries,
    split_terms,
    weighted_terms,
)
from dnmf.rules import Penalty, coordinate_descent
from dnmf.rules.beta_multiplicative import floor, multiply
from dnmf.rules.from_scratch import from_scratch, least_start

# Sweeps of least squares that rows from scratch begin with.
FIRST_SWEEPS = 10

# Where entries are missing these least squares are an estimate: rows are moved so many times as often. With 30 and 90 %
# missing they came as far as from the Gram matrix of what is there of each row, in no more time and without k² numbers
# a row.
ESTIMATED = 2


def solve_rows(y: Rows, S: Array, sweeps: int, *, beta: float, penalty: Penalty, times: Array | None = None) -> Array:
    """Rows (k, h) from scratch: least squares, without zeros, and moved `sweeps` times or, with weights, more often."""
    N, G = numerator_of_all(y, S), gram(S)
    start = from_scratch(coordinate_descent, keeps_zeros=False)(N, G, FIRST_SWEEPS)
    np.maximum(start, least_start(N, G), out=start)
    more = ESTIMATED * sweeps if isinstance(y, Weighted) else sweeps
    return move_rows(y, start, S, more, beta=beta, penalty=penalty, times=times)


def numerator_of_all(y: Rows, S: Array) -> Array:
    """S yᵀ (k × h); of rows with weights an estimate of what it were if all entries were there."""
    if not isinstance(y, Weighted):
        return right(S, y)
    N, squares = np.empty((len(S), y.shape[0]), S.dtype), S * S
    whole = squares.sum(axis=1, keepdims=True)
    for cut in cuts(y):
        part = part_of(y, cut)
        seen = right(squares, part.omega)
        share = np.divide(whole, seen, out=np.zeros_like(seen), where=seen > 0)
        N[:, cut] = right(S, part.counted) * share
    return N


def move_rows(
    y: Rows, L: Array, S: Array, sweeps: int, *, beta: float, penalty: Penalty, times: Array | None = None
) -> Array:
    """Move the rows of a strip `sweeps` times: L ← L ⊙ (S (Y ⊙ M^(β−2))ᵀ / (S (M^(β−1))ᵀ + l1 + l2 L))^exponent.

    Parameters
    ----------
    y : (h, N) rows.
    L : (k, h). Not changed.
    S : (k, N).
    sweeps : number of updates.
    beta, penalty : of the loss, and on L.
    times : (h,) how many times the penalty on each row counts, or None for once.
    """
    if isinstance(y, Weighted) and y.sparse:
        return _move_observed(y, L, S, sweeps, beta, penalty, times)
    if is_sparse(y) and beta != 2:
        return _move_sparse(y, L, S, sweeps, beta, penalty, times)
    moved = np.empty_like(L, order="C")
    for cut in cuts(y):
        block, part = L[:, cut], part_of(y, cut)
        linear, own = linear_terms(part, S) if beta == 1 else None, _some(times, cut)
        for _ in range(sweeps):
            P, Q = split_terms(part, form_model(part, block, S, beta), beta)
            below = _below(block, S, Q, beta) if linear is None else linear
            block = multiply(block, right(S, P), below, beta, penalty, own)
        moved[:, cut] = block
    return moved


def _move_sparse(y: Rows, L: Array, S: Array, sweeps: int, beta: float, penalty: Penalty, times: Array | None) -> Array:
    """Move sparse rows: columns of S are gathered once, and serve all updates."""
    moved, S_rows, least = np.empty_like(L, order="C"), np.ascontiguousarray(S.T), floor(beta, S.dtype)
    total = linear_terms(y, S)
    for rows, columns, entries in pad_rows(y):
        part, gathered, own = np.ascontiguousarray(L[:, rows]), S_rows.take(columns, axis=0), _some(times, rows)
        for _ in range(sweeps):
            P = numerator_entries(entries, _model_of(gathered, part, least), beta)
            below = total if beta == 1 else _below(part, S, None, beta)
            part = multiply(part, _right_of(gathered, P), below, beta, penalty, own)
        moved[:, rows] = part
    return moved


def _move_observed(
    y: Weighted, L: Array, S: Array, sweeps: int, beta: float, penalty: Penalty, times: Array | None
) -> Array:
    """Move sparse rows of which nothing is known but what they hold: as `_move_sparse`, and with no sum over others."""
    moved, S_rows, least = np.empty_like(L, order="C"), np.ascontiguousarray(S.T), floor(beta, S.dtype)
    for rows, columns, counted, weights in pad_weighted(y):
        part, gathered, own = np.ascontiguousarray(L[:, rows]), S_rows.take(columns, axis=0), _some(times, rows)
        linear = _right_of(gathered, weights)
        for _ in range(sweeps):
            P, Q = weighted_terms(counted, weights, _model_of(gathered, part, least), beta)
            below = linear if beta == 1 else _right_of(gathered, Q)
            part = multiply(part, _right_of(gathered, P), below, beta, penalty, own)
        moved[:, rows] = part
    return moved


def _some(times: Array | None, rows: slice | NDArray[np.intp]) -> Array | None:
    return None if times is None else times[rows]


def _model_of(gathered: Array, L: Array, least: float) -> Array:
    """M (g, c) of a group of rows in its places, from the columns of S there (g, c, k)."""
    M: Array = np.matmul(gathered, L.T[:, :, None])[:, :, 0]
    return np.maximum(M, least, out=M)


def _right_of(gathered: Array, P: Array) -> Array:
    """S Pᵀ (k, g) of such a group, from entries P (g, c)."""
    return np.asarray(np.matmul(P[:, None, :], gathered)[:, 0].T)


def _below(L: Array, S: Array, Q: Rows | None, beta: float) -> Array:
    """S (M^(β−1))ᵀ (k × h), for β other than 1."""
    if Q is not None:
        return right(S, Q)
    if beta == 2:
        return np.asarray((S @ S.T) @ L)
    dense = (S @ Q.T for _, Q in dense_models(L, S, beta))
    return np.concatenate(list(dense), axis=1)
