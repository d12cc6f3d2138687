"""Problems with missing entries and weights of every kind; the loop in memory; and sums entry by entry."""

import numpy as np
from hypothesis import strategies as st
from scipy import sparse

from dnmf.arrays.sample import draw, stand_in
from dnmf.arrays.weighted import Weighted
from dnmf.losses.extrapolation import Fit
from dnmf.losses.protocol import Known
from dnmf.losses.weighted_least_squares.loss import WeightedLeastSquares
from dnmf.rules import NO_PENALTY, Penalty
from dnmf.rules.solver import Solver

KINDS = (
    "random",
    "few missing",
    "sparse",
    "one a row",
    "nothing in some",
    "stripes",
    "weights",
    "tiny weights",
    "weights by row",
)


def weights(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Ω (h, N) of a kind: bool for masks."""
    h, n = shape
    if kind == "one a row":
        omega = np.zeros(shape, bool)
        omega[np.arange(h), rng.integers(0, n, h)] = True
        return omega
    if kind == "stripes":
        patterns = rng.random((2, n)) < 0.6
        return patterns[rng.integers(0, 2, h)]
    omega = rng.random(shape) < {"sparse": 0.15, "few missing": 0.96}.get(kind, 0.7)
    if kind == "nothing in some":
        omega[:: max(2, h // 3)] = False
        omega[:, :: max(2, n // 3)] = False
    if kind == "weights":
        return omega * rng.uniform(0.2, 5, shape)
    if kind == "tiny weights":
        return omega * np.where(rng.random(shape) < 0.5, 1e-6, 1.0)
    if kind == "weights by row":
        return omega * rng.lognormal(0, 2, (h, 1))
    return omega


def rows(values: np.ndarray, omega: np.ndarray, *, layout: str = "dense", dtype: str = "f8") -> Weighted:
    """Values with their weights, dense or sparse."""
    values = np.where(omega > 0, values, 0).astype(dtype)
    omega = omega if omega.dtype == np.bool_ else omega.astype(dtype)
    if layout == "dense":
        return Weighted(values, omega)
    if layout == "turned":
        return Weighted(np.asfortranarray(values), np.asfortranarray(omega))
    at = np.nonzero(omega)
    indptr = np.concatenate([[0], np.cumsum((omega > 0).sum(axis=1))])
    return Weighted(sparse.csr_matrix((values[at], at[1], indptr), shape=values.shape), omega[at])


def full(y: Weighted) -> tuple[np.ndarray, np.ndarray]:
    """Values and weights (h, N) in float64."""
    if y.sparse:
        return y.values.toarray().astype("f8"), y.omega.toarray().astype("f8")
    return y.values.astype("f8"), y.weights.astype("f8")


def loss_for(
    solver: str = "cd", long: Penalty = NO_PENALTY, short: Penalty = NO_PENALTY, *, per_observed: bool = False
) -> WeightedLeastSquares:
    return WeightedLeastSquares(Solver(solver), long, short, 3, per_observed)


def objective(y: Weighted, loss: WeightedLeastSquares, L: np.ndarray, S: np.ndarray) -> float:
    """Σ ω (y − m)² and the penalties, from full arrays in float64."""
    values, omega = full(y)
    L, S = L.astype("f8"), S.astype("f8")
    total = float((omega * (values - L.T @ S) ** 2).sum())
    by_row, by_column = (omega.sum(axis=axis) if loss.per_observed else 1.0 for axis in (1, 0))
    for F, penalty, by in ((L, loss.long, by_row), (S, loss.short, by_column)):
        total += float((by * (2 * penalty.l1 * F + penalty.l2 * F**2)).sum())
    return total


def sampled(y: Weighted, loss: WeightedLeastSquares, rank: int, *, size: int, seed: int = 0):
    """The surrogate of a sample of some rows."""
    return loss.surrogate(stand_in(draw(y, 0, seed=seed, size=size), size, rank=rank, seed=seed))


def a_pass(y, loss, S, *, L=None, decided=None, known=None, sweeps=3):
    """One pass over rows in memory: L, and what its sums say."""
    shared = loss.prepare(S, Known(known, np.nan, exact=True, decided=decided))
    L = loss.solve(y, shared, sweeps) if L is None else loss.update(y, shared, L, sweeps)
    return L, loss.evaluate(loss.sums(y, shared, L), shared)


def begun(H: np.ndarray, height: int) -> Fit:
    """A start that nobody has followed."""
    return Fit(np.ones((len(H), height), H.dtype), H, np.inf, np.inf)


@st.composite
def problems(draw, kinds=KINDS):
    """Rows (h, N) of low rank with noise, some of them not there, in one of the layouts and dtypes; and a rank."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    h, n, k = draw(st.integers(1, 40)), draw(st.integers(1, 15)), draw(st.integers(1, 4))
    values = rng.random((h, k)) ** 3 @ rng.random((k, n)) * rng.uniform(0.5, 1.5, (h, n))
    values *= 10.0 ** draw(st.integers(-2, 2))
    omega = weights(draw(st.sampled_from(kinds)), (h, n), rng)
    layout, dtype = draw(st.sampled_from(["dense", "turned", "sparse"])), draw(st.sampled_from(["f4", "f8"]))
    return rows(values, omega, layout=layout, dtype=dtype), k, rng
