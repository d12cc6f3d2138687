"""Rules for columns with Gram matrices of their own: each column as the usual rule moves it alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dnmf.rules import RULES, Penalty
from dnmf.rules.from_scratch import scale_rows
from dnmf.rules.gram_per_row import ColumnPenalty, GramRule, scale, times
from dnmf.rules.solver import Solver

K, R = 4, 30


def problem(seed=0, *, observed=20):
    """F, N and G (k, k, r) of columns each of which sees other entries of B, and some see nothing."""
    rng = np.random.default_rng(seed)
    B, omega = rng.random((K, 25)), rng.random((R, 25)) < observed / 25
    omega[:2] = False
    Y = np.where(omega, rng.random((R, 25)), 0)
    return rng.random((K, R)), B @ Y.T, np.ascontiguousarray(np.einsum("rj,aj,bj->abr", omega.astype("f8"), B, B))


each_rule = pytest.mark.parametrize("name", list(RULES))


@each_rule
@pytest.mark.parametrize("penalty", [Penalty(), Penalty(0.3, 0.0), Penalty(0.1, 0.7)])
def test_a_column_moves_as_it_would_alone(name, penalty):
    F, N, G = problem()
    totals = np.random.default_rng(1).random(R) + 0.5
    for by in (None, totals):
        moved = GramRule(Solver(name)).move(F, N, G, 3, ColumnPenalty.scaled(penalty, by))
        for r in range(2, R):
            often = 1.0 if by is None else float(by[r])
            own = Penalty(penalty.l1 * often, penalty.l2 * often)
            alone = RULES[name](F[:, [r]], N[:, [r]], np.ascontiguousarray(G[:, :, r]), 3, penalty=own)
            assert_allclose(moved[:, [r]], alone, rtol=1e-9, atol=1e-12)


@each_rule
def test_one_gram_matrix_for_all_is_the_same_as_copies_of_it(name):
    F, N, G = problem()
    one = np.ascontiguousarray(G[:, :, 5])
    copies = np.ascontiguousarray(np.broadcast_to(one[:, :, None], G.shape))
    rule, penalty = GramRule(Solver(name)), ColumnPenalty(0.1, np.linspace(0, 1, R))
    assert_allclose(rule.move(F, N, one, 2, penalty), rule.move(F, N, copies, 2, penalty), rtol=1e-10)
    assert_allclose(rule.solve(N, one, 2, penalty), rule.solve(N, copies, 2, penalty), rtol=1e-6, atol=1e-9)
    assert_allclose(scale(F, np.abs(N), one), scale_rows(F, np.abs(N), one), rtol=1e-12)


@each_rule
def test_a_column_without_observations_is_zero(name):
    F, N, G = problem()
    rule = GramRule(Solver(name))
    for penalty in (ColumnPenalty(), ColumnPenalty(0.1, 0.1)):
        assert not rule.move(F, N, G, 1, penalty)[:, :2].any()
        assert not rule.solve(N, G, 1, penalty)[:, :2].any()


def test_the_order_of_components_is_that_asked_for():
    F, N, G = problem()
    order = (2, 0, 3, 1)
    moved = GramRule(Solver("cd", order)).move(F, N, G, 1, ColumnPenalty())
    back = np.argsort(order)
    turned = GramRule(Solver("cd")).move(F[list(order)], N[list(order)], G[np.ix_(order, order)], 1, ColumnPenalty())
    assert_allclose(moved, turned[back], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_from_scratch_is_the_least_squares_solution_where_that_is_positive(dtype):
    rng = np.random.default_rng(3)
    F, _, G = problem(observed=24)
    G, F = G[:, :, 2:].astype(dtype), (rng.random((K, R - 2)) + 0.1).astype(dtype)
    found = GramRule(Solver("cd")).solve(times(G, F), np.ascontiguousarray(G), 0, ColumnPenalty())
    assert_allclose(found, F, rtol=1e-2 if dtype == "f4" else 1e-3)


def test_fewer_observations_than_components_have_an_answer():
    F, N, G = problem(observed=2)
    found = GramRule(Solver("cd")).solve(N, G, 50, ColumnPenalty())
    assert np.isfinite(found).all()
    assert found.max() < 100
    # What is seen is fitted: the loss falls by all that it can where one entry is seen.
    loss = np.einsum("kr,kr->r", found, times(G, found)) - 2 * np.einsum("kr,kr->r", found, N)
    before = np.einsum("kr,kr->r", F, times(G, F)) - 2 * np.einsum("kr,kr->r", F, N)
    assert (loss <= before + 1e-12).all()
