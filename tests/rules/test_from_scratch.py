"""The scale of a first row is the best one; starts from scratch."""

from itertools import pairwise

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar, nnls
from strategies import cuts, problems

from dnmf.rules import NO_PENALTY, RULES, coordinate_descent
from dnmf.rules.from_scratch import balanced, from_scratch, lift_zeros, scale_rows
from dnmf.rules.solver import Solver


def products(X, W, V):
    return W.T, V @ X.T, V @ V.T


@given(problems("f8"))
def test_the_scale_of_a_row_is_the_best_of_a_line_search(problem):
    X, W, V = problem
    result = scale_rows(*products(X, W, V)).T
    for x, row, ours in zip(X, W, result, strict=True):
        model = row @ V
        if not model.any() or not (x * model).any():
            continue
        unit = (x @ model) / (model @ model)
        best = minimize_scalar(lambda t, x=x, f=model: ((x - t * f) ** 2).sum(), bracket=(0, 2 * unit))
        assert ((x - ours @ V) ** 2).sum() <= best.fun + 1e-12 * (x @ x)
        assert_allclose(ours, best.x * row, rtol=1e-5, atol=1e-9 * unit)


@given(problems())
def test_scaling_keeps_dtype_shape_and_direction_and_never_makes_it_worse(problem):
    X, W, V = problem
    result = scale_rows(*products(X, W, V)).T
    assert (result.dtype, result.shape) == (W.dtype, W.shape)
    assert np.isfinite(result).all()
    assert (result >= 0).all()
    digits = 1e-12 if W.dtype == "f8" else 1e-5
    zero = naive.loss(X, 0 * W, V)
    assert naive.loss(X, result, V) <= min(naive.loss(X, W, V), zero) + digits * zero
    assert ((result == 0) | (W > 0)).all()


def test_a_row_without_a_component_becomes_zero():
    V = np.array([[1.0, 0.0]])
    X, W = np.array([[0.0, 5.0], [2.0, 0.0], [0.0, 0.0], [3.0, 0.0]]), np.array([[1.0], [1.0], [1.0], [0.0]])
    assert_array_equal(scale_rows(*products(X, W, V)), [[0, 2, 0, 0]])


def test_the_scale_follows_the_unit_of_x():
    rng = np.random.default_rng(0)
    X, W, V = rng.random((6, 5)), rng.random((6, 2)), rng.random((2, 5))
    assert_allclose(scale_rows(*products(1e6 * X, W, V)), 1e6 * scale_rows(*products(X, W, V)), rtol=1e-12)


def as_it_starts(F, N, G, sweeps):
    """A rule that moves nothing: what `from_scratch` hands on."""
    assert sweeps == 7
    return F


def fixed(*arrays):
    for a in arrays:
        a.flags.writeable = False
    return arrays


@pytest.mark.parametrize(("dtype", "digits"), [("f8", 1e-4), ("f4", 1e-3)])
def test_the_start_from_scratch_is_least_squares_cut_off_at_zero(dtype, digits):
    """To the ridge, which moves it by less than a ten-thousandth where components are not parallel."""
    rng = np.random.default_rng(0)
    X, V = rng.random((40, 9)).astype(dtype), (rng.random((3, 9)) + 2 * np.eye(3, 9)).astype(dtype)
    N, G = fixed(V @ X.T, V @ V.T)
    start = from_scratch(as_it_starts, keeps_zeros=False)(N, G, 7)
    expected = np.linalg.lstsq(V.T.astype("f8"), X.T.astype("f8"))[0]
    assert (expected < -0.01).any()
    assert_allclose(start, np.maximum(expected, 0), rtol=0, atol=digits * expected.max())
    assert start.dtype == dtype


@pytest.mark.parametrize("unit", [2.0**-20, 2.0**20])
@pytest.mark.parametrize("keeps_zeros", [False, True])
def test_the_start_from_scratch_does_not_depend_on_the_unit_of_the_other_factor(keeps_zeros, unit):
    rng = np.random.default_rng(0)
    V = rng.random(9) + 1e-2 * rng.random((3, 9))
    N = V @ rng.random((9, 40))
    start = from_scratch(as_it_starts, keeps_zeros=keeps_zeros)
    assert_allclose(start(unit * N, unit**2 * (V @ V.T), 7) * unit, start(N, V @ V.T, 7), rtol=1e-6)


def test_where_zeros_are_kept_no_entry_starts_there():
    """The least is a hundredth of a plain start: of one and the same number for all components, scaled row by row."""
    rng = np.random.default_rng(0)
    X, V = rng.random((40, 9)), rng.random((3, 9)) + 2 * np.eye(3, 9)
    X[5] = 0
    N, G = fixed(V @ X.T, V @ V.T)
    cut, kept = (from_scratch(as_it_starts, keeps_zeros=keeps)(N, G, 7) for keeps in (False, True))
    plain = (X @ V.sum(axis=0)) / (V.sum(axis=0) @ V.sum(axis=0))
    assert (cut == 0).any()
    assert_allclose(kept, np.maximum(cut, 0.01 * plain), rtol=1e-9)
    assert (kept[:, np.arange(40) != 5] > 0).all()
    assert not kept[:, 5].any()


@pytest.mark.parametrize("name", list(RULES))
@given(problem=problems(), data=st.data())
def test_rows_from_scratch_do_not_depend_on_each_other_and_follow_the_unit_of_theirs(name, problem, data):
    X, _, V = problem
    rule = Solver(name).solve(NO_PENALTY)
    N, G = fixed(V @ X.T, V @ V.T)
    whole = rule(N, G, 3)
    assert (whole.dtype, whole.shape) == (X.dtype, (len(V), len(X)))
    assert np.isfinite(whole).all()
    assert (whole >= 0).all()
    edges = np.cumsum([0, *data.draw(cuts(len(X)))])
    pieces = [rule(np.ascontiguousarray(N[:, a:b]), G, 3) for a, b in pairwise(edges)]
    # The last digits of a product depend on its shape; nearly parallel components share what comes of it as they like.
    apart, sizes = (np.hstack(pieces) - whole).T @ V, np.linalg.norm(X, axis=1, keepdims=True)
    assert (np.abs(apart) <= (1e-2 if X.dtype == "f4" else 1e-6) * sizes).all()
    # Powers of two change no digit.
    assert_array_equal(rule(4 * N, G, 3), 4 * whole)


@pytest.mark.parametrize("keeps_zeros", [False, True])
def test_from_scratch_nothing_comes_of_components_of_zeros(keeps_zeros):
    N = np.random.default_rng(0).random((3, 5))
    start = from_scratch(as_it_starts, keeps_zeros=keeps_zeros)
    assert not start(0 * N, np.zeros((3, 3)), 7).any()
    G = np.diag([2.0, 0, 1])
    N[1] = 0
    assert_allclose(start(N, G, 7)[[0, 2]], N[[0, 2]] / [[2], [1]], rtol=1e-4, atol=0.01)
    assert np.isfinite(start(N, G, 7)).all()


def test_from_scratch_nearly_parallel_components_need_three_times_fewer_sweeps():
    """Sweeps until the loss is within a thousandth of the best, against a start from N divided by the diagonal of G."""
    rng = np.random.default_rng(0)
    V = rng.random(30) + 0.3 * rng.random((5, 30))
    X = rng.dirichlet(np.full(5, 0.3), 50) @ V * rng.uniform(0.98, 1.02, (50, 30))
    N, G = V @ X.T, V @ V.T
    best = sum(nnls(V.T, x)[1] ** 2 for x in X)

    def sweeps(start):
        F = start
        for count in range(1, 2000):
            F = coordinate_descent(F, N, G, 1)
            if ((X - F.T @ V) ** 2).sum() <= 1.001 * best:
                return count
        raise AssertionError("it never gets there")

    scratch = from_scratch(lambda F, N, G, sweeps: F, keeps_zeros=False)(N, G, 1)
    assert 3 * sweeps(scratch) <= sweeps(N / np.diag(G)[:, None])


def test_zeros_are_lifted_to_a_hundredth_of_the_mean_of_their_component():
    assert_allclose(lift_zeros(np.array([[0.0, 4.0], [2.0, 6.0]])), [[0.02, 4], [2, 6]])
    assert not lift_zeros(np.zeros((2, 3))).any()


@given(problem=problems("f8"), exponents=st.lists(st.integers(-30, 30), min_size=4, max_size=4))
def test_of_balanced_components_the_size_makes_no_difference(problem, exponents):
    """Powers of two round nothing: what is found is the same to the last bit, divided by them."""
    X, _, V = problem
    by = np.ldexp(1.0, np.array(exponents[: len(V)]))[:, None]
    solve = balanced(from_scratch(coordinate_descent, keeps_zeros=False))
    one, other = (solve(S @ X.T, S @ S.T, 2) for S in (V, by * V))
    assert_array_equal(by * other, one)
