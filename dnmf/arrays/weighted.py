"""Rows of Y whose entries count as weights say: those of weight 0 are missing, and nothing is known of them.

The loss is Σ ω_ij d(y_ij, m_ij). A mask is the case where every weight is 0 or 1. Pure NumPy.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """Rows (h, N) with the weights of their entries.

    Attributes
    ----------
    values : (h, N). Dense: an array, 0 where the weight is 0. Sparse: a csr_matrix whose places are exactly the
        observed entries, those of weight above 0; a stored 0 is a value.
    weights : bool for a mask, else in the dtype of the values. Of dense values (h, N); of sparse ones (nnz,), in the
        order of their entries.

    Examples
    --------
    >>> rows = Weighted(np.array([[1.0, 0.0], [2.0, 3.0]]), np.array([[True, False], [True, True]]))
    >>> rows.shape, rows.observed, rows[1:].values
    ((2, 2), 3, array([[2., 3.]]))
    """

    values: Any
    weights: NDArray[Any]

    @property
    def shape(self) -> tuple[int, int]:
        """(h, N)"""
        return int(self.values.shape[0]), int(self.values.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        dtype: np.dtype[Any] = self.values.dtype
        return dtype

    @property
    def sparse(self) -> bool:
        """Whether the values are sparse."""
        return self.weights.ndim == 1

    @property
    def masked(self) -> bool:
        """Whether every weight is 0 or 1."""
        return self.weights.dtype == np.bool_

    @property
    def observed(self) -> int:
        """How many entries are there."""
        return int(np.count_nonzero(self.weights))

    @property
    def counted(self) -> Any:
        """Ω ∘ Y (h, N), dense or sparse as the values are: themselves where the weights are a mask."""
        if self.masked:
            return self.values
        return self._with_entries(self.values.data * self.weights) if self.sparse else self.values * self.weights

    @property
    def omega(self) -> Any:
        """Ω (h, N) in the dtype of the values, dense or sparse as they are."""
        weights = self.weights.astype(self.dtype, copy=False)
        return self._with_entries(weights) if self.sparse else weights

    def _with_entries(self, data: NDArray[Any]) -> Any:
        """Sparse rows with other numbers in the places of the values."""
        return type(self.values)((data, self.values.indices, self.values.indptr), shape=self.shape)

    def with_values(self, values: Any) -> "Weighted":
        """The same weights of other values in the same places."""
        return Weighted(values, self.weights)

    def times(self, counts: NDArray[Any]) -> "Weighted":
        """Rows each of which counts so many times as much (h,)."""
        if (counts == 1).all():
            return self
        counts = counts.astype(self.dtype)
        factors = np.repeat(counts, np.diff(self.values.indptr)) if self.sparse else counts[:, None]
        return Weighted(self.values, self.weights * factors)

    def columns(self, at: NDArray[np.intp]) -> "Weighted":
        """The columns of these numbers."""
        if not self.sparse:
            return Weighted(*(np.ascontiguousarray(a[:, at]) for a in (self.values, self.weights)))
        kept = self._with_entries(np.arange(len(self.weights)))[:, at]
        kept.sort_indices()
        values = type(self.values)((self.values.data[kept.data], kept.indices, kept.indptr), shape=kept.shape)
        return Weighted(values, self.weights[kept.data])

    def __getitem__(self, rows: Any) -> "Weighted":
        """Some rows, by a slice, their numbers, or a truth value for each."""
        if not self.sparse:
            return Weighted(self.values[rows], self.weights[rows])
        if isinstance(rows, slice) and rows.step in (None, 1):
            start, stop, _ = rows.indices(self.shape[0])
            own = slice(self.values.indptr[start], self.values.indptr[max(start, stop)])
            return Weighted(self.values[rows], self.weights[own])
        # Found by their places in the arrays: SciPy takes numbers of a csr_matrix along, and no truth values.
        at = self._with_entries(np.arange(len(self.weights)))[rows].data
        return Weighted(self.values[rows], self.weights[at])
