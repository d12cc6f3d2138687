"""Components of two factorizations, or learned and known ones, matched one to one. Pure NumPy and SciPy."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment


class Match(NamedTuple):
    """Which component goes with each of the given ones.

    Attributes
    ----------
    order : (a,) numbers of the matching components.
    cosines : (a,) of each pair: 1 where one is a multiple of the other.
    """

    order: NDArray[np.intp]
    cosines: NDArray[np.float64]


def cosines(A: ArrayLike, B: ArrayLike) -> NDArray[np.float64]:
    """The cosine of every row of A (a, n) to every row of B (b, n): (a, b), 0 where a row is zero."""
    first, second = (_at_length_one(np.asarray(F, "f8")) for F in (A, B))
    return np.asarray(first @ second.T)


def match(known: ArrayLike, components: ArrayLike) -> Match:
    """Find the component that goes with each known one, so that the sum of cosines is largest: NMF leaves order open.

    Parameters
    ----------
    known : (a, n) known components, or those of another factorization.
    components : (k, n) such as V, k ≥ a.

    Raises
    ------
    ValueError
        If there are more known components than others, or they are not of the same length.

    Examples
    --------
    >>> order, cosines = match(np.eye(3), 5 * np.eye(3)[::-1])
    >>> order.tolist(), cosines.tolist()
    ([2, 1, 0], [1.0, 1.0, 1.0])
    """
    shapes = np.shape(known), np.shape(components)
    if shapes[0][1] != shapes[1][1] or shapes[0][0] > shapes[1][0]:
        raise ValueError(
            f"{shapes[0][0]} known components of {shapes[0][1]} entries are to be matched with {shapes[1][0]} of "
            f"{shapes[1][1]}: give at least as many, each with as many entries, as rows"
        )
    alike = cosines(known, components)
    rows, order = linear_sum_assignment(alike, maximize=True)
    return Match(order, alike[rows, order])


def _at_length_one(F: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(F / np.maximum(np.linalg.norm(F, axis=1, keepdims=True), np.finfo("f8").tiny))
