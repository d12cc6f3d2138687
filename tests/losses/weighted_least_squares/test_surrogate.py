"""A sample of which entries are missing: where it starts, and where it leads between two passes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from weighted_cases import KINDS, a_pass, begun, full, loss_for, objective, problems, rows, sampled, weights

from dnmf.losses.protocol import STEPS
from dnmf.losses.weighted_least_squares.short_factor import ENOUGH, EXACT_BYTES, decide, without_sample
from dnmf.rules import NO_PENALTY, Penalty


def low_rank(kind, *, shape=(600, 30), rank=3, layout="dense", noise=0.05):
    """Rows of low rank with noise, their weights of a kind, and the truth."""
    rng = np.random.default_rng(0)
    truth = rng.gamma(0.7, size=(shape[0], rank)) @ rng.gamma(0.7, size=(rank, shape[1]))
    values = np.maximum(truth + noise * truth.std() * rng.standard_normal(shape), 0)
    return rows(values, weights(kind, shape, rng), layout=layout), truth, rng


def passes(y, loss, model, S, count=6):
    """Objectives of passes as the loop makes them; those that a step on the sample raised are left out."""
    L, plain, kept = None, None, []
    for _ in range(count):
        decided = None if model is None else model.decide(len(S))
        L, found = a_pass(y, loss, S, L=L, decided=decided, sweeps=20)
        if kept and found.loss + found.penalties > kept[-1] and plain is not None:
            S, model, plain = plain, None, None
            continue
        kept.append(found.loss + found.penalties)
        plain = found.step()
        if model is not None:
            model, _ = model.follow(found.shared, 20)
            S = model.correct(found, STEPS)
            if S is not None:
                continue
        S, model, plain = plain, None, None
    return kept, L, S


def at_rest(y, loss, S, count=400):
    """The short factor, and rows, that no alternation moves any further."""
    how = without_sample(*S.shape[::-1])
    L, found = a_pass(y, loss, S, decided=how, sweeps=10)
    for _ in range(count):
        S = found.step()
        L, found = a_pass(y, loss, S, L=L, decided=how, sweeps=10)
    return L, S, found


@pytest.mark.parametrize("kind", ["random", "stripes", "weights"])
def test_what_is_at_rest_on_all_rows_stays_whatever_the_sample(kind):
    y, _, rng = low_rank(kind, shape=(150, 12))
    loss = loss_for()
    _, S, found = at_rest(y, loss, rng.random((3, 12)))
    model = sampled(y, loss, 3, size=60)
    assert not model.whole
    decided = replace(model.decide(3), kind="sample")
    found = replace(found, shared=replace(found.shared, short=decided))
    model = model.with_rows(model.mover.settle(model.y, S, tol=1e-12, iterations=10_000))
    assert_allclose(model.correct(found, STEPS), S, atol=2e-3 * S.max())


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_two_passes_are_as_good_as_an_end(layout):
    y, truth, _ = low_rank("random", shape=(1500, 40), layout=layout)
    loss = loss_for()
    model = sampled(y, loss, 3, size=600)
    H, share = model.factorize(begun(np.random.default_rng(1).random((3, 40)), 600), iterations=300, tol=1e-4)
    losses, L, S = passes(y, loss, model, H, 3)
    _, _, end = at_rest(y, loss, H, 60)
    assert losses[1] <= 1.001 * end.loss
    assert share == pytest.approx(end.loss / end.norm, rel=0.3)
    hidden = full(y)[1] == 0
    assert np.linalg.norm((L.T @ S - truth)[hidden]) < 0.05 * np.linalg.norm(truth[hidden])


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_where_most_is_missing_a_start_is_found(layout):
    y, truth, _ = low_rank("sparse", shape=(400, 50), layout=layout, noise=0.01)
    loss = loss_for()
    model = sampled(y, loss, 3, size=400)
    assert model.whole
    poor = np.zeros((3, 50))
    poor[0] = 1
    H, share = model.factorize(begun(poor, 400), iterations=300, tol=1e-4)
    assert share < 1e-3
    L = loss.settle(y, H, tol=1e-8, iterations=1000)
    assert np.linalg.norm(L.T @ H - truth) < 0.1 * np.linalg.norm(truth)
    # One that is there already is not lost for another as good.
    again, _ = model.factorize(begun(H, 400), iterations=300, tol=1e-4)
    cosines = (again * H).sum(axis=1) / np.linalg.norm(again, axis=1) / np.linalg.norm(H, axis=1)
    assert (cosines > 0.99).all()


def test_how_the_short_factor_moves_is_decided_by_what_the_sample_holds():
    y, _, _ = low_rank("random", shape=(600, 30))
    observed = int((full(y)[1] > 0).sum(axis=0).min())
    enough = observed // ENOUGH
    assert decide(y, enough, whole=False).kind == "sample"
    assert decide(y, 2 * enough, whole=False).kind == "exact"
    assert decide(y, 2 * enough, whole=True).kind == "sample"
    few, _, _ = low_rank("sparse", shape=(20, 30))
    assert decide(few, 3, whole=False).kind == "exact"
    width = EXACT_BYTES // (4 * 3 * 4) + 1
    assert (without_sample(width - 1, 3).kind, without_sample(width, 3).kind) == ("exact", "expectation")


def test_columns_of_which_the_sample_knows_little_move_no_further_than_is_safe():
    """One observation of a column in the sample says nothing of how far it may go."""
    y, _, rng = low_rank("random", shape=(2000, 30))
    omega = full(y)[1] > 0
    omega[:, 0] = rng.random(2000) < 0.01
    y, loss = rows(full(y)[0], omega), loss_for()
    model = sampled(y, loss, 3, size=300)
    assert model.decide(3).kind == "sample"
    losses, _, _ = passes(y, loss, model, rng.random((3, 30)), 8)
    assert len(losses) == 8


@given(problems(), st.sampled_from(["cd", "mu"]), st.booleans(), st.booleans())
def test_passes_never_raise_the_objective(case, solver, penalized, per_observed):
    y, rank, rng = case
    penalties = (Penalty(0.01, 0.02), Penalty(0.02, 0.01)) if penalized else (NO_PENALTY, NO_PENALTY)
    loss = loss_for(solver, *penalties, per_observed=per_observed)
    S = (rng.random((rank, y.shape[1])) + 0.01).astype(y.dtype)
    kept, L, S = passes(y, loss, None, S, 5)
    norm = float((full(y)[1] * full(y)[0] ** 2).sum())
    rounding = (1e-5 if y.dtype == "f4" else 1e-11) * (norm + kept[0])
    assert (np.diff(kept) <= rounding).all()
    assert all(np.isfinite(F).all() and F.min(initial=0) >= 0 for F in (L, S))
    assert not L[:, (full(y)[1] == 0).all(axis=1)].any()


@given(problems(), st.integers(3, 30), st.booleans())
def test_nor_do_they_with_a_sample(case, size, per_observed):
    y, rank, rng = case
    loss = loss_for("cd", Penalty(0.0, 0.01 * per_observed), NO_PENALTY, per_observed=per_observed)
    model = sampled(y, loss, rank, size=size)
    S = (rng.random((rank, y.shape[1])) + 0.01).astype(y.dtype)
    if len(model.drawn.counts):
        S, share = model.factorize(begun(S, len(model.drawn.counts)), iterations=20, tol=1e-3)
        assert 0 <= share <= 1 + 1e-6
    kept, L, S = passes(y, loss, model, S, 5)
    norm = float((full(y)[1] * full(y)[0] ** 2).sum())
    assert (np.diff(kept) <= (1e-5 if y.dtype == "f4" else 1e-10) * (norm + kept[0])).all()
    assert all(np.isfinite(F).all() and F.min(initial=0) >= 0 for F in (L, S))


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_sweeps_are_made_as_pay(kind):
    y, _, rng = low_rank(kind, shape=(300, 20))
    loss = loss_for()
    model = sampled(y, loss, 3, size=300)
    _, found = a_pass(y, loss, rng.random((3, 20)), decided=model.decide(3))
    followed, sweeps = model.follow(found.shared, None)
    assert 2 <= sweeps <= 60
    more = loss.update(followed.y, found.shared, followed.rows, 200)
    S = found.shared.S
    assert (
        objective(followed.y, loss, followed.rows, S) <= 1.01 * objective(followed.y, loss, more, S) + 1e-4 * found.norm
    )
