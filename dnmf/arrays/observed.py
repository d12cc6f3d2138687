"""How many entries of rows are there: in all, of every column, and rows without any. Pure NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.weighted import Weighted

# Rows without an entry that is observed which are known by their numbers.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Observed:
    """What is observed of a strip or of all of Y.

    Attributes
    ----------
    entries : how many entries there are.
    columns : (N,) how many of each column.
    empty : rows without any.
    first : numbers of the first few of these.
    """

    entries: int
    columns: NDArray[np.int64]
    empty: int = 0
    first: tuple[int, ...] = ()

    @classmethod
    def of(cls, y: Weighted, first: int) -> "Observed":
        """That of rows (h, N), of which the first is row `first`.

        >>> Observed.of(Weighted(np.zeros((2, 2)), np.array([[True, False], [False, False]])), 7)
        Observed(entries=1, columns=array([1, 0]), empty=1, first=(8,))
        """
        if y.sparse:
            columns = np.bincount(y.values.indices, minlength=y.shape[1])
            empty = np.flatnonzero(np.diff(y.values.indptr) == 0)
        else:
            columns, empty = np.count_nonzero(y.weights, axis=0), np.flatnonzero(~y.weights.any(axis=1))
        named = tuple((first + empty[:MOST_NAMED]).tolist())
        return cls(int(columns.sum()), columns.astype("i8"), len(empty), named)


def merge_observed(parts: Sequence[Observed]) -> Observed:
    """What is observed of all rows of several parts, given in the order of their rows."""
    first = tuple(number for part in parts for number in part.first)[:MOST_NAMED]
    columns = np.add.reduce([part.columns for part in parts])
    return Observed(sum(part.entries for part in parts), columns, sum(part.empty for part in parts), first)
