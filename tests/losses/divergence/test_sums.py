"""β-divergences: updates and sums against plain loops, dense and sparse, in any pieces; what must never happen."""

from itertools import pairwise

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from strategies import cuts, matrices, pairs, problems

from dnmf.arrays import parts as arrays_parts
from dnmf.losses.divergence import entries
from dnmf.losses.divergence.rows import move_rows
from dnmf.losses.divergence.sums import Evaluation, Shared, strip_sums
from dnmf.losses.protocol import add
from dnmf.rules import NO_PENALTY, Penalty, multiplicative
from dnmf.rules.beta_multiplicative import floor

BETAS = [-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0]
# Where X may hold zeros.
POSITIVE = [beta for beta in BETAS if beta > 0]
PENALTIES = [NO_PENALTY, Penalty(0.7), Penalty(0.0, 0.3), Penalty(0.2, 0.5)]
ARRAYS, SCALARS = ("numerator", "denominator"), ("loss", "norm", "mass", "squares")

PAIRS = [(beta, kind) for beta in BETAS for kind in ("dense", "sparse")]

betas = st.sampled_from(BETAS)
each_beta = pytest.mark.parametrize("beta", BETAS)
each_pair = pytest.mark.parametrize(("beta", "kind"), PAIRS)
each_kind = pytest.mark.parametrize("kind", ["dense", "sparse"])


@pytest.fixture
def tiny_pieces(monkeypatch):
    """Pieces of three dense rows, or of seven non-zeros."""
    for module in (entries, arrays_parts):
        monkeypatch.setattr(module, "part_rows", lambda width, residual: 3)
    monkeypatch.setattr(arrays_parts.cuts, "__defaults__", (7,))


def problem(shape=(13, 8), k=3, *, zeros=0.0, dtype="f8", seed=0):
    """Y (h, N), L (k, h) and S (k, N), read-only; no entry is zero but for a share of Y's."""
    rng = np.random.default_rng(seed)
    Y = rng.uniform(0.05, 1, shape) * (rng.random(shape) >= zeros)
    found = [a.astype(dtype) for a in (Y, rng.uniform(0.1, 1, (k, shape[0])), rng.uniform(0.1, 1, (k, shape[1])))]
    for a in found:
        a.flags.writeable = False
    return found


def evaluated(found, S, beta, penalty):
    """What sums say about the short factor that they were made with."""
    return Evaluation(found, Shared(S, S, np.nan), beta, NO_PENALTY, penalty)


def as_kind(Y, kind):
    return Y if kind == "dense" else naive.csr(Y, range(0, Y.size, 5))


def zeros_for(beta):
    """A share of zeros that the loss can have."""
    return 0.4 if beta > 0 else 0.0


def digits(dtype):
    return {"rtol": 2e-4 if dtype == "f4" else 1e-11, "atol": 1e-6 if dtype == "f4" else 1e-13}


@pytest.mark.parametrize(
    ("beta", "penalty", "dtype", "kind", "pieces"),
    pairs(BETAS, PENALTIES, ["f4", "f8"], ["dense", "sparse"], ["one", "many"]),
)
def test_rows_move_as_in_the_textbook(request, beta, penalty, dtype, kind, pieces):
    if pieces == "many":
        request.getfixturevalue("tiny_pieces")
    Y, L, S = problem(zeros=zeros_for(beta), dtype=dtype)
    ours = move_rows(as_kind(Y, kind), L, S, 3, beta=beta, penalty=penalty)
    expected = naive.beta_update(Y, L.T, S, 3, beta=beta, l1=penalty.l1, l2=penalty.l2).T
    assert (ours.dtype, ours.shape) == (dtype, L.shape)
    assert ours.flags.c_contiguous
    assert_allclose(ours, expected, **digits(dtype))


@pytest.mark.parametrize(
    ("beta", "dtype", "kind", "pieces"), pairs(BETAS, ["f4", "f8"], ["dense", "sparse"], ["one", "many"])
)
def test_sums_are_those_of_the_textbook(request, beta, dtype, kind, pieces):
    if pieces == "many":
        request.getfixturevalue("tiny_pieces")
    Y, L, S = problem(zeros=zeros_for(beta), dtype=dtype)
    found = strip_sums(as_kind(Y, kind), L, S, beta=beta)
    numerator, denominator = naive.beta_terms(Y.T, S.T, L, beta)
    assert (found.numerator.dtype, found.denominator.dtype) == ("f8", "f8")
    assert_allclose(found.numerator, numerator.T, **digits(dtype))
    assert_allclose(np.broadcast_to(found.denominator, S.shape), denominator.T, **digits(dtype))
    assert_allclose(found.loss, naive.beta_loss(Y, L.T, S, beta), rtol=1e-5 if dtype == "f4" else 1e-11)
    norm = sum(float(y) ** beta for y in Y.flat if y > 0) if beta else Y.size
    assert_allclose(found.norm, norm, rtol=1e-6 if dtype == "f4" else 1e-12)
    L8 = L.astype("f8")
    assert_allclose([found.mass, found.squares], [L8.sum(axis=1), (L8**2).sum(axis=1)], rtol=1e-12)


@pytest.mark.parametrize("beta", [-0.5, 0.0])
def test_sparse_rows_without_zeros_are_those_of_an_array(beta):
    Y, L, S = problem()
    dense, rows = (strip_sums(y, L, S, beta=beta) for y in (Y, sparse.csr_matrix(Y)))
    for name in (*ARRAYS, *SCALARS):
        assert_allclose(getattr(rows, name), getattr(dense, name), rtol=1e-11)


@given(data=st.data(), beta=st.sampled_from(POSITIVE), found=problems("f8"))
def test_sparse_sums_are_the_dense_ones(data, beta, found):
    """With empty rows and columns, zeros that are stored, and components of zeros."""
    Y, W, S = found
    stored = data.draw(st.sets(st.integers(0, Y.size - 1), max_size=20))
    dense, rows = (strip_sums(y, W.T, S, beta=beta) for y in (Y, naive.csr(Y, stored)))
    for name in (*ARRAYS, *SCALARS):
        ours, theirs = getattr(rows, name), getattr(dense, name)
        assert_allclose(ours, theirs, rtol=1e-8, atol=1e-9 * (1 + np.abs(theirs).max()))
    penalty = Penalty(0.1, 0.2)
    moved_rows = [move_rows(y, W.T, S, 2, beta=beta, penalty=penalty) for y in (naive.csr(Y, stored), Y)]
    assert_allclose(*moved_rows, rtol=1e-7, atol=1e-9 * (1 + moved_rows[1].max()))


@given(data=st.data(), beta=betas)
def test_sums_and_rows_do_not_depend_on_the_cut(data, beta):
    Y, L, S = problem((17, 6), zeros=zeros_for(beta), seed=data.draw(st.integers(0, 5)))
    edges = np.cumsum([0, *data.draw(cuts(len(Y)))])
    for whole in (Y, sparse.csr_matrix(Y)) if beta else (Y,):
        parts = [strip_sums(whole[a:b], L[:, a:b], S, beta=beta) for a, b in pairwise(edges)]
        together, all_at_once = add(parts), strip_sums(whole, L, S, beta=beta)
        for name in (*ARRAYS, *SCALARS):
            assert_allclose(getattr(together, name), getattr(all_at_once, name), rtol=1e-11)
        rows = [move_rows(whole[a:b], L[:, a:b], S, 2, beta=beta, penalty=PENALTIES[3]) for a, b in pairwise(edges)]
        at_once = move_rows(whole, L, S, 2, beta=beta, penalty=PENALTIES[3])
        assert_allclose(np.concatenate(rows, axis=1), at_once, rtol=1e-12)


def test_adding_changes_none_of_the_parts():
    Y, L, S = problem((9, 5))
    parts = [strip_sums(Y[a : a + 3], L[:, a : a + 3], S, beta=1.0) for a in (0, 3, 6)]
    before = [(part.numerator.copy(), part.denominator.copy()) for part in parts]
    for total in (add(parts), add(parts[:1])):
        assert not np.shares_memory(total.numerator, parts[0].numerator)
        assert not np.shares_memory(total.denominator, parts[0].denominator)
    for part, (numerator, denominator) in zip(parts, before, strict=True):
        assert_array_equal(part.numerator, numerator)
        assert_array_equal(part.denominator, denominator)


@pytest.mark.usefixtures("tiny_pieces")
@each_pair
def test_a_row_that_counts_three_times_is_three_rows(beta, kind):
    Y, L, S = problem(zeros=zeros_for(beta))
    counts = np.random.default_rng(1).integers(1, 4, len(Y))
    weighted = strip_sums(as_kind(Y, kind), L, S, beta=beta, weights=counts.astype("f8"))
    repeated = strip_sums(np.repeat(Y, counts, axis=0), np.repeat(L, counts, axis=1), S, beta=beta)
    for name in (*ARRAYS, "loss", "norm"):
        assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-11)


def objective(Y, L, S, beta, on_L, on_S):
    return strip_sums(Y, L, S, beta=beta).loss + on_L.of(L) + on_S.of(S)


SCALES = st.tuples(*[st.floats(-1, 1)] * 2)
# Both may outweigh the loss.
L1 = st.one_of(st.just(0.0), st.floats(-2, 2).map(lambda power: 10.0**power))


def scaled_problem(beta, seed, scales):
    Y, L, S = problem((11, 7), zeros=zeros_for(beta), seed=seed)
    return Y, L * 10.0 ** scales[0], S * 10.0 ** scales[1]


@given(beta=betas, seed=st.integers(0, 1000), scales=SCALES, l1=L1)
def test_the_objective_never_rises(beta, seed, scales, l1):
    Y, L, S = scaled_problem(beta, seed, scales)
    assert_no_rise(Y, L, S, beta, Penalty(l1))


@given(beta=st.sampled_from([-0.5, 0.0, 2.0, 3.0]), seed=st.integers(0, 1000), scales=SCALES, l1=L1, l2=L1)
def test_with_squares_penalized_it_never_rises_either(beta, seed, scales, l1, l2):
    Y, L, S = scaled_problem(beta, seed, scales)
    assert_no_rise(Y, L, S, beta, Penalty(l1, l2))


@given(beta=st.sampled_from([0.5, 1.0, 1.5]), seed=st.integers(0, 1000))
def test_with_squares_penalized_a_little_it_never_rises_either(beta, seed):
    """Where the penalty outweighs the loss, the published rule may overshoot for these losses."""
    Y, L, S = problem((11, 7), zeros=zeros_for(beta), seed=seed)
    L = move_rows(Y, L, S, 3, beta=beta, penalty=NO_PENALTY)
    assert_no_rise(Y, L, S, beta, Penalty(0.01, 0.02))


def assert_no_rise(Y, L, S, beta, penalty):
    """Not over an update of either factor; and what is foretold of the short one is so, at least."""
    before = objective(Y, L, S, beta, penalty, penalty)
    rounding = 1e-11 * (abs(before) + Y.size)
    longer = move_rows(Y, L, S, 1, beta=beta, penalty=penalty)
    assert objective(Y, longer, S, beta, penalty, penalty) <= before + rounding
    assert_foretold(Y, L, S, beta, penalty)


def assert_foretold(Y, L, S, beta, penalty):
    found = strip_sums(Y, L, S, beta=beta)
    after = evaluated(found, S, beta, penalty).step()
    true = objective(Y, L, S, beta, penalty, penalty) - objective(Y, L, after, beta, penalty, penalty)
    rounding = 1e-11 * (abs(found.loss) + penalty.of(S) + Y.size)
    foretold = evaluated(found, S, beta, penalty).gain(after)
    assert -rounding <= foretold <= true + rounding


@given(beta=betas, seed=st.integers(0, 1000), share=st.floats(0, 3))
def test_what_is_foretold_of_any_move_is_less_than_what_comes(beta, seed, share):
    """Of moves that no rule makes too: then it may be below zero."""
    Y, L, S = problem((11, 7), zeros=zeros_for(beta), seed=seed)
    rng, penalty = np.random.default_rng(seed), Penalty(0.1, 0.2)
    after = S * rng.uniform(0.3, 1 + share, S.shape)
    found = strip_sums(Y, L, S, beta=beta)
    true = objective(Y, L, S, beta, penalty, penalty) - objective(Y, L, after, beta, penalty, penalty)
    foretold = evaluated(found, S, beta, penalty).gain(after)
    assert foretold <= true + 1e-11 * (abs(found.loss) + Y.size)


@each_beta
def test_what_is_foretold_is_not_nothing(beta):
    """Else a bound of zero would pass: here it is a fair share of what comes."""
    Y, L, S = problem(zeros=zeros_for(beta))
    found = strip_sums(Y, L, S, beta=beta)
    after = evaluated(found, S, beta, NO_PENALTY).step()
    true = found.loss - strip_sums(Y, L, after, beta=beta).loss
    assert evaluated(found, S, beta, NO_PENALTY).gain(after) > 0.1 * true > 0


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
@each_beta
def test_the_gradient_is_what_small_steps_find(beta, penalty):
    Y, L, S = problem((6, 4), k=2)
    found, step, slopes = strip_sums(Y, L, S, beta=beta), 1e-6, np.empty(S.shape)
    for at in np.ndindex(*S.shape):
        ends = []
        for sign in (1, -1):
            T = S.copy()
            T[at] += sign * step
            ends.append(naive.beta_loss(Y, L.T, T, beta) + naive.penalty(T, penalty.l1, penalty.l2))
        slopes[at] = (ends[0] - ends[1]) / (2 * step)
    assert_allclose(evaluated(found, S, beta, penalty).gradient_norm(), np.linalg.norm(slopes), rtol=1e-5)


@pytest.mark.parametrize(("beta", "penalty"), list(zip(BETAS, PENALTIES * 2, strict=False)))
def test_what_the_rule_comes_to_rest_at_is_a_stationary_point(beta, penalty):
    """Nothing pulls up, and nothing that is not zero is pushed down: entries near zero go there ever more slowly."""
    Y, L, S = problem((9, 5), k=2)
    for _ in range(1500):
        S = evaluated(strip_sums(Y, L, S, beta=beta), S, beta, penalty).step()
    rest = strip_sums(Y, L, S, beta=beta)
    gradient = rest.denominator - rest.numerator + penalty.gradient(S)
    size = np.abs(rest.numerator).max()
    assert (gradient > -1e-3 * size).all()
    assert_allclose(S * gradient, 0, atol=1e-4 * size * S.max())
    after = evaluated(rest, S, beta, penalty).step()
    assert_allclose(evaluated(rest, S, beta, penalty).gain(after), 0, atol=1e-5 * Y.size)


def test_an_entry_at_zero_that_is_pushed_below_has_no_gradient():
    Y, L, S = problem((6, 4), k=2)
    S = S.copy()
    S[0, 1] = 0
    found = strip_sums(Y, L, S, beta=1.0)
    gradient = 2 * (found.denominator - found.numerator + 100.0)
    assert gradient[0, 1] > 0
    gradient[0, 1] = 0
    assert_allclose(evaluated(found, S, 1.0, Penalty(100.0)).gradient_norm(), np.linalg.norm(gradient), rtol=1e-12)


@each_kind
@given(data=st.data(), beta=st.sampled_from(POSITIVE), found=problems())
def test_zeros_do_no_harm(kind, data, beta, found):
    """Rows, columns, entries and components of zeros: warnings are errors here."""
    Y, W, S = found
    y, penalty = as_kind(Y, kind), data.draw(st.sampled_from(PENALTIES))
    L = move_rows(y, W.T, S, 2, beta=beta, penalty=penalty)
    found = strip_sums(y, L, S, beta=beta)
    after = evaluated(found, S, beta, penalty).step()
    for factor, before in ((L, W.T), (after, S)):
        assert factor.dtype == Y.dtype
        assert np.isfinite(factor).all()
        assert (factor >= 0).all()
        assert (factor[before == 0] == 0).all()
    assert np.isfinite([found.loss, found.norm, *found.mass, *found.squares]).all()
    assert np.isfinite(evaluated(found, S, beta, penalty).gain(after))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@each_beta
def test_a_component_of_zeros_does_no_harm(beta, dtype):
    Y, L, S = (a.copy() for a in problem(dtype=dtype))
    L[1] = 0
    found = strip_sums(Y, L, S, beta=beta)
    after = evaluated(found, S, beta, NO_PENALTY).step()
    assert not after[1].any()
    foretold = evaluated(found, S, beta, NO_PENALTY).gain(after)
    assert 0 <= foretold <= found.loss - strip_sums(Y, L, after, beta=beta).loss + 1e-5 * found.loss


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@each_beta
def test_a_column_that_no_component_has_does_no_harm(beta, dtype):
    """Its model is the least one that there is, and the multiplicative rule cannot leave it."""
    Y, L, S = (a.copy() for a in problem(dtype=dtype))
    Y *= 10
    S[:, 2] = 0
    L = move_rows(Y, L, S, 2, beta=beta, penalty=NO_PENALTY)
    found = strip_sums(Y, L, S, beta=beta)
    after = evaluated(found, S, beta, NO_PENALTY).step()
    assert np.isfinite(L).all()
    assert np.isfinite(after).all()
    assert np.isfinite(found.loss)
    assert not after[:, 2].any()
    assert np.isfinite(evaluated(found, S, beta, NO_PENALTY).gradient_norm())


@given(matrices((6, 5), "f8"), st.integers(1, 3))
def test_least_squares_is_lee_and_seungs_rule(Y, inner):
    _, L, S = problem((6, 5), k=2)
    ours = move_rows(Y, L, S, inner, beta=2.0, penalty=PENALTIES[3])
    assert_allclose(ours, multiplicative(L, S @ Y.T, S @ S.T, inner, penalty=PENALTIES[3]), rtol=1e-10, atol=1e-12)


# For β between 0 and 1 the least model is a number of its own, and small units are not like others.
UNITS = [(beta, unit) for beta in BETAS for unit in (1e-6, 1e6) if unit > 1 or not 0 < beta < 1]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("beta", "unit"), UNITS)
def test_the_unit_does_not_matter(beta, dtype, unit):
    Y, L, S = problem(dtype=dtype)
    unit = Y.dtype.type(unit)
    close = {"rtol": 1e-4 if dtype == "f4" else 1e-10}
    plain, other = (move_rows(Y * u, L * u, S, 2, beta=beta, penalty=NO_PENALTY) for u in (1, unit))
    assert_allclose(other / unit, plain, **close)
    ones, others = strip_sums(Y, plain, S, beta=beta), strip_sums(Y * unit, plain * unit, S, beta=beta)
    assert_allclose(others.loss / float(unit) ** beta, ones.loss, **close)
    after = [evaluated(found, S, beta, NO_PENALTY).step() for found in (ones, others)]
    assert_allclose(after[1], after[0], **close)


@pytest.mark.parametrize("beta", [-0.5, 0.0, 1.0, 2.0])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_model_of_nothing_keeps_all_numbers_in_range(beta, dtype):
    least = floor(beta, np.dtype(dtype))
    assert least > 0
    with np.errstate(over="raise"):
        assert np.isfinite(np.dtype(dtype).type(least) ** np.dtype(dtype).type(beta - 2))


@each_kind
@pytest.mark.parametrize("beta", [-0.5, 0.0])
def test_zeros_are_refused_where_the_loss_is_infinite(beta, kind):
    Y, L, S = (a.copy() for a in problem())
    Y[4, 2] = 0
    with pytest.raises(ValueError, match=f"X has an entry of 0, and beta_loss is {beta:g}, for which the loss is"):
        strip_sums(Y if kind == "dense" else sparse.csr_matrix(Y), L, S, beta=beta)


@pytest.mark.parametrize("beta", [-0.5, 0.0])
def test_a_zero_that_is_stored_is_refused_too(beta):
    Y, L, S = (a.copy() for a in problem())
    Y[4, 2] = 0
    with pytest.raises(ValueError, match="X has an entry of 0"):
        strip_sums(naive.csr(Y, {4 * Y.shape[1] + 2}), L, S, beta=beta)


@pytest.mark.parametrize("error", [0.1, 1e-2, 1e-3])
@each_beta
def test_float32_rows_have_a_loss_of_six_digits_about_a_float64_factor(beta, error):
    """That is how a loss is formed that is small or may end a run, see `Divergence.prepare`."""
    rng = np.random.default_rng(0)
    L, S = rng.uniform(0.1, 1, (3, 500)).astype("f4"), rng.uniform(0.1, 1, (3, 40))
    Y = (L.T @ S * rng.uniform(1 - error, 1 + error, (500, 40))).astype("f4")
    exact = strip_sums(Y.astype("f8"), L.astype("f8"), S, beta=beta).loss
    assert_allclose(strip_sums(Y, L, S, beta=beta).loss, exact, rtol=2e-6)


@pytest.mark.xfail(strict=True, reason="the published rule overshoots where the penalty of squares outweighs the loss")
@pytest.mark.parametrize(("beta", "most"), [(0.5, 40.0), (1.0, 4.0), (1.5, 40.0)])
def test_where_squares_outweigh_the_loss_it_does_not_rise_either(beta, most):
    """One entry, whose denominator is the penalty's, as good as alone: its rule is l ← c / l, or a power of that."""
    Y, L, S = np.array([[most]]), np.array([[0.1]]), np.array([[1e-3]])
    penalty = Penalty(0.0, 1e3)
    assert_no_rise(Y, L, S, beta, penalty)
    assert_no_rise(Y.T, S, L, beta, penalty)


@each_beta
def test_float32_rows_have_a_loss_of_six_digits_about_a_float32_factor(beta):
    """Here the loss is 3e-4 of the norm, above `protocol.CLOSE`: so it may be formed in float32, and end a run."""
    rng = np.random.default_rng(0)
    L, S = (rng.uniform(0.1, 1, shape).astype("f4") for shape in ((3, 500), (3, 40)))
    Y = (L.T.astype("f8") @ S * rng.uniform(0.97, 1.03, (500, 40))).astype("f4")
    exact = strip_sums(Y.astype("f8"), L.astype("f8"), S.astype("f8"), beta=beta)
    assert exact.loss > 1e-4 * exact.norm
    assert_allclose(strip_sums(Y, L, S, beta=beta).loss, exact.loss, rtol=5e-6)
