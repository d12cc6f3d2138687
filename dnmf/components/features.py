"""Which features a component stands for: by weight, by specificity, or as markers. A feature is a column of X."""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnmf.components.sums import F8

By: TypeAlias = Literal["specificity", "weight", "marker"]

# What features are ranked by; the usual one first.
RANKINGS: tuple[By, ...] = ("specificity", "weight", "marker")

# Specificities are told apart by so many steps up to the largest one; within a step weights decide.
STEPS = 10

# A column varies less than rounding where its variance is below this share of its mean square.
CONSTANT = 1e-12


def weights(V: NDArray[np.floating]) -> F8:
    """Rows of V (k, n) scaled to sum 1, so that an entry is the feature's share of the component; 0 for one of zeros.

    >>> weights(np.array([[1.0, 3.0], [0.0, 0.0]])).tolist()
    [[0.25, 0.75], [0.0, 0.0]]
    """
    V8 = np.asarray(V, "f8")
    # By the largest entry first: the sum of a row may leave the range of numbers.
    V8 = V8 / _or_one(V8.max(axis=1, keepdims=True, initial=0))
    return np.asarray(V8 / _or_one(V8.sum(axis=1, keepdims=True)))


def specificity(V: NDArray[np.floating], mass: F8) -> F8:
    """How many times as often a feature is in a component as in all of W V, (k, n): 1 for one that is everywhere.

        v_aj / Σ_b v_bj s_b,   with s = Σ_i w_ia, rows of V of sum 1, and times Σ_b s_b

    So features that lead every component, such as the words of all topics and the genes of all cells, lead in none. At
    most it is 1 over the component's share of Σ W V, which is what features have that are in no other component. 0
    where no component has the feature.

    Parameters
    ----------
    V : (k, n).
    mass : (k,) sum of each component's matrix, Σ_i w_ia · Σ_j v_aj.
    """
    alike = weights(V)
    everywhere = (mass / _or_one(mass.sum())) @ alike
    return np.divide(alike, everywhere, out=np.zeros_like(alike), where=everywhere > 0)


def markers(cross: F8, gram: F8, mass: F8, means: F8, deviations: F8) -> F8:
    """By how many deviations a feature rises with a component, the others held fixed, (k, n).

        B⁻¹ (C − Σw μᵀ) / σ,   with C = Wᵀ X, B = Wᵀ W

    These are the coefficients of ordinary least squares of z-scored columns of X on W. Negative ones say that a feature
    is low where the component is high. 0 for columns that are constant. Where components of W depend on one another,
    the shortest coefficients are taken.

    Parameters
    ----------
    cross, gram : C (k, n) and B (k, k).
    mass : (k,) Σ_i w_ia.
    means, deviations : (n,) of the columns of X.

    References
    ----------
    D. Kotliar et al., eLife 8, 2019, e43803, doi:10.7554/eLife.43803: the gene scores of a program. This differs: W is
    taken as it is, there its rows are scaled to sum 1.
    """
    # Components of length one: the inverse is not to depend on their scale.
    lengths = _or_one(np.sqrt(np.diag(gram)))
    varies = deviations > 0
    centred = cross - np.outer(mass, means)
    scored = np.divide(centred, deviations, out=np.zeros_like(centred), where=varies)
    unit = gram / np.outer(lengths, lengths)
    return np.asarray(np.linalg.pinv(unit, hermitian=True) @ (scored / lengths[:, None]) / lengths[:, None])


def deviations(sums: F8, squares: F8, rows: int | F8) -> tuple[F8, F8]:
    """Mean and standard deviation of columns (n,), from Σx and Σx² over so many rows; 0 for constant columns.

    Where entries have weights, these sums and the number of rows, (n,), are weighted; 0 for columns of which nothing is
    observed.

    >>> mean, deviation = deviations(np.array([4.0, 6.0]), np.array([10.0, 18.0]), 2)
    >>> mean.tolist(), deviation.tolist()
    ([2.0, 3.0], [1.0, 0.0])
    """
    rows = np.where(np.asarray(rows) > 0, rows, 1)
    means, mean_squares = sums / rows, squares / rows
    variances = mean_squares - means**2
    return means, np.sqrt(np.where(variances > CONSTANT * mean_squares, variances, 0))


def leading(scores: F8, count: int) -> list[NDArray[np.intp]]:
    """The features of each component with the largest scores above 0, the first one first: k arrays of at most `count`.

    Examples
    --------
    >>> [features.tolist() for features in leading(np.array([[0.6, 0.4, 0.0], [0.0, 0.5, 0.5]]), 2)]
    [[0, 1], [1, 2]]
    """
    found = [np.argsort(-row, kind="stable")[:count] for row in scores]
    return [features[row[features] > 0] for row, features in zip(scores, found, strict=True)]


def most_specific(scores: F8, alike: F8, count: int) -> list[NDArray[np.intp]]:
    """The features that are most specific to each component, the first one first: k arrays of at most `count`.

    All that is in one component alone is as specific as can be, however rare it is. So scores within a tenth of the
    largest count as equal, and the larger weight comes first; and a feature must be more of the component than the
    average one, 1/n.

    Parameters
    ----------
    scores : (k, n) of `specificity`.
    alike : (k, n) rows of V of sum 1.

    Examples
    --------
    >>> scores, alike = np.array([[9.9, 1.0, 10.0, 10.0]]), np.array([[0.3, 0.4, 0.25, 0.05]])
    >>> most_specific(scores, alike, 9)[0].tolist()
    [0, 2, 1]
    """
    return [_specific(*rows, count) for rows in zip(scores, alike, strict=True)]


def _specific(scores: F8, alike: F8, count: int) -> NDArray[np.intp]:
    able = np.flatnonzero((alike >= 1 / len(alike)) & (scores > 0))
    tenths = np.rint(scores[able] / (scores[able].max(initial=0) or 1) * STEPS)
    return able[np.lexsort((able, -alike[able], -tenths))[:count]]


def _or_one(sizes: F8) -> F8:
    return np.where(sizes > 0, sizes, 1.0)
