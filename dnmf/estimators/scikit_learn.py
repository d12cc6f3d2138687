"""What the estimators use of scikit-learn, or one sentence that says how to get it; and what it leaves untyped."""

from typing import Any

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils import check_array, check_random_state, gen_batches
    from sklearn.utils.extmath import randomized_svd
    from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data
except ModuleNotFoundError as error:
    raise ImportError('dnmf\'s estimators need scikit-learn, which is missing: pip install "dnmf[sklearn]"') from error

# A matrix: an array, a DataFrame, a sparse matrix; here also a path, Zarr, Dask or AnnData.
ArrayLike = Any
Seed = int | np.random.RandomState | None

__all__ = [
    "ArrayLike",
    "BaseEstimator",
    "ClassNamePrefixFeaturesOutMixin",
    "ConvergenceWarning",
    "Seed",
    "TransformerMixin",
    "check_array",
    "check_is_fitted",
    "check_non_negative",
    "check_random_state",
    "gen_batches",
    "randomized_svd",
    "validate_data",
]
