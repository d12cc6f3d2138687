"""Rows of X and rows of weights as one: entries are observed where weights are above 0, and count as these say.

Whatever X holds where a weight is 0, it may be anything. Where both are dense, so is what comes of them; else only what
is observed is held. Pure NumPy and SciPy; nothing is read here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.rows import Array, Rows, is_sparse
from dnmf.arrays.weighted import Weighted
from dnmf.matrix.dense import check_dense
from dnmf.matrix.missing import Missing
from dnmf.matrix.sparse_rows import check_sparse, view

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Weighing:
    """How rows of X and of weights become one.

    Attributes
    ----------
    axis : 0 where rows are X's rows, 1 where they are its columns.
    check : whether what cannot be raises ValueError, which names its row and column.
    missing : what else is missing, beside what has the weight 0.
    mask : whether weights are truth values.
    signed : whether entries of X below zero are data.
    """

    axis: int
    check: bool
    missing: Missing | None
    mask: bool
    signed: bool = False

    def __call__(self, x: Rows, weights: Rows, first: int) -> Weighted:
        """Rows (h, N), of which the first is row `first`; neither is written to.

        Raises
        ------
        ValueError
            If a weight is negative or not finite, or an entry that is observed cannot be.
        """
        if self.check:
            self._check_weights(weights, first)
        if is_sparse(weights):
            found = self._on(weights, x)
        elif self.missing == "zeros":
            found = self._within(x, weights)
        else:
            found = self._dense(self._full(x) if is_sparse(x) else x, weights)
        if self.check:
            self._check_values(found, first)
        return found

    def _check_weights(self, weights: Rows, first: int) -> None:
        if is_sparse(weights):
            check_sparse(weights, self.axis, first, name="weights")
        else:
            check_dense(weights if self.axis == 0 else weights.T, self.axis, first, name="weights")

    def _check_values(self, found: Weighted, first: int) -> None:
        values = found.values
        if found.sparse:
            check_sparse(values, self.axis, first, signed=self.signed)
        else:
            check_dense(values if self.axis == 0 else values.T, self.axis, first, signed=self.signed)

    def _full(self, x: Rows) -> Array:
        """Sparse rows as an array that lies in memory as dense ones would."""
        return np.asarray(x.toarray(order="C" if self.axis == 0 else "F"))

    def _dense(self, x: Array, weights: Array) -> Weighted:
        observed = weights > 0
        if self.missing == "nan":
            observed &= ~np.isnan(x)
        if not observed.all():
            x = x.copy(order="K")
            np.copyto(x, 0, where=~observed)
        if self.mask:
            return Weighted(x, observed)
        # A weight of −0, or of what is NaN.
        return Weighted(x, weights if observed.all() else np.where(observed, weights, 0))

    def _on(self, weights: Rows, x: Rows) -> Weighted:
        """X where sparse weights say."""
        if not is_sparse(x):
            return self._of(weights, x[_lines(weights), weights.indices], weights.data)
        values, stored = _taken(x, weights)
        return self._of(weights, values, weights.data, stored if self.missing == "zeros" else None)

    def _within(self, x: Rows, weights: Array) -> Weighted:
        """What sparse X stores, as far as dense weights say that it counts."""
        return self._of(x, x.data, weights[_lines(x), x.indices])

    def _of(self, pattern: Rows, values: Array, weights: Array, among: NDArray[np.bool_] | None = None) -> Weighted:
        """Sparse rows on a part of a pattern: what is observed of it, all of that `among` others where that is said."""
        observed = weights > 0 if among is None else (weights > 0) & among
        if self.missing == "nan":
            observed &= ~np.isnan(values)
        indices, indptr = pattern.indices, pattern.indptr
        if not observed.all():
            values, weights, indices = values[observed], weights[observed], indices[observed]
            indptr = np.append(0, np.cumsum(observed))[indptr].astype(indptr.dtype)
        rows = view(values, indices, indptr, pattern.shape[1])
        return Weighted(rows, np.ones(len(weights), np.bool_) if self.mask else weights)


def _lines(y: Rows) -> Places:
    """The row of each entry of sparse rows."""
    return np.repeat(np.arange(y.shape[0], dtype="i8"), np.diff(y.indptr))


def _taken(x: Rows, pattern: Rows) -> tuple[Array, NDArray[np.bool_]]:
    """Entries of sparse rows (h, N) in the places of others, 0 where they store none; and where they store one."""
    own, places = (_lines(y) * y.shape[1] + y.indices for y in (x, pattern))
    if not len(own):
        return np.zeros(len(places), x.dtype), np.zeros(len(places), np.bool_)
    at = np.minimum(np.searchsorted(own, places), len(own) - 1)
    stored = own[at] == places
    return np.where(stored, x.data[at], 0).astype(x.dtype, copy=False), stored
