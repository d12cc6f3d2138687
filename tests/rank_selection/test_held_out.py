"""Scores of held-out columns against a direct computation, dense and sparse; and that they are proper."""

import numpy as np
import pytest
from scipy import sparse

from dnmf.arrays.weighted import Weighted
from dnmf.losses.choose import loss_of
from dnmf.rank_selection.halves import column_shares, cut_columns
from dnmf.rank_selection.held_out import LEAST_TOTAL, SMOOTH, baseline, held_out_errors, largest_weights
from dnmf.rules import NO_PENALTY

BETAS = (2.0, 1.0, 0.5, 1.5)


def loss_for(beta, y):
    solver = "cd" if beta == 2 else "mu"
    return loss_of(solver, beta, NO_PENALTY, NO_PENALTY, sparse=sparse.issparse(y), short_sweeps=10)


def counts(rows=40, columns=23, rank=3, seed=0):
    rng = np.random.default_rng(seed)
    S = rng.gamma(0.5, size=(rank, columns))
    return rng.poisson(rng.gamma(0.5, size=(rows, rank)) @ S * 4).astype(float), S + 0.01


def asked(y):
    return {"folds": cut_columns(y.shape[1], 0), "shares": column_shares(y, np.ones(y.shape[0]))}


def naive(y, S, beta, folds, shares):
    """Entry by entry, from the rows that the loss itself gives."""
    errors = np.zeros(len(y))
    for fold in range(5):
        out = folds == fold
        L = loss_for(beta, y).settle(y[:, ~out], S[:, ~out], tol=1e-3, iterations=60 if beta == 2 else 20)
        totals = y[:, ~out].sum(axis=1) / shares[~out].sum()
        totals = np.maximum(totals, LEAST_TOTAL * totals.mean())
        m, e, x = L.T @ S[:, out], np.outer(totals, shares[out]), y[:, out]
        if beta == 2:
            errors += ((x - m) ** 2).sum(axis=1)
        elif beta == 1:
            errors += ((x - m) ** 2 / e).sum(axis=1)
        else:
            m = (1 - SMOOTH) * m + SMOOTH * e
            d = (x**beta + (beta - 1) * m**beta - beta * x * m ** (beta - 1)) / (beta * (beta - 1))
            errors += 2 * d.sum(axis=1)
    return errors


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("beta", BETAS)
def test_a_score_is_that_of_every_entry(beta, kind):
    y, S = counts()
    rows = sparse.csr_matrix(y) if kind == "sparse" else y
    found = held_out_errors(rows, S, loss_for(beta, rows), most=np.inf, **asked(y))
    np.testing.assert_allclose(found, naive(y, S, beta, **asked(y)), rtol=1e-6)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("beta", BETAS)
def test_where_entries_are_missing_a_score_is_that_of_those_that_are_there(beta, weighted, kind):
    y, S = counts()
    omega = np.random.default_rng(1).random(y.shape)
    omega = np.where(omega < 0.7, omega if weighted else 1.0, 0.0)
    rows, folds = weighted_rows(y, omega, kind, weighted=weighted), cut_columns(y.shape[1], 0)
    shares = column_shares(rows, np.ones(len(y)))
    loss = loss_of(
        "cd" if beta == 2 else "mu", beta, NO_PENALTY, NO_PENALTY, sparse=False, short_sweeps=10, weighted=True
    )
    found = held_out_errors(rows, S, loss, most=np.inf, folds=folds, shares=shares)
    expected = np.zeros(len(y))
    for fold in range(5):
        seen, out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        L = loss.settle(rows.columns(seen), S[:, seen], tol=1e-3, iterations=60 if beta == 2 else 20)
        totals = (omega * y)[:, seen].sum(axis=1) / np.maximum(omega[:, seen] @ shares[seen], 1e-300)
        totals = np.maximum(totals, LEAST_TOTAL * totals.mean())
        m, e, x, w = L.T @ S[:, out], np.outer(totals, shares[out]), y[:, out], omega[:, out]
        if beta in (1, 2):
            d = (x - m) ** 2 / (e if beta == 1 else 1)
        else:
            m = (1 - SMOOTH) * m + SMOOTH * e
            d = 2 * (x**beta + (beta - 1) * m**beta - beta * x * m ** (beta - 1)) / (beta * (beta - 1))
        expected += (w * d).sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def weighted_rows(y, omega, kind, *, weighted):
    """Rows with these weights, as truth values if they are not `weighted`."""
    weights = omega if weighted else omega > 0
    if kind == "dense":
        return Weighted(np.where(omega > 0, y, 0), weights)
    places = np.nonzero(omega > 0)
    values = sparse.csr_matrix((omega > 0).astype(float))
    values.data = y[places]
    return Weighted(values, weights[places])


class Nothing:
    """A loss whose rows are all zero, and that remembers what it was given to solve them by."""

    beta = 2.0

    def __init__(self):
        self.given = []

    def settle(self, y, S, *, tol, iterations):
        self.given.append((y[0].tolist(), S[0].tolist()))
        return np.zeros((len(S), len(y)))


def test_what_is_held_out_has_no_part_in_the_prediction():
    """Every column is named by its entries, and left out once, with its entries of the short factor."""
    columns = np.arange(1.0, 24.0)
    loss, y, S = Nothing(), np.tile(columns, (4, 1)), np.tile(columns, (2, 1))
    found = held_out_errors(y, S, loss, most=np.inf, **asked(y))
    left_out = [set(columns) - set(seen) for seen, _ in loss.given]
    assert sorted(column for fold in left_out for column in fold) == columns.tolist()
    assert all(seen == short for seen, short in loss.given)
    np.testing.assert_allclose(found, (columns**2).sum())


@pytest.mark.parametrize("beta", [2.0, 1.0, 0.0, 1.5])
def test_a_score_is_least_at_the_expectation(beta):
    """A factor off by a tenth predicts worse, on average over many rows: also where predictions may be 0."""
    rng = np.random.default_rng(3)
    S = rng.gamma(0.5, size=(2, 30)) + 0.05
    y = rng.gamma(4, rng.gamma(2, size=(4000, 2)) @ S / 4)
    how, loss = asked(y), loss_for(beta, y)
    truth = held_out_errors(y, S, loss, most=np.inf, **how).sum()
    off = held_out_errors(y, S * rng.uniform(0.7, 1.3, S.shape), loss, most=np.inf, **how).sum()
    assert truth < off
    assert truth < baseline(y, beta=beta, **how).sum()


@pytest.mark.parametrize("beta", [2.0, 1.0])
def test_rows_and_columns_of_zeros_are_finite(beta):
    y, S = counts()
    y[3], y[:, 5] = 0, 0
    S[:, 5] = 0
    for rows in (y, sparse.csr_matrix(y)):
        found = held_out_errors(rows, S, loss_for(beta, rows), most=np.inf, **asked(y))
        assert np.isfinite(found).all()
        assert np.isfinite(baseline(rows, beta=beta, **asked(y))).all()


@pytest.mark.parametrize("beta", [2.0, 1.0])
def test_what_the_columns_that_are_in_say_nothing_of_is_bounded(beta):
    """A component all of whose entries but next to nothing lie in one fold would be given any weight at all."""
    rng = np.random.default_rng(0)
    how = asked(np.ones((1, 20)))
    S = rng.gamma(1.0, size=(2, 20))
    S[1] = np.where(how["folds"] == 1, S[1], 1e-5 * S[1])
    y = rng.gamma(4.0, S[0] / 4, size=(500, 20))
    loss = loss_for(beta, y)
    found, free = (
        held_out_errors(y, S, loss, most=most, **how).sum() for most in (largest_weights(y, S, loss), np.inf)
    )
    assert found < 100 * baseline(y, beta=beta, **how).sum() < free / 100
