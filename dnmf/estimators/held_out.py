"""A scorer for scikit-learn's searches: how well a fitted model predicts columns of rows that it has not seen."""

from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from dnmf.losses import SWEEPS, beta_of, solvers_of
from dnmf.losses.choose import loss_of
from dnmf.rank_selection.halves import column_shares, cut_columns
from dnmf.rank_selection.held_out import baseline, held_out_errors, largest_weights
from dnmf.rules import NO_PENALTY


def held_out_error(estimator: Any, X: Any, y: object = None) -> float:
    """Score a fitted model by columns of new rows that are held out, one fold after the other.

    Give it as `scoring` to `GridSearchCV` or `cross_val_score`: the rows are those of the test fold, which the model
    has not seen, and of each of them a fifth of the columns is predicted from the others, five times. Reconstruction of
    whole rows would favour the largest number of components.

    Parameters
    ----------
    estimator : a fitted `NMF` or `MiniBatchNMF`, dnmf's or scikit-learn's.
    X : (h, n) rows, not negative, dense or sparse, in memory.
    y : ignored.

    Returns
    -------
    Minus the share that is not predicted, as `ranks` tells it: higher is better, 0 is best.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from dnmf import NMF
    >>> rng = np.random.default_rng(0)
    >>> X = rng.gamma(0.5, size=(300, 3)) @ rng.gamma(0.5, size=(3, 40)) * rng.uniform(0.8, 1.2, (300, 40))
    >>> search = GridSearchCV(NMF(), {"n_components": [1, 2, 3, 4, 5]}, scoring=held_out_error, cv=3)
    >>> search.fit(X).best_params_
    {'n_components': 3}
    """
    check_is_fitted(estimator)
    rows = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32], ensure_non_negative=True)
    beta, H = beta_of(estimator.beta_loss), np.asarray(estimator.components_, rows.dtype)
    loss = loss_of(
        solvers_of(beta)[0], beta, NO_PENALTY, NO_PENALTY, sparse=not isinstance(rows, np.ndarray), short_sweeps=SWEEPS
    )
    folds, shares = cut_columns(H.shape[1], 0), column_shares(rows, np.ones(rows.shape[0]))
    # Of the rows that it was fitted to, a model keeps no weights: these stand for them.
    most = largest_weights(rows, H, loss)
    errors = held_out_errors(rows, H, loss, most=most, folds=folds, shares=shares)
    scores = baseline(rows, folds=folds, shares=shares, beta=beta)
    return -float(errors.sum() / (scores.sum() or 1.0))
