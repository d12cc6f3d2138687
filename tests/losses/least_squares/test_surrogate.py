"""Between two passes: the sample may be poor, but where the loop comes to rest is where X is at rest."""

from functools import cache

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from strategies import problems
from threadpoolctl import threadpool_limits

from dnmf.arrays.products import gram, gram8
from dnmf.arrays.sketch import Sketch, as_it_is, sketch
from dnmf.losses.least_squares.in_memory import alternate
from dnmf.losses.least_squares.sums import Evaluation, Shared, Sums
from dnmf.losses.least_squares.surrogate import ENOUGH, MOST_SWEEPS, STEP_SWEEPS, SWEEP_PAYS, Surrogate
from dnmf.losses.protocol import STEPS
from dnmf.rules import NO_PENALTY, RULES, Penalty, coordinate_descent
from dnmf.rules.solver import Solver

KINDS = ["six rows", "uneven weights", "another matrix", "a coarse sketch"]
each_rule = pytest.mark.parametrize("name", list(RULES))


@pytest.fixture(autouse=True, scope="module")
def _one_blas_thread():
    """As in a factorization: where other processes use the same cores, more threads wait for each other."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def fixed(a):
    a = np.ascontiguousarray(a)
    a.flags.writeable = False
    return a


NONE = (NO_PENALTY, NO_PENALTY)


def sample(A, rows=None, penalties=NONE):
    return Surrogate(A, A, penalties, rows)


def shared(S, name="cd"):
    return Shared(S, gram(S), None, np.nan, Solver(name))


def sums(X, L):
    """L X and L Lᵀ of a pass over all of X, float64, with L (k, m)."""
    return L.astype("f8") @ X.astype("f8"), gram8(L)


def corrected(model, S, cross, long, name="cd"):
    """The short factor after steps on a sample, with L Y and L Lᵀ of a pass."""
    found = Evaluation(Sums(cross, long, 0.0, 0.0, 0.0), shared(S, name), *NONE, sweeps=1, sparse=False)
    return model.correct(found, STEPS)


def solved(A, S, sweeps=3000):
    """The best rows (k, s) for a short factor on a sketch."""
    N, G = A.right(S), gram(S)
    return coordinate_descent(np.zeros_like(N), N, G, sweeps)


@cache
def found_at_rest():
    """X (60, 15) with noise, and L and S of three components that no alternation moves any further."""
    rng = np.random.default_rng(0)
    X = (rng.random((60, 3)) @ rng.random((3, 15))) * rng.uniform(0, 1, (60, 15)) ** 2
    L, S = rng.random((3, 60)), rng.random((3, 15))
    for _ in range(1500):
        L = coordinate_descent(L, S @ X.T, S @ S.T, 3)
        S = coordinate_descent(S, L @ X, L @ L.T, 3)
    return X, coordinate_descent(L, S @ X.T, S @ S.T, 100), S


def at_rest(dtype="f8"):
    return tuple(fixed(a.astype(dtype)) for a in found_at_rest())


def test_what_the_next_tests_call_at_rest_is_so():
    X, L, S = at_rest()
    assert_allclose(coordinate_descent(S, L @ X, L @ L.T, 3), S, rtol=0, atol=1e-9)
    assert_allclose(coordinate_descent(L, S @ X.T, S @ S.T, 3), L, rtol=0, atol=1e-9)
    assert (S == 0).any()
    assert (S > 0.01).mean() > 0.5


def poor_models(X):
    """Samples that do not stand for X: few rows of it, other weights, another matrix; and what a sketch leaves out."""
    rng = np.random.default_rng(1)
    wide = np.vstack([X, X[::-1]])
    directions = np.linalg.qr(rng.standard_normal((len(wide), 8)))[0].T.astype(X.dtype)
    return {
        "six rows": as_it_is(X[:6]),
        "uneven weights": as_it_is((X * rng.lognormal(0, 1, (len(X), 1))).astype(X.dtype)),
        "another matrix": as_it_is(rng.random((20, X.shape[1])).astype(X.dtype)),
        "a coarse sketch": Sketch(directions, directions @ wide, float((wide**2).sum())),
    }


@each_rule
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_at_rest_on_x_stays_however_poor_the_sample(name, kind):
    X, L, S = at_rest()
    A = poor_models(X)[kind]
    after = corrected(sample(A, fixed(solved(A, S))), S, *sums(X, L), name)
    # Both are at rest to 1e-9, and steps on a sample that does not agree with X make more of what is left.
    assert_allclose(after, S, rtol=0, atol=1e-7 * S.max())


@each_rule
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "another matrix"])
def test_in_float32_it_stays_too_where_the_sample_is_one_of_x(name, kind):
    """To a hundredth: the rounding of L, S and the rows grows on a sample that does not agree with X."""
    X, L, S = at_rest("f4")
    A = poor_models(X)[kind]
    after = corrected(sample(A, fixed(solved(A, S))), S, *sums(X, L), name)
    assert after.dtype == "f4"
    assert_allclose(after, S, rtol=0, atol=0.01 * S.max())


@pytest.mark.parametrize("kind", KINDS)
def test_without_what_x_says_the_sample_would_lead_elsewhere(kind):
    """Else the two tests above would pass for a sample that happens to be at rest where X is."""
    X, _, S = at_rest()
    A = poor_models(X)[kind]
    rows = solved(A, S)
    alone = corrected(sample(A, rows), S, A.left(rows), gram8(rows))
    assert np.abs(alone - S).max() > 0.03 * S.max()


def textbook(name, X, S, L, steps, sweeps):
    """Steps of alternation on X in plain loops: S, then L; rows of S are brought back to their first length."""
    lengths = np.linalg.norm(S, axis=1)
    for step in range(steps):
        if step:
            L = naive.RULES[name](X, L.T, S, sweeps).T
        S = naive.RULES[name](X.T, S.T, L, sweeps).T
        for j in range(len(S)):
            size = np.linalg.norm(S[j])
            if size > 0 and lengths[j] > 0:
                S[j] *= lengths[j] / size
                L[j] *= size / lengths[j]
    return S


@each_rule
@pytest.mark.parametrize("shape", [(12, 9, 3), (6, 10, 1)])
def test_a_sample_that_is_all_of_x_is_alternated_on_as_it_is(name, shape):
    """Nothing drifts there: no number of the pass may change what alternation on X gives, in plain loops."""
    m, n, k = shape
    rng = np.random.default_rng(0)
    X, S, L = rng.random((m, n)), fixed(rng.random((k, n))), fixed(rng.random((k, m)))
    after = corrected(sample(as_it_is(X), L), S, *sums(X, L), name)
    expected = textbook(name, X, S.copy(), L.copy(), STEPS, STEP_SWEEPS)
    assert_allclose(after, expected, rtol=1e-9, atol=1e-12)
    assert not np.allclose(after, textbook(name, X, S.copy(), L.copy(), 1, STEP_SWEEPS), rtol=1e-3)


@each_rule
@given(problem=problems(), weight=st.floats(1, 10), data=st.data())
def test_it_is_not_negative_keeps_lengths_and_changes_nothing_that_it_is_given(name, problem, weight, data):
    """After a pass on X and on some of its rows; components of zeros are among them."""
    X, _, S = problem
    drawn = data.draw(st.lists(st.integers(0, len(X) - 1), min_size=1, unique=True))
    A = as_it_is(fixed((X[drawn] * weight).astype(X.dtype)))
    scratch = Solver(name).solve(NO_PENALTY)
    model, sweeps = sample(A).follow(shared(S, name), None)
    cross, long = (fixed(a) for a in sums(X, scratch(S @ X.T, gram(S), sweeps)))
    after = corrected(sample(A, fixed(model.rows)), S, cross, long, name)
    if after is None:  # too poor a sample for a step, or one of another scale: the loop takes a plain one
        assert len(drawn) < len(X) or weight > 1
        return
    assert (after.dtype, after.shape) == (S.dtype, S.shape)
    assert np.isfinite(after).all()
    assert (after >= 0).all()
    lengths, before = (np.linalg.norm(F.astype("f8"), axis=1) for F in (after, S))
    kept = (lengths > 0) & (before > 0)
    assert_allclose(lengths[kept], before[kept], rtol=1e-5 if S.dtype == "f4" else 1e-12)


@each_rule
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_sample_of_fewer_rows_than_components_stays_finite(name, dtype):
    """One row for two components: lengths that pass between them grew as the square of the square, and to NaN."""
    X = np.array(
        [[0.6, 0.73], [0.055, 0.275], [0.562, 0.15], [0.669, 0.423], [0.967, 0.683], [0.187, 0.346], [0.891, 0.776],
         [0.924, 0.471]], dtype
    )  # fmt: skip
    X, S = np.pad(X, ((0, 0), (1, 0))), np.array([[0.637, 0.27, 0.041], [0.017, 0.813, 0.913]], dtype)
    model, sweeps = sample(as_it_is(X[:1])).follow(shared(S, name), None)
    after = corrected(model, S, *sums(X, Solver(name).solve(NO_PENALTY)(S @ X.T, gram(S), sweeps)), name)
    if name == "mu":
        assert after is None, "the sample is no model of X, and the caller must know"
    else:
        assert np.isfinite(after).all()
        assert (after >= 0).all()
        assert after.max() < 10 * S.max()


def test_a_component_that_comes_back_does_not_outgrow_the_others():
    """The loss does not depend on its length, but the linear term does: freely, it grew to 4e11 and ended another."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, S = rng.random((400, 20)), rng.random((4, 20))
        L, A = solved(as_it_is(X), S, 50), as_it_is(np.sqrt(10) * X[rng.choice(400, 40, replace=False)])
        rows = solved(A, S, 50)
        S[2] = 0
        after = corrected(sample(A, rows), S, *sums(X, L))
        assert after.max() < 10 * S.max()
        assert after[[0, 1, 3]].any(axis=1).all()


@pytest.mark.parametrize("seed", range(3))
def test_with_a_fair_sample_three_passes_go_further_than_five_without(seed):
    """Digits and a quarter of them, from first factors that the quarter gave; all passes solve the long factor."""
    rng, X = np.random.default_rng(seed), load_digits().data
    A = as_it_is(2 * X[rng.permutation(len(X))[: len(X) // 4]])
    first = alternate(A, rng.random((8, A.rows)), rng.random((8, 64)), iterations=150, tol=1e-4).H

    def after(passes, *, with_sample):
        S = first
        for _ in range(passes):
            L = solved(as_it_is(X), S, 100)
            cross, long = sums(X, L)
            if with_sample:
                S = corrected(sample(A, solved(A, S, 100)), S, cross, long)
            else:
                S = coordinate_descent(S, cross, long, 10)
        return ((X - solved(as_it_is(X), S, 100).T @ S) ** 2).sum()

    assert after(2, with_sample=True) < after(4, with_sample=False) < after(0, with_sample=False)


def losses(A, S, rule, sweeps, rows):
    """Losses, in plain loops, of the rows after 1, 2 … sweeps."""
    N, G, found = A.right(S), gram(S), []
    for _ in range(sweeps):
        rows = rule(rows, N, G, 1)
        found.append(naive.loss(A.B, rows.T, S))
    return found


@each_rule
@given(problem=problems(), inner=st.integers(1, 12))
def test_rows_are_what_the_rule_makes_with_so_many_sweeps(name, problem, inner):
    X, _, S = problem
    A, solver = as_it_is(X), Solver(name)
    model, sweeps = sample(A).follow(shared(S, name), inner)
    assert sweeps == inner
    assert model.A is A
    assert_array_equal(model.rows, solver.solve(NO_PENALTY)(A.right(S), gram(S), inner))
    rows = fixed(model.rows)
    later, sweeps = sample(A, rows).follow(shared(S, name), None)
    assert 2 <= sweeps <= MOST_SWEEPS
    assert_array_equal(later.rows, RULES[name](rows, A.right(S), gram(S), sweeps))
    assert later.rows.dtype == X.dtype
    assert np.isfinite(later.rows).all()
    assert (later.rows >= 0).all()


@each_rule
def test_as_many_sweeps_as_are_asked_for_are_made_even_where_they_are_many(name):
    rng = np.random.default_rng(0)
    A, S, rows = as_it_is(rng.random((9, 8))), rng.random((3, 8)), rng.random((3, 9))
    for inner in (1, 2, MOST_SWEEPS, MOST_SWEEPS + 15):
        model, sweeps = sample(A, rows).follow(shared(S, name), inner)
        assert sweeps == inner
        assert_array_equal(model.rows, RULES[name](rows, A.right(S), gram(S), inner))


@each_rule
@pytest.mark.parametrize(
    ("noise", "off", "seed"), [(0.5, 0.3, 0), (0.5, 0.3, 1), (0.05, 0.3, 2), (0, 0.3, 3), (0, 0, 4)]
)
def test_it_sweeps_until_one_more_no_longer_pays_on_the_sample(name, noise, off, seed):
    rng = np.random.default_rng(seed)
    true = rng.random((3, 12))
    A = as_it_is((rng.random((15, 3)) @ true) * rng.uniform(1 - noise, 1 + noise, (15, 12)))
    S, rows = true * rng.uniform(1 - off, 1 + off, true.shape), rng.random((3, 15))
    _, sweeps = sample(A, rows).follow(shared(S, name), None)
    found = np.array(losses(A, S, RULES[name], MOST_SWEEPS, rows))
    least = SWEEP_PAYS * (found[1:] + ENOUGH * (A.B**2).sum())
    short = np.flatnonzero(found[:-1] - found[1:] < least)
    assert sweeps == (short[0] + 2 if len(short) else MOST_SWEEPS)
    assert sweeps > 2


@each_rule
def test_it_never_sweeps_more_than_sixty_times_of_its_own(name):
    """Components that are nearly parallel: each of 200 sweeps would still pay."""
    rng = np.random.default_rng(0)
    base = rng.random(20)
    S, rows = base * rng.uniform(0.7, 1.3, (4, 20)), np.ones((4, 12))
    A = as_it_is(np.tile(S, (3, 1)))
    assert sample(A, rows).follow(shared(S, name), None)[1] == MOST_SWEEPS == 60
    found = np.array(losses(A, S, RULES[name], 2 * MOST_SWEEPS, rows))
    assert (found[:-1] - found[1:] > SWEEP_PAYS * (found[1:] + ENOUGH * A.square)).all()


def test_float32_makes_as_many_sweeps_as_float64_where_the_fit_is_close():
    """The decrease of a sweep is 1e-8 of the norm there: a difference of two losses would be rounding."""
    rng = np.random.default_rng(0)
    true = rng.random((4, 50))
    X = (rng.random((200, 4)) @ true) * rng.uniform(0.999, 1.001, (200, 50))
    S, rows = true * rng.uniform(0.99, 1.01, true.shape), rng.random((4, 200))
    counts = [sample(as_it_is(X.astype(d)), rows.astype(d)).follow(shared(S.astype(d)), None)[1] for d in ("f4", "f8")]
    assert 5 < counts[1] < MOST_SWEEPS
    assert abs(counts[0] - counts[1]) <= 1


@each_rule
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_no_rule_sees_or_makes_a_negative_number_on_a_sketch(monkeypatch, name, dtype):
    """The numerator of a sketch may be below zero where that of X is not, and mu would multiply by it."""
    rng = np.random.default_rng(0)
    X = rng.random((200, 150))
    X = np.where(X < 0.03, X, 0).astype(dtype)
    A = sketch(X, 4, seed=0)
    S = np.where(rng.random((4, 150)) < 0.1, rng.random((4, 150)), 0).astype(dtype)
    assert (A.right(S) < 0).any()
    rule = RULES[name]

    def watched(F, N, G, sweeps, **bound):
        assert (F >= 0).all()
        if name == "mu":
            assert (N >= 0).all()
        return rule(F, N, G, sweeps, **bound)

    monkeypatch.setitem(RULES, name, watched)
    for sweeps in (1, None):
        model, _ = sample(A).follow(shared(S, name), sweeps)
        for more in (None, 3):
            model, _ = model.follow(shared(S, name), more)
            assert np.isfinite(model.rows).all()
            assert (model.rows >= 0).all()
    after = corrected(model, S, *sums(X, solved(as_it_is(X), S, 50)), name)
    assert (after >= 0).all()


@each_rule
def test_the_rows_of_a_weighted_sample_are_those_of_x_times_their_weights(name):
    """So the rows of the sample move as the same rows of X do in the pass."""
    rng = np.random.default_rng(0)
    X, S, weight = rng.random((30, 12)), rng.random((3, 12)), rng.uniform(1, 5, (30, 1))
    model, sweeps = sample(as_it_is(X * weight)).follow(shared(S, name), None)
    L = Solver(name).solve(NO_PENALTY)(S @ X.T, gram(S), sweeps)
    assert_allclose(model.rows, L * weight.T, rtol=1e-9, atol=1e-12)


def test_a_model_of_zeros_stays_finite():
    S = np.random.default_rng(0).random((3, 6))
    for A in (as_it_is(np.zeros((4, 6))), as_it_is(np.zeros((0, 6)))):
        model, sweeps = sample(A).follow(shared(S), None)
        assert sweeps <= MOST_SWEEPS
        assert not model.rows.any()
        after = corrected(model, S, np.zeros((3, 6)), np.zeros((3, 3)))
        assert_allclose(after, S, rtol=1e-12)


PENALTIES = (Penalty(0.3, 0.2), Penalty(0.1, 0.4))


def penalized_textbook(name, X, S, L):
    """Steps of alternation on X in plain loops, under penalties: rows keep no lengths."""
    on_L, on_S = ({"l1": p.l1, "l2": p.l2} for p in PENALTIES)
    for step in range(STEPS):
        if step:
            L = naive.RULES[name](X, L.T, S, STEP_SWEEPS, **on_L).T
        S = naive.RULES[name](X.T, S.T, L, STEP_SWEEPS, **on_S).T
    return S


@each_rule
def test_with_penalties_a_sample_that_is_all_of_x_is_alternated_on_as_it_is(name):
    rng = np.random.default_rng(0)
    X, S, L = rng.random((12, 9)), fixed(rng.random((3, 9))), fixed(rng.random((3, 12)))
    after = corrected(sample(as_it_is(X), L, PENALTIES), S, *sums(X, L), name)
    expected = penalized_textbook(name, X, S.copy(), L.copy())
    assert_allclose(after, expected, rtol=1e-9, atol=1e-12)
    assert np.abs(np.linalg.norm(after, axis=1) - np.linalg.norm(S, axis=1)).max() > 1e-2


@cache
def found_at_penalized_rest():
    """X, L and S as at rest, under penalties."""
    X, L, S = at_rest()
    cd_rows, cd_short = (Solver("cd").rule(penalty) for penalty in PENALTIES)
    for _ in range(1500):
        L = cd_rows(L, S @ X.T, S @ S.T, 3)
        S = cd_short(S, L @ X, L @ L.T, 3)
    return X, cd_rows(L, S @ X.T, S @ S.T, 100), S


@each_rule
@pytest.mark.parametrize("kind", KINDS)
def test_with_penalties_what_is_at_rest_on_x_stays_however_poor_the_sample(name, kind):
    X, L, S = (fixed(a) for a in found_at_penalized_rest())
    A, cd_rows = poor_models(X)[kind], Solver("cd").rule(PENALTIES[0])
    rows = cd_rows(np.zeros((len(S), A.rows)), A.right(S), gram(S), 3000)
    after = corrected(sample(A, fixed(rows), PENALTIES), S, *sums(X, L), name)
    assert_allclose(after, S, rtol=0, atol=1e-6 * S.max())


@each_rule
def test_the_rows_of_a_penalized_weighted_sample_are_those_of_x_times_their_weights(name):
    rng = np.random.default_rng(0)
    X, S, weight = rng.random((30, 12)), rng.random((3, 12)), rng.uniform(1, 5, 30)
    on_sample = (PENALTIES[0].weighted(weight), PENALTIES[1])
    model, sweeps = sample(as_it_is(X * weight[:, None]), None, on_sample).follow(shared(S, name), None)
    plain = Solver(name).solve(PENALTIES[0])
    assert_allclose(model.rows, plain(S @ X.T, gram(S), sweeps) * weight, rtol=1e-9, atol=1e-12)


@each_rule
def test_it_sweeps_until_one_more_no_longer_pays_in_the_objective(name):
    rng = np.random.default_rng(0)
    true = rng.random((3, 12))
    A = as_it_is((rng.random((15, 3)) @ true) * rng.uniform(0.5, 1.5, (15, 12)))
    S, rows, penalty = true * rng.uniform(0.7, 1.3, true.shape), rng.random((3, 15)), Penalty(0.05, 0.02)
    rule = Solver(name).rule(penalty)
    _, sweeps = sample(A, rows, (penalty, NO_PENALTY)).follow(shared(S, name), None)
    found = []
    for _ in range(MOST_SWEEPS):
        rows = rule(rows, A.right(S), gram(S), 1)
        loss = naive.loss(A.B, rows.T, S)
        found.append((loss, loss + naive.penalty(rows, penalty.l1, penalty.l2)))
    loss, objective = np.array(found).T
    decrease = objective[:-1] - objective[1:]
    # What is left of the first loss after all decreases: that of the objective, but for the penalty at first.
    left = loss[0] - np.cumsum(decrease)
    short = np.flatnonzero(decrease < SWEEP_PAYS * (left + ENOUGH * A.square))
    assert sweeps == (short[0] + 2 if len(short) else MOST_SWEEPS)
    assert sweeps > 2
