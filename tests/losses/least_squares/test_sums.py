"""Sums of strips, and the loss that follows from them, against a loss summed up entry by entry."""

from itertools import pairwise

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import cuts, matrices, problems

from dnmf.arrays import parts
from dnmf.arrays.products import gram
from dnmf.losses.least_squares import sums as least_squares_sums
from dnmf.losses.least_squares.loss import LeastSquares
from dnmf.losses.least_squares.sums import Evaluation, Shared, Sums, strip_sums
from dnmf.losses.protocol import Known, add, is_noisy, relative_error
from dnmf.rules import NO_PENALTY, RULES, Penalty
from dnmf.rules.solver import Solver

layouts = st.sampled_from(["C", "F"])


def strips(Y, L, heights, base=None, layout="C"):
    """The sums of each strip; strips of columns are turned, so their memory is in Fortran's order."""
    edges = np.cumsum([0, *heights])
    return [
        strip_sums(np.asarray(Y[a:b], order=layout), np.ascontiguousarray(L[:, a:b]), base) for a, b in pairwise(edges)
    ]


LOSS = LeastSquares(Solver("cd"), NO_PENALTY, NO_PENALTY, sparse=False, short_sweeps=3)


def evaluated(sums, base, S, norm=np.nan, *, name="cd", penalty=NO_PENALTY, sweeps=3):
    """What sums about a base say about a short factor."""
    return Evaluation(sums, Shared(S, gram(S), base, norm, Solver(name)), NO_PENALTY, penalty, sweeps, sparse=False)


def loss_of(sums, base, S, norm):
    return evaluated(sums, base, S, norm).loss


def base_of(S, known, norm, *, exact):
    return LOSS.prepare(S, Known(known, norm, exact)).base


def square(a):
    return float((a.astype("f8") ** 2).sum())


@given(st.data(), problems(), layouts, st.booleans())
def test_sums_do_not_depend_on_the_cut(data, problem, layout, about):
    Y, W, S = problem
    base = data.draw(matrices(S.shape, S.dtype, scales=(-1, 1))).astype("f8") if about else None
    total = add(strips(Y, W.T, data.draw(cuts(len(Y))), base, layout))
    Y8, L8 = Y.astype("f8"), W.T.astype("f8")
    R = Y8 - (L8.T @ base.astype("f8") if about else 0)
    digits = 1e-12 if about or Y.dtype == "f8" else 1e-5
    size = np.abs(L8).sum(1, keepdims=True) * (np.abs(Y8).max() + np.abs(R).max())
    assert (np.abs(total.cross - L8 @ R) <= digits * size).all()
    assert_allclose(total.gram, L8 @ L8.T, rtol=1e-12)
    assert_allclose([total.square, total.norm], [square(R), square(Y)] if about else [0, 0], rtol=1e-12)
    assert {total.cross.dtype, total.gram.dtype} == {np.dtype("f8")}
    assert {type(total.square), type(total.norm)} <= {float, int}


@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("about", [False, True])
def test_strips_higher_than_a_piece_are_summed_whole(layout, about):
    rng = np.random.default_rng(0)
    Y, L, B = rng.random((1501, 6)), rng.random((3, 1501)), rng.random((3, 6))
    total = strip_sums(np.asarray(Y, order=layout), L, B if about else None)
    R = Y - L.T @ B if about else Y
    assert_allclose(total.cross, L @ R, rtol=1e-10, atol=1e-9)
    assert_allclose(total.square, square(R) if about else 0, rtol=1e-12)


@given(st.data(), problems("f8"))
def test_adding_changes_none_of_the_parts(data, problem):
    Y, W, S = problem
    parts = strips(Y, W.T, data.draw(cuts(len(Y))), S)
    before = [(p.cross.copy(), p.gram.copy(), p.square, p.norm) for p in parts]
    total = add(parts)
    again = add(parts)
    for part, (cross, gram_, square_, norm) in zip(parts, before, strict=True):
        assert_array_equal(part.cross, cross)
        assert_array_equal(part.gram, gram_)
        assert (part.square, part.norm) == (square_, norm)
        assert not np.shares_memory(total.cross, part.cross)
    assert_array_equal(total.cross, again.cross)
    assert_allclose(total.norm, sum(p.norm for p in parts), rtol=1e-14)


@given(st.data(), problems("f8"))
def test_the_loss_of_any_short_factor_about_any_base_is_that_of_the_textbook(data, problem):
    Y, W, S = problem
    heights = data.draw(cuts(len(Y)))
    B = data.draw(matrices(S.shape, "f8", scales=(-1, 1)))
    expected, norm = naive.loss(Y, W, S), square(Y)
    rounding = 1e-12 * (norm + naive.loss(0 * Y, W, S) + naive.loss(0 * Y, W, B))
    for base in (None, B, S):
        assert abs(loss_of(add(strips(Y, W.T, heights, base)), base, S, norm) - expected) <= rounding
    assert_allclose(loss_of(add(strips(Y, W.T, heights, S)), S, S, norm), expected, rtol=1e-12)


def fitted(error, shape=(3000, 80), rank=5, *, turned=False):
    """Y (float32), L, S with ‖Y − Lᵀ S‖ / ‖Y‖ about `error`, and a short factor one small step away from S."""
    rng = np.random.default_rng(0)
    L, S = rng.random((rank, shape[0])).astype("f4"), rng.random((rank, shape[1])).astype("f4")
    model = L.T.astype("f8") @ S.astype("f8")
    noise = error * np.sqrt((model**2).mean() / (1 / 3)) * rng.uniform(-1, 1, shape)
    Y = np.asarray(np.maximum(model + noise, 0), "f4", order="F" if turned else "C")
    step = (S * (1 + error * rng.uniform(-1, 1, S.shape))).astype("f4")
    return Y, L, S, step


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("error", [1e-1, 1.1e-2, 1e-3, 1e-4])
def test_about_a_base_float32_gives_six_digits_of_the_loss_however_small(error, turned):
    Y, L, S, step = fitted(error, turned=turned)
    norm = square(Y)
    about = base_of(S, (error * 1.01) ** 2 * norm, norm, exact=True)
    assert about.dtype == ("f8" if error < 1e-2 / 1.01 else "f4")
    sums = add(strips(Y, L, (1000, 1000, 1000), about, "F" if turned else "C"))
    assert_allclose(np.sqrt(loss_of(sums, about, S, norm) / norm), error, rtol=0.05)
    for factor in (S, step):
        exact = square(Y.astype("f8") - L.T.astype("f8") @ factor.astype("f8"))
        assert_allclose(loss_of(sums, about, factor, norm), exact, rtol=1e-6)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("error", [0.5, 0.1])
def test_about_zero_float32_is_off_by_no_more_than_a_millionth_of_the_norm(error, turned):
    Y, L, S, step = fitted(error, turned=turned)
    norm = square(Y)
    sums = add(strips(Y, L, (1000, 1000, 1000), None, "F" if turned else "C"))
    for factor in (S, step):
        exact = square(Y.astype("f8") - L.T.astype("f8") @ factor.astype("f8"))
        assert_allclose(loss_of(sums, None, factor, norm), exact, atol=1e-6 * norm, rtol=0)


def test_the_loss_is_not_below_zero():
    sums = Sums(np.array([[2.0 + 1e-15]]), np.array([[1.0]]), 0.0, 0.0, 1.0)
    assert loss_of(sums, None, np.array([[2.0]]), 4.0 - 1e-14) == 0


@pytest.mark.parametrize("name", list(RULES))
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_short_factor_moves_the_same_whatever_the_base(name, dtype):
    rng = np.random.default_rng(0)
    Y, W, S = (rng.random(shape).astype(dtype) for shape in ((40, 12), (40, 3), (3, 12)))
    base = rng.random((3, 12)).astype(dtype)
    expected = naive.RULES[name](Y.T, S.T, W.T, 3).T
    for about in (None, base, S):
        ours = evaluated(add(strips(Y, W.T, (15, 25), about)), about, S, name=name).step()
        assert ours.dtype == dtype
        assert_allclose(ours, expected, rtol=1e-5 if dtype == "f4" else 1e-11, atol=1e-6 if dtype == "f4" else 1e-12)


@pytest.mark.parametrize(("dtype", "half_digit"), [("f4", 6.1e-8), ("f8", 1e-12)])
def test_the_gram_matrix_is_multiplied_in_float64(dtype, half_digit):
    S = np.random.default_rng(0).random((4, 20_000)).astype(dtype)
    ours = gram(S)
    assert ours.dtype == dtype
    assert_allclose(ours.astype("f8"), S.astype("f8") @ S.astype("f8").T, rtol=half_digit)


@pytest.mark.parametrize(
    ("known", "exact", "dtype"),
    [(None, False, "f8"), (0.9e-4, False, "f8"), (0.0, True, "f8"), (1.1e-4, True, "f4"), (0.5, True, "f4")],
)
def test_the_base_is_the_short_factor_in_the_dtype_of_the_residual(known, exact, dtype):
    S = np.random.default_rng(0).random((3, 5)).astype("f4")
    about = base_of(S, known, 1.0, exact=exact)
    assert about.dtype == dtype
    assert_array_equal(about, S)


def test_without_need_the_base_is_zero():
    assert base_of(np.ones((3, 5), "f4"), 0.5, 1.0, exact=False) is None


@pytest.mark.parametrize(("dtype", "noisy"), [("f4", True), ("f8", False)])
def test_a_free_loss_of_float32_cannot_tell_a_small_decrease(dtype, noisy):
    assert is_noisy(1e-7, 1.0, np.dtype(dtype)) is noisy
    assert not is_noisy(1e-5, 1.0, np.dtype(dtype))


def test_the_relative_error_is_of_norms_not_of_squares():
    assert relative_error(0.25, 1.0) == 0.5
    assert relative_error(0.0, 0.0) == 0.0


@given(st.data(), problems(), st.booleans())
def test_sums_of_sparse_strips_are_those_of_dense_ones(data, problem, about):
    """With zeros that are stored, empty rows and empty columns; about a base in float64 whatever the dtype of X."""
    Y, W, B = problem
    base = B.astype("f8") if about else None
    L, stored = np.ascontiguousarray(W.T), data.draw(st.sets(st.integers(0, Y.size - 1), max_size=20))
    edges = np.cumsum([0, *data.draw(cuts(len(Y)))])
    y = naive.csr(Y, stored)
    total = add([strip_sums(y[a:b], L[:, a:b], base) for a, b in pairwise(edges)])
    assert {total.cross.dtype, total.gram.dtype} == {np.dtype("f8")}
    size, model = naive.product(L, Y).max(), naive.product(W, B) if about else np.zeros(Y.shape)
    size += naive.product(L, model).max()
    digits = 1e-12 if about or Y.dtype == np.float64 else 1e-6
    assert_allclose(total.cross, naive.product(L, Y - model), rtol=0, atol=digits * size)
    assert_allclose(total.gram, L.astype("f8") @ L.T.astype("f8"), rtol=1e-12)
    assert_allclose([total.norm, *total.mass], [square(Y) if about else 0, *L.sum(axis=1, dtype="f8")], rtol=1e-12)
    expected = square(Y - model) if about else 0
    assert_allclose(total.square, expected, rtol=0, atol=1e-11 * (square(Y) + square(model)))


def test_sums_of_sparse_rows_in_many_pieces_are_those_of_one(monkeypatch):
    rng = np.random.default_rng(0)
    Y, L = np.where(rng.random((40, 7)) < 0.6, 0, rng.random((40, 7))), rng.random((3, 40))
    whole = strip_sums(naive.csr(Y), L, None)
    monkeypatch.setattr(least_squares_sums, "LARGE_PART", 5)
    assert len(list(parts.cuts(naive.csr(Y), least_squares_sums.LARGE_PART))) > 10
    assert_allclose(strip_sums(naive.csr(Y), L, None).cross, whole.cross, rtol=1e-13)


@pytest.mark.parametrize("about", [None, "f4", "f8"])
def test_what_the_sums_say_of_components_does_not_depend_on_their_base(about):
    Y, L, S, _ = fitted(0.1, (60, 8))
    base = None if about is None else S.astype(about)
    found = evaluated(add(strips(Y, L, (20, 40), base)), base, S, norm=square(Y)).of_components
    L8, R = L.astype("f8"), Y - L.T.astype("f8") @ S.astype("f8")
    assert_allclose(found.residual, L8 @ R, rtol=0, atol=1e-6 * np.abs(L8 @ Y).max())
    assert_allclose(found.cross(S), L8 @ Y, rtol=1e-6)
    assert_allclose(found.gram, L8 @ L8.T, rtol=1e-12)
    assert_allclose([found.mass, found.squares], [L8.sum(axis=1), (L8**2).sum(axis=1)], rtol=1e-12)
    assert found.norm == square(Y)


@pytest.mark.parametrize("about", [False, True])
def test_the_mass_of_a_component_is_the_sum_of_its_entries(about):
    Y, L, S, _ = fitted(0.1, (60, 8))
    total = add(strips(Y, L, (20, 40), S if about else None))
    assert_allclose(total.mass, L.sum(axis=1, dtype="f8"), rtol=1e-12)


@pytest.mark.parametrize("about", [False, True])
@pytest.mark.parametrize("penalty", [NO_PENALTY, Penalty(0.3, 0.2), Penalty(5.0)], ids=str)
def test_the_projected_gradient_is_that_of_the_objective(penalty, about):
    """Small steps find it; an entry of 0 that is pushed below 0 has none."""
    rng = np.random.default_rng(0)
    Y, L, S = rng.random((9, 5)), rng.random((2, 9)), rng.random((2, 5))
    S[0, 2] = 0
    base, step, slopes = rng.random(S.shape) if about else None, 1e-6, np.empty(S.shape)
    for at in np.ndindex(*S.shape):
        ends = []
        for sign in (1, -1):
            T = S.copy()
            T[at] += sign * step
            ends.append(naive.loss(Y, L.T, T) + naive.penalty(T, penalty.l1, penalty.l2))
        slopes[at] = (ends[0] - ends[1]) / (2 * step)
    slopes[0, 2] = min(slopes[0, 2], 0)
    ours = evaluated(add(strips(Y, L, (4, 5), base)), base, S, penalty=penalty).gradient_norm()
    assert_allclose(ours, np.linalg.norm(slopes), rtol=1e-6)
