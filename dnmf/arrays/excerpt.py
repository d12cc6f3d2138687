"""Some rows and columns of a sketch, drawn by their size, that stand for all of it where starts are compared.

They are drawn as rows of a sample are, see `dnmf.arrays.sample`: sums of squares over an excerpt are those over all of
the sketch in expectation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.products import row_powers
from dnmf.arrays.rows import Array
from dnmf.arrays.sketch import Sketch
from dnmf.rules import Penalty

# Rows and columns, at most. With half as many, starts that were ahead on them were not always those ahead on all.
SIDE = 2000


@dataclass(frozen=True, slots=True)
class Drawn:
    """Lines that were drawn, ascending, and by what each is multiplied, so that sums of squares are those of all."""

    index: NDArray[np.intp]
    weights: Array

    def of(self, A: Sketch) -> Sketch:
        """A sketch of these columns alone, with all rows: its square is not known."""
        return Sketch(A.Q, A.B[:, self.index] * self.weights, np.nan)

    def of_factor(self, F: Array) -> Array:
        """These columns of a factor (k, …)."""
        return np.asarray(F[:, self.index] * self.weights)

    def penalty(self, before: Penalty) -> Penalty:
        """The penalty on a factor, on these columns of it."""
        l1 = before.l1[self.index] if isinstance(before.l1, np.ndarray) else before.l1
        return Penalty(l1, before.l2).weighted(self.weights)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Rows and columns of a sketch.

    Attributes
    ----------
    A : (r, c), the entries where these meet, times the weights of both.
    rows, columns : which they are.
    """

    A: Sketch
    rows: Drawn
    columns: Drawn

    def penalties(self, before: tuple[Penalty, Penalty]) -> tuple[Penalty, Penalty]:
        """The penalties on both factors, as they are of those of the excerpt."""
        return self.rows.penalty(before[0]), self.columns.penalty(before[1])


def excerpt(A: Sketch, *, seed: int, side: int = SIDE) -> Excerpt:
    """`side` rows and columns of a sketch (s, N), each drawn by its sum of squares; all where there are no more.

    The sketch is dense, as those of `dnmf.arrays.sketch.sketch` are.
    """
    if max(A.rows, A.B.shape[1]) <= side:
        return Excerpt(A, _all(A.rows, A.B.dtype), _all(A.B.shape[1], A.B.dtype))
    rows = _draw(_row_squares(A), [seed, 5], side, A.B.dtype)
    columns = _draw(_column_squares(A), [seed, 6], side, A.B.dtype)
    if A.Q is None:
        B = A.B[np.ix_(rows.index, columns.index)] * np.outer(rows.weights, columns.weights)
        return Excerpt(Sketch(None, B, float(np.vdot(B, B))), rows, columns)
    Q, B = A.Q[:, rows.index] * rows.weights, A.B[:, columns.index] * columns.weights
    return Excerpt(Sketch(Q, B, float(np.vdot(Q @ Q.T, B @ B.T))), rows, columns)


def _draw(sizes: NDArray[np.float64], seed: list[int], count: int, dtype: np.dtype[np.floating]) -> Drawn:
    """Lines by their sizes, as rows of a sample are: each is drawn with a chance that grows with its own, and counts as
    many times as that says.
    """
    if len(sizes) <= count:
        return _all(len(sizes), dtype)
    rng = np.random.default_rng(seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        keys = np.where(sizes > 0, rng.exponential(size=len(sizes)) / sizes, np.inf)
    smallest = np.argpartition(keys, count)
    index, last = np.sort(smallest[:count]), keys[smallest[count]]
    index = index[np.isfinite(keys[index])]
    chances = -np.expm1(-last * sizes[index]) if np.isfinite(last) else np.ones(len(index))
    return Drawn(index, (1 / np.sqrt(chances)).astype(dtype))


def _all(count: int, dtype: np.dtype[np.floating]) -> Drawn:
    return Drawn(np.arange(count), np.ones(count, dtype))


def _row_squares(A: Sketch) -> NDArray[np.float64]:
    """‖a‖² of every row (s,)."""
    if A.Q is None:
        return row_powers(A.B, 2)
    return np.asarray(np.maximum(np.einsum("rs,rs->s", A.Q, (A.B @ A.B.T) @ A.Q), 0), "f8")


def _column_squares(A: Sketch) -> NDArray[np.float64]:
    """‖a‖² of every column (N,): Q keeps lengths."""
    return np.asarray(np.einsum("ij,ij->j", A.B, A.B), "f8")
