"""The scorer for scikit-learn's searches."""

import numpy as np
import pytest
import sklearn.decomposition
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

import dnmf

RNG = np.random.default_rng(0)
X = RNG.gamma(0.5, size=(600, 3)) @ RNG.gamma(0.5, size=(3, 40)) * RNG.uniform(0.7, 1.3, (600, 40))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", [dnmf.NMF(), sklearn.decomposition.NMF(init="nndsvda", max_iter=500)])
def test_a_search_finds_the_rank_where_reconstruction_would_take_the_largest(model):
    search = GridSearchCV(model, {"n_components": [2, 3, 4, 5]}, scoring=dnmf.held_out_error, cv=3).fit(X)
    assert search.best_params_ == {"n_components": 3}


def test_sparse_rows_score_as_dense_ones_and_kullback_leibler_by_its_own():
    counts = RNG.poisson(4 * X).astype("f8")
    for beta in ("frobenius", "kullback-leibler"):
        model = dnmf.NMF(3, beta_loss=beta, solver="cd" if beta == "frobenius" else "mu").fit(counts)
        dense, thin = (dnmf.held_out_error(model, rows) for rows in (counts, sparse.csr_matrix(counts)))
        assert -1 < dense < 0
        assert thin == pytest.approx(dense, rel=1e-6)


def test_a_model_that_is_not_fitted_and_negative_rows_are_refused():
    with pytest.raises(NotFittedError):
        dnmf.held_out_error(dnmf.NMF(2), X)
    with pytest.raises(ValueError, match="Negative values"):
        dnmf.held_out_error(dnmf.NMF(2).fit(X), -X)
