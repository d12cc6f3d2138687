"""Every loss and penalty, on every kind of X: scikit-learn's iterates, one answer, and an objective that falls."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kinds import KINDS
from pairwise import few, in_turn
from scipy import sparse
from sklearn.decomposition import non_negative_factorization

import dnmf
from dnmf.losses.divergence.sums import strip_sums

RANK, SHAPE = 4, (70, 30)
# Solver and β; penalties alpha_W, alpha_H, l1_ratio.
LOSSES = [("cd", 2.0), ("mu", 2.0), ("mu", 1.0), ("mu", 0.0), ("mu", 0.5), ("mu", 1.5)]
PENALTIES = [(0.0, 0.0, 0.0), (2e-2, 0.0, 1.0), (0.0, 2e-2, 1.0), (2e-2, 2e-2, 0.0), (1e-2, 3e-2, 0.4)]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def matrix(shape: tuple[int, int], *, zeros: float = 0.0, dtype: str = "f8") -> np.ndarray:
    """Low rank and noise, positive but for a share of zeros."""
    rng = np.random.default_rng(3)
    X = rng.random((shape[0], RANK)) @ rng.random((RANK, shape[1])) + 0.2 * rng.random(shape) + 0.05
    return np.where(rng.random(shape) < zeros, 0, X).astype(dtype)


def factors(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    return rng.random((shape[0], RANK)) + 0.1, rng.random((RANK, shape[1])) + 0.1


def scikit_learns(X: Any, W: np.ndarray, V: np.ndarray, **parameters: Any) -> tuple[np.ndarray, np.ndarray]:
    found = non_negative_factorization(X, W=W.copy(), H=V.copy(), n_components=RANK, init="custom", tol=0, **parameters)
    return found[0], found[1]


def ours(X: Any, first: tuple[np.ndarray, np.ndarray], **parameters: Any) -> dnmf.Factorization:
    return dnmf.factorize(X, RANK, init=first, inner_iter=1, tol=0, max_iter=20, **parameters)


@pytest.mark.parametrize(("case", "penalty"), in_turn(product(LOSSES, [SHAPE, SHAPE[::-1]]), PENALTIES), ids=str)
def test_iterates_are_scikit_learns(case: Any, penalty: Any) -> None:
    (solver, beta), shape = case
    X, first = matrix(shape), factors(shape)
    asked = dict(zip(("alpha_W", "alpha_H", "l1_ratio"), penalty, strict=True), solver=solver, beta_loss=beta)
    W, V = scikit_learns(X, *first, max_iter=20, **asked)
    result = ours(X, first, **asked)
    assert result.record["state"]["axis"] == (0 if shape == SHAPE else 1)
    np.testing.assert_allclose(np.asarray(result.W), W, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(result.V, V, rtol=1e-9, atol=1e-12)
    sums = strip_sums(X, W.T, V, beta=beta)
    np.testing.assert_allclose(result.loss, sums.loss, rtol=1e-9)
    assert_objective(result, W, V, penalty)


def assert_objective(result: dnmf.Factorization, W: np.ndarray, V: np.ndarray, penalty: tuple[float, ...]) -> None:
    """Twice that of scikit-learn's documentation."""
    (m, n), (alpha_W, alpha_H, ratio) = (len(W), V.shape[1]), penalty
    added = n * alpha_W * (ratio * W.sum() + (1 - ratio) / 2 * (W**2).sum())
    added += m * alpha_H * (ratio * V.sum() + (1 - ratio) / 2 * (V**2).sum())
    np.testing.assert_allclose(result.history["objective"][-1], result.loss + 2 * added, rtol=1e-9)


@pytest.mark.parametrize(("kind", "loss"), few(in_turn([*KINDS, *KINDS], [loss for loss in LOSSES if loss[1] > 0]), 6))
def test_every_kind_of_x_gives_one_answer(tmp_path: Path, kind: str, loss: tuple[str, float]) -> None:
    solver, beta = loss
    X, first = matrix(SHAPE, zeros=0.6), factors(SHAPE)
    asked = {"solver": solver, "beta_loss": beta, "alpha_W": 1e-3, "alpha_H": 2e-3, "l1_ratio": 0.5}
    dense, other = ours(X, first, **asked), ours(KINDS[kind](X, tmp_path), first, **asked)
    np.testing.assert_allclose(np.asarray(other.W), np.asarray(dense.W), rtol=0, atol=1e-10)
    np.testing.assert_allclose(other.V, dense.V, rtol=0, atol=1e-10)
    for name in ("loss", "objective"):
        np.testing.assert_allclose(other.history[name][-1], dense.history[name][-1], rtol=1e-10)


@pytest.mark.long
@pytest.mark.parametrize(("kind", "solver", "beta"), [("csr in zarr", "cd", 2.0), ("csc in zarr", "mu", 1.0)])
def test_sparse_x_on_a_cluster_is_that_on_threads(
    client: Any, tmp_path: Path, kind: str, solver: str, beta: float
) -> None:
    path = KINDS[kind](matrix(SHAPE, zeros=0.6), tmp_path)
    asked: dict[str, Any] = {"solver": solver, "beta_loss": beta, "max_iter": 3, "tol": 0}
    there = dnmf.factorize(path, RANK, out=tmp_path / "there.zarr", **asked)
    with ThreadPoolExecutor(1) as elsewhere:  # where no client is current
        here = elsewhere.submit(dnmf.factorize, path, RANK, **asked).result()
    assert client.status == "running"
    np.testing.assert_allclose(np.asarray(there.W), np.asarray(here.W), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(there.V, here.V, rtol=1e-9, atol=1e-12)


# Itakura–Saito is infinite where X is zero.
STARTED = [(*loss, zeros) for loss in [*LOSSES, ("mu", 3.0)] for zeros in (0.0, 0.7) if loss[1] > 0 or not zeros]


@pytest.mark.parametrize(
    ("case", "penalty"), few(in_turn(STARTED, [PENALTIES[0], PENALTIES[-1], PENALTIES[-1]]), 3), ids=str
)
def test_the_sample_start_ends_no_worse_than_scikit_learn(case: Any, penalty: tuple[float, ...]) -> None:
    solver, beta, zeros = case
    X: Any = matrix((400, 60), zeros=zeros)
    asked = dict(zip(("alpha_W", "alpha_H", "l1_ratio"), penalty, strict=True), solver=solver, beta_loss=beta)
    result = dnmf.factorize(sparse.csr_matrix(X) if zeros else X, RANK, **asked)
    W, V = scikit_learns(X, *factors(X.shape), max_iter=200, **asked)
    (m, n), (alpha_W, alpha_H, ratio) = X.shape, penalty
    objective = strip_sums(X, W.T, V, beta=beta).loss
    objective += 2 * n * alpha_W * (ratio * W.sum() + (1 - ratio) / 2 * (W**2).sum())
    objective += 2 * m * alpha_H * (ratio * V.sum() + (1 - ratio) / 2 * (V**2).sum())
    assert result.history["objective"][-1] < 1.02 * objective
    # A pass may end a little higher where the sample misled, never by much.
    assert (np.diff(result.history["objective"]) < 1e-3 * result.history["objective"][0]).all()


def test_components_may_be_set_in_another_order_in_every_pass() -> None:
    X, first = matrix(SHAPE), factors(SHAPE)
    plain, one, again = (ours(X, first, shuffle=shuffle) for shuffle in (False, True, True))
    other = ours(X, first, shuffle=True, seed=1)
    np.testing.assert_array_equal(one.V, again.V)
    assert np.abs(one.V - plain.V).max() > 1e-6
    assert np.abs(one.V - other.V).max() > 1e-6
    to_the_end = [dnmf.factorize(X, RANK, shuffle=shuffle, tol=1e-6).loss for shuffle in (False, True)]
    np.testing.assert_allclose(to_the_end[1], to_the_end[0], rtol=1e-3)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"beta_loss": 1.0}, "solver is 'cd' and beta_loss is 1: solver 'mu' is required for any other loss"),
        ({"beta_loss": "hinge", "solver": "mu"}, "beta_loss is 'hinge': one of 'frobenius', 'kullback-leibler',"),
        ({"alpha_W": -1.0}, "alpha_W is -1.0: a finite number of at least 0 is required"),
        ({"alpha_H": "other"}, "alpha_H is 'other': a finite number of at least 0 is required"),
        ({"l1_ratio": 1.5}, "l1_ratio is 1.5: a number from 0 to 1 is required"),
    ],
)
def test_a_loss_that_makes_no_sense_is_refused(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        dnmf.factorize(matrix(SHAPE), RANK, **parameters)


def test_zeros_are_refused_where_the_loss_is_infinite() -> None:
    with pytest.raises(ValueError, match="X has an entry of 0, and beta_loss is 0, for which"):
        dnmf.factorize(matrix(SHAPE, zeros=0.1), RANK, solver="mu", beta_loss="itakura-saito")
