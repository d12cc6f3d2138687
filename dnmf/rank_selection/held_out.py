"""Held-out rows × columns: how well a short factor predicts columns of rows that it has not seen.

For a short factor S of other rows, and for each fold J of the columns, a row y is solved against S without the columns
of J, and predicts those: nothing in y_J took part in what predicts it. Bro, Kjeldahl, Smilde and Kiers, Analytical and
Bioanalytical Chemistry 390, 2008, doi:10.1007/s00216-007-1790-1, say why that must be so; Owen and Perry, Annals of
Applied Statistics 3, 2009, doi:10.1214/08-AOAS227, hold blocks of rows × columns out in another way.

The score must be least where the prediction m is the expectation of y, and finite where m is 0:

    β = 2    Σ (y − m)²
    β = 1    Σ (y − m)² / e, with e = the row's total × the column's share, as far as columns that are in tell that
    others   the β-divergence, with 2 % of m taken from e

Where entries are missing nothing is predicted, and the sums are those over what is there, by its weight.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.products import model_at, right, row_powers
from dnmf.arrays.rows import Array, Rows, columns_of, is_sparse, with_data
from dnmf.arrays.weighted import Weighted
from dnmf.losses.divergence.entries import form_model, row_divergences
from dnmf.losses.protocol import AnyLoss

# When a row is solved: by tolerance, and after so many updates at most. Rows of losses that form a model of every entry
# are done sooner.
ROW_TOL, SQUARES_UPDATES, UPDATES = 1e-3, 60, 20

# How many times the largest weight of a component in the rows that it was made of a row may have at most.
MARGIN = 10.0

# Of a prediction, for losses that are infinite where it is 0, comes this share from e; a row's total is never taken to
# be less than this share of the mean one.
SMOOTH, LEAST_TOTAL = 0.02, 0.01


def held_out_errors(
    y: Rows, S: Array, loss: AnyLoss, *, most: Array, folds: NDArray[np.intp], shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The score of each row (h,), over all of its columns, each of which is held out once.

    A row is taken to have no more of a component than `most`: where the columns that are in hold next to nothing of a
    component, they say nothing of its weight, which could be any number, and all of that number would be in the columns
    that are held out. With 40 components of 64 columns errors were 1e10 times those of no prediction at all.

    Parameters
    ----------
    y : (h, N) rows that S has not seen.
    S : (k, N) short factor.
    loss : by which rows are solved.
    most : (k, 1) of each component, that any row has: `largest_weights` of the rows that S was made of.
    folds : (N,) fold of each column.
    shares : (N,) share of each column.
    """
    errors = np.zeros(y.shape[0])
    for inside, out in _folds(folds):
        seen, held = columns_of(y, inside), columns_of(y, out)
        L = np.minimum(_settle(seen, columns_of(S, inside), loss), most)
        expected = _Expected(_totals(seen, shares[inside]), shares[out])
        errors += _score(held, L, columns_of(S, out), expected, loss.beta)
    return errors


def largest_weights(y: Rows, S: Array, loss: AnyLoss) -> Array:
    """The most of each component (k, 1) that a row is taken to have, by all columns of some rows, and a margin."""
    return np.asarray(MARGIN * _settle(y, S, loss).max(axis=1, keepdims=True))


def _settle(y: Rows, S: Array, loss: AnyLoss) -> Array:
    updates = SQUARES_UPDATES if loss.beta == 2 else UPDATES
    return np.asarray(loss.settle(y, S, tol=ROW_TOL, iterations=updates))


def baseline(y: Rows, *, folds: NDArray[np.intp], shares: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    """The score of each row (h,) by no factorization at all: that of 0 for β = 2, for others that of m = e."""
    if beta == 2:
        return row_powers(y, 2)
    errors = np.zeros(y.shape[0])
    for inside, out in _folds(folds):
        expected = _Expected(_totals(columns_of(y, inside), shares[inside]), shares[out])
        of_rows, of_columns = expected.totals[None, :], expected.shares[None, :]
        errors += _score(columns_of(y, out), of_rows, of_columns, expected, beta)
    return errors


def _folds(folds: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """For each fold the columns that are not of it, and those that are."""
    for fold in np.unique(folds):
        yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


class _Expected:
    """e, of every row and held-out column: a model of one component."""

    def __init__(self, totals: NDArray[np.float64], shares: NDArray[np.float64]) -> None:
        self.totals, self.shares = totals, shares


def _totals(y: Rows, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The total of every row (h,), of all columns, as those that are in tell it."""
    seen = right(shares[None, :], y.omega)[0] if isinstance(y, Weighted) else float(shares.sum())
    totals = row_powers(y, 1) / np.maximum(seen, np.finfo("f8").tiny)
    return np.asarray(np.maximum(totals, max(LEAST_TOTAL * float(totals.mean()), np.finfo("f8").tiny)))


def _score(y: Rows, L: Array, S: Array, expected: _Expected, beta: float) -> NDArray[np.float64]:
    if beta == 2:
        return _squares(y, L, S)
    if beta == 1:
        return _chi_squares(y, L, S, expected)
    L, S = np.vstack([(1 - SMOOTH) * L, SMOOTH * expected.totals]), np.vstack([S, expected.shares])
    return 2 * row_divergences(y, form_model(y, L, S, beta), L, S, beta)


def _squares(y: Rows, L: Array, S: Array) -> NDArray[np.float64]:
    if isinstance(y, Weighted):
        return _observed_squares(y, L, S, np.ones(S.shape[1]))
    if is_sparse(y):
        S8 = S.astype("f8")
        return row_powers(y, 2) + _of_model(y, L, S8, S8)
    residual = y - L.T @ S
    return row_powers(residual, 2)


def _chi_squares(y: Rows, L: Array, S: Array, expected: _Expected) -> NDArray[np.float64]:
    """Σ (y − m)² / e. Where a column's share is 0 so is all of it."""
    inverse = np.divide(1, expected.shares, out=np.zeros_like(expected.shares), where=expected.shares > 0)
    if isinstance(y, Weighted):
        return _observed_squares(y, L, S, inverse) / expected.totals
    S8 = S.astype("f8")
    squares = _weighted_squares(y, inverse) + _of_model(y, L, S8, S8 * inverse)
    return squares / expected.totals


def _observed_squares(y: Weighted, L: Array, S: Array, of_columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ_j ω_j (y_j − m_j)² c_j of every row, over what is there."""
    if y.sparse:
        model = model_at(y.values, L, np.ascontiguousarray(S.T))
        return _weighted_squares(with_data(y.values, (y.values.data - model) * np.sqrt(y.weights)), of_columns)
    return np.asarray(((y.values - L.T @ S).astype("f8") ** 2 * y.weights) @ of_columns)


def _of_model(y: Rows, L: Array, S: NDArray[np.float64], weighted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ_j (m_j² − 2 y_j m_j) c_j of every row, with weighted = c S."""
    L8 = L.astype("f8")
    cross = np.einsum("kh,kh->h", L8, right(weighted, y))
    return np.asarray(np.einsum("kh,kh->h", L8, (S @ weighted.T) @ L8) - 2 * cross)


def _weighted_squares(y: Rows, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ_j y_j² c_j of every row."""
    if is_sparse(y):
        return np.asarray(with_data(y, y.data.astype("f8") ** 2) @ weights)
    return np.asarray((y.astype("f8") ** 2) @ weights)
