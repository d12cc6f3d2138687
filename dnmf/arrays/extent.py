"""How large entries of Y are, row by row and column by column; and rows times a power of two, which rounds nothing.

Arithmetic goes wrong where powers of entries leave the range of their dtype. That does not show in a mean: a row that
is quiet beside loud ones vanishes without it. So it is the extremes that are looked at, in the first read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.rows import Array, Rows, is_sparse, with_data
from dnmf.arrays.weighted import Weighted

# Between these no square of a row needs a second look.
PLAIN_SQUARES = {"f": (1e-20, 1e28), "d": (1e-200, 1e220)}


@dataclass(frozen=True, slots=True)
class Extent:
    """Extremes of a strip or of all of Y.

    Attributes
    ----------
    top : the largest entry, its sign aside; 0 where all are.
    row : the least of the largest entries of rows, for β ≤ 0 that of all entries, those of 0 left out; inf for none.
    columns : (N,) the largest entry of each column, 0 where nobody looked.
    weight : the largest weight: 1 where all entries count the same, 0 where nothing is observed.
    """

    top: float
    row: float
    columns: NDArray[np.float64]
    weight: float = 1.0

    @property
    def low(self) -> float:
        """The least of what must not vanish; inf where everything is 0."""
        return min(self.row, float(np.min(self.columns, where=self.columns > 0, initial=np.inf)))


def extent_of(y: Rows, beta: float) -> Extent:
    """The extremes of rows (h, N), as they matter for a loss.

    >>> extent_of(np.array([[1.0, 2.0], [0.0, 1e-200]]), 1)
    Extent(top=2.0, row=1e-200, columns=array([1., 2.]), weight=1.0)
    """
    weight = top_weight(y)
    y = y.values if isinstance(y, Weighted) else y
    # Least squares alone may have entries below 0; few pieces come here for them.
    signed = beta == 2
    tops, lows = row_extremes(y, beta, signed=signed)
    return Extent(float(tops.max(initial=0)), float(lows.min(initial=np.inf)), _tops(y, 0, signed=signed), weight)


def extent_for_squares(y: Rows, squares: NDArray[np.float64]) -> Extent:
    """The extremes for β = 2 of rows (h, N) of which the squared norms (h,) are known.

    Entries are looked at only where squares do not say that all rows are plain, or have weights in them.
    """
    low, high = PLAIN_SQUARES[y.dtype.char]
    if isinstance(y, Weighted) and not y.masked:
        return extent_of(y, 2)
    if not ((squares > low) & (squares < high)).all():
        return extent_of(y, 2)
    root = np.sqrt(squares)
    return Extent(float(root.max()), float(root.min()) / np.sqrt(y.shape[1]), np.zeros(y.shape[1]))


def row_extremes(y: Rows, beta: float, *, signed: bool = False) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of every row (h,) the largest entry, and what of it must not vanish: that, or for β ≤ 0 its least entry above 0.

    A row of zeros has 0 and inf. Where rows are `signed`, signs are left aside.
    """
    y = y.values if isinstance(y, Weighted) else y
    tops = _tops(y, 1, signed=signed)
    if beta > 0:
        return tops, np.where(tops > 0, tops, np.inf)
    if is_sparse(y):
        return tops, _of_rows(np.minimum, with_data(y, np.where(y.data > 0, y.data, np.inf)), np.inf)
    return tops, np.asarray(np.min(y, axis=1, where=y > 0, initial=np.inf), "f8")


def plain_squares(dtype: np.dtype[np.floating]) -> tuple[float, float]:
    """Numbers between these need no second look where they are multiplied once."""
    return PLAIN_SQUARES[dtype.char]


def merge_extents(parts: Sequence[Extent]) -> Extent:
    """The extremes of all rows of several parts."""
    columns = np.maximum.reduce([part.columns for part in parts])
    weight = max(part.weight for part in parts)
    return Extent(max(part.top for part in parts), min(part.row for part in parts), columns, weight)


def top_weight(y: Rows) -> float:
    """The largest weight of rows: 1 where all entries that are there count the same, 0 where none is there."""
    return 1.0 if not isinstance(y, Weighted) or y.masked else float(y.weights.max(initial=0))


def _tops(y: Rows, axis: int, *, signed: bool) -> NDArray[np.float64]:
    """The largest entry of each row (axis 1) or column (axis 0); signs are left aside where there are any."""
    if not is_sparse(y):
        tops = np.asarray(y.max(axis=axis), "f8")
        return np.maximum(tops, -np.asarray(y.min(axis=axis), "f8")) if signed else tops
    y = with_data(y, np.abs(y.data)) if signed else y
    if axis == 1:
        return _of_rows(np.maximum, y, 0.0)
    tops = np.zeros(y.shape[1], y.dtype)
    np.maximum.at(tops, y.indices, y.data)
    return tops.astype("f8")


def _of_rows(extreme: np.ufunc, y: Rows, none: float) -> NDArray[np.float64]:
    """The extreme of what sparse rows hold, (h,), and of those that hold nothing."""
    found, full = np.full(y.shape[0], none), np.diff(y.indptr) > 0
    if full.any():
        found[full] = extreme.reduceat(y.data, y.indptr[:-1][full])
    return found


def times_power(y: Rows, exponent: int) -> Rows:
    """Rows, dense, sparse or weighted, times 2 to an exponent; themselves for 0."""
    if exponent == 0:
        return y
    if isinstance(y, Weighted):
        return y.with_values(times_power(y.values, exponent))
    return with_data(y, _ldexp(y.data, exponent)) if is_sparse(y) else _ldexp(y, exponent)


def _ldexp(a: Array, exponent: int) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.ldexp(a, exponent), a.dtype)
