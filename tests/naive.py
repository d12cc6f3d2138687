"""Slow textbook oracles in plain loops over float64 numbers: what the fast code must agree with. Nothing of dnmf here.

W is (m, k) and V is (k, n), as in the literature; factors given to an oracle are not changed.
"""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def product(A, B) -> Array:
    """A B, entry by entry, each sum exact to the last digit."""
    A, B = np.asarray(A, "f8"), np.asarray(B, "f8")
    C = np.zeros((A.shape[0], B.shape[1]))
    for i in range(A.shape[0]):
        for j in range(B.shape[1]):
            C[i, j] = math.fsum(A[i, c] * B[c, j] for c in range(A.shape[1]))
    return C


def loss(X, W, V) -> float:
    """‖X − W V‖²: the sum over all entries of the squared difference."""
    X, model = np.asarray(X, "f8"), product(W, V)
    return math.fsum((X[i, j] - model[i, j]) ** 2 for i in range(X.shape[0]) for j in range(X.shape[1]))


def relative_error(X, W, V) -> float:
    """‖X − W V‖ / ‖X‖; 0 where X is 0."""
    size = math.fsum(float(x) ** 2 for x in np.asarray(X, "f8").flat)
    return math.sqrt(loss(X, W, V) / size) if size else 0.0


def lee_seung(X, W, V, inner: int = 1) -> Array:
    """The new W: W_ic ← W_ic (X Vᵀ)_ic / (W V Vᵀ)_ic, all entries at the same time; 0/0 counts as 0."""
    W, numerator, gram = np.array(W, "f8"), product(X, np.transpose(V)), product(V, np.transpose(V))
    for _ in range(inner):
        denominator = product(W, gram)
        for i in range(W.shape[0]):
            for c in range(W.shape[1]):
                W[i, c] *= numerator[i, c] / denominator[i, c] if denominator[i, c] > 0 else 0.0
    return W


def hals(X, W, V, inner: int = 1) -> Array:
    """The new W: column after column, its best non-negative value, given all other columns as they are by then."""
    W, numerator, gram = np.array(W, "f8"), product(X, np.transpose(V)), product(V, np.transpose(V))
    for _ in range(inner):
        for c in range(W.shape[1]):
            if gram[c, c] == 0:
                continue
            for i in range(W.shape[0]):
                others = math.fsum(W[i, d] * gram[d, c] for d in range(W.shape[1]) if d != c)
                W[i, c] = max(0.0, (numerator[i, c] - others) / gram[c, c])
    return W


RULES = {"mu": lee_seung, "cd": hals}


def factorized(X, W, V, *, solver: str = "mu", iterations: int = 1, inner: int = 1) -> tuple[Array, Array]:
    """W and V after some iterations, each of which moves W, then V by the same rule on Xᵀ."""
    rule, X = RULES[solver], np.asarray(X, "f8")
    W, V = np.array(W, "f8"), np.array(V, "f8")
    for _ in range(iterations):
        W = rule(X, W, V, inner)
        V = rule(X.T, V.T, W.T, inner).T
    return W, V
