"""β-divergences on a sample: it never rises, ends at rest, and the first step that it takes is that of all of X."""

from functools import cache

import naive
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pairwise import few
from strategies import pairs
from threadpoolctl import threadpool_limits

from dnmf.losses.divergence import surrogate
from dnmf.losses.divergence.loss import Divergence
from dnmf.losses.divergence.rows import move_rows
from dnmf.losses.divergence.sums import Evaluation, Shared, strip_sums
from dnmf.losses.divergence.surrogate import STEP_UPDATES, Surrogate, affordable
from dnmf.losses.protocol import STEPS
from dnmf.rules import NO_PENALTY, Penalty

BETAS = [0.0, 0.5, 1.0, 1.5, 3.0]
PENALIZED = {"none": (NO_PENALTY, NO_PENALTY), "both": (Penalty(0.3, 0.02), Penalty(0.2, 0.05))}

each_beta = pytest.mark.parametrize("beta", BETAS)
each_penalty = pytest.mark.parametrize("name", PENALIZED)
# Itakura–Saito is infinite where X is zero.
PAIRS = [(beta, kind) for beta in BETAS for kind in ("dense", "sparse") if beta > 0 or kind == "dense"]
each_pair = pytest.mark.parametrize(("beta", "kind"), PAIRS)


@pytest.fixture(autouse=True, scope="module")
def _one_blas_thread():
    """As in a factorization: where other processes use the same cores, more threads wait for each other."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def problem(m=24, n=9, k=2, *, beta=1.0, dtype="f8", seed=0):
    """X (m, n) of low rank and noise, L (k, m) and S (k, n), read-only; where the loss can have them, zeros in X."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(0.1, 1, (m, k)) @ rng.uniform(0.1, 1, (k, n)) * rng.uniform(0.5, 1.5, (m, n))
    X *= rng.random((m, n)) >= (0.2 if beta > 0 else 0)
    found = [a.astype(dtype) for a in (X, rng.uniform(0.1, 1, (k, m)), rng.uniform(0.1, 1, (k, n)))]
    for a in found:
        a.flags.writeable = False
    return found


def as_kind(X, kind):
    return X if kind == "dense" else naive.csr(X)


def counted(X, L, terms, counts=None):
    """X as a sample, whose rows count once or as often as is said."""
    return Surrogate(X, np.ones(X.shape[0]) if counts is None else counts, terms.beta, terms.long, terms.short, L)


def shared(S):
    return Shared(S, S, np.nan)


def evaluated(sums, S, terms):
    return Evaluation(sums, shared(S), terms.beta, terms.long, terms.short)


def corrected(model, S, sums, terms, steps=STEPS):
    return model.correct(evaluated(sums, S, terms), steps)


def moved(sums, S, terms):
    return evaluated(sums, S, terms).step()


def objective(X, W, H, terms, counts=None):
    """In float64, every row as often as it counts."""
    counts = np.ones(X.shape[0]) if counts is None else counts
    loss = strip_sums(X, W.astype("f8"), H.astype("f8"), beta=terms.beta, weights=counts).loss
    long = sum(c * naive.penalty(w, terms.long.l1, terms.long.l2) for c, w in zip(counts, W.T, strict=True))
    return loss + long + naive.penalty(H, terms.short.l1, terms.short.l2)


def terms_of(beta, name):
    return Divergence(beta, *PENALIZED[name])


def fitted(X, L, S, terms, iterations, counts=None, tol=0.0):
    return counted(X, L, terms, counts).majorize(S, iterations=iterations, tol=tol)


@each_penalty
@each_pair
def test_more_iterations_never_end_higher_and_factors_are_no_worse_than_told(beta, name, kind):
    X, L, S = problem(beta=beta)
    terms, counts = terms_of(beta, name), np.random.default_rng(1).uniform(1, 4, len(X))
    told = []
    for iterations in (1, 2, 5, 17, 40):
        fit = fitted(as_kind(X, kind), L, S, terms, iterations, counts)
        assert (fit.W >= 0).all()
        assert (fit.H >= 0).all()
        assert objective(X, fit.W, fit.H, terms, counts) <= fit.objective * (1 + 1e-12)
        told.append(fit.objective)
    assert (np.diff(told) <= 1e-12).all()
    assert told[-1] < 0.9 * told[0]


@each_penalty
@each_beta
def test_it_ends_at_a_stationary_point(beta, name):
    X, L, S = problem(beta=beta)
    terms, counts = terms_of(beta, name), np.random.default_rng(1).uniform(1, 4, len(X))
    fit = fitted(X, L, S, terms, 1000, counts)
    W, H = fit.W, fit.H
    # The loss is not in one unit for all rows of W: an update of its rows does not depend on counts.
    again = move_rows(X, W, H, 1, beta=beta, penalty=terms.long)
    assert_allclose(again, W, atol=2e-3 * W.max())
    sums = strip_sums(X, W, H, beta=beta, weights=counts)
    gradient = sums.denominator - sums.numerator + terms.short.gradient(H)
    size = np.abs(sums.numerator).max()
    # An entry that is as good as zero hardly leaves, whatever pulls at it: that is the multiplicative rule.
    assert (gradient[1e-9 * H.max() < H] > -2e-3 * size).all()
    assert_allclose(H * gradient, 0, atol=2e-3 * size * H.max())


def test_extrapolation_goes_further_than_plain_updates():
    X, L, S = problem(60, 20, 3)
    ours = fitted(X, L, S, terms_of(1.0, "none"), 60).objective
    W, H = L, S
    for _ in range(60):
        W = move_rows(X, W, H, 1, beta=1.0, penalty=NO_PENALTY)
        sums = strip_sums(X, W, H, beta=1.0)
        H = moved(sums, H, terms_of(1.0, "none"))
    assert ours < sums.loss
    # The first iteration differs from a plain one by the extrapolation alone, which moves on from where it was.
    assert fitted(X, L, S, terms_of(1.0, "none"), 1).objective < strip_sums(X, L, S, beta=1.0).loss


@each_penalty
@each_beta
def test_a_row_that_counts_twice_is_two_rows(beta, name):
    X, L, S = problem(beta=beta)
    counts = np.random.default_rng(2).integers(1, 4, len(X))
    ours = fitted(X, L, S, terms_of(beta, name), 15, counts.astype("f8"))
    theirs = fitted(np.repeat(X, counts, axis=0), np.repeat(L, counts, axis=1), S, terms_of(beta, name), 15)
    assert_allclose(ours.H, theirs.H, rtol=1e-8, atol=1e-10)
    assert_allclose(ours.objective, theirs.objective, rtol=1e-9)


@pytest.mark.parametrize("tol", [0.1, 1e-2, 1e-3])
def test_it_stops_when_ten_iterations_no_longer_pay(tol):
    X, L, S = problem(60, 20, 3)
    terms, before, expected = terms_of(1.0, "none"), np.inf, 10
    while before - (now := fitted(X, L, S, terms, expected).objective) > tol * now:
        before, expected = now, expected + 10
    assert fitted(X, L, S, terms, 2000, tol=tol).objective == now
    assert 10 < expected < 2000


@each_beta
def test_nothing_that_it_is_given_changes_and_float32_stays(beta):
    X, L, S = problem(beta=beta, dtype="f4")
    terms = terms_of(beta, "both")
    model = counted(X, L, terms, np.linspace(1, 3, len(X)))
    fit = model.majorize(S, iterations=12, tol=0)
    assert (fit.W.dtype, fit.H.dtype) == ("f4", "f4")
    double = fitted(*(a.astype("f8") for a in (X, L, S)), terms, 12, model.counts)
    assert_allclose(fit.objective, double.objective, rtol=1e-3)


def test_rows_columns_and_components_of_zeros_do_no_harm():
    X, L, S = (a.copy() for a in problem())
    X[3], X[:, 4], L[1], S[1] = 0, 0, 0, 0
    for beta in (0.5, 1.0, 1.5, 3.0):
        fit = fitted(X, L, S, terms_of(beta, "none"), 30)
        assert np.isfinite(fit.W).all()
        assert np.isfinite(fit.H).all()
        assert np.isfinite(fit.loss)
        assert not fit.H[1].any()


@each_penalty
@each_pair
def test_rows_of_the_sample_move_as_those_of_x_do(beta, name, kind):
    X, L, S = problem(beta=beta)
    terms, drawn = terms_of(beta, name), [2, 5, 11]
    model = counted(as_kind(X[drawn], kind), np.ascontiguousarray(L[:, drawn]), terms, np.array([3.0, 1.0, 7.0]))
    after, updates = model.follow(shared(S), 4)
    assert updates == 4
    assert_array_equal(after.counts, model.counts)
    expected = move_rows(X, L, S, 4, beta=beta, penalty=terms.long)[:, drawn]
    assert_allclose(after.rows, expected, rtol=1e-11)
    assert_array_equal(model.rows, L[:, drawn])


def all_sums(X, L, S, beta):
    return strip_sums(X, L, S, beta=beta)


def keeping_lengths(W, S, lengths):
    """Rows of S with the sums that they had, and W with the same model."""
    stretch = S.sum(axis=1, keepdims=True) / lengths
    return W * stretch, S / stretch


@each_penalty
@each_pair
def test_a_sample_that_is_all_of_x_is_alternated_on_as_it_is(beta, name, kind):
    """In plain loops: nothing of the pass may change what alternation on X gives."""
    X, L, S = problem(12, 7, beta=beta)
    terms = terms_of(beta, name)
    after = corrected(counted(as_kind(X, kind), L, terms), S, all_sums(X, L, S, beta), terms)
    W, H, lengths = L, S, S.sum(axis=1, keepdims=True)
    on_W, on_H = ({"beta": beta, "l1": p.l1, "l2": p.l2} for p in (terms.long, terms.short))
    for step in range(STEPS):
        if step:
            W = naive.beta_update(X, W.T, H, STEP_UPDATES, **on_W).T
        H = naive.beta_update(X.T, H.T, W, 1, **on_H).T
        if name == "none":
            W, H = keeping_lengths(W, H, lengths)
    assert_allclose(after, H, rtol=1e-8)
    assert np.abs(after - S).max() > 0.05


def poor_models(X, S, terms):
    """Samples that do not stand for X, with their rows solved against S: a few rows of it, wrong counts, another X."""
    rng = np.random.default_rng(1)
    found = {
        "six rows": counted(X[:6], None, terms, np.full(6, len(X) / 6)),
        "wrong counts": counted(X, None, terms, rng.lognormal(0, 1, len(X))),
        "another matrix": counted(rng.uniform(0.1, 1, (20, X.shape[1])), None, terms),
    }
    ones = {name: model.with_rows(np.ones((len(S), model.A.shape[0]))) for name, model in found.items()}
    return {name: model.follow(shared(S), 400)[0] for name, model in ones.items()}


@pytest.mark.parametrize(
    ("beta", "name", "kind"), pairs(BETAS, sorted({*PENALIZED} - {"none"}), ["six rows", "wrong counts"])
)
def test_the_first_step_goes_where_that_of_all_of_x_goes_and_no_further_however_poor_the_sample(kind, beta, name):
    X, L, S = problem(beta=beta)
    terms = terms_of(beta, name)
    sums = all_sums(X, L, S, beta)
    after = corrected(poor_models(X, S, terms)[kind], S, sums, terms, steps=1)
    ours, that = np.log(after / S), np.log(moved(sums, S, terms) / S)
    assert (ours * that >= 0).all()
    assert (np.abs(ours) <= np.abs(that) * (1 + 1e-9)).all()
    assert np.abs(ours).max() > 0.01


@cache
def at_rest(beta, name):
    """X, and factors that updates hardly move any further."""
    X, L, S = problem(beta=beta)
    terms = terms_of(beta, name)
    for _ in range(1500):
        L = move_rows(X, L, S, 1, beta=beta, penalty=terms.long)
        S = moved(all_sums(X, L, S, beta), S, terms)
    return X, L, S


@pytest.mark.parametrize("kind", few(["six rows", "wrong counts", "another matrix"], 1))
@pytest.mark.parametrize(("beta", "name"), [*zip(BETAS, [*PENALIZED] * 3, strict=False), (1.0, "both")])
def test_what_is_at_rest_on_x_stays_however_poor_the_sample(kind, beta, name):
    X, L, S = at_rest(beta, name)
    terms = terms_of(beta, name)
    model = poor_models(X, S, terms)[kind]
    after = corrected(model, S, all_sums(X, L, S, beta), terms)
    assert_allclose(after, S, rtol=0, atol=2e-3 * S.max())
    alone = corrected(model, S, strip_sums(model.A, model.rows, S, beta=beta, weights=model.counts), terms)
    assert np.abs(alone - S).max() > 0.02 * S.max(), "else the sample is at rest there of its own"


@each_beta
def test_without_penalties_components_keep_their_sums_and_nothing_given_changes(beta):
    X, L, S = problem(beta=beta, dtype="f4")
    terms = terms_of(beta, "none")
    model = counted(X[:15], np.ascontiguousarray(L[:, :15]), terms, np.full(15, 1.6))
    for a in (model.rows, model.counts):
        a.flags.writeable = False
    after = corrected(model, S, all_sums(X, L, S, beta), terms)
    assert (after.dtype, after.shape) == ("f4", S.shape)
    assert (after >= 0).all()
    assert_allclose(after.sum(axis=1), S.sum(axis=1), rtol=1e-5)


def test_a_sample_that_says_nothing_of_x_takes_no_step():
    """One row of it, which counts for all, and components that are nowhere in that row."""
    X, L, S = (a.copy() for a in problem(beta=0.0))
    for unit in (1e-6, 1e-9):
        terms = terms_of(1.0, "both")
        lonely = counted(X[:1] * unit, L[:, :1] * unit, terms)
        assert corrected(lonely, S * 1e-9, all_sums(X, L, S * 1e-9, 1.0), terms) is None


def test_a_component_of_zeros_stays_and_the_others_move():
    X, L, S = (a.copy() for a in problem(k=3))
    L[1] = 0
    terms = terms_of(1.0, "none")
    after = corrected(counted(X, L, terms), S, all_sums(X, L, S, 1.0), terms)
    assert np.isfinite(after).all()
    assert not after[1].any()
    assert after[[0, 2]].any(axis=1).all()


def test_what_is_affordable_is_ten_at_least_and_what_is_asked_for_at_most():
    small, large = np.broadcast_to(0.0, (10, 10)), np.broadcast_to(0.0, (10**5, 10**5))
    assert affordable(small, 2, 1000, beta=1) == 1000
    assert affordable(large, 2, 1000, beta=1) == 10
    middle = np.broadcast_to(0.0, (8000, 1000))
    count = affordable(middle, 10, 10**9, beta=1)
    assert count * 10 * middle.size <= surrogate.ENTRIES < (count + 1) * 10 * middle.size


def test_steps_on_a_sample_that_misleads_are_those_of_the_textbook():
    """In plain loops: what X has less than the sample goes to the other side of the fraction."""
    X, L, S = problem()
    rng = np.random.default_rng(3)
    A, rows, counts = rng.uniform(0.1, 1, (5, X.shape[1])), rng.uniform(0.1, 1, (2, 5)), rng.uniform(1, 10, 5)
    terms, sums = terms_of(1.0, "none"), all_sums(X, L, S, 1.0)
    after = corrected(counted(A, rows, terms, counts), S, sums, terms)
    W, H, lengths = rows, S, S.sum(axis=1, keepdims=True)
    first = _terms_of(A, W, H, counts)
    more = sums.numerator - first[0], np.broadcast_to(sums.denominator, S.shape) - first[1]
    for step in range(STEPS):
        if step:
            W = naive.beta_update(A, W.T, H, STEP_UPDATES, beta=1.0).T
        (top, bottom), (above, below) = _terms_of(A, W, H, counts), more
        over = top + np.where(above > 0, above * S / H, 0) + np.where(below < 0, -below, 0)
        under = bottom + np.where(below > 0, below, 0) + np.where(above < 0, -above, 0)
        W, H = keeping_lengths(W, H * over / under, lengths)
    assert all((shift < 0).any() and (shift > 0).any() for shift in more)
    assert_allclose(after, H, rtol=1e-8)


def _terms_of(A, W, H, counts):
    """Numerator and denominator of the rule for H, every row as often as it counts, for Kullback–Leibler."""
    return (W * counts) @ (A / (W.T @ H)), np.broadcast_to((W * counts).sum(axis=1, keepdims=True), H.shape)


def counts_of(m, n):
    """Counts (m, n), most of them 0, dense."""
    return np.random.default_rng(0).poisson(0.3, (m, n)).astype("f8")


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize(("rows", "some"), [(700, 700), (5000, 2000)])
def test_starts_are_tried_on_rows_that_count_as_much_as_all(kind, rows, some):
    counts = np.random.default_rng(1).uniform(1, 5, rows)
    trial = counted(as_kind(counts_of(rows, 9), kind), None, Divergence(1.0, NO_PENALTY, NO_PENALTY), counts).trial
    assert trial.A.shape == (some, 9)
    assert_allclose(trial.counts.sum(), counts.sum())


@pytest.mark.parametrize("X", [np.eye(700, 20_000), counts_of(300, 20), 1 + counts_of(700, 20)])
def test_no_start_is_tried_where_rows_are_too_long_for_that_or_few_or_mostly_not_zero(X):
    assert counted(X, None, Divergence(1.0, NO_PENALTY, NO_PENALTY)).trial is None


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5])
def test_a_start_that_is_tried_only_gets_better(beta):
    trial = counted(counts_of(600, 9), None, Divergence(beta, NO_PENALTY, NO_PENALTY)).trial
    S = problem(beta=beta)[2]
    first = trial.begin(S, 1)
    tried = trial.begin(S, 10)
    assert tried.objective < first.objective
    assert trial.go_on(tried, 10).objective <= tried.objective * (1 + 1e-12)
