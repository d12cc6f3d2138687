"""What the estimators share: which X they are given, how it is checked, and what follows from fitted components."""

import math
import sys
import warnings
from abc import abstractmethod
from contextlib import suppress
from typing import Any, Self

import numpy as np

from dnmf.arrays.extent import extent_of, times_power
from dnmf.arrays.parts import cuts
from dnmf.arrays.rows import Array, Rows, is_sparse
from dnmf.estimators.own_words import in_own_words
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
from dnmf.losses.scale import check_fits, exponent_for, top_to_one
from dnmf.matrix.dense import DenseInMemory
from dnmf.matrix.foreign import IN_MEMORY as IN_THIS_PROCESS
from dnmf.matrix.foreign import columns_of, has_masked_rows
from dnmf.matrix.labels import Labels, Names
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.opening import open_matrix
from dnmf.plan.parts import LARGE_PART

# What X in memory may be, for scikit-learn's checks. It is worked on row by row: of every layout one answer comes out.
IN_MEMORY: dict[str, Any] = {"accept_sparse": "csr", "dtype": [np.float64, np.float32], "order": "C"}

# Between these, X is worked on as scikit-learn does, whose first factors and steps know fixed smallest numbers.
PLAIN = (1e-9, 1e12)

# In which integers and half-precision numbers are computed with.
FLOAT = np.dtype(np.float64)

# A row of W is solved in so many steps at least: `max_iter` of a fit counts reads of X, and may be small.
TRANSFORM_ITER = 200


def is_stored(X: ArrayLike) -> bool:
    """Whether X, unwrapped, is worked on piece by piece, as it is not in memory."""
    return isinstance(X, Matrix)


def unwrapped(X: ArrayLike, missing: str | None = None) -> ArrayLike:
    """X in memory itself, whatever held it; other X opened, once for all that is done with it."""
    if _is_scikit_learns(X):
        return X
    matrix = open_matrix(X, missing=missing)
    return matrix.array if matrix.in_memory else matrix


def with_names(X: ArrayLike, missing: str | None = None) -> tuple[ArrayLike, Names | None]:
    """X unwrapped, and the names of its columns, where these have any."""
    if _is_scikit_learns(X):
        return X, columns_of(X)
    matrix = open_matrix(X, missing=missing)
    return unwrapped(matrix), matrix.labels.columns


def _is_scikit_learns(X: ArrayLike) -> bool:
    """Whether X is an array or a table whose numbers and names scikit-learn's own checks take as they are."""
    if isinstance(X, np.ndarray):
        return not isinstance(X, np.ma.MaskedArray)
    if hasattr(X, "__dask_graph__") or has_masked_rows(X):
        return False
    return is_sparse(X) or isinstance(X, list | tuple) or hasattr(X, "__dataframe__")


def is_small(X: ArrayLike) -> bool:
    """Whether X is an array in memory that its own copy in float64 would be far larger than: it is cast by pieces."""
    return (
        isinstance(X, np.ndarray) and X.dtype.kind in "biuf" and X.dtype.itemsize < FLOAT.itemsize and X.dtype != "f4"
    )


def float_of(X: ArrayLike) -> np.dtype[np.floating]:
    """The dtype in which validated X is computed with."""
    return FLOAT if is_small(X) else X.dtype


def as_floats(X: ArrayLike) -> ArrayLike:
    """Rows of X in memory as they are computed with."""
    return X.astype(FLOAT) if is_small(X) else X


def computed(X: ArrayLike) -> ArrayLike:
    """X as the engine takes it: what is small is computed with in float64, as scikit-learn does."""
    return DenseInMemory.of(X, IN_THIS_PROCESS, FLOAT) if is_small(X) else X


def rows_of(X: Rows) -> Rows:
    """X in memory as its rows are worked on: sparse X as CSR."""
    return X.tocsr() if is_sparse(X) else X


def observed_rows(X: ArrayLike, missing: str | None, weights: ArrayLike = None) -> Rows:
    """X in memory with the weights of its entries, where some are missing or weighted."""
    if missing is None and weights is None:
        return X
    matrix = open_matrix(as_floats(X), missing=missing, weights=weights)
    return matrix.strips(0, check=True)[:, :]


def reconstruction_error(X: ArrayLike, W: Array, H: Array, beta: float) -> float:
    """√(2 D(X | W H)), in float64, over what is observed; for β = 2 that is ‖X − W H‖.

    >>> reconstruction_error(np.array([[3.0, 0.0], [0.0, 4.0]]), np.zeros((2, 1)), np.ones((1, 2)), 2)
    5.0
    """
    y, H = rows_of(X), H.astype("f8")
    # Beside rows that are too quiet for their dtype, it is that of the loud ones.
    exponent = 0 if is_small(y) else exponent_for(extent_of(y, beta), beta, y.dtype) or 0
    L = times_power(W.T.astype("f8") if exponent else W.T, exponent)
    error = math.sqrt(max(_loss(times_power(y, exponent), L, H, beta), 0.0))
    return float(error * np.exp2(-exponent * beta / 2)) if exponent else error


def _loss(y: Rows, L: Array, H: Array, beta: float) -> float:
    """The loss of rows; what is small is cast piece by piece: the same pieces, in the same order, as in one go."""
    if not is_small(y):
        return strip_sums(y, L, H, beta=beta).loss
    return sum(strip_sums(as_floats(y[part]), L[:, part], H, beta=beta).loss for part in cuts(y, LARGE_PART))


def exponent_of(X: ArrayLike, beta: float) -> int:
    """e with which 2ᵉ X is neither too large nor too small for what is compared with a fixed number; 0 for most X.

    Raises
    ------
    ValueError
        If rows or columns of X are so far apart that there is none.
    """
    if is_small(X):
        # Computed with in float64, whose range no power of theirs leaves.
        return 0
    y = rows_of(X)
    exponent = check_fits(extent_of(y, beta), beta, y.dtype)
    top = float(y.max())
    return exponent if exponent or top == 0 or PLAIN[0] <= top <= PLAIN[1] else top_to_one(top)


def refuse_zeros(X: ArrayLike, beta: float) -> None:
    """A divergence of β ≤ 0 is infinite where X is 0."""
    if beta <= 0 and _least(X) == 0:
        raise ValueError(
            "When beta_loss <= 0 and X contains zeros, the solver may diverge. Please add small values to X, or use a "
            "positive beta_loss."
        )


def _least(X: ArrayLike) -> float:
    """The least entry of X in memory that is no NaN."""
    return float(X.min() if is_sparse(X) else np.fmin.reduce(X, axis=None))


class BaseNMF(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The methods of a transformer around `_fit`; not to be used by itself."""

    @abstractmethod
    def _fit(self, X: ArrayLike, W: ArrayLike, H: ArrayLike) -> ArrayLike:
        """Set the fitted attributes and give W back."""

    def fit(self, X: ArrayLike, y: object = None, W: ArrayLike = None, H: ArrayLike = None) -> Self:
        """Factorize X; see `fit_transform`."""
        with in_own_words(missing=hasattr(self, "missing")):
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
        with in_own_words(missing=hasattr(self, "missing")):
            return self._fit(X, W, H)

    def transform(self, X: ArrayLike) -> ArrayLike:
        """W for the rows of X, each solved by itself against `components_`.

        Parameters
        ----------
        X : (m, n), not negative, of any kind that `fit_transform` takes. Columns that have names, here and where it was
            fitted, are matched by these.

        Returns
        -------
        W (m, k): a NumPy array for X in memory, else a Dask array that computes it when it is asked for.
        """
        check_is_fitted(self)
        X, columns = with_names(X, self._missing)
        if is_stored(X):
            self._check_width(open_matrix(X).grid.shape[1], reset=False)
        else:
            X = self._validated(X, reset=False, ensure_non_negative=True)
            refuse_zeros(X, self._beta)
        places = Labels(columns=columns).columns_in(getattr(self, "_columns", None))
        return self._solved(X, self.components_ if places is None else self.components_[:, places])

    def inverse_transform(self, X: ArrayLike) -> ArrayLike:
        """W H for a given W (m, k): a NumPy array, a sparse matrix or a Dask array."""
        check_is_fitted(self)
        return X @ self.components_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self._missing == "nan"
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
    def _missing(self) -> str | None:
        missing: str | None = getattr(self, "missing", None)
        return missing

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
        """X in memory as scikit-learn checks it, float32, float64 or small; sparse entries are in order, each once."""
        dtype = None if is_small(X) else IN_MEMORY["dtype"]
        finite = "allow-nan" if self._missing == "nan" else True
        X = validate_data(self, X, reset=reset, **{**IN_MEMORY, "dtype": dtype}, ensure_all_finite=finite, **checks)
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

    def _named(self, X: ArrayLike) -> ArrayLike:
        """X unwrapped; the names of its columns are kept: those of `components_`."""
        X, self._columns = with_names(X, self._missing)
        return X

    def _solved(self, X: ArrayLike, H: Array | None = None) -> ArrayLike:
        """W for validated or stored X, against `components_` if not against another H."""
        H = self.components_ if H is None else H
        return transform(
            computed(X),
            H if is_stored(X) else H.astype(float_of(X), copy=False),
            beta_loss=self._beta,
            alpha_W=float(self.alpha_W),
            l1_ratio=float(self.l1_ratio),
            tol=self._tol,
            max_iter=self._transform_iter,
            memory_limit=getattr(self, "memory_limit", None),
            missing=self._missing,
        )


def say(line: str) -> None:
    """Write a line to the standard output, if that is there and takes it: a fit does not end for that."""
    with suppress(AttributeError, OSError, ValueError):
        sys.stdout.write(f"{line}\n")


def warn_of_max_iter(max_iter: int) -> None:
    """Say that a fit ended because it was out of iterations."""
    warnings.warn(
        f"Maximum number of iterations {max_iter} reached. Increase it to improve convergence.",
        ConvergenceWarning,
        stacklevel=2,
    )
