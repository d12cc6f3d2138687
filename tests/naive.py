"""Slow textbook oracles in plain loops over float64 numbers: what the fast code must agree with. Nothing of dnmf here.

W is (m, k) and V is (k, n), as in the literature; factors given to an oracle are not changed.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

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


def lee_seung(X, W, V, inner: int = 1, *, l1: float = 0.0, l2: float = 0.0) -> Array:
    """The new W: W_ic ← W_ic (X Vᵀ)_ic / ((W V Vᵀ)_ic + l1 + l2 W_ic), all at the same time; 0/0 counts as 0."""
    W, numerator, gram = np.array(W, "f8"), product(X, np.transpose(V)), product(V, np.transpose(V))
    for _ in range(inner):
        denominator = product(W, gram)
        for i in range(W.shape[0]):
            for c in range(W.shape[1]):
                below = denominator[i, c] + l1 + l2 * W[i, c]
                W[i, c] *= numerator[i, c] / below if below > 0 else 0.0
    return W


def hals(X, W, V, inner: int = 1, *, l1: float = 0.0, l2: float = 0.0, order=None) -> Array:
    """The new W: column after column, its best non-negative value, given all other columns as they are by then."""
    W, numerator, gram = np.array(W, "f8"), product(X, np.transpose(V)), product(V, np.transpose(V))
    for _ in range(inner):
        for c in range(W.shape[1]) if order is None else order:
            if gram[c, c] + l2 == 0:
                continue
            for i in range(W.shape[0]):
                others = math.fsum(W[i, d] * gram[d, c] for d in range(W.shape[1]) if d != c)
                W[i, c] = max(0.0, (numerator[i, c] - others - l1) / (gram[c, c] + l2))
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


def penalty(F, l1: float, l2: float) -> float:
    """2 l1 ΣF + l2 ΣF²: what is added to a loss that is not halved."""
    entries = [float(f) for f in np.asarray(F, "f8").flat]
    return 2 * l1 * math.fsum(entries) + l2 * math.fsum(f * f for f in entries)


def divergence(x: float, m: float, beta: float) -> float:
    """The β-divergence of one number from another one, m > 0."""
    if beta == 1:
        return (x * math.log(x / m) if x > 0 else 0.0) - x + m
    if beta == 0:
        return x / m - math.log(x / m) - 1
    power = x**beta if x > 0 or beta > 0 else math.inf
    return (power + (beta - 1) * m**beta - beta * x * m ** (beta - 1)) / (beta * (beta - 1))


def beta_loss(X, W, V, beta: float, weights=None) -> float:
    """Twice the β-divergence of X from W V, entry by entry, each as often as its weight says; of 0 it is not asked."""
    X, model = np.asarray(X, "f8"), product(W, V)
    counts = np.ones(X.shape) if weights is None else np.asarray(weights, "f8")
    there = zip(*np.nonzero(counts), strict=True)
    return 2 * math.fsum(counts[i, j] * divergence(float(X[i, j]), model[i, j], beta) for i, j in there)


def beta_terms(X, W, V, beta: float, weights=None) -> tuple[Array, Array]:
    """Numerator and denominator of the rule for W: (X ⊙ M^(β−2)) Vᵀ and M^(β−1) Vᵀ with M = W V, times weights."""
    X, M = np.asarray(X, "f8"), product(W, V)
    counts = np.ones(X.shape) if weights is None else np.asarray(weights, "f8")
    M = np.where(counts > 0, M, 1)
    return product(counts * X * M ** (beta - 2), np.transpose(V)), product(counts * M ** (beta - 1), np.transpose(V))


def beta_update(X, W, V, inner: int = 1, *, beta: float, l1: float = 0.0, l2: float = 0.0, weights=None) -> Array:
    """The new W, all entries at the same time: W_ic times a power of numerator / (denominator + l1 + l2 W_ic)."""
    W, power = np.array(W, "f8"), 1 / (2 - beta) if beta < 1 else 1 / (beta - 1) if beta > 2 else 1.0
    for _ in range(inner):
        numerator, denominator = beta_terms(X, W, V, beta, weights)
        for i in range(W.shape[0]):
            for c in range(W.shape[1]):
                below = denominator[i, c] + l1 + l2 * W[i, c]
                W[i, c] *= (numerator[i, c] / below) ** power if below > 0 else 0.0
    return W


def csr(X, zeros=()) -> csr_matrix:
    """A matrix as CSR, entry by entry; of its zeros those are stored whose place, counted row by row, is given."""
    X, data, indices, indptr = np.asarray(X), [], [], [0]
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            if X[i, j] != 0 or i * X.shape[1] + j in zeros:
                data.append(X[i, j])
                indices.append(j)
        indptr.append(len(data))
    return csr_matrix((np.array(data, X.dtype), np.array(indices, "i4"), np.array(indptr, "i4")), shape=X.shape)


def shares(X, W, V) -> tuple[Array, Array, Array]:
    """Of each component: by what share of ‖X‖² the loss grows without it, its share of ΣX, what it explains alone."""
    X, W, V = (np.asarray(A, "f8") for A in (X, W, V))
    size, R = (X**2).sum(), X - W @ V
    lost, mass, alone = np.zeros((3, len(V)))
    for a in range(len(V)):
        M = np.outer(W[:, a], V[a])
        lost[a] = ((R + M) ** 2).sum() - (R**2).sum()
        mass[a] = M.sum()
        # Stretched to fit best, what is left of X is ‖X − c M‖².
        c = (X * M).sum() / (M**2).sum() if M.any() else 0.0
        alone[a] = size - ((X - c * M) ** 2).sum()
    return lost / size, mass / X.sum(), alone / size


def hoyer(v) -> float:
    """How sparse a vector is: 1 for a single entry that is not 0, 0 where all are the same."""
    root = math.sqrt(len(v))
    return (root - math.fsum(abs(x) for x in v) / math.sqrt(math.fsum(x * x for x in v))) / (root - 1)


def marker_scores(X, W) -> Array:
    """Coefficients of ordinary least squares of z-scored columns of X on W; a constant column has 0."""
    X, W = np.asarray(X, "f8"), np.asarray(W, "f8")
    deviations = X.std(axis=0)
    constant = X.max(axis=0) == X.min(axis=0)
    Z = np.where(constant, 0, (X - X.mean(axis=0)) / np.where(constant, 1, deviations))
    return np.linalg.lstsq(W, Z, rcond=None)[0]
