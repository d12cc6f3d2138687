"""The matrices of `masked.py`: what is there, what is not, and the truth where it is known."""

import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from scipy import sparse

sys.path.insert(0, str(Path(__file__).parent.parent / "data"))
import counts
import pines
import ratings

Matrix = NDArray[np.float64]

# Of the penalty ALS-WR, per rating (Zhou et al. 2008, doi:10.1007/978-3-540-68880-8_32).
PENALTY = 0.12


@dataclass(frozen=True, slots=True)
class Problem:
    """X (m, n) with missing entries.

    Attributes
    ----------
    X : 0 where an entry is missing; sparse where what is not stored is missing.
    M : 1 where one is observed, as dense or sparse as X.
    rank : k.
    truth : X without noise (m, n), or None.
    test : entries that were withheld, CSR (m, n), or None.
    alpha : what every observed entry adds to the penalty of its row of W and its column of V.
    """

    X: Any
    M: Any
    rank: int
    truth: Matrix | None = None
    test: Any = None
    alpha: float = 0.0

    def first(self, rows: int) -> "Problem":
        """Of so many rows, without truth and test."""
        return Problem(self.X[:rows], self.M[:rows], self.rank, alpha=self.alpha)

    def loss(self, W: Matrix, V: Matrix) -> float:
        """Σ over what is observed of (x − w v)²; without the penalty."""
        if not sparse.issparse(self.X):
            return float(((self.X - self.M * (W @ V)) ** 2).sum())
        return float(((self.X.data - at(self.X, W, V)) ** 2).sum())

    def unseen(self, W: Matrix, V: Matrix) -> float:
        """‖W V − truth‖ ÷ ‖truth‖ where entries are missing."""
        missing = self.M.toarray() == 0 if sparse.issparse(self.M) else self.M == 0
        return float(np.linalg.norm((W @ V - self.truth)[missing]) / np.linalg.norm(self.truth[missing]))

    def rmse(self, W: Matrix, V: Matrix, clip: bool = False) -> float:
        """Root of the mean square error of what was withheld, if asked with predictions cut off at 1 and 5."""
        said = at(self.test, W, V)
        return float(np.sqrt(np.mean(((np.clip(said, 1, 5) if clip else said) - self.test.data) ** 2)))


def at(S: Any, W: Matrix, V: Matrix) -> Matrix:
    """Entries of W V where S (CSR) has some, in its order."""
    rows = np.repeat(np.arange(S.shape[0]), np.diff(S.indptr))
    return np.einsum("ek,ek->e", W[rows], V.T[S.indices])


def low_rank(m: int, n: int, k: int, seed: int) -> tuple[Matrix, Matrix]:
    """Gamma factors without and with noise of a tenth of the signal's deviation, cut off at 0."""
    rng = np.random.default_rng([seed, m, n])
    truth = rng.gamma(0.7, size=(m, k)) @ rng.gamma(0.7, size=(k, n))
    return truth, np.maximum(truth + 0.1 * truth.std() * rng.standard_normal((m, n)), 0)


# Rows, columns, rank; dnmf's sample is of 8000 rows.
TALL, WIDE = (30_000, 300, 10), (16_000, 3000, 5)


def uniform(seed: int, *, missing: float, stored: bool = False, shape: tuple[int, int, int] = TALL) -> Problem:
    """Every entry is missing with the same probability; if `stored`, X holds what is there alone."""
    truth, noisy = low_rank(*shape, seed)
    M = (np.random.default_rng([seed, 1]).random(truth.shape) >= missing).astype("f8")
    if stored:
        pattern = sparse.csr_matrix(M)
        X = sparse.csr_matrix((noisy[M > 0], pattern.indices, pattern.indptr), truth.shape)
        return Problem(X, pattern, shape[2], truth)
    return Problem(noisy * M, M, shape[2], truth)


def stripes(seed: int, *, missing: float) -> Problem:
    """A run of columns is missing in each row, one of ten."""
    (truth, noisy), rng = low_rank(*TALL, seed), np.random.default_rng([seed, 1])
    patterns = np.ones((10, truth.shape[1]))
    for pattern, first in zip(patterns, rng.integers(0, truth.shape[1], 10), strict=True):
        pattern[(first + np.arange(round(missing * len(pattern)))) % len(pattern)] = 0
    M = patterns[rng.integers(0, 10, len(truth))]
    return Problem(noisy * M, M, TALL[2], truth)


def films(seed: int) -> Problem:
    """MovieLens 100k, four fifths to learn from: fetched when asked for."""
    with TemporaryDirectory() as folder:
        ratings.write(Path(folder, "X.zarr"), seed=seed)
        train, test = (
            sparse.csr_matrix(counts.read_sparse(Path(folder, "X.zarr", part)).astype("f8"))
            for part in ("train", "test")
        )
    pattern = sparse.csr_matrix((np.ones(train.nnz), train.indices, train.indptr), train.shape)
    return Problem(train, pattern, 20, test=test, alpha=PENALTY)


def image(seed: int) -> Problem:
    """Indian Pines with scan lines, a square and single entries withheld: fetched when asked for."""
    with TemporaryDirectory() as folder:
        pines.write(Path(folder, "X.zarr"))
        X = np.asarray(zarr.open_array(Path(folder, "X.zarr"), mode="r")[:], "f8")
    M = 1.0 - pines.withheld((145, 145), seed=seed)
    return Problem(X * M, M, 10, X)


PROBLEMS = {
    "5 %": lambda seed: uniform(seed, missing=0.05),
    "30 %": lambda seed: uniform(seed, missing=0.3),
    "30 %, stripes": lambda seed: stripes(seed, missing=0.3),
    "90 %": lambda seed: uniform(seed, missing=0.9),
    "99 %, sparse": lambda seed: uniform(seed, missing=0.99, stored=True, shape=WIDE),
    "image": image,
    "ratings": films,
}
