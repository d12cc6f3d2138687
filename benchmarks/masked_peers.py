"""What others do about missing entries, each as published: the contestants of `masked.py` beside dnmf.

- scikit-learn's NMF, with its defaults, has no masks: zeros or the means of columns are filled in.
- RcppML (DeBruine et al., doi:10.1101/2021.09.01.458620; `nmf(mask = )` of its documentation), written anew in NumPy:
  random factors, alternating least squares, where the Gram matrix of all is corrected for each column by what is
  missing in it and coordinate descent takes up to 100 sweeps; rows of factors are scaled to sum to 1; at most 100
  iterations, until 1 − the correlation of W with the previous one is less than 1e-4.
- T-ELF (LANL), from a checkout, as it is on no registry and its package wants one exact Python: `wnmf`, `nmf_fro_mu`
  with a mask, and `nmf_recommender` for ratings, from its default start (NNDSVD of X with zeros filled in), for the
  100 iterations that are its default.

Each yields its factors W (m, k) and V (k, n) after every iteration, or once, with how often it has read X so far.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from masked_data import Matrix, Problem
from masked_reference import descend, grams, transposed, with_means
from scipy import sparse
from sklearn.decomposition import NMF

Trace = Iterator[tuple[int, Matrix, Matrix]]

ITERATIONS, TOLERANCE, SWEEPS = 100, 1e-4, 100


def dense(A: Any) -> Matrix:
    """A as an array, its own."""
    return A.toarray() if sparse.issparse(A) else A.copy()


def zeros(problem: Problem, seed: int) -> Trace:
    """scikit-learn's NMF of X as if what is missing were 0."""
    model = NMF(problem.rank, random_state=seed)
    W = model.fit_transform(problem.X)
    yield 2 * model.n_iter_, W, model.components_


def means(problem: Problem, seed: int) -> Trace:
    """scikit-learn's NMF of X with the means of its columns where entries are missing."""
    model = NMF(problem.rank, random_state=seed)
    W = model.fit_transform(with_means(problem))
    yield 2 * model.n_iter_, W, model.components_


def corrected(M: Any, V: Matrix) -> Matrix:
    """Gram matrices (m, k, k) of V (k, n) for the rows of M: that of all less what is missing, if less than half is."""
    if sparse.issparse(M) or M.mean() < 0.5:
        return grams(M, V)
    return V @ V.T - grams(1 - M, V)


def rcppml(problem: Problem, seed: int, ridge: tuple[float, float] = (0.0, 0.0)) -> Trace:
    """Alternating least squares with corrected Gram matrices; `ridge` is its L2, of W and of V."""
    k, eye = problem.rank, np.eye(problem.rank)
    X, M, XT, MT = problem.X, problem.M, transposed(problem.X), transposed(problem.M)
    W, V = np.random.default_rng(seed).random((X.shape[0], k)), np.zeros((X.shape[1], k))
    for iteration in range(1, ITERATIONS + 1):
        before = W
        V = descend(V, XT @ W, corrected(MT, W.T) + ridge[1] * eye, sweeps=SWEEPS, tol=1e-8)
        V /= np.maximum(V.sum(axis=0), 1e-15)
        W = descend(W, X @ V, corrected(M, V.T) + ridge[0] * eye, sweeps=SWEEPS, tol=1e-8)
        yield 2 * iteration, W, V.T
        W = W / np.maximum(W.sum(axis=0), 1e-15)
        if 1 - np.corrcoef(W.ravel(), before.ravel())[0, 1] < TOLERANCE:
            break


def rcppml_ridge(problem: Problem, seed: int) -> Trace:
    """The same with a ridge, one number for all rows: that of ALS-WR for as many ratings as rows have on average.

    The factor that is held sums to 1, so the ridge is scaled as if its entries were √(mean of X ÷ k).
    """
    observed = problem.M.sum()
    size = problem.X.sum() / observed / problem.rank
    m, n = problem.X.shape
    per_row, per_column = problem.alpha * observed / m, problem.alpha * observed / n
    return rcppml(problem, seed, (per_row / (size * n**2), per_column / (size * m**2)))


class Telf:
    """The solvers in a checkout of T-ELF: `folder` is its TELF/factorization. They need the PyPI package pathos."""

    def __init__(self, folder: str) -> None:
        sys.path.insert(0, folder)
        self.solvers = {
            name: importlib.import_module(f"decompositions.{name}")
            for name in ("wnmf", "nmf_fro_mu", "nmf_recommender")
        }
        self.nnsvd = importlib.import_module("decompositions.utilities.nnsvd").nnsvd

    def weighted(self, problem: Problem, seed: int) -> Trace:
        """`wnmf`: coordinate descent, a component at a time, on dense X and a dense mask."""
        mask = dense(problem.M)
        return self._iterations("wnmf", problem, 2 * problem.rank, MASK=mask)

    def imputed(self, problem: Problem, seed: int) -> Trace:
        """`nmf_fro_mu` with a mask: multiplicative updates, after each of which W V is written where X is missing."""
        mask = dense(problem.M) == 0
        return self._iterations("nmf_fro_mu", problem, 2, mask=mask)

    def _iterations(self, name: str, problem: Problem, reads: int, **options: Any) -> Trace:
        X = dense(problem.X)
        W, V = self.nnsvd(X, problem.rank, use_gpu=False)
        for iteration in range(1, ITERATIONS + 1):
            W, V, _ = self.solvers[name].nmf(X, W, V, niter=1, use_gpu=False, nmf_verbose=False, **options)
            yield reads * iteration, W, V

    def recommended(self, problem: Problem, seed: int, rate: float = 0.005) -> Trace:
        """`nmf_recommender`, whose biases of rows and columns are two more components of the model.

        Its steps of biases add up all ratings of a row or column: with its default rate they diverge on MovieLens.
        """
        W, V = self.nnsvd(problem.X, problem.rank, use_gpu=False)
        rates = {"lr_bu": rate, "lr_bi": rate}
        W, V, biases = self.solvers["nmf_recommender"].nmf(problem.X, W, V, niter=ITERATIONS, use_gpu=False, **rates)
        rows = np.column_stack([W, biases["bu"] + biases["global_mean"], np.ones(len(W))])
        yield 2 * ITERATIONS, rows, np.vstack([V, np.ones(V.shape[1]), biases["bi"]])


def peers(telf: str | None, *, rated: bool) -> dict[str, Callable[[Problem, int], Trace]]:
    """The contestants by name, those of T-ELF where it is at hand."""
    found = {"scikit-learn, zeros": zeros, "scikit-learn, means": means, "RcppML's way": rcppml}
    if rated:
        found["RcppML's way, ridge"] = rcppml_ridge
    if telf:
        solvers = Telf(telf)
        masked = {"wnmf": solvers.weighted, "mask": solvers.imputed}
        slower = partial(solvers.recommended, rate=0.0005)
        ways = {"recommender": solvers.recommended, "recommender, rate ÷ 10": slower} if rated else masked
        found |= {f"T-ELF, {name}": way for name, way in ways.items()}
    return found
