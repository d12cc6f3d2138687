"""What the estimators share: which X they are given, how it is checked, and what follows from fitted components."""

import math
import warnings
from abc import abstractmethod
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import zarr

from dnmf.arrays.rows import Array, Rows, is_sparse
from dnmf.estimators.parameters import check_parameters
from dnmf.estimators.scikit_learn import (
    ArrayLike,
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ConvergenceWarning,
    TransformerMixin,
    check_is_fitted,
    validate_data,
)
from dnmf.factorization.transform import transform
from dnmf.losses import NAMED
from dnmf.losses.divergence.sums import strip_sums
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.opening import is_anndata, open_matrix

# What X in memory may be, for scikit-learn's checks.
IN_MEMORY: dict[str, Any] = {"accept_sparse": ("csr", "csc"), "dtype": [np.float64, np.float32]}

# A row of W is solved in so many steps at least: `max_iter` of a fit counts reads of X, and may be small.
TRANSFORM_ITER = 200


def is_stored(X: ArrayLike) -> bool:
    """Whether X is worked on piece by piece: a path, a Zarr array or group, a Dask array, AnnData, or opened X."""
    if isinstance(X, str | PathLike | zarr.Array | zarr.Group | Matrix):
        return True
    return isinstance(getattr(X, "group", None), zarr.Group) or hasattr(X, "__dask_graph__") or is_anndata(X)


def unwrapped(X: ArrayLike) -> ArrayLike:
    """X in memory itself, that of AnnData too; other X opened, once for all that is done with it."""
    if not is_stored(X):
        return X
    matrix = open_matrix(Path(X) if isinstance(X, PathLike) else X)
    return matrix.array if matrix.in_memory else matrix


def rows_of(X: Rows) -> Rows:
    """X in memory as its rows are worked on: sparse X as CSR."""
    return X.tocsr() if is_sparse(X) else X


def reconstruction_error(X: ArrayLike, W: Array, H: Array, beta: float) -> float:
    """√(2 D(X | W H)), in float64; for β = 2 that is ‖X − W H‖.

    >>> reconstruction_error(np.array([[3.0, 0.0], [0.0, 4.0]]), np.zeros((2, 1)), np.ones((1, 2)), 2)
    5.0
    """
    loss = strip_sums(rows_of(X), W.T, H.astype("f8"), beta=beta).loss
    return math.sqrt(max(loss, 0.0))


def refuse_zeros(X: ArrayLike, beta: float) -> None:
    """A divergence of β ≤ 0 is infinite where X is 0."""
    if beta <= 0 and X.min() == 0:
        raise ValueError(
            "When beta_loss <= 0 and X contains zeros, the solver may diverge. Please add small values to X, or use a "
            "positive beta_loss."
        )


class BaseNMF(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The methods of a transformer around `_fit`; not to be used by itself."""

    @abstractmethod
    def _fit(self, X: ArrayLike, W: ArrayLike, H: ArrayLike) -> ArrayLike:
        """Set the fitted attributes and give W back."""

    def fit(self, X: ArrayLike, y: object = None, W: ArrayLike = None, H: ArrayLike = None) -> Self:
        """Factorize X; see `fit_transform`."""
        self._fit(X, W, H)
        return self

    def fit_transform(self, X: ArrayLike, y: object = None, W: ArrayLike = None, H: ArrayLike = None) -> ArrayLike:
        """Factorize X and give W back.

        Parameters
        ----------
        X : (m, n), not negative: in memory (array, DataFrame, scipy.sparse, AnnData), or the path of a Zarr array or of
            a sparse matrix in Zarr, a `zarr.Array` or `zarr.Group` of these, a Dask array.
        y : not used.
        W, H : first factors (m, k) and (k, n), for init="custom" only. Not changed.

        Returns
        -------
        W (m, k): a NumPy array for X in memory; for other X a Dask array, of which nothing is in memory yet.
        """
        return self._fit(X, W, H)

    def transform(self, X: ArrayLike) -> ArrayLike:
        """W for the rows of X, each solved by itself against `components_`.

        Parameters
        ----------
        X : (m, n), not negative, of any kind that `fit_transform` takes.

        Returns
        -------
        W (m, k): a NumPy array for X in memory, else a Dask array that computes it when it is asked for.
        """
        check_is_fitted(self)
        X = unwrapped(X)
        if is_stored(X):
            self._check_width(open_matrix(X).grid.shape[1], reset=False)
        else:
            X = self._validated(X, reset=False, ensure_non_negative=True)
            refuse_zeros(X, self._beta)
        return self._solved(X)

    def inverse_transform(self, X: ArrayLike) -> ArrayLike:
        """W H for a given W (m, k): a NumPy array, a sparse matrix or a Dask array."""
        check_is_fitted(self)
        return X @ self.components_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    @property
    def _beta(self) -> float:
        # Any number for now, as scikit-learn has it: what cannot be minimized is refused later, in its words.
        return NAMED[self.beta_loss] if isinstance(self.beta_loss, str) else float(self.beta_loss)

    @property
    def _tol(self) -> float:
        """The engine takes shares below 1 only; nothing more is done for any larger one, too."""
        return min(float(self.tol), float(np.nextafter(1, 0)))

    @property
    def _transform_iter(self) -> int:
        return int(max(self.max_iter, TRANSFORM_ITER))

    def _check_parameters(self) -> None:
        check_parameters(type(self).__name__, self.get_params(deep=False))

    def _validated(self, X: ArrayLike, *, reset: bool, **checks: Any) -> ArrayLike:
        """X in memory as scikit-learn checks it, float32 or float64; sparse entries are in order and each once."""
        X = validate_data(self, X, reset=reset, **IN_MEMORY, **checks)
        if is_sparse(X) and not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        return X

    def _check_width(self, n: int, *, reset: bool) -> None:
        """What `_validated` does with the number and the names of features, for X that is not in memory."""
        validate_data(self, np.broadcast_to(np.float32(0), (1, n)), reset=reset, skip_check_array=True)

    def _rank(self, n: int) -> int | None:
        """The number of components for X with n columns; None where custom factors may say it."""
        if isinstance(self.n_components, str):
            return None
        return n if self.n_components is None else int(self.n_components)

    def _rank_of_stored(self) -> int:
        """The number of components for X that is not in memory, which has to be said."""
        if self.n_components is None or isinstance(self.n_components, str):
            raise ValueError(
                f"n_components is {self.n_components!r}, which means as many components as X has columns: for X that "
                f"is not in memory give a number, or init='custom' with W and H"
            )
        return int(self.n_components)

    def _solved(self, X: ArrayLike) -> ArrayLike:
        """W for validated or stored X."""
        H = self.components_
        return transform(
            X,
            H if is_stored(X) else H.astype(X.dtype, copy=False),
            beta_loss=self._beta,
            alpha_W=float(self.alpha_W),
            l1_ratio=float(self.l1_ratio),
            tol=self._tol,
            max_iter=self._transform_iter,
            memory_limit=getattr(self, "memory_limit", None),
        )


def warn_of_max_iter(max_iter: int) -> None:
    """Say that a fit ended because it was out of iterations."""
    warnings.warn(
        f"Maximum number of iterations {max_iter} reached. Increase it to improve convergence.",
        ConvergenceWarning,
        stacklevel=2,
    )
