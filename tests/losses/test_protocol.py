"""What losses promise the loop, whichever it is; their names; rows that settle by themselves."""

import pickle
from dataclasses import replace
from functools import cache

import naive
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pairwise import few, in_turn
from strategies import pairs
from threadpoolctl import threadpool_limits

import dnmf
from dnmf.arrays.rows import align
from dnmf.arrays.sample import StandIn
from dnmf.arrays.sketch import as_it_is
from dnmf.losses import NAMED, beta_of, solvers_of
from dnmf.losses.choose import loss_of
from dnmf.losses.extrapolation import Fit
from dnmf.losses.protocol import Known, add
from dnmf.losses.row_by_row import STRIDE, row_by_row
from dnmf.rules import NO_PENALTY, Penalty

PENALIZED = {"none": (NO_PENALTY, NO_PENALTY), "both": (Penalty(0.2, 0.02), Penalty(0.1, 0.3))}
KINDS = ["cd", "mu", -0.5, 0.0, 0.5, 1.0, 1.5, 3.0]

each_kind = pytest.mark.parametrize("kind", KINDS)
each_penalty = pytest.mark.parametrize("name", PENALIZED)


@pytest.fixture(autouse=True, scope="module")
def _one_blas_thread():
    """As in a factorization: where other processes use the same cores, more threads wait for each other."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def objective_of(kind, name="none", order=None):
    solver = kind if isinstance(kind, str) else "mu"
    return loss_of(solver, number_of(kind), *PENALIZED[name], sparse=False, short_sweeps=2, order=order)


def shared_of(objective, S, known=None, norm=np.nan):
    return objective.prepare(S, Known(known, norm, exact=True))


def sample_of(A, counts=None):
    """All of a matrix as a sample that stands for it."""
    return StandIn(A, np.ones(len(A)) if counts is None else counts, as_it_is(A), whole=True)


def problem(m=14, n=8, k=3, *, dtype="f8", seed=0):
    """Y (m, n) without zeros, L (k, m) and S (k, n), read-only."""
    rng = np.random.default_rng(seed)
    found = [rng.uniform(0.1, 1, shape).astype(dtype) for shape in ((m, n), (k, m), (k, n))]
    for a in found:
        a.flags.writeable = False
    return found


def number_of(kind):
    return 2.0 if isinstance(kind, str) else kind


def true_loss(kind, Y, L, S):
    return naive.beta_loss(Y, L.T, S, number_of(kind))


def true_objective(kind, name, Y, L, S):
    on_L, on_S = PENALIZED[name]
    return true_loss(kind, Y, L, S) + naive.penalty(L, on_L.l1, on_L.l2) + naive.penalty(S, on_S.l1, on_S.l2)


def norm_of(kind, Y):
    return float((Y.astype("f8") ** number_of(kind)).sum())


def test_losses_with_a_name_have_those_of_scikit_learn():
    assert NAMED == {"frobenius": 2.0, "kullback-leibler": 1.0, "itakura-saito": 0.0}
    assert [beta_of(loss) for loss in (*NAMED, 1, -0.5)] == [2, 1, 0, 1, -0.5]
    assert (solvers_of(2.0), solvers_of(1.0)) == (("cd", "mu"), ("mu",))


@pytest.mark.parametrize("wrong", ["squared", True, np.nan, None])
def test_another_loss_is_refused(wrong):
    with pytest.raises(ValueError, match=f"beta_loss is {wrong!r}: one of 'frobenius', "):
        beta_of(wrong)


@each_penalty
@each_kind
def test_it_travels_with_every_task(kind, name):
    objective = objective_of(kind, name)
    assert pickle.loads(pickle.dumps(objective)) == objective
    assert len(pickle.dumps(objective)) < 1000
    assert objective.penalized is (name == "both")


@each_penalty
@each_kind
@pytest.mark.parametrize("known", [None, 0.5])
def test_loss_and_penalties_after_a_pass_are_those_of_the_textbook(known, kind, name):
    objective, (Y, L, S) = objective_of(kind, name), problem()
    norm = norm_of(kind, Y)
    shared = shared_of(objective, S, known, np.nan if known is None else norm)
    sums = add([objective.sums(Y[a:b], shared, L[:, a:b]) for a, b in ((0, 5), (5, 14))])
    found = objective.evaluate(sums, shared)
    assert found.exact
    assert_allclose(found.loss, true_loss(kind, Y, L, S), rtol=1e-10)
    assert_allclose(found.loss + found.penalties, true_objective(kind, name, Y, L, S), rtol=1e-10)
    assert_allclose(found.norm, norm, rtol=1e-12)


@each_penalty
@each_kind
def test_what_a_move_is_foretold_to_bring_is_what_it_brings_at_most(kind, name):
    objective, (Y, L, S) = objective_of(kind, name), problem()
    shared = shared_of(objective, S)
    found = objective.evaluate(objective.sums(Y, shared, L), shared)
    after = found.step()
    foretold = found.gain(after)
    came = true_objective(kind, name, Y, L, S) - true_objective(kind, name, Y, L, after)
    assert came > 0
    if isinstance(kind, str):
        assert_allclose(foretold, came, rtol=1e-9)
    else:
        # Of ten such moves; of one it is a bound.
        assert 0 < foretold / 10 <= came


@each_penalty
@each_kind
def test_rows_move_as_in_the_textbook(kind, name):
    objective, (Y, L, S) = objective_of(kind, name), problem()
    l1, l2 = PENALIZED[name][0].l1, PENALIZED[name][0].l2
    ours = objective.update(Y, shared_of(objective, S), L, 2)
    if isinstance(kind, str):
        expected = naive.RULES[kind](Y, L.T, S, 2, l1=l1, l2=l2)
    else:
        expected = naive.beta_update(Y, L.T, S, 2, beta=kind, l1=l1, l2=l2)
    assert_allclose(ours, expected.T, rtol=1e-10)


@each_penalty
@each_kind
def test_from_scratch_rows_are_near_their_best_and_zero_where_y_is(kind, name):
    objective, (Y, _, S) = objective_of(kind, name), problem()
    zeros = number_of(kind) >= 1  # below, the loss of a model of 0 is not finite
    if zeros:
        Y = Y.copy()
        Y[3] = 0
    ours = objective.solve(Y, shared_of(objective, S), 10)
    best = objective.settle(Y, S, tol=1e-6, iterations=500)
    assert (ours >= 0).all()
    assert_allclose(true_objective(kind, name, Y, ours, S), true_objective(kind, name, Y, best, S), rtol=0.05)
    if zeros:
        assert not ours[:, 3].any()


@each_kind
@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_random_rows_get_the_scale_of_y_first(kind, unit):
    objective, (Y, L, S) = objective_of(kind), problem()
    plain, other = (objective.scale_and_update(y, shared_of(objective, S), L, 3) for y in (Y, Y * unit))
    digits = 1e-3 if 0 < number_of(kind) < 1 else 1e-9
    assert_allclose(other / unit, plain, rtol=digits, atol=digits * plain.max())


def test_random_rows_of_counts_get_the_sums_of_their_rows():
    """Not moved after that, their model has the sum of each row, as every update by the rule keeps it."""
    objective, (Y, L, S) = objective_of(1.0), problem()
    scaled = objective.scale_and_update(Y, shared_of(objective, S), L, 0)
    assert_allclose((scaled.T @ S).sum(axis=1), Y.sum(axis=1), rtol=1e-12)
    assert not objective.scale_and_update(Y * 0, shared_of(objective, S), L, 1).any()


@pytest.mark.parametrize(("kind", "name"), [*zip(KINDS, [*PENALIZED] * 4, strict=True), ("cd", "both"), (1.0, "none")])
def test_settled_rows_are_stationary(kind, name):
    objective, (Y, _, S) = objective_of(kind, name), problem()
    W = objective.settle(Y, S, tol=1e-8, iterations=4000)
    on_L = PENALIZED[name][0]
    numerator, denominator = naive.beta_terms(Y, W.T, S, number_of(kind))
    gradient = (denominator - numerator).T + on_L.gradient(W)
    size = numerator.max()
    assert (gradient > -1e-3 * size).all()
    assert_allclose(W * gradient, 0, atol=1e-4 * size * W.max())


@pytest.mark.parametrize(("dtype", "kind", "name"), pairs(["f4", "f8"], KINDS, [*PENALIZED]))
def test_settled_rows_do_not_depend_on_their_neighbours(dtype, kind, name):
    objective, (Y, _, S) = objective_of(kind, name), problem(40, dtype=dtype)
    digits = {"rtol": 0, "atol": 1e-3 if dtype == "f4" else 1e-11}
    together = objective.settle(Y, S, tol=1e-4, iterations=100)
    assert together.dtype == dtype
    for rows in ([0], [39, 3, 17], range(20)):
        assert_allclose(objective.settle(Y[list(rows)], S, tol=1e-4, iterations=100), together[:, list(rows)], **digits)


@each_kind
def test_sums_over_columns_settle_rows_of_least_squares_and_no_other_losses(kind):
    objective, (Y, _, S) = objective_of(kind, "both"), problem()
    columns = objective.from_columns
    assert (columns is not None) is isinstance(kind, str)
    if columns:
        from_rows = objective.settle(Y, S, tol=1e-6, iterations=500)
        sums = add([columns.sums(Y[:, part].T, S[:, part]) for part in (slice(3), slice(3, None))])
        assert_allclose(columns.settle(sums, S, tol=1e-6, iterations=500), from_rows, rtol=1e-9)


@each_kind
def test_what_strips_share_is_the_same_wherever_it_lies_in_memory(kind):
    """One that came from another process may lie across its alignment."""
    Y, L, S = problem(dtype="f4")
    objective = objective_of(kind)
    shared = shared_of(objective, S)
    across = np.ndarray(S.shape, S.dtype, buffer=np.empty(S.nbytes + 1, "u1")[1:])
    across[...] = S
    moved = align(pickle.loads(pickle.dumps(shared_of(objective, across))))
    assert moved.S.flags.aligned
    assert type(moved) is type(shared)
    assert_array_equal(objective.update(Y, moved, L, 2), objective.update(Y, shared, L, 2))


def test_a_row_stops_by_itself_and_is_never_touched_again():
    """Rows that halve until they are whole numbers: each is seen for as long as it moves."""
    seen = []

    def step(F, rows):
        seen.append(list(rows))
        return np.where(F > 8, F / 2, F)

    first = np.array([[8.0, 64.0, 16.0]])
    first.flags.writeable = False
    assert_array_equal(row_by_row(step, first, tol=1e-3, groups=10), [[8, 8, 8]])
    assert seen == [[0, 1, 2], [1, 2], [1], [1]]
    assert_array_equal(first, [[8, 64, 16]])
    seen.clear()
    assert_array_equal(row_by_row(step, first, tol=1e-3, groups=1), [[8, 32, 8]])
    assert_array_equal(row_by_row(step, first, tol=1e-3, groups=0), first)
    assert len(seen) == 1


def test_a_row_of_zeros_has_settled():
    seen = []
    row_by_row(lambda F, rows: seen.append(list(rows)) or F, np.zeros((2, 3)), tol=0.0, groups=5)
    assert seen == [[0, 1, 2]]


def test_what_has_settled_is_within_the_tolerance_of_its_end():
    objective, (Y, _, S) = objective_of("cd"), problem()
    end = objective.settle(Y, S, tol=0.0, iterations=5000)
    soon = objective.settle(Y, S, tol=1e-4, iterations=5000)
    assert_allclose(soon, end, atol=1e-2 * end.max())
    assert STRIDE == 10


def test_components_are_set_in_the_order_that_is_asked_for():
    (Y, L, S), order = problem(), (2, 0, 1)
    plain, ours, mu, other = (objective_of(kind, order=o) for kind in ("cd", "mu") for o in (None, order))
    moved = ours.update(Y, shared_of(ours, S), L, 1)
    assert_allclose(moved, naive.hals(Y, L.T, S, order=order).T, rtol=1e-11)
    assert np.abs(moved - plain.update(Y, shared_of(plain, S), L, 1)).max() > 1e-3
    assert mu == other


def test_zeros_stay_where_a_rule_cannot_leave_them():
    assert [objective_of(kind).keeps_zeros for kind in ("cd", "mu", 1.0)] == [False, True, True]


@each_penalty
@each_kind
def test_a_sample_is_begun_with_and_is_at_least_as_good_as_its_start(kind, name):
    objective, (Y, _, S) = objective_of(kind, name), problem(60, 20, 3)
    model = objective.surrogate(sample_of(Y))
    assert model.whole
    assert model.rows is None
    cd = objective_of("cd")
    start = cd.solve(Y, shared_of(cd, S), 3)
    H, share = model.factorize(Fit(start, S, np.inf, np.inf), iterations=50, tol=1e-6)
    assert (H >= 0).all()
    followed, sweeps = model.follow(shared_of(objective, H), None)
    assert sweeps >= 1
    ended = true_objective(kind, name, Y, followed.rows, H)
    begun = true_objective(kind, name, Y, objective.settle(Y, S, tol=1e-6, iterations=200), S)
    assert ended < begun
    assert 0 < share < 1.5
    assert_allclose(share * norm_of(kind, Y), true_loss(kind, Y, followed.rows, H), rtol=0.2)


@pytest.mark.parametrize("kind", ["cd", "mu"])
def test_the_penalty_on_a_weighted_sample_grows_as_its_rows_do(kind):
    """Rows that count c times are multiplied by √c: the rows that belong to them are √c times those of X."""
    objective, (Y, _, S) = objective_of(kind, "both"), problem()
    counts = np.random.default_rng(1).uniform(1, 5, len(Y))
    roots = np.sqrt(counts)
    A = Y * roots[:, None]
    shared = shared_of(objective, S)
    followed, sweeps = objective.surrogate(sample_of(A, counts)).follow(shared, 5)
    assert sweeps == 5
    first = objective.solve(Y, shared, 5)
    assert_allclose(followed.rows, first * roots, rtol=1e-6, atol=1e-8)
    again, _ = followed.follow(shared, 4)
    expected = objective.update(Y, shared, first, 4)
    assert_allclose(again.rows, expected * roots, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", [0.0, 1.0])
def test_a_whole_sample_may_end_it_at_once_and_a_part_may_not(kind):
    objective, (Y, _, _) = objective_of(kind), problem()
    assert objective.surrogate(sample_of(Y)).whole
    assert not objective.surrogate(sample_of(Y, np.full(len(Y), 2.0))).whole


@pytest.mark.parametrize(
    ("beta", "unit"), few(in_turn([-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0] * 5, [1e-30, 1e30, 1e-16, 1e-12, 1e12]), 7)
)
def test_float32_of_any_unit_is_factorized_as_well(beta, unit):
    assert_allclose(error_of(beta, unit), error_of(beta, 1.0), rtol=2e-3)


@cache
def error_of(beta, unit):
    """The relative error of a factorization, of float32 but where the unit is 1."""
    Y = problem(24, 12)[0]
    X = Y if unit == 1 else (Y * unit).astype("f4")
    return dnmf.factorize(X, 2, solver="mu", beta_loss=beta, max_iter=5).relative_error


def test_a_move_that_is_foretold_to_rise_ends_no_run():
    """Small first factors under a large penalty of squares: the rule overshoots, and there is a long way to go."""
    rng = np.random.default_rng(0)
    X = rng.random((60, 20))
    first = 0.02 * rng.random((60, 3)), 0.02 * rng.random((3, 20))
    asked = {"solver": "mu", "beta_loss": 1.0, "alpha_W": 2.0, "alpha_H": 2.0}
    ours, best = (dnmf.factorize(X, 3, init=init, **asked) for init in (first, "sample"))
    assert ours.history["objective"][-1] < 1.1 * best.history["objective"][-1]


@each_kind
@each_penalty
def test_known_components_stay_and_only_the_others_are_told_of(kind, name):
    Y, L, S = problem()

    def found(known, rows):
        objective = replace(objective_of(kind, name), known=known)
        shared = shared_of(objective, S)
        return objective, shared, objective.evaluate(objective.sums(Y, shared, rows), shared)

    objective, shared, evaluation = found(2, L)
    moved = evaluation.step()
    assert moved[:2].tobytes() == S[:2].tobytes()
    assert not np.array_equal(moved[2:], S[2:])
    *_, of_all = found(0, L)
    *_, of_none = found(3, L)
    assert 0 < evaluation.gradient_norm() < of_all.gradient_norm()
    assert (of_none.gradient_norm(), of_none.gain(of_none.step())) == (0, 0)

    surrogate, _ = objective.surrogate(sample_of(Y)).follow(shared, 3)
    *_, evaluation = found(2, surrogate.rows)
    for S2 in (
        surrogate.correct(evaluation, 5),
        surrogate.factorize(Fit(surrogate.rows, S, np.inf, np.inf), iterations=20, tol=0)[0],
    ):
        assert S2[:2].tobytes() == S[:2].tobytes()
        assert not np.array_equal(S2[2:], S[2:])
