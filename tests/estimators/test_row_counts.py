"""sample_weight: a row that counts s times is the row, repeated; and what cannot be is refused in a sentence."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from dnmf import NMF

RNG = np.random.default_rng(0)
X = RNG.random((30, 4)) @ RNG.random((4, 11)) + 0.1 * RNG.random((30, 11))
COUNTS = RNG.integers(0, 4, 30)
W, H = RNG.random((30, 3)), RNG.random((3, 11))


def both(counts, *, kind=np.asarray, **parameters):
    """A model with rows that count, and one with repeated rows; their W of all rows."""
    models = [NMF(3, init="custom", inner_iter=1, max_iter=20, tol=0, **parameters) for _ in range(2)]
    weighted = models[0].fit_transform(kind(X), W=W.copy(), H=H.copy(), sample_weight=counts)
    repeated = models[1].fit_transform(kind(np.repeat(X, counts, 0)), W=np.repeat(W, counts, 0), H=H.copy())
    return *models, np.repeat(weighted, counts, 0), repeated


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "cd"},
        {"solver": "mu"},
        {"solver": "mu", "beta_loss": 1},
        {"solver": "mu", "beta_loss": 1.5, "alpha_H": 0.01, "l1_ratio": 0.5},
        {"solver": "cd", "alpha_W": 0.01},
    ],
)
def test_a_row_that_counts_more_than_once_is_the_row_repeated(kind, parameters):
    weighted, repeated, found, expected = both(COUNTS, kind=kind, **parameters)
    np.testing.assert_allclose(weighted.components_, repeated.components_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert weighted.reconstruction_err_ == pytest.approx(repeated.reconstruction_err_, rel=1e-9)


# Of fewer rows than components many factors are as good, and rounding decides.
@given(st.lists(st.integers(0, 3), min_size=30, max_size=30).filter(lambda counts: np.count_nonzero(counts) > 5))
def test_whatever_the_counts_are(counts):
    weighted, repeated, found, expected = both(np.array(counts))
    np.testing.assert_allclose(weighted.components_, repeated.components_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_of_itakura_saito_every_entry_has_the_weight_of_its_row():
    weighted, repeated, found, expected = both(COUNTS, solver="mu", beta_loss=0)
    np.testing.assert_allclose(weighted.components_, repeated.components_, rtol=1e-7)
    np.testing.assert_allclose(found, expected, rtol=1e-7)
    assert weighted.reconstruction_err_ == pytest.approx(repeated.reconstruction_err_, rel=1e-7)


def test_rows_that_do_not_count_have_a_w_and_one_count_for_all_changes_nothing():
    model = NMF(3, tol=1e-8, random_state=0)
    W = model.fit_transform(X, sample_weight=(COUNTS > 0) * 7.5)
    np.testing.assert_allclose(W, model.transform(X), rtol=1e-6)
    plain = NMF(3, tol=1e-8, random_state=0).fit(X[COUNTS > 0])
    error = np.sqrt(7.5) * plain.reconstruction_err_
    assert model.reconstruction_err_ == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize(
    ("parameters", "data", "counts", "error"),
    [
        ({}, X, np.ones(3), r"sample_weight has shape \(3,\) and X has 30 rows: shape \(30,\) is required"),
        ({}, X, np.ones((30, 2)), r"sample_weight has shape \(30, 2\)"),
        ({}, X, -np.ones(30), r"sample_weight has negative, NaN or infinite entries"),
        ({}, X, np.zeros(30), r"sample_weight has nothing but zeros"),
        ({"alpha_W": 0.1, "l1_ratio": 1.0}, X, np.ones(30), r"alpha_W is 0.1: with that a penalty on W is possible"),
        ({}, da.from_array(X), np.ones(30), r"it is for X in memory; for other X give weights of its entries"),
    ],
)
def test_what_cannot_be_is_refused(parameters, data, counts, error):
    with pytest.raises(ValueError, match=error):
        NMF(2, **parameters).fit(data, sample_weight=counts)
