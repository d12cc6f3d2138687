"""Masked alternation in memory, run to its end: what `masked.py` measures all others by. NumPy, float64.

Rows of W are solved for, each with the Gram matrix of what is observed in its row, then columns of V, until nothing
falls any more: no sums are passed on, nothing is sampled, nothing is extrapolated. Nothing of dnmf is used.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from masked_data import Matrix, Problem
from scipy import sparse

SWEEPS = 10

# Rows on which starts are tried; all of X has its say after that.
TRIED = 6000

# W (m, k), V (n, k) and their loss.
Fit = tuple[Matrix, Matrix, float]


def grams(M: Any, V: Matrix) -> Matrix:
    """Σ_j M_ij v_j v_jᵀ of every row i: (m, k, k) of M (m, n) and V (k, n)."""
    k, (a, b) = len(V), np.triu_indices(len(V))
    sums = M @ np.ascontiguousarray((V[a] * V[b]).T)
    G = np.empty((len(sums), k, k))
    G[:, a, b] = G[:, b, a] = sums
    return G


def descend(W: Matrix, N: Matrix, G: Matrix, *, sweeps: int = SWEEPS, tol: float = 0.0) -> Matrix:
    """Non-negative least squares by coordinate descent: ½ w G_i wᵀ − n_i wᵀ for every row, from W (m, k).

    Ends after so many sweeps, or when none of a sweep's steps is larger than `tol` times the largest entry.
    A component of which nothing is observed in a row is 0 there.
    """
    W = W.copy()
    gradient = np.einsum("ia,iab->ib", W, G) - N
    for _ in range(sweeps):
        largest = 0.0
        for a in range(W.shape[1]):
            with np.errstate(divide="ignore", invalid="ignore"):
                step = np.where(G[:, a, a] > 0, np.maximum(-gradient[:, a] / G[:, a, a], -W[:, a]), -W[:, a])
            W[:, a] += step
            gradient += step[:, None] * G[:, a]
            largest = max(largest, np.abs(step).max())
        if largest <= tol * W.max():
            break
    return W


def transposed(A: Any) -> Any:
    """The transpose, stored row by row."""
    return A.T.tocsr() if sparse.issparse(A) else np.ascontiguousarray(A.T)


def counted(M: Any) -> Matrix:
    """How many entries are observed in each row."""
    return np.asarray(M.sum(axis=1)).ravel()


class Alternation:
    """One problem, and its transpose: steps of W and of V."""

    def __init__(self, problem: Problem) -> None:
        self.alpha = problem.alpha
        X, M = problem.X, problem.M
        self.sides = [(A, B, counted(B)) for A, B in ((X, M), (transposed(X), transposed(M)))]
        self.square = float((problem.X.data**2).sum() if sparse.issparse(problem.X) else (problem.X**2).sum())

    def half(self, side: int, F: Matrix, E: Matrix, ridge: float) -> tuple[Matrix, float]:
        """Factor F (rows, k) of a side against E (columns, k), and the loss with the penalty of both."""
        X, M, observed = self.sides[side]
        N, G = X @ E, grams(M, E.T)
        diagonal = ridge * np.einsum("iaa->", G) / (len(G) * len(E.T))
        G += (self.alpha * observed + diagonal)[:, None, None] * np.eye(len(E.T))
        F = descend(F, N, G)
        loss = self.square - 2 * np.vdot(F, N) + np.einsum("ia,iab,ib->", F, G, F, optimize=True)
        others = self.sides[1 - side][2]
        return F, float(loss + self.alpha * (others @ (E**2).sum(axis=1)) - diagonal * (F**2).sum())

    def steps(self, V: Matrix, ridges: Any) -> Iterator[Fit]:
        """W (m, k), V (n, k) and their loss after each alternation, one for every ridge."""
        W = np.zeros((len(self.sides[0][2]), V.shape[1]))
        for ridge in ridges:
            W, _ = self.half(0, W, V, ridge)
            V, loss = self.half(1, V, W, ridge)
            yield W, V, loss


def starts(problem: Problem, seed: int) -> Iterator[Matrix]:
    """V (n, k) of three random starts, under a ridge that shrinks, and of X with its columns' means filled in."""
    alternation, n, k = Alternation(problem), problem.X.shape[1], problem.rank
    scale = np.sqrt(problem.X.sum() / problem.M.sum() / k)
    for start in range(3):
        first = 2 * scale * np.random.default_rng([seed, start, 9]).random((n, k))
        *_, (_, V, _) = alternation.steps(first, np.geomspace(1, 1e-3, 25))
        yield V
    if not sparse.issparse(problem.X):
        filled = Problem(with_means(problem), np.ones(problem.X.shape), k)
        *_, (_, V, _) = Alternation(filled).steps(first, np.full(30, 1e-9))
        yield V


def with_means(problem: Problem) -> Matrix:
    """X (m, n) dense, where what is missing is the mean of what is observed in its column, or in X."""
    X, M = (A.toarray() if sparse.issparse(A) else A for A in (problem.X, problem.M))
    seen = M.sum(axis=0)
    means = np.where(seen > 0, X.sum(axis=0) / np.maximum(seen, 1), X.sum() / M.sum())
    return np.where(M > 0, X, means)


def followed(problem: Problem, V: Matrix, iterations: int, tol: float) -> Fit:
    """W (m, k), V (n, k) and loss at the end: after so many iterations, or when one takes less than tol of it."""
    before, found = np.inf, (V, V, np.inf)
    for found in Alternation(problem).steps(V, np.full(iterations, 1e-9)):
        if before - found[2] <= tol * found[2]:
            break
        before = found[2]
    return found


def best(problem: Problem, seed: int, others: tuple[Matrix, ...] = ()) -> tuple[Matrix, Matrix]:
    """W (m, k) and V (k, n) at the end, from the best V (n, k) of the starts, tried on some rows, and of others."""
    some = problem.first(TRIED)
    tried = [followed(some, V, 20, 1e-6) for V in starts(some, seed)]
    candidates = [followed(problem, V, 20, 1e-6) for V in (least(tried), *others)]
    W, V, _ = followed(problem, least(candidates), 1500, 2e-7)
    return W, V.T


def least(fits: list[Fit]) -> Matrix:
    """V of the fit with the least loss."""
    return min(fits, key=lambda fit: fit[2])[1]
