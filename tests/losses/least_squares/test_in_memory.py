"""Factorization in memory: its loss is that of what it returns, it never gets worse, it is soon where others get."""

from itertools import product

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.decomposition import non_negative_factorization
from strategies import problems
from threadpoolctl import threadpool_limits

from dnmf.arrays.sketch import Sketch, as_it_is, sketch
from dnmf.losses.least_squares import in_memory
from dnmf.losses.least_squares.in_memory import affordable, alternate
from dnmf.rules import Penalty, coordinate_descent


@pytest.fixture(autouse=True, scope="module")
def _one_blas_thread():
    """As in a factorization: where other processes use the same cores, more threads wait for each other."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def problem(m=120, n=60, k=5, *, noise=0.1, dtype="f8", seed=0):
    """A (m, n), and first factors W (k, m), H (k, n) of the right scale, which may not be written to."""
    rng = np.random.default_rng(seed)
    A = (rng.random((m, k)) @ rng.random((k, n))) * (1 + noise * rng.random((m, n)))
    W, H = rng.random((k, m)), rng.random((k, n))
    W *= np.vdot(W.T @ H, A) / np.vdot(W.T @ H, W.T @ H)
    return tuple(fixed(F.astype(dtype)) for F in (A, W, H))


def fixed(a):
    a.flags.writeable = False
    return a


def true_loss(A, fit):
    residual = A.astype("f8") - fit.W.T.astype("f8") @ fit.H.astype("f8")
    return float((residual**2).sum())


def textbook(A, W, H, iterations):
    """Ang and Gillis's algorithm 3 with its published numbers, both factors cut off at zero, in plain loops."""
    W, H = W.T, H
    best, W_best, H_best, beta, limit, restarts = np.inf, W, H, 0.5, 1.0, 0
    for _ in range(iterations):
        moved = naive.hals(A, W, H, 3)
        W = np.maximum(moved + beta * (moved - W_best), 0)
        moved = naive.hals(A.T, H.T, W.T, 3).T
        error = naive.loss(A, W, moved)
        if error > best:
            W, H, limit, beta, restarts = W_best, H_best, beta, beta / 1.5, restarts + 1
        else:
            H = np.maximum(moved + beta * (moved - H_best), 0)
            best, W_best, H_best = error, W, moved
            beta, limit = min(limit, 1.05 * beta), min(1.0, 1.01 * limit)
    return W_best, H_best, restarts


@pytest.mark.parametrize(("density", "seed"), [(0.6, 2), (1.0, 0)])
def test_iterates_are_those_of_the_textbook(density, seed):
    """On these two a limit of the step is reached between two restarts, which is seldom."""
    rng = np.random.default_rng(seed)
    A = np.where(rng.random((14, 11)) < density, rng.random((14, 11)), 0)
    W, H = rng.random((3, 14)), rng.random((3, 11))
    for iterations in (1, 2, 35, 45):
        expected = textbook(A, W, H, iterations)
        fit = alternate(as_it_is(A), W, H, iterations=iterations, tol=0)
        assert_allclose(fit.W.T, expected[0], rtol=1e-9, atol=1e-11)
        assert_allclose(fit.H, expected[1], rtol=1e-9, atol=1e-11)
    assert expected[2] > 2


@given(problems(), st.integers(1, 25))
def test_factors_are_not_negative_and_the_loss_is_theirs(problem, iterations):
    A, W, H = problem
    W, H = (fixed(np.ascontiguousarray(F)) for F in (W.T, H))
    fit = alternate(as_it_is(A), W, H, iterations=iterations, tol=0)
    for ours, first in ((fit.W, W), (fit.H, H)):
        assert (ours.dtype, ours.shape) == (first.dtype, first.shape)
        assert np.isfinite(ours).all()
        assert (ours >= 0).all()
    # Float32 products: a free loss is off by some millionths of ‖A‖² and of ‖Wᵀ H‖².
    sizes = (A.astype("f8") ** 2).sum() + ((fit.W.T.astype("f8") @ fit.H.astype("f8")) ** 2).sum()
    assert abs(fit.loss - naive.loss(A, fit.W.T, fit.H)) <= (5e-6 if A.dtype == "f4" else 1e-12) * sizes
    assert fit.loss >= 0


@pytest.mark.parametrize(("dtype", "digits"), [("f8", 1e-11), ("f4", 1e-4)])
@pytest.mark.parametrize("noise", [0.1, 1.0])
@pytest.mark.parametrize("iterations", [1, 2, 7, 60])
def test_the_loss_is_good_to_many_digits_where_the_fit_is_not_exact(dtype, digits, noise, iterations):
    A, W, H = problem(noise=noise, dtype=dtype)
    fit = alternate(as_it_is(A), W, H, iterations=iterations, tol=0)
    assert_allclose(fit.loss, true_loss(A, fit), rtol=digits)


@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_of_a_sketch_the_loss_is_that_of_what_it_keeps_and_all_of_what_it_leaves_out(noise):
    A, W, H = problem(noise=noise, k=3)
    small = sketch(A, 3, seed=0)
    fit = alternate(small, W, H, iterations=40, tol=0)
    kept = small.Q.T @ small.B
    assert_allclose(fit.loss, true_loss(kept, fit) + ((A - kept) ** 2).sum(), rtol=1e-10)
    # What is left out is noise, which lies nearly across the factors.
    assert_allclose(fit.loss, true_loss(A, fit), rtol=1e-2)


@given(problems("f8"), st.integers(1, 15), st.integers(0, 15))
def test_more_iterations_never_end_higher(problem, fewer, more):
    """Extrapolation overshoots at times: what is kept is the best so far."""
    A, W, H = problem
    W = np.ascontiguousarray(W.T)
    losses = [alternate(as_it_is(A), W, H, iterations=i, tol=0).loss for i in (fewer, fewer + more)]
    assert losses[1] <= losses[0]


def test_a_step_that_overshoots_is_taken_back_and_the_way_goes_on():
    """On sparse A the loss of the next iterate is at times above the best one; in the end it is far below."""
    rng = np.random.default_rng(0)
    A = np.where(rng.random((60, 40)) < 0.2, rng.random((60, 40)), 0)
    W, H = rng.random((6, 60)), rng.random((6, 40))
    losses = np.array([alternate(as_it_is(A), W, H, iterations=i, tol=0).loss for i in range(1, 60)])
    taken_back = np.flatnonzero(np.diff(losses) == 0)
    assert len(taken_back) > 0
    assert taken_back[0] < 57
    assert losses[-1] < losses[taken_back[0]]
    assert (np.diff(losses) <= 0).all()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_it_is_where_scikit_learn_gets_in_twice_as_many_iterations(seed):
    """From first factors around the ones that A was made of, so that both end in the same valley.

    On twelve of them it needed 35 to 85 iterations for the 200 of scikit-learn.
    """
    rng = np.random.default_rng(seed)
    W, H = rng.random((5, 120)), rng.random((5, 60))
    A = (W.T @ H) * (1 + 0.5 * rng.random((120, 60)))
    W, H = (F * rng.uniform(0, 2, F.shape) for F in (W, H))
    theirs = non_negative_factorization(
        A, W.T.copy(), H.copy(), n_components=5, init="custom", solver="cd", tol=0, max_iter=200
    )
    ours = alternate(as_it_is(A), W, H, iterations=100, tol=0)
    assert ours.loss <= ((A - theirs[0] @ theirs[1]) ** 2).sum() * (1 + 1e-4)


def test_after_thirty_iterations_it_is_mostly_below_plain_alternation():
    """Both with the same sweeps. On these ten it was below on all; no extrapolation is better on every matrix."""
    rng = np.random.default_rng(0)
    sparse = np.where(rng.random((150, 100)) < 0.2, rng.random((150, 100)), 0)
    below = 0
    for A, rank, seed in product((load_digits().data[:300], sparse), (8,), range(5)):
        rng = np.random.default_rng(seed)
        W, H = rng.random((rank, A.shape[0])), rng.random((rank, A.shape[1]))
        W *= np.vdot(W.T @ H, A) / np.vdot(W.T @ H, W.T @ H)
        ours = alternate(as_it_is(A), W, H, iterations=30, tol=0)
        for _ in range(30):
            W = coordinate_descent(W, H @ A.T, H @ H.T, in_memory.HALF_STEP_SWEEPS)
            H = coordinate_descent(H, W @ A, W @ W.T, in_memory.HALF_STEP_SWEEPS)
        below += ours.loss < ((A - W.T @ H) ** 2).sum()
    assert below >= 8


@pytest.mark.parametrize("tol", [0.5, 1e-2, 1e-3, 1e-5])
def test_it_stops_when_ten_iterations_no_longer_pay(tol):
    A, W, H = problem(60, 40, 3, noise=0.5)
    before, expected = np.inf, 10
    while before - (loss := alternate(as_it_is(A), W, H, iterations=expected, tol=0).loss) > tol * loss:
        before, expected = loss, expected + 10
    assert 20 <= expected < 500
    fit, longer = (alternate(as_it_is(A), W, H, iterations=i, tol=tol) for i in (expected, 500))
    assert longer.loss == fit.loss == loss
    assert_array_equal(longer.W, fit.W)
    assert_array_equal(longer.H, fit.H)


@pytest.mark.timeout(30)
def test_an_exact_factorization_ends_it():
    """With tol = 0 it goes on while the loss decreases at all, and that it does not do for ever."""
    A = np.outer(np.arange(1.0, 30), np.arange(1.0, 20))
    fit = alternate(as_it_is(A), np.ones((1, 29)), np.ones((1, 19)), iterations=10**9, tol=0)
    assert fit.loss <= 1e-12 * (A**2).sum()
    assert_allclose(fit.W.T @ fit.H, A, rtol=1e-9)


def test_a_component_of_zeros_and_a_matrix_of_zeros_do_no_harm():
    A, W, H = (F.copy() for F in problem(30, 20, 3))
    W[1] = H[1] = 0
    fit = alternate(as_it_is(A), W, H, iterations=20, tol=0)
    assert np.isfinite(fit.loss)
    assert_allclose(fit.loss, true_loss(A, fit), rtol=1e-9)
    assert alternate(as_it_is(0 * A), W, H, iterations=20, tol=1e-4).loss == 0


@pytest.mark.parametrize("unit", [1e-12, 1e12])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_unit_of_the_matrix_does_not_matter(dtype, unit):
    A, W, H = problem(dtype=dtype)
    plain = alternate(as_it_is(A), W, H, iterations=30, tol=0)
    unit = A.dtype.type(unit)
    scaled = alternate(as_it_is(A * unit), W * unit, H, iterations=30, tol=0)
    assert_allclose(scaled.loss / float(unit) ** 2, plain.loss, rtol=1e-3 if dtype == "f4" else 1e-9)


def huge(rows, columns, directions=None):
    """A sketch of a matrix of any shape that takes no memory."""
    B = np.broadcast_to(np.float32(1), (directions or rows, columns))
    return Sketch(None if directions is None else np.broadcast_to(np.float32(1), (directions, rows)), B, 1.0)


sides, ranks, asked, shares = st.integers(1, 10**6), st.integers(1, 200), st.integers(10, 1000), st.integers(1, 16)


@given(sides, sides, ranks, asked, shares)
def test_what_is_affordable_is_ten_at_least_and_what_is_asked_for_at_most(rows, columns, rank, iterations, shares):
    A = huge(rows, columns)
    count = affordable(A, rank, iterations, shares=shares)
    assert isinstance(count, int)
    assert 10 <= count <= iterations
    assert affordable(A, rank, iterations, shares=shares + 1) <= count
    assert affordable(A, rank + 1, iterations, shares=shares) <= count
    assert affordable(huge(2 * rows, columns), rank, iterations, shares=shares) <= count
    assert affordable(huge(rows, 2 * columns), rank, iterations, shares=shares) <= count


@pytest.mark.parametrize("directions", [None, 50])
def test_the_work_of_an_iteration_is_counted(directions):
    """Two products, each of so many multiplications and as many additions, and sweeps, which count several times."""
    rows, columns, rank, shares = 8000, 4000, 20, 8
    A = huge(rows, columns, directions)
    products = 2 * sum(2 * np.prod(step) for step in (
        [(rank, rows, columns)] if directions is None else [(rank, rows, directions), (rank, directions, columns)]
    ))  # fmt: skip
    sweeps = in_memory.SWEEP_COST * in_memory.HALF_STEP_SWEEPS * 2 * rank**2 * (rows + columns)
    count = affordable(A, rank, 10**9, shares=shares)
    assert count > 10
    assert count * (products + sweeps) <= in_memory.WORK / shares < (count + 1) * (products + sweeps)


def test_what_fits_is_done_and_what_does_not_is_cut_to_ten():
    assert affordable(huge(10, 10), 2, 1000) == 1000
    assert affordable(huge(10**6, 10**6), 2, 1000) == 10
    assert affordable(huge(8000, 100_000, 50), 20, 10**9) > affordable(huge(8000, 100_000), 20, 10**9)


PENALTIES = (Penalty(0.4, 0.3), Penalty(0.2, 0.5))


def penalties_of(fit, penalties=PENALTIES):
    return sum(naive.penalty(F, p.l1, p.l2) for F, p in zip((fit.W, fit.H), penalties, strict=True))


@given(problems(), st.integers(1, 20))
def test_the_objective_is_the_loss_and_the_penalties_of_what_it_returns(problem, iterations):
    A, W, H = problem
    W, H = (fixed(np.ascontiguousarray(F)) for F in (W.T, H))
    fit = alternate(as_it_is(A), W, H, iterations=iterations, tol=0, penalties=PENALTIES)
    sizes = (A.astype("f8") ** 2).sum() + ((fit.W.T.astype("f8") @ fit.H.astype("f8")) ** 2).sum()
    digits = (5e-6 if A.dtype == "f4" else 1e-12) * sizes
    assert abs(fit.loss - naive.loss(A, fit.W.T, fit.H)) <= digits
    assert abs(fit.objective - fit.loss - penalties_of(fit)) <= digits + 1e-6 * penalties_of(fit)


@given(problems("f8"), st.integers(1, 15), st.integers(0, 15))
def test_with_penalties_more_iterations_never_end_higher(problem, fewer, more):
    A, W, H = problem
    W = np.ascontiguousarray(W.T)
    told = [
        alternate(as_it_is(A), W, H, iterations=i, tol=0, penalties=PENALTIES).objective for i in (fewer, fewer + more)
    ]
    assert told[1] <= told[0]


def test_with_penalties_it_ends_at_a_stationary_point():
    A, W, H = problem(40, 20, 3)
    fit = alternate(as_it_is(A), W, H, iterations=3000, tol=0, penalties=PENALTIES)
    R = fit.W.T @ fit.H - A
    for F, gradient, penalty in ((fit.W, fit.H @ R.T, PENALTIES[0]), (fit.H, fit.W @ R, PENALTIES[1])):
        slope = gradient + penalty.gradient(F)
        assert (slope > -1e-5).all()
        assert_allclose(F * slope, 0, atol=1e-5)
        assert np.abs(gradient[F > 0]).max() > 0.1, "else the penalty would say nothing"


def test_a_penalty_on_rows_that_were_multiplied_is_that_on_all_rows():
    """A row that counts four times is multiplied by two, and its penalty grows with it."""
    A, W, H = problem(30, 12, 3)
    counts = np.random.default_rng(0).integers(1, 5, len(A))
    roots = np.sqrt(counts)
    repeated = alternate(
        as_it_is(np.repeat(A, counts, axis=0)), np.repeat(W, counts, axis=1), H, iterations=25, tol=0,
        penalties=PENALTIES,
    )  # fmt: skip
    multiplied = alternate(
        as_it_is(A * roots[:, None]), W * roots, H, iterations=25, tol=0,
        penalties=(PENALTIES[0].weighted(roots), PENALTIES[1]),
    )  # fmt: skip
    assert_allclose(multiplied.H, repeated.H, rtol=1e-7, atol=1e-9)
    assert_allclose(multiplied.objective, repeated.objective, rtol=1e-9)


def test_sparse_rows_give_what_dense_ones_do():
    A, W, H = problem(30, 12, 3)
    A = np.where(A.mean() > A, 0, A)
    dense, thin = (alternate(as_it_is(a), W, H, iterations=15, tol=0, penalties=PENALTIES) for a in (A, naive.csr(A)))
    assert_allclose(thin.H, dense.H, rtol=1e-7, atol=1e-9)
    assert_allclose([thin.loss, thin.objective], [dense.loss, dense.objective], rtol=1e-9)
