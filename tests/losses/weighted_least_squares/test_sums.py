"""What a pass adds up, and what follows from it, against sums entry by entry."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from weighted_cases import KINDS, a_pass, full, loss_for, objective, rows, weights

from dnmf.losses.least_squares.loss import LeastSquares
from dnmf.losses.protocol import Known, add
from dnmf.losses.weighted_least_squares.short_factor import ShortFactor
from dnmf.rules import NO_PENALTY, Penalty
from dnmf.rules.solver import Solver

HOW = {kind: ShortFactor(kind, "") for kind in ("sample", "exact", "expectation")}
PENALTIES = {"free": (NO_PENALTY, NO_PENALTY), "penalized": (Penalty(0.05, 0.1), Penalty(0.2, 0.3))}

each_kind = pytest.mark.parametrize("kind", KINDS)
each_layout = pytest.mark.parametrize("layout", ["dense", "turned", "sparse"])


def problem(kind, *, layout="dense", dtype="f8", shape=(60, 17), rank=3):
    rng = np.random.default_rng(0)
    values = rng.random((shape[0], rank)) @ rng.random((rank, shape[1])) + 0.1 * rng.random(shape)
    y = rows(values, weights(kind, shape, rng), layout=layout, dtype=dtype)
    return y, rng.random((rank, shape[1])).astype(dtype)


@each_layout
@each_kind
def test_sums_are_those_of_the_entries_that_are_there(kind, layout):
    y, S = problem(kind, layout=layout)
    L, found = a_pass(y, loss_for(), S, decided=HOW["exact"])
    values, omega = full(y)
    R = omega * (values - L.T @ S)
    assert_allclose(found.sums.cross, L @ R, rtol=1e-9, atol=1e-12)
    assert found.loss == pytest.approx(float((omega * (values - L.T @ S) ** 2).sum()), rel=1e-10)
    assert found.norm == pytest.approx(float((omega * values**2).sum()), rel=1e-12)
    at = np.triu_indices(len(S))
    pairs = np.einsum("ij,ai,bi->abj", omega, L, L)[at]
    assert_allclose(found.sums.pairs, pairs, rtol=1e-9, atol=1e-12)
    assert_allclose(found.sums.bound, (L * omega.max(axis=1)) @ L.T, rtol=1e-10, atol=1e-14)


@each_kind
def test_rows_fit_what_is_there_as_well_as_they_can(kind):
    """The gradient of every row is 0, or points below 0, once it stands still."""
    for layout in ("dense", "sparse"):
        y, S = problem(kind, layout=layout)
        L = loss_for().settle(y, S, tol=1e-13, iterations=20_000)
        values, omega = full(y)
        gradient = S @ (omega * (L.T @ S - values)).T
        largest = np.abs(S @ (omega * values).T).max() + 1e-300
        assert (np.where(L > 0, np.abs(gradient), -gradient) <= 1e-6 * largest).all()
        assert not L[:, (omega == 0).all(axis=1)].any()


@each_kind
@pytest.mark.parametrize("how", ["exact", "expectation"])
@pytest.mark.parametrize("penalties", list(PENALTIES))
@pytest.mark.parametrize("per_observed", [False, True])
def test_a_step_gains_at_least_what_is_said(kind, how, penalties, per_observed):
    loss = loss_for("cd", *PENALTIES[penalties], per_observed=per_observed)
    y, S = problem(kind)
    L, found = a_pass(y, loss, S, decided=HOW[how])
    before = objective(y, loss, L, S)
    assert found.loss + found.penalties == pytest.approx(before, rel=1e-9)
    moved = found.step()
    gained = before - objective(y, loss, L, moved)
    said = found.gain(moved)
    rounding = 1e-9 * before + 1e-13 * found.norm
    assert said >= -rounding
    assert gained >= said - rounding
    if how == "exact":
        assert gained == pytest.approx(said, rel=1e-6, abs=rounding)


@pytest.mark.parametrize("per_observed", [False, True])
def test_the_gradient_is_that_of_the_objective(per_observed):
    loss = loss_for("cd", *PENALTIES["penalized"], per_observed=per_observed)
    y, S = problem("weights")
    L, found = a_pass(y, loss, S)
    step, gradient = 1e-6, np.zeros_like(S)
    for at in np.ndindex(*S.shape):
        ahead, behind = S.copy(), S.copy()
        ahead[at] += step
        behind[at] -= step
        gradient[at] = (objective(y, loss, L, ahead) - objective(y, loss, L, behind)) / (2 * step)
    assert found.gradient_norm() == pytest.approx(float(np.linalg.norm(gradient)), rel=1e-5)


@each_layout
@each_kind
def test_parts_add_up_to_the_whole(kind, layout):
    y, S = problem(kind, layout=layout)
    loss = loss_for("cd", *PENALTIES["penalized"], per_observed=True)
    shared = loss.prepare(S, Known(None, math.nan, exact=True, decided=HOW["exact"]))
    L = loss.solve(y, shared, 2)
    whole = loss.sums(y, shared, L)
    cuts = (slice(0, 7), slice(7, 8), slice(8, 60))
    parts = add([loss.sums(y[cut], shared, loss.solve(y[cut], shared, 2)) for cut in cuts])
    for name in ("cross", "gram", "bound", "square", "norm", "mass", "totals", "penalty", "pairs", "observed", "room"):
        assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("solver", ["cd", "mu"])
@pytest.mark.parametrize("kind", ["mask", "weights"])
def test_where_all_is_there_it_is_least_squares(solver, kind):
    rng = np.random.default_rng(1)
    values = rng.random((50, 12)).astype("f4")
    omega = np.ones(values.shape, bool if kind == "mask" else "f4")
    S, penalties = rng.random((3, 12)).astype("f4"), PENALTIES["penalized"]
    ours = loss_for(solver, *penalties)
    theirs = LeastSquares(Solver(solver), *penalties, sparse=False, short_sweeps=3)
    known = Known(None, math.nan, exact=True, decided=HOW["expectation"])
    one, other = ours.prepare(S, known), theirs.prepare(S, known)
    L = ours.solve(rows(values, omega, dtype="f4"), one, 3)
    assert_allclose(L, theirs.solve(values, other, 3), rtol=1e-3, atol=1e-5)
    mine = ours.evaluate(ours.sums(rows(values, omega, dtype="f4"), one, L), one)
    usual = theirs.evaluate(theirs.sums(values, other, L), other)
    assert mine.loss == pytest.approx(usual.loss, rel=1e-6)
    assert mine.penalties == pytest.approx(usual.penalties, rel=1e-6)
    assert mine.gradient_norm() == pytest.approx(usual.gradient_norm(), rel=1e-6)
    assert_allclose(mine.step(), usual.step(), rtol=1e-5, atol=1e-6)
    assert_allclose(mine.of_components.residual, usual.of_components.residual, rtol=1e-6, atol=1e-9)


def test_nothing_at_all_is_zero():
    y, S = problem("random")
    y = rows(full(y)[0], np.zeros(y.shape, bool))
    for decided in HOW.values():
        L, found = a_pass(y, loss_for(), S, decided=decided)
        assert not L.any()
        assert (found.loss, found.norm, found.moves) == (0, 0, 1)
        assert np.isfinite(found.step()).all()


def test_a_random_block_gets_the_scale_of_its_rows():
    y, S = problem("random")
    loss = loss_for()
    shared = loss.prepare(S, Known(None, math.nan, exact=True))
    random = np.random.default_rng(2).random((3, 60))
    for scale in (1.0, 1e6):
        again = rows(full(y)[0] * scale, full(y)[1] > 0)
        found = loss.scale_and_update(again, shared, random, 0) / scale
        values, omega = full(y)
        left = omega * (values - found.T @ S)
        assert_allclose((left * (found.T @ S)).sum(axis=1), 0, atol=1e-9)
