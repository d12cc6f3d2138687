"""What the estimators use of scikit-learn, or one sentence that says how to get it."""

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils import check_array, check_random_state, gen_batches
    from sklearn.utils.extmath import randomized_svd
    from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data
except ModuleNotFoundError as error:
    raise ImportError('dnmf\'s estimators need scikit-learn, which is missing: pip install "dnmf[sklearn]"') from error


__all__ = [
    "BaseEstimator",
    "ClassNamePrefixFeaturesOutMixin",
    "ConvergenceWarning",
    "TransformerMixin",
    "check_array",
    "check_is_fitted",
    "check_non_negative",
    "check_random_state",
    "gen_batches",
    "randomized_svd",
    "validate_data",
]
