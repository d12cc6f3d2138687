"""Shares and sparseness of components against losses and norms that are formed entry by entry."""

import naive
import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from strategies import problems

import dnmf
from dnmf.components.shares import explained_alone, in_order, lost_without, share_of_mass, sparseness
from dnmf.components.sums import ComponentSums


def sums_of(Y, L, S):
    """What a pass would add up, in float64."""
    Y, L, S = (np.asarray(A, "f8") for A in (Y, L, S))
    return ComponentSums(L.sum(axis=1), (L**2).sum(axis=1), float((Y**2).sum()), L @ L.T, L @ (Y - L.T @ S))


@given(problems())
def test_shares_are_those_of_losses_without_a_component_or_with_it_alone(problem):
    Y, W, S = (A.astype("f8") for A in problem)
    if not Y.any():
        return
    sums = sums_of(Y, W.T, S)
    lost, mass, alone = naive.shares(Y, W, S)
    # The factors of a problem need not fit: a component may be as large as it likes beside Y.
    large = {"rtol": 1e-9, "atol": 1e-12 * (1 + np.abs(lost).max())}
    assert_allclose(lost_without(sums, S), lost, **large)
    assert_allclose(explained_alone(sums, S), alone, rtol=1e-9, atol=1e-12)
    assert_allclose(share_of_mass(sums.mass, S.sum(axis=1), float(Y.sum())), mass, rtol=1e-9)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kind", ["mask", "weights", "zeros"])
def test_where_entries_are_missing_a_share_is_that_of_what_is_there(kind, axis):
    rng = np.random.default_rng(1)
    truth = rng.random((90, 3)) @ rng.random((3, 40)) + 0.1 * rng.random((90, 40))
    X, omega = (truth, rng.random(truth.shape) * (rng.random(truth.shape) < 0.6))
    omega = omega if kind == "weights" else (omega > 0).astype(float)
    given = {
        "mask": {"X": np.where(omega > 0, X, np.nan), "missing": "nan"},
        "weights": {"X": X, "weights": omega},
        "zeros": {"X": sparse.csr_array(X * omega), "missing": "zeros"},
    }[kind]
    X_given = given.pop("X")
    run = dnmf.factorize(
        X_given if axis == 0 else X_given.T,
        3,
        **{k: v if axis == 0 or k == "missing" else v.T for k, v in given.items()},
    )
    X, omega = (X, omega) if axis == 0 else (X.T, omega.T)
    W, V = np.asarray(run.W, "f8"), run.V.astype("f8")
    table = dict(zip((run.components_table()["component"]), run.components_table()["share"], strict=True))
    loss = float((omega * (X - W @ V) ** 2).sum())
    for a in range(3):
        without = X - W @ V + np.outer(W[:, a], V[a])
        lost = (float((omega * without**2).sum()) - loss) / float((omega * X**2).sum())
        assert table[a + 1] == pytest.approx(lost, rel=1e-6)


def test_shares_of_nothing_are_nothing():
    zeros = sums_of(np.zeros((4, 3)), np.zeros((2, 4)), np.zeros((2, 3)))
    for share in (lost_without, explained_alone):
        assert_array_equal(share(zeros, np.zeros((2, 3))), [0, 0])
    assert_array_equal(share_of_mass(zeros.mass, np.zeros(2), 0.0), [0, 0])
    assert_array_equal(share_of_mass(np.array([1.0, 3.0]), np.ones(2)), [0.25, 0.75])


def test_without_products_with_x_there_are_no_shares_of_its_square():
    sums = ComponentSums(np.ones(2), np.ones(2), 5.0)
    assert sums.cross(np.ones((2, 3))) is None
    assert np.isnan([lost_without(sums, np.ones((2, 3))), explained_alone(sums, np.ones((2, 3)))]).all()


@given(problems())
def test_sparseness_is_hoyers(problem):
    _, W, _ = problem
    F = W.T.astype("f8")
    found = sparseness(F.sum(axis=1), (F**2).sum(axis=1), F.shape[1])
    for value, row in zip(found, F, strict=True):
        if len(row) < 2 or not row.any():
            assert np.isnan(value)
        else:
            assert value == pytest.approx(naive.hoyer(row), abs=1e-6)
            assert 0 <= value <= 1


def test_order_is_by_share_and_what_is_not_known_comes_last():
    assert in_order(np.array([0.1, np.nan, 0.7, 0.1, -0.2])).tolist() == [2, 0, 3, 4, 1]
