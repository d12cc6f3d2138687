"""`NMF(missing=…)`: NaN, or what sparse X does not store, is missing; the tag says so; errors are of what is there."""

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import dnmf
from dnmf import NMF, non_negative_factorization

RNG = np.random.default_rng(1)
TRUTH = RNG.random((80, 3)) @ RNG.random((3, 25)) + 0.01
SEEN = RNG.random(TRUTH.shape) > 0.3
HOLES = np.where(SEEN, TRUTH, np.nan)

LOSSES = [{}, {"solver": "mu", "beta_loss": "kullback-leibler"}]


@pytest.mark.parametrize("asked", LOSSES)
@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame, lambda X: da.from_array(X, chunks=(20, 25))])
def test_what_is_missing_is_found_and_errors_are_of_what_is_there(kind, asked):
    model = NMF(3, missing="nan", tol=1e-6, max_iter=300, **asked)
    W = np.asarray(model.fit_transform(kind(HOLES)))
    found = W @ model.components_
    assert np.abs(found - TRUTH)[~SEEN].mean() < 0.05 * TRUTH.mean()
    if not asked:
        error = np.linalg.norm(np.where(SEEN, TRUTH - found, 0))
        assert model.reconstruction_err_ == pytest.approx(error, rel=1e-2, abs=1e-4)
    np.testing.assert_allclose(np.asarray(model.transform(kind(HOLES))), W, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.inverse_transform(W), found)
    np.testing.assert_allclose(np.asarray(dnmf.transform(HOLES, model)) @ model.components_, found, atol=0.02)


def test_what_sparse_x_does_not_store_may_be_missing():
    X = sparse.csr_matrix(np.where(SEEN, TRUTH, 0))
    model = NMF(3, missing="zeros", tol=1e-6, max_iter=300)
    found = model.fit_transform(X) @ model.components_
    assert np.abs(found - TRUTH)[~SEEN].mean() < 0.05 * TRUTH.mean()


@pytest.mark.parametrize("init", ["random", "nndsvda"])
def test_starts_by_name_are_made_of_what_is_there(init):
    model = NMF(3, init=init, missing="nan", tol=1e-6, max_iter=300, random_state=0).fit(HOLES)
    assert model.reconstruction_err_ < 0.05 * np.linalg.norm(TRUTH)


def test_the_tag_says_whether_nan_is_allowed():
    assert not NMF().__sklearn_tags__().input_tags.allow_nan
    assert not NMF(missing="zeros").__sklearn_tags__().input_tags.allow_nan
    assert NMF(missing="nan").__sklearn_tags__().input_tags.allow_nan


def test_rows_may_count_more_than_once_where_entries_are_missing():
    counts = RNG.integers(0, 3, len(HOLES))
    W, H = RNG.random((80, 3)), RNG.random((3, 25))
    how = {"init": "custom", "inner_iter": 1, "max_iter": 15, "tol": 0, "missing": "nan"}
    weighted = NMF(3, **how).fit(HOLES, W=W, H=H, sample_weight=counts)
    repeated = NMF(3, **how).fit(np.repeat(HOLES, counts, 0), W=np.repeat(W, counts, 0), H=H)
    np.testing.assert_allclose(weighted.components_, repeated.components_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("parameters", "X", "error"),
    [
        ({}, HOLES, "contains NaN"),
        ({"missing": "nan"}, np.where(SEEN, TRUTH, np.inf), "infinity"),
        ({"missing": "nan"}, np.where(SEEN, -TRUTH, np.nan), "Negative values in data|not negative"),
        ({"missing": "zeros"}, TRUTH, "missing is 'zeros', and X, .+, is dense"),
        ({"missing": "holes"}, TRUTH, "The 'missing' parameter of NMF must be a str among {'nan', 'zeros'} or None"),
    ],
)
def test_what_cannot_be_is_refused(parameters, X, error):
    with pytest.raises(ValueError, match=error):
        NMF(2, **parameters).fit(X)


def test_the_function_takes_it_too():
    W, H, _ = non_negative_factorization(HOLES, n_components=3, missing="nan", tol=1e-6)
    assert np.abs(W @ H - TRUTH)[~SEEN].mean() < 0.05 * TRUTH.mean()
    again, _, n_iter = non_negative_factorization(HOLES, H=H, update_H=False, n_components=3, missing="nan", tol=1e-6)
    assert n_iter == 1
    np.testing.assert_allclose(again, W, rtol=1e-3, atol=1e-4)
