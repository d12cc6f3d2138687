"""Rows with missing entries made complete by what a model says: so that what knows no masks has a matrix to begin with.

Pure NumPy and SciPy.
"""

import numpy as np

from dnmf.arrays.products import left, right
from dnmf.arrays.rows import Array, Rows, is_sparse
from dnmf.arrays.weighted import Weighted

# Of the model of one component: it is a start, and no more.
ALTERNATIONS = 10

# Filled are rows of which at least this share is there: of less, a model of one component hides all others.
LEAST_SHARE = 0.5


def observed_share(y: Weighted) -> float:
    """The share of entries that are there; 1 where there are no rows."""
    return y.observed / max(1, y.shape[0] * y.shape[1]) if y.shape[0] else 1.0


def fill(y: Weighted, model: Array) -> Array:
    """Rows (h, N), dense, with a model's entries where theirs are missing."""
    values, there = (_dense(a) for a in (y.values, y.omega))
    return np.asarray(np.where(there > 0, values, model), y.dtype)


def fill_by_means(y: Weighted) -> Array:
    """Rows (h, N), dense, filled by the best model of one component, aᵢ bⱼ.

    >>> fill_by_means(Weighted(np.array([[1.0, 2.0], [2.0, 0.0]]), np.array([[True, True], [True, False]]))).round(1)
    array([[1., 2.],
           [2., 4.]])
    """
    counted, omega = y.counted, y.omega
    a, b = np.ones((1, y.shape[0]), y.dtype), np.ones((1, y.shape[1]), y.dtype)
    for _ in range(ALTERNATIONS):
        b = _quotient(left(a, counted), left(a * a, omega))
        a = _quotient(right(b, counted), right(b * b, omega))
    return fill(y, a.T @ b)


def _quotient(above: Array, below: Array) -> Array:
    return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=below > 0))


def _dense(a: Rows) -> Array:
    return np.asarray(a.toarray() if is_sparse(a) else a)
