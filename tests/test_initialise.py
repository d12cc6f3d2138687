"""Random rows belong to their index, the scale of a first row is the best one; starts from scratch and from an SVD."""

from itertools import pairwise

import naive
import numpy as np
import pytest
from dnmf.arrays.draws import random_rows
from dnmf.arrays.sketch import as_it_is, nndsvd, sketch
from dnmf.rules.from_scratch import from_scratch, scale_rows, scaled
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar, nnls
from strategies import cuts, dtypes, matrices, problems, seeds

from dnmf.rules import KEEPS_ZEROS, RULES, coordinate_descent

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


def as_it_starts(F, N, G, inner):
    """A rule that moves nothing: what `from_scratch` hands on."""
    assert inner == 7
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
    start = from_scratch(as_it_starts, keeps_zeros=False)(None, N, G, 7)
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
    assert_allclose(start(None, unit * N, unit**2 * (V @ V.T), 7) * unit, start(None, N, V @ V.T, 7), rtol=1e-6)


def test_where_zeros_are_kept_no_entry_starts_there():
    """The least is a hundredth of a plain start: of one and the same number for all components, scaled row by row."""
    rng = np.random.default_rng(0)
    X, V = rng.random((40, 9)), rng.random((3, 9)) + 2 * np.eye(3, 9)
    X[5] = 0
    N, G = fixed(V @ X.T, V @ V.T)
    cut, kept = (from_scratch(as_it_starts, keeps_zeros=keeps)(None, N, G, 7) for keeps in (False, True))
    plain = (X @ V.sum(axis=0)) / (V.sum(axis=0) @ V.sum(axis=0))
    assert (cut == 0).any()
    assert_allclose(kept, np.maximum(cut, 0.01 * plain), rtol=1e-9)
    assert (kept[:, np.arange(40) != 5] > 0).all()
    assert not kept[:, 5].any()


@pytest.mark.parametrize("name", list(RULES))
@given(problem=problems(), data=st.data())
def test_rows_from_scratch_do_not_depend_on_each_other_and_follow_the_unit_of_theirs(name, problem, data):
    X, _, V = problem
    rule = from_scratch(RULES[name], keeps_zeros=name in KEEPS_ZEROS)
    N, G = fixed(V @ X.T, V @ V.T)
    whole = rule(None, N, G, 3)
    assert (whole.dtype, whole.shape) == (X.dtype, (len(V), len(X)))
    assert np.isfinite(whole).all()
    assert (whole >= 0).all()
    edges = np.cumsum([0, *data.draw(cuts(len(X)))])
    pieces = [rule(None, np.ascontiguousarray(N[:, a:b]), G, 3) for a, b in pairwise(edges)]
    # The last digits of a product depend on its shape; nearly parallel components share what comes of it as they like.
    apart, sizes = (np.hstack(pieces) - whole).T @ V, np.linalg.norm(X, axis=1, keepdims=True)
    assert (np.abs(apart) <= (1e-2 if X.dtype == "f4" else 1e-6) * sizes).all()
    # Powers of two change no digit.
    assert_array_equal(rule(None, 4 * N, G, 3), 4 * whole)


@pytest.mark.parametrize("keeps_zeros", [False, True])
def test_from_scratch_nothing_comes_of_components_of_zeros(keeps_zeros):
    N = np.random.default_rng(0).random((3, 5))
    start = from_scratch(as_it_starts, keeps_zeros=keeps_zeros)
    assert not start(None, 0 * N, np.zeros((3, 3)), 7).any()
    G = np.diag([2.0, 0, 1])
    N[1] = 0
    assert_allclose(start(None, N, G, 7)[[0, 2]], N[[0, 2]] / [[2], [1]], rtol=1e-4, atol=0.01)
    assert np.isfinite(start(None, N, G, 7)).all()


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

    scratch = from_scratch(lambda F, N, G, inner: F, keeps_zeros=False)(None, N, G, 1)
    assert 3 * sweeps(scratch) <= sweeps(N / np.diag(G)[:, None])


def boutsidis_gallopoulos(X, rank):
    """W (m, k) and V (k, n) of their algorithm, as published, one component after the other."""
    U, sizes, Z = np.linalg.svd(np.asarray(X, "f8"), full_matrices=False)
    W, V = np.zeros((X.shape[0], rank)), np.zeros((rank, X.shape[1]))
    W[:, 0], V[0] = np.sqrt(sizes[0]) * np.abs(U[:, 0]), np.sqrt(sizes[0]) * np.abs(Z[0])
    for j in range(1, min(rank, len(sizes))):
        x, y = U[:, j], Z[j]
        up, un, vp, vn = np.maximum(x, 0), np.maximum(-x, 0), np.maximum(y, 0), np.maximum(-y, 0)
        plus, minus = np.linalg.norm(up) * np.linalg.norm(vp), np.linalg.norm(un) * np.linalg.norm(vn)
        u, v, size = (up, vp, plus) if plus > minus else (un, vn, minus)
        W[:, j] = np.sqrt(sizes[j] * size) * u / np.linalg.norm(u)
        V[j] = np.sqrt(sizes[j] * size) * v / np.linalg.norm(v)
    return W, V


@pytest.mark.parametrize(("dtype", "digits"), [("f8", 1e-9), ("f4", 1e-3)])
@pytest.mark.parametrize("shape", [(30, 12), (12, 30), (7, 7)])
def test_nndsvd_is_the_published_one(dtype, digits, shape):
    X = np.random.default_rng(0).random(shape).astype(dtype)
    X.flags.writeable = False
    W, H = nndsvd(as_it_is(X), 6)
    expected = boutsidis_gallopoulos(X, 6)
    assert_allclose(W.T, expected[0], rtol=0, atol=digits * expected[0].max())
    assert_allclose(H, expected[1], rtol=0, atol=digits * expected[1].max())
    assert (W.dtype, H.dtype) == (X.dtype, X.dtype)


def test_nndsvd_of_a_sketch_is_that_of_the_matrix_that_it_keeps():
    rng = np.random.default_rng(0)
    X = rng.random((80, 6)) @ rng.random((6, 50))
    small = sketch(X, 4, seed=0)
    assert small.Q is not None
    for ours, expected in zip(nndsvd(small, 4), nndsvd(as_it_is(X), 4), strict=True):
        assert_allclose(ours, expected, rtol=0, atol=1e-9)


@given(matrices(max_side=15), st.integers(1, 20))
def test_nndsvd_is_not_negative_and_has_nothing_beyond_the_rank_of_the_shape(X, rank):
    W, H = nndsvd(as_it_is(X), rank)
    assert (W.shape, H.shape) == ((rank, X.shape[0]), (rank, X.shape[1]))
    for F in (W, H):
        assert np.isfinite(F).all()
        assert (F >= 0).all()
        assert not F[min(X.shape) :].any()
    # Both factors of a component have one length, and together they are no larger than its singular value.
    lengths = [np.linalg.norm(F.astype("f8"), axis=1) for F in (W, H)]
    values = np.linalg.svd(X.astype("f8"), compute_uv=False)
    digits = 1e-4 if X.dtype == "f4" else 1e-9
    assert_allclose(lengths[0], lengths[1], rtol=10 * digits, atol=digits * np.sqrt(values[0]))
    count = min(rank, len(values))
    assert (lengths[0][:count] * lengths[1][:count] <= values[:count] + digits * values[0]).all()


def test_nndsvd_of_a_matrix_of_one_component_is_that_component():
    X = np.outer([1.0, 2, 0, 3], [2.0, 0, 1])
    W, H = nndsvd(as_it_is(X), 1)
    assert_allclose(W.T @ H, X, atol=1e-12)
