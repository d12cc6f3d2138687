"""Each rule against a textbook in plain loops, against scikit-learn's iterates, and against what must never happen."""

import sys

import naive
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF, non_negative_factorization
from strategies import matrices, problems

from dnmf.rules import NO_PENALTY, RULES, Penalty, coordinate_descent, multiplicative

each_rule = pytest.mark.parametrize("name", list(RULES))
sweeps_ = st.integers(1, 3)


def fixed(*arrays):
    """The arrays, contiguous, of which nothing may be written to."""
    arrays = [np.ascontiguousarray(a) for a in arrays]
    for a in arrays:
        a.flags.writeable = False
    return arrays


def moved(name, X, W, V, sweeps=1):
    """W (m, k) moved by a rule, given V."""
    F, N, G = fixed(W.T, V @ X.T, V @ V.T)
    return RULES[name](F, N, G, sweeps).T


def iterated(name, X, W, V, iterations):
    """W and V after iterations of W, then V, one sweeps iteration each."""
    for _ in range(iterations):
        W = moved(name, X, W, V)
        V = moved(name, X.T, V.T, W.T).T
    return W, V


def random_problem(m, n, k, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((m, n)), rng.random((m, k)), rng.random((k, n))


@each_rule
@pytest.mark.parametrize("sweeps", [1, 4])
@pytest.mark.parametrize("shape", [(30, 7, 3), (7, 30, 5), (5, 5, 1)])
def test_one_factor_is_that_of_the_textbook(name, shape, sweeps):
    X, W, V = random_problem(*shape)
    assert_allclose(moved(name, X, W, V, sweeps), naive.RULES[name](X, W, V, sweeps), rtol=1e-12, atol=1e-14)


@each_rule
@given(problem=problems("f8"), sweeps=sweeps_)
def test_hard_cases_are_those_of_the_textbook(name, problem, sweeps):
    X, W, V = problem
    expected = naive.RULES[name](X, W, V, sweeps)
    assert_allclose(moved(name, X, W, V, sweeps), expected, rtol=1e-9, atol=1e-11 * expected.max())


@each_rule
def test_iterations_are_those_of_the_textbook(name):
    X, W, V = random_problem(20, 9, 3)
    ours, theirs = iterated(name, X, W, V, 5), naive.factorized(X, W, V, solver=name, iterations=5)
    for a, b in zip(ours, theirs, strict=True):
        assert_allclose(a, b, rtol=1e-11, atol=1e-13)


@each_rule
@pytest.mark.parametrize("shape", [(60, 20, 4), (200, 31, 7)])
def test_tall_x_gives_the_iterates_of_scikit_learn(name, shape):
    X, W, V = random_problem(*shape)
    theirs = non_negative_factorization(
        X, W.copy(), V.copy(), n_components=shape[2], init="custom", solver=name, tol=0, max_iter=20
    )
    for a, b in zip(iterated(name, X, W, V, 20), theirs, strict=False):
        assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@each_rule
def test_wide_x_gives_the_iterates_of_scikit_learn_on_its_transpose(name):
    X, W, V = random_problem(20, 60, 4)
    model = NMF(4, init="custom", solver=name, tol=0, max_iter=20)
    theirs = model.fit_transform(X.T, W=V.T.copy(), H=W.T.copy())
    ours = iterated(name, X.T, V.T, W.T, 20)  # V moves first
    assert_allclose(ours[0], theirs, rtol=1e-6, atol=1e-9)
    assert_allclose(ours[1], model.components_, rtol=1e-6, atol=1e-9)


@each_rule
def test_real_x_with_zero_columns_gives_the_iterates_of_scikit_learn(name):
    X = load_digits().data[:300]  # some pixels are never inked
    assert (X.sum(0) == 0).any()
    _, W, V = random_problem(300, 64, 10)
    theirs = non_negative_factorization(
        X, W.copy(), V.copy(), n_components=10, init="custom", solver=name, tol=0, max_iter=20
    )
    for a, b in zip(iterated(name, X, W, V, 20), theirs, strict=False):
        assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@each_rule
@given(problem=problems(), sweeps=sweeps_)
def test_the_loss_never_rises(name, problem, sweeps):
    X, W, V = problem
    digits = 1e-12 if X.dtype == "f8" else 1e-5
    size = naive.loss(X, W, V) + naive.loss(X, 0 * W, V)
    assert naive.loss(X, moved(name, X, W, V, sweeps), V) <= naive.loss(X, W, V) + digits * size


@each_rule
@given(problem=problems(), sweeps=sweeps_)
@example(problem=(np.zeros((3, 2)), np.zeros((3, 1)), np.zeros((1, 2))), sweeps=2)
@example(problem=(np.ones((3, 2)), np.ones((3, 2)), np.zeros((2, 2))), sweeps=1)
@example(problem=(np.ones((3, 2), "f4"), np.zeros((3, 2), "f4"), np.ones((2, 2), "f4")), sweeps=1)
def test_a_factor_stays_finite_and_non_negative_and_keeps_its_dtype(name, problem, sweeps):
    X, W, V = problem
    result = moved(name, X, W, V, sweeps)
    assert result.dtype == W.dtype
    assert result.shape == W.shape
    assert result.T.flags.c_contiguous, "component-major"
    assert np.isfinite(result).all()
    assert (result >= 0).all()


@each_rule
@given(st.data(), st.sampled_from([("f4", 1e15, 1e8), ("f4", 1e-15, 1e-8), ("f8", 1e120, 1e60), ("f8", 1e-120, 1e-60)]))
def test_huge_and_tiny_entries_stay_finite(name, data, size):
    dtype, x, v = size
    X = data.draw(matrices((6, 5), dtype, scales=(0, 0))) * np.dtype(dtype).type(x)
    W, V = (data.draw(matrices(shape, dtype, scales=(0, 0))) * np.dtype(dtype).type(v) for shape in ((6, 2), (2, 5)))
    result = moved(name, X, W, V, 2)
    assert np.isfinite(result).all()
    assert (result >= 0).all()


@each_rule
@given(problem=problems("f8"), sweeps=sweeps_, cut=st.integers(0, 12))
def test_rows_are_independent_of_each_other(name, problem, sweeps, cut):
    X, W, V = problem
    whole = moved(name, X, W, V, sweeps)
    pieces = [moved(name, X[part], W[part], V, sweeps) for part in (slice(cut), slice(cut, None))]
    assert_allclose(np.vstack(pieces), whole, rtol=1e-9, atol=1e-11 * whole.max())


def test_coordinate_descent_does_not_depend_on_its_groups(monkeypatch):
    X, W, V = random_problem(50, 8, 3)
    whole = moved("cd", X, W, V, 2)
    # The module, whose name in the package is that of its function.
    monkeypatch.setattr(sys.modules[coordinate_descent.__module__], "ROWS_IN_CACHE", 7)
    assert_allclose(moved("cd", X, W, V, 2), whole, rtol=1e-12)


@each_rule
def test_a_transposed_factor_gives_the_same(name):
    X, W, V = random_problem(9, 8, 3)
    N, G = V @ X.T, V @ V.T
    assert_array_equal(RULES[name](W.T, N, G, 2), RULES[name](np.ascontiguousarray(W.T), N, G, 2))


@each_rule
def test_more_sweeps_are_that_many_updates(name):
    X, W, V = random_problem(9, 8, 3)
    N, G = V @ X.T, V @ V.T
    once = RULES[name](W.T, N, G)
    assert_array_equal(RULES[name](once, N, G), RULES[name](W.T, N, G, 2))
    assert np.abs(once - RULES[name](once, N, G)).max() > 1e-6


@each_rule
def test_float32_is_float64_to_six_digits(name):
    X, W, V = random_problem(40, 30, 5)
    single = moved(name, *(a.astype("f4") for a in (X, W, V)))
    assert_allclose(single, moved(name, X, W, V), rtol=2e-5, atol=1e-6)


@given(problems("f8"), sweeps_)
def test_a_multiplicative_update_keeps_zeros(problem, sweeps):
    X, W, V = problem
    assert (moved("mu", X, W, V, sweeps)[W == 0] == 0).all()


def test_a_multiplicative_update_of_nothing_by_nothing_is_zero():
    zero, one = np.zeros((1, 2)), np.ones((1, 2))
    assert_array_equal(multiplicative(one, zero, np.zeros((1, 1))), zero)
    assert_array_equal(multiplicative(zero, one, np.ones((1, 1))), zero)


@each_rule
@pytest.mark.parametrize("first", [0.0, 2.0])
def test_a_quotient_beyond_the_range_of_the_dtype_stays_finite(name, first):
    N, G = np.array([[1e300], [1.0]]), np.diag([1e-300, 1.0])
    assert np.isfinite(RULES[name](np.full((2, 1), first), N, G, 2)).all()


def test_coordinate_descent_leaves_a_dead_component_alone():
    X, W, V = random_problem(9, 8, 3)
    V[1] = 0
    result = moved("cd", X, W, V, 3)
    assert_array_equal(result[:, 1], W[:, 1])
    living = [0, 2]
    assert_allclose(result[:, living], moved("cd", X, W[:, living], V[living], 3), rtol=1e-12)


def test_coordinate_descent_revives_a_zero():
    assert_array_equal(coordinate_descent(np.zeros((1, 1)), np.array([[3.0]]), np.array([[2.0]])), [[1.5]])


def test_coordinate_descent_converges_to_the_best_non_negative_factor():
    X, W, V = random_problem(9, 8, 3)
    W = moved("cd", X, W, V, 500)
    gradient = W @ V @ V.T - X @ V.T
    assert (gradient > -1e-9).all()
    assert_allclose(W * gradient, 0, atol=1e-9)


PENALTIES = [Penalty(0.7), Penalty(0.0, 0.4), Penalty(0.3, 0.2)]
each_penalty = pytest.mark.parametrize("penalty", PENALTIES, ids=str)


def penalized(name, X, W, V, penalty, sweeps=1, **more):
    """W (m, k) moved by a rule, given V, under a penalty."""
    F, N, G = fixed(W.T, V @ X.T, V @ V.T)
    return RULES[name](F, N, G, sweeps, penalty=penalty, **more).T


def objective(X, W, V, penalty):
    return naive.loss(X, W, V) + naive.penalty(W, penalty.l1, penalty.l2)


@each_rule
@given(penalty=st.sampled_from(PENALTIES), problem=problems("f8"), sweeps=sweeps_)
def test_penalized_factors_are_those_of_the_textbook(name, penalty, problem, sweeps):
    X, W, V = problem
    expected = naive.RULES[name](X, W, V, sweeps, l1=penalty.l1, l2=penalty.l2)
    ours = penalized(name, X, W, V, penalty, sweeps)
    assert_allclose(ours, expected, rtol=1e-9, atol=1e-11 * (1 + expected.max()))


@each_rule
@given(problem=problems(), sweeps=sweeps_, l1=st.floats(0, 100), l2=st.floats(0, 100))
def test_the_objective_never_rises(name, problem, sweeps, l1, l2):
    X, W, V = problem
    penalty = Penalty(l1, l2)
    before, after = (objective(X, F, V, penalty) for F in (W, penalized(name, X, W, V, penalty, sweeps)))
    digits = 1e-12 if X.dtype == "f8" else 1e-5
    assert after <= before + digits * (before + naive.loss(X, 0 * W, V))


@each_rule
@given(penalty=st.sampled_from(PENALTIES), problem=problems(), sweeps=sweeps_)
def test_a_penalized_factor_stays_finite_non_negative_and_in_its_dtype(name, penalty, problem, sweeps):
    X, W, V = problem
    ours = penalized(name, X, W, V, penalty, sweeps)
    assert ours.dtype == W.dtype
    assert np.isfinite(ours).all()
    assert (ours >= 0).all()


@each_penalty
def test_penalized_coordinate_descent_converges_to_the_best_non_negative_factor(penalty):
    X, W, V = random_problem(9, 8, 3)
    W = penalized("cd", X, W, V, penalty, 500)
    gradient = W @ V @ V.T - X @ V.T + penalty.gradient(W)
    assert (gradient > -1e-9).all()
    assert_allclose(W * gradient, 0, atol=1e-9)


@each_rule
def test_a_penalty_may_differ_from_row_to_row(name):
    """Rows of a weighted sample count more or less than once."""
    X, W, V = random_problem(7, 8, 3)
    weights = np.linspace(0.5, 3, 7)
    together = penalized(name, X, W, V, Penalty(0.2, 0.1).weighted(weights), 2)
    for i, weight in enumerate(weights):
        alone = penalized(name, X[i : i + 1], W[i : i + 1], V, Penalty(0.2 * weight, 0.1), 2)
        assert_allclose(together[i : i + 1], alone, rtol=1e-12)


def test_a_component_that_x_has_not_pays_for_itself():
    """Its Gram entry is 0: by cd a penalty of squares brings it to 0, by mu any penalty does."""
    X, W, V = random_problem(9, 8, 3)
    V[1] = 0
    assert not penalized("cd", X, W, V, Penalty(0.0, 0.1))[:, 1].any()
    assert not penalized("mu", X, W, V, Penalty(0.1))[:, 1].any()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("penalty", [NO_PENALTY, PENALTIES[2]], ids=str)
def test_components_are_set_in_any_order(order, penalty):
    X, W, V = random_problem(9, 8, 3)
    V[0] *= 1e-2
    ours = penalized("cd", X, W, V, penalty, 2, order=order)
    assert_allclose(ours, naive.hals(X, W, V, 2, l1=penalty.l1, l2=penalty.l2, order=order), rtol=1e-11)
    if order != (0, 1, 2):
        assert np.abs(ours - penalized("cd", X, W, V, penalty, 2)).max() > 1e-6


def test_a_dead_component_is_left_alone_in_any_order():
    X, W, V = random_problem(9, 8, 3)
    V[1] = 0
    ours = penalized("cd", X, W, V, NO_PENALTY, order=(1, 2, 0))
    assert_array_equal(ours[:, 1], W[:, 1])


@given(penalty=st.sampled_from(PENALTIES), F=matrices())
def test_what_a_penalty_adds_is_that_of_the_textbook(penalty, F):
    expected = naive.penalty(F, penalty.l1, penalty.l2)
    assert_allclose(penalty.of(F), expected, rtol=1e-12)
    F8 = F.astype("f8")
    assert_allclose(penalty.value(F8.sum(), (F8**2).sum()), expected, rtol=1e-12)
    assert_array_equal(penalty.gradient(F8), penalty.l1 + penalty.l2 * F8)


def test_a_penalty_is_something_where_any_of_it_is():
    assert not NO_PENALTY
    assert not Penalty(np.zeros(3))
    assert all([Penalty(0.1), Penalty(0.0, 0.1), Penalty(np.array([0.0, 0.1]))])
    ridge = Penalty(0.0, 0.3)
    assert ridge.weighted(np.ones(4)) is ridge


@each_rule
@given(problem=problems("f8"), sweeps=sweeps_, data=st.data())
def test_known_components_stay_and_the_others_move_as_in_what_they_leave(name, problem, sweeps, data):
    """The least-squares problem of the others is that of X less what is known; mu divides by the model of all."""
    X, W, V = problem
    known = data.draw(st.integers(0, W.shape[1]))
    F, N, G = fixed(W.T, V @ X.T, V @ V.T)
    found = RULES[name](F, N, G, sweeps, known=known)
    assert found[:known].tobytes() == F[:known].tobytes()
    if name == "cd":
        left = N[known:] - G[known:, :known] @ F[:known]
        alone = coordinate_descent(F[known:], left, G[known:, known:], sweeps)
        assert_allclose(found[known:], alone, rtol=1e-9, atol=1e-9 * max(alone.max(initial=0), 1e-12))
    else:
        expected = F.copy()
        for _ in range(sweeps):
            expected[known:] = multiplicative(expected, N, G)[known:]
        assert_array_equal(found, expected)
