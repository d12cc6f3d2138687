"""How much of X each component is responsible for, in three ways; and how sparse it is.

Formulas are the same whichever factor is L and which is S: see `dnmf.components.sums`. A share is a ratio, so that
neither the scale of X nor how a component's scale is divided between the factors matters. Where X is 0, shares are 0.
"""

import numpy as np
from numpy.typing import NDArray

from dnmf.components.sums import F8, ComponentSums


def lost_without(sums: ComponentSums, S: NDArray[np.floating]) -> F8:
    """By how much of ‖X‖² the loss grows where a component is left out and all others stay what they are, (k,).

        ΔL_a = 2 ⟨s_a, (L (Y − Lᵀ S))_a⟩ + ‖l_a‖² ‖s_a‖²,   over ‖Y‖²

    Where entries are missing or weighted all three are sums over what is there, by its weight. NaN for losses other
    than least squares, which need another look at X for it. Below 0 where X is fitted better without the component, as
    after a pass that moved one factor alone.

    Parameters
    ----------
    sums : of the last pass.
    S : (k, N) the short factor of that pass.

    Examples
    --------
    >>> S = np.array([[3.0, 0.0], [0.0, 1.0]])
    >>> exact = ComponentSums(np.ones(2), np.ones(2), 10.0, np.eye(2), np.zeros((2, 2)))
    >>> lost_without(exact, S).tolist()
    [0.9, 0.1]
    """
    if sums.residual is None:
        return np.full(len(S), np.nan)
    S8 = S.astype("f8")
    own = sums.squares * _squares(S8) if sums.energy is None else sums.energy
    lost = 2 * np.einsum("an,an->a", S8, sums.residual) + own
    return _over(lost, sums.norm)


def explained_alone(sums: ComponentSums, S: NDArray[np.floating]) -> F8:
    """How much of ‖X‖² a component explains on its own, stretched to fit best, (k,): max(0, ⟨s_a, (L Y)_a⟩)² /
    (‖l_a‖² ‖s_a‖² ‖Y‖²).

    It is the squared cosine of X and the component's own matrix; such shares overlap, and their sum may exceed 1. NaN
    for losses other than least squares, and where entries are missing or weighted.
    """
    cross = sums.cross(S)
    if cross is None or sums.energy is not None:
        return np.full(len(S), np.nan)
    S8 = S.astype("f8")
    along = np.maximum(np.einsum("an,an->a", S8, cross), 0)
    size = sums.squares * _squares(S8)
    # Divided before it is squared: squares of squares leave the range of numbers sooner.
    cosine = np.divide(along, np.sqrt(size), out=np.zeros_like(along), where=size > 0)
    return np.asarray(np.square(_over(cosine, np.sqrt(sums.norm))))


def share_of_mass(long: F8, short: F8, total: float | None = None) -> F8:
    """What a component adds to the sum of all entries, (k,): Σ_i l_ai · Σ_j s_aj over ΣX.

    For Kullback–Leibler these add up to 1 at a stationary point. Where ΣX is not known, they are shares of Σ W V.

    Parameters
    ----------
    long, short : (k,) sums of the rows of L and of S.
    total : ΣX, or None.
    """
    masses = long * short
    return _over(masses, float(masses.sum()) if total is None else total)


def sparseness(sums: F8, squares: F8, length: int) -> F8:
    """How sparse non-negative vectors of one length are, (k,): 1 for a single entry, 0 where all are the same.

        (√n − ‖v‖₁ / ‖v‖₂) / (√n − 1)

    NaN for a vector of zeros, and for one of a single entry, for which it is not defined.

    Parameters
    ----------
    sums, squares : (k,) Σ_j v_j and Σ_j v_j² of each.
    length : n.

    References
    ----------
    P. O. Hoyer, Journal of Machine Learning Research 5, 2004, pages 1457 to 1469, section 3.1 (it has no DOI;
    arXiv, doi:10.48550/arXiv.cs/0408058).

    Examples
    --------
    >>> sparseness(np.array([2.0, 1.0]), np.array([1.0, 1.0]), 4).tolist()
    [0.0, 1.0]
    """
    if length < 2:
        return np.full(len(sums), np.nan)
    root = np.sqrt(length)
    with np.errstate(invalid="ignore"):
        found = (root - sums / np.sqrt(squares)) / (root - 1)
    return np.asarray(np.clip(np.where(squares > 0, found, np.nan), 0, 1))


def in_order(share: F8) -> NDArray[np.intp]:
    """Components (k,) by their shares, the largest first; equal ones, and those that are not known, in their order."""
    return np.argsort(np.where(np.isnan(share), np.inf, -share), kind="stable")


def _squares(F: F8) -> F8:
    return np.asarray(np.einsum("an,an->a", F, F))


def _over(parts: F8, whole: float) -> F8:
    return parts / whole if whole > 0 else np.zeros_like(parts)
