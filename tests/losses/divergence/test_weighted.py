"""β-divergences of rows with weights: against plain loops, dense and sparse; what is missing has no say in anything."""

from itertools import pairwise

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from strategies import pairs

from dnmf.arrays import parts as arrays_parts
from dnmf.arrays.sample import StandIn
from dnmf.arrays.sketch import as_it_is
from dnmf.arrays.weighted import Weighted
from dnmf.losses.divergence import entries
from dnmf.losses.divergence.loss import Divergence
from dnmf.losses.divergence.rows import ESTIMATED, move_rows, solve_rows
from dnmf.losses.divergence.sums import Evaluation, Shared, strip_sums
from dnmf.losses.protocol import STEPS, Known, add
from dnmf.rules import NO_PENALTY, Penalty

BETAS = [-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0]
KINDS = ["mask", "weights"]
LAYOUTS = ["dense", "sparse"]
PENALTIES = [NO_PENALTY, Penalty(0.2, 0.5)]
FIELDS = ("numerator", "denominator", "loss", "norm", "mass", "squares")
NOTHING = Known(None, np.nan, exact=True)

betas = st.sampled_from(BETAS)
each_beta = pytest.mark.parametrize("beta", BETAS)
each_layout = pytest.mark.parametrize("layout", LAYOUTS)
each_pair = pytest.mark.parametrize(("beta", "layout"), [(beta, layout) for beta in BETAS for layout in LAYOUTS])


@pytest.fixture
def tiny_pieces(monkeypatch):
    """Pieces of three dense rows, or of seven entries."""
    for module in (entries, arrays_parts):
        monkeypatch.setattr(module, "part_rows", lambda width, residual: 3)
    monkeypatch.setattr(arrays_parts.cuts, "__defaults__", (7,))


def problem(beta, kind, *, shape=(13, 8), k=3, dtype="f8", seed=0, share=0.6):
    """Y and Ω (h, N), L (k, h), S (k, N), read-only; a row and a column hold nothing, some of what is there is zero."""
    rng = np.random.default_rng(seed)
    omega = (rng.random(shape) < share) * (1.0 if kind == "mask" else rng.uniform(0.2, 3, shape))
    omega[shape[0] // 2], omega[:, shape[1] // 2] = 0, 0
    Y = rng.uniform(0.05, 1, shape) * (omega > 0)
    sparser = Y * (rng.random(shape) >= (0.3 if beta > 0 else 0))
    # The loops know no least model: no row and no column has zeros alone.
    for axis in (0, 1):
        sparser = np.where(sparser.any(axis=axis, keepdims=True), sparser, Y)
    found = [sparser, omega, rng.uniform(0.1, 1, (k, shape[0])), rng.uniform(0.1, 1, (k, shape[1]))]
    found = [a.astype(dtype) for a in found]
    for a in found:
        a.flags.writeable = False
    return found


def weighted(Y, omega, layout):
    """Rows whose weights are a mask where all of them are 0 or 1."""
    weights = omega > 0 if np.isin(omega, (0, 1)).all() else omega
    if layout == "dense":
        return Weighted(Y, weights)
    places = np.nonzero(omega)
    indptr = np.concatenate([[0], np.cumsum((omega > 0).sum(axis=1))]).astype("i4")
    return Weighted(sparse.csr_matrix((Y[places], places[1].astype("i4"), indptr), shape=Y.shape), weights[places])


def evaluated(found, S, beta, penalty):
    return Evaluation(found, Shared(S, S, np.nan), beta, NO_PENALTY, penalty)


def digits(dtype):
    return {"rtol": 2e-4 if dtype == "f4" else 1e-10, "atol": 1e-6 if dtype == "f4" else 1e-13}


CASES = pytest.mark.parametrize(
    ("beta", "kind", "layout", "penalty", "dtype", "pieces"),
    pairs(BETAS, KINDS, LAYOUTS, PENALTIES, ["f4", "f8"], ["one", "many"]),
)


@CASES
def test_rows_move_as_in_the_textbook(request, beta, kind, layout, penalty, dtype, pieces):
    if pieces == "many":
        request.getfixturevalue("tiny_pieces")
    Y, omega, L, S = problem(beta, kind, dtype=dtype)
    ours = move_rows(weighted(Y, omega, layout), L, S, 3, beta=beta, penalty=penalty)
    expected = naive.beta_update(Y, L.T, S, 3, beta=beta, l1=penalty.l1, l2=penalty.l2, weights=omega).T
    assert (ours.dtype, ours.shape) == (dtype, L.shape)
    assert not ours[:, omega.sum(axis=1) == 0].any()
    assert_allclose(ours, expected, **digits(dtype))


@CASES
def test_sums_are_those_of_the_textbook(request, beta, kind, layout, penalty, dtype, pieces):
    if pieces == "many":
        request.getfixturevalue("tiny_pieces")
    Y, omega, L, S = problem(beta, kind, dtype=dtype)
    found = strip_sums(weighted(Y, omega, layout), L, S, beta=beta)
    numerator, denominator = naive.beta_terms(Y.T, S.T, L, beta, omega.T)
    assert {found.numerator.dtype, found.denominator.dtype} == {np.dtype("f8")}
    assert_allclose(found.numerator, numerator.T, **digits(dtype))
    assert_allclose(found.denominator, denominator.T, **digits(dtype))
    assert_allclose(found.loss, naive.beta_loss(Y, L.T, S, beta, omega), rtol=1e-5 if dtype == "f4" else 1e-11)
    there = zip(Y.flat, omega.flat, strict=True)
    norm = sum(float(o) * (float(y) ** beta if y > 0 else beta == 0) for y, o in there if o > 0)
    assert_allclose(found.norm, norm, rtol=1e-6 if dtype == "f4" else 1e-12)
    moved = evaluated(found, S, beta, penalty).step()
    expected = naive.beta_update(Y.T, S.T, L, beta=beta, l1=penalty.l1, l2=penalty.l2, weights=omega.T).T
    assert_allclose(moved, expected, **digits(dtype))
    assert not moved[:, omega.sum(axis=0) == 0].any()


@each_pair
def test_weights_of_one_change_nothing(beta, layout):
    Y, _, L, S = problem(beta, "mask", share=2.0)
    Y = np.maximum(Y, 0.01) if beta <= 0 else Y
    rows, loss = weighted(Y, np.ones(Y.shape), layout), Divergence(beta, *PENALTIES)
    shared = loss.prepare(S, NOTHING)
    for move in (loss.update, loss.scale_and_update):
        assert_allclose(move(rows, shared, L, 3), move(Y, shared, L, 3), rtol=1e-9)
    # An estimate of rows with missing entries is moved more often.
    assert_allclose(loss.solve(rows, shared, 3), loss.solve(Y, shared, 3 * ESTIMATED), rtol=1e-9)
    plain, ours = strip_sums(Y, L, S, beta=beta), strip_sums(rows, L, S, beta=beta)
    for name in FIELDS:
        assert_allclose(np.broadcast_to(getattr(plain, name), np.shape(getattr(ours, name))), getattr(ours, name))


@given(data=st.data(), beta=betas, kind=st.sampled_from(KINDS), layout=st.sampled_from(LAYOUTS))
def test_sums_and_rows_do_not_depend_on_the_cut(data, beta, kind, layout):
    Y, omega, L, S = problem(beta, kind, seed=data.draw(st.integers(0, 50)))
    rows, edges = weighted(Y, omega, layout), sorted({0, len(Y), *data.draw(st.sets(st.integers(1, len(Y) - 1)))})
    cuts = [slice(*edge) for edge in pairwise(edges)]
    together, whole = add([strip_sums(rows[c], L[:, c], S, beta=beta) for c in cuts]), strip_sums(rows, L, S, beta=beta)
    for name in FIELDS:
        assert_allclose(getattr(together, name), getattr(whole, name), rtol=1e-11)
    solved = [solve_rows(rows[c], S, 2, beta=beta, penalty=PENALTIES[1]) for c in cuts]
    assert_allclose(np.concatenate(solved, axis=1), solve_rows(rows, S, 2, beta=beta, penalty=PENALTIES[1]), rtol=1e-10)


@each_pair
def test_a_row_that_counts_three_times_has_weights_three_times_as_large(beta, layout):
    Y, omega, L, S = problem(beta, "weights")
    counts = np.random.default_rng(1).integers(1, 4, len(Y)).astype("f8")
    rows = weighted(Y, omega, layout)
    counted, heavy = strip_sums(rows, L, S, beta=beta, weights=counts), strip_sums(rows.times(counts), L, S, beta=beta)
    for name in (*FIELDS[:4],):
        assert_allclose(getattr(counted, name), getattr(heavy, name), rtol=1e-11)


@given(
    beta=betas, kind=st.sampled_from(KINDS), layout=st.sampled_from(LAYOUTS), seed=st.integers(0, 1000),
    share=st.sampled_from([0.05, 0.3, 0.95]), l1=st.sampled_from([0.0, 0.1, 10.0]),
)  # fmt: skip
def test_the_objective_never_rises_and_what_is_foretold_comes(beta, kind, layout, seed, share, l1):
    Y, omega, L, S = problem(beta, kind, shape=(11, 7), seed=seed, share=share)
    rows, penalty = weighted(Y, omega, layout), Penalty(l1)

    def objective(L, S):
        return strip_sums(rows, L, S, beta=beta).loss + penalty.of(L) + penalty.of(S)

    loss, before = Divergence(beta, penalty, penalty), objective(L, S)
    shared = loss.prepare(S, NOTHING)
    rounding = 1e-11 * (abs(before) + Y.size)
    L = loss.update(rows, shared, L, 1)
    between = objective(L, S)
    assert between <= before + rounding
    evaluation = loss.evaluate(loss.sums(rows, shared, L), shared)
    after = evaluation.step()
    assert -rounding <= evaluation.gain(after) <= between - objective(L, after) + rounding
    assert np.isfinite(after).all()


@each_layout
@pytest.mark.parametrize("beta", [-0.5, 0.0])
def test_only_an_entry_that_is_there_must_not_be_zero(beta, layout):
    Y, omega, L, S = (a.copy() for a in problem(beta, "weights"))
    assert np.isfinite(strip_sums(weighted(Y, omega, layout), L, S, beta=beta).loss)
    Y[0, np.flatnonzero(omega[0])[0]] = 0
    with pytest.raises(ValueError, match="X has an entry of 0"):
        strip_sums(weighted(Y, omega, layout), L, S, beta=beta)


@each_layout
@pytest.mark.parametrize("beta", [0.0, 1.0, 1.5])
def test_rows_settle_where_they_stand_still_and_rows_of_nothing_are_zero(beta, layout):
    Y, omega, _, S = problem(beta, "weights")
    rows, loss = weighted(Y, omega, layout), Divergence(beta, NO_PENALTY, NO_PENALTY)
    settled = loss.settle(rows, S, tol=1e-8, iterations=4000)
    again = naive.beta_update(Y, settled.T, S, 1, beta=beta, weights=omega).T
    assert_allclose(again, settled, atol=1e-3 * settled.max())
    assert not settled[:, omega.sum(axis=1) == 0].any()


@each_layout
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 3.0])
def test_a_sample_that_is_all_of_x_goes_on_as_alternation_does(beta, layout):
    """In plain loops, with a penalty: then rows of S keep no lengths."""
    Y, omega, L, S = problem(beta, "weights")
    loss, rows = Divergence(beta, *(Penalty(0.1, 0.2),) * 2), weighted(Y, omega, layout)
    shared = loss.prepare(S, NOTHING)
    drawn = StandIn(rows, np.ones(len(Y)), as_it_is(Y), True)
    evaluation = loss.evaluate(loss.sums(rows, shared, L), shared)
    after = loss.surrogate(drawn).with_rows(L).correct(evaluation, STEPS)
    W, H, on = L, S, {"beta": beta, "l1": 0.1, "l2": 0.2}
    for step in range(STEPS):
        W = naive.beta_update(Y, W.T, H, 2, weights=omega, **on).T if step else W
        H = naive.beta_update(Y.T, H.T, W, 1, weights=omega.T, **on).T
    assert_allclose(after, H, rtol=1e-7)


def grown(F, X, weights, on, beta, penalty):
    """A factor (r, k) after an update with penalties per observation: row by row, each with its own."""
    rows = zip(X, F, weights, strict=True)
    return np.vstack([
        naive.beta_update(x[None], f[None], on, beta=beta, l1=penalty.l1 * w.sum(), l2=penalty.l2 * w.sum(),
                          weights=w[None])
        for x, f, w in rows
    ])  # fmt: skip


@each_layout
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beta", [0.0, 1.0, 1.5])
def test_penalties_grow_with_what_is_there(beta, kind, layout):
    Y, omega, L, S = problem(beta, kind)
    long, short = Penalty(0.02, 0.03), Penalty(0.05, 0.01)
    loss, rows = Divergence(beta, long, short, per_observed=True), weighted(Y, omega, layout)
    shared = loss.prepare(S, NOTHING)
    assert_allclose(loss.update(rows, shared, L, 1), grown(L.T, Y, omega, S, beta, long).T, rtol=1e-9)
    cuts = [slice(0, 5), slice(5, 13)]
    evaluation = loss.evaluate(add([loss.sums(rows[c], shared, L[:, c]) for c in cuts]), shared)
    assert_allclose(evaluation.step(), grown(S.T, Y.T, omega.T, L, beta, short).T, rtol=1e-9)
    on = [(long, L, omega.sum(axis=1)), (short, S, omega.sum(axis=0))]
    expected = [naive.penalty(f, p.l1 * t, p.l2 * t) for p, F, totals in on for f, t in zip(F.T, totals, strict=True)]
    assert_allclose(evaluation.penalties, sum(expected), rtol=1e-9)


@each_layout
def test_on_a_sample_penalties_grow_with_what_its_rows_count(layout):
    """As on all rows that they stand for."""
    Y, omega, _, S = problem(1.0, "weights")
    loss, counts = Divergence(1.0, *PENALTIES[1:] * 2, per_observed=True), np.arange(1.0, len(Y) + 1)
    rows = weighted(Y, omega, layout)
    many = rows[np.repeat(np.arange(len(Y)), counts.astype(int))]
    few = loss.surrogate(StandIn(rows, counts, as_it_is(Y), True))
    all_of_them = loss.surrogate(StandIn(many, np.ones(many.shape[0]), as_it_is(Y), True))
    ours, theirs = few.begin(S, 30), all_of_them.begin(S, 30)
    assert ours.objective > ours.loss * 1.1
    assert_allclose([ours.loss, ours.objective], [theirs.loss, theirs.objective], rtol=1e-8)
    assert_allclose(ours.H, theirs.H, rtol=1e-6, atol=1e-9)


@each_layout
@pytest.mark.parametrize(("values", "tried"), [([0, 0, 1, 3], True), ([1, 2, 3], False)])
def test_starts_are_tried_where_most_of_what_is_there_is_zero(values, tried, layout):
    rng = np.random.default_rng(0)
    omega = rng.uniform(0.5, 2, (600, 20)) * (rng.random((600, 20)) < 0.3)
    Y = rng.choice(values, omega.shape).astype("f8") * (omega > 0)
    rows, loss = weighted(Y, omega, layout), Divergence(1.0, *PENALTIES, per_observed=True)
    trial = loss.surrogate(StandIn(rows, np.ones(600), as_it_is(Y), True)).trial
    assert (trial is not None) == tried
    if tried:
        first = trial.begin(rng.random((3, 20)), 5)
        assert trial.go_on(first, 10).objective < first.objective


@pytest.mark.parametrize(("share", "most"), [(0.7, 1.0012), (0.1, 1.02)])
def test_rows_from_scratch_are_near_their_end(share, most):
    """Of rows that have no low rank, and whatever is missing; moved half as often they have twice as far to go."""
    Y, omega, _, S = problem(1.0, "mask", shape=(300, 200), k=4, share=share)
    for layout in LAYOUTS:
        rows = weighted(Y, omega, layout)
        L = solve_rows(rows, S, 10, beta=1.0, penalty=NO_PENALTY)
        end = move_rows(rows, L, S, 500, beta=1.0, penalty=NO_PENALTY)
        assert strip_sums(rows, L, S, beta=1.0).loss < most * strip_sums(rows, end, S, beta=1.0).loss


@given(layout=st.sampled_from(LAYOUTS), seed=st.integers(0, 1000), l1=st.sampled_from([0.01, 1.0]))
def test_with_penalties_that_grow_the_objective_never_rises_either(layout, seed, l1):
    Y, omega, L, S = problem(1.0, "weights", shape=(11, 7), seed=seed, share=0.4)
    loss, rows = Divergence(1.0, Penalty(l1), Penalty(l1), per_observed=True), weighted(Y, omega, layout)

    def evaluated(L, S):
        shared = loss.prepare(S, NOTHING)
        return loss.evaluate(loss.sums(rows, shared, L), shared)

    ends = [evaluated(L, S)]
    L = loss.update(rows, ends[0].shared, L, 1)
    ends.append(evaluated(L, S))
    ends.append(evaluated(L, ends[1].step()))
    first, second, third = (end.loss + end.penalties for end in ends)
    assert second <= first * (1 + 1e-11)
    assert ends[1].gain(ends[1].step()) + 1e-11 * first >= 0
    assert ends[1].gain(ends[1].step()) <= second - third + 1e-11 * first


@each_beta
def test_sparse_rows_are_the_dense_ones_with_the_same_weights(beta):
    Y, omega, L, S = problem(beta, "weights", shape=(40, 30), share=0.1)
    dense, ours = (weighted(Y, omega, layout) for layout in LAYOUTS)
    assert_array_equal(ours.values.toarray(), dense.values)
    for act in (
        lambda y: solve_rows(y, S, 5, beta=beta, penalty=PENALTIES[1]),
        lambda y: move_rows(y, L, S, 5, beta=beta, penalty=NO_PENALTY),
        lambda y: Divergence(beta, *PENALTIES).scale_and_update(y, Shared(S, S, np.nan), L, 1),
    ):
        assert_allclose(act(ours), act(dense), rtol=1e-9, atol=1e-12)
