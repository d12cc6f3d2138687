"""Components of two factorizations of the same columns, matched one to one. X is not read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.matching import cosines, match
from dnmf.arrays.rows import Array
from dnmf.components.sums import F8

if TYPE_CHECKING:
    from dnmf.run.result import Factorization


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Which component of the second factorization goes with each of the first.

    Attributes
    ----------
    cosines : (a, b) of all rows of the first V with all of the second.
    first, second : (min(a, b),) numbers of the components of each pair, from 0, by their number in the first.
    """

    cosines: F8
    first: NDArray[np.intp]
    second: NDArray[np.intp]

    @property
    def of_pairs(self) -> F8:
        """The cosine of each pair: 1 where one is a multiple of the other."""
        return np.asarray(self.cosines[self.first, self.second])

    @property
    def agreement(self) -> F8:
        """(a,) the cosine of each component of the first with its partner; NaN for those without one."""
        found = np.full(len(self.cosines), np.nan)
        found[self.first] = self.of_pairs
        return found

    @property
    def unmatched(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Numbers of the components without a partner, in the first and in the second."""
        a, b = self.cosines.shape
        return np.setdiff1d(np.arange(a), self.first), np.setdiff1d(np.arange(b), self.second)


def compare(first: "Factorization", second: "Factorization") -> Comparison:
    """Match the rows of two V, of any ranks, so that the sum of cosines is largest. Columns are matched by their names.

    Raises
    ------
    ValueError
        If X had other columns, or columns of other names.
    """
    A, B = first.V, _in_order_of(first, second)
    alike = cosines(A, B)
    # The one with fewer components is the known one, whose every component gets a partner.
    if len(A) <= len(B):
        return Comparison(alike, np.arange(len(A)), match(A, B).order)
    order = match(B, A).order
    by_first = np.argsort(order)
    return Comparison(alike, order[by_first], by_first)


def _in_order_of(first: "Factorization", second: "Factorization") -> Array:
    """The second V, its columns in the order of the first one's."""
    n, other = first.V.shape[1], second.V.shape[1]
    if n != other:
        raise ValueError(
            f"the first factorization is of {n} columns and the second of {other}: two of the same columns of X are "
            f"required"
        )
    known, there = first.labels.columns, second.labels.columns
    if known is not None and there is not None and (odd := sorted(set(known) ^ set(there))):
        raise ValueError(
            f"the two factorizations are of columns of other names: {odd[0]!r} and {len(odd) - 1} more are in one of "
            f"them alone; two of the same columns of X are required"
        )
    places = first.labels.columns_in(there)
    return second.V if places is None else second.V[:, places]
