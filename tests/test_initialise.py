"""Random rows belong to their index, and the scale of a first row is the best one."""

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from strategies import cuts, dtypes, problems, seeds

from dnmf.initialise import random_rows, scale_rows, scaled
from dnmf.rules import RULES

F8 = np.dtype("f8")


@given(st.data(), seeds, st.integers(0, 1), st.integers(1, 60), st.integers(1, 9), dtypes)
def test_pieces_equal_the_whole(data, seed, stream, rows, rank, dtype):
    whole = random_rows(seed, stream, 0, rows, rank, np.dtype(dtype))
    heights = data.draw(cuts(rows))
    starts = np.cumsum([0, *heights[:-1]])
    pieces = [random_rows(seed, stream, int(a), h, rank, np.dtype(dtype)) for a, h in zip(starts, heights, strict=True)]
    assert_array_equal(np.hstack(pieces), whole)


@given(seeds, st.integers(0, 2**40), st.integers(1, 9))
def test_float32_is_the_cast_of_float64(seed, first, rank):
    single, double = (random_rows(seed, 0, first, 20, rank, np.dtype(dtype)) for dtype in ("f4", "f8"))
    assert (single.dtype, double.dtype) == ("f4", "f8")
    assert_array_equal(single, double.astype("f4"))


def test_rows_are_component_major_and_uniform():
    drawn = random_rows(3, 0, 0, 20_000, 5, F8)
    assert drawn.shape == (5, 20_000)
    assert drawn.flags.c_contiguous
    assert (drawn >= 0).all()
    assert (drawn < 1).all()
    assert_allclose(drawn.mean(1), 0.5, atol=0.01)
    assert_allclose(drawn.var(1), 1 / 12, atol=0.003)


def test_streams_seeds_and_components_are_independent():
    drawn = np.vstack([random_rows(seed, stream, 0, 20_000, 2, F8) for seed in (0, 1) for stream in (0, 1)])
    correlation = np.corrcoef(drawn)
    assert np.abs(correlation - np.eye(8)).max() < 0.04


def test_the_numbers_are_pinned():
    """Other numbers would start every factorization elsewhere: a change of these is a change for users."""
    bits = np.random.PCG64(np.random.SeedSequence([7, 1]))
    expected = np.random.Generator(bits).random(6).reshape(3, 2).T
    assert_array_equal(random_rows(7, 1, 0, 3, 2, F8), expected)


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


@pytest.mark.parametrize("name", list(RULES))
def test_a_scaled_rule_scales_first(name):
    rng = np.random.default_rng(0)
    F, N, G = products(100 * rng.random((6, 5)), rng.random((6, 2)), rng.random((2, 5)))
    ours = scaled(RULES[name])(F, N, G, 2)
    assert_array_equal(ours, RULES[name](scale_rows(F, N, G), N, G, 2))
    if name == "cd":  # a multiplicative update forgets the scale of a row
        assert np.abs(ours - RULES[name](F, N, G, 2)).max() > 1e-3
