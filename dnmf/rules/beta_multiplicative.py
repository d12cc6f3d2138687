"""The multiplicative rule of β-divergences: numerator and denominator depend on the factor, so each step has its own.

C. Févotte and J. Idier, Neural Computation 23, 2011, doi:10.1162/NECO_a_00168, table 2.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf.rules.penalty import Penalty

Array = NDArray[np.floating]


FLOOR = float(np.finfo("f4").eps)


def exponent(beta: float) -> float:
    """The power of numerator / denominator with which the loss never rises."""
    return 1 / (2 - beta) if beta < 1 else 1 / (beta - 1) if beta > 2 else 1.0


def stepped(F: Array, numerator: Array, denominator: Array, beta: float, penalty: Penalty) -> Array:
    """F ⊙ (numerator / (denominator + l1 + l2 F))^exponent, (k × r); 0 where the denominator is."""
    below = denominator + penalty.gradient(F) if penalty else np.broadcast_to(denominator, F.shape)
    ratio = np.zeros_like(F)
    with np.errstate(over="ignore"):
        np.divide(numerator, below, out=ratio, where=below > 0)
        if (power := exponent(beta)) != 1:
            ratio **= power
        moved = F * np.minimum(ratio, np.finfo(F.dtype).max)
    return np.asarray(np.minimum(moved, np.finfo(F.dtype).max))


def floor(beta: float, dtype: Any) -> float:
    """The least entry of a model: its powers must not overflow.

    For β between 0 and 1 the loss of an entry of 0 falls ever faster as its model goes to 0, so that the floor is part
    of the problem: it is scikit-learn's, the spacing of float32 at 1.
    """
    # Sums are float64: what is made of float64 entries must stay within its range when it is squared, too.
    least = np.finfo(dtype).tiny if np.dtype(dtype) == np.float32 else np.sqrt(np.finfo(dtype).tiny)
    return FLOOR if 0 < beta < 1 else float(least) ** (1 / (3 - min(beta, 2.0)))


def check_range(size: float, beta: float, dtype: np.dtype[Any]) -> None:
    """Raise ValueError where powers of a model of X would leave the range of X's dtype; `size` is the mean of X."""
    power, limits = max(beta, 1.0), np.finfo(dtype)
    low = max(1e3 * floor(beta, dtype), 1e3 * float(limits.tiny) ** (1 / power))
    high = float(limits.max) ** (1 / (1 + power)) / 1e3
    if not low < size < high:
        raise ValueError(
            f"the mean of X is {size:.1e}, and powers of {dtype} entries of that size, for beta_loss = {beta:g}, leave "
            f"its range: multiply X by a constant that brings it between {low:.0e} and {high:.0e}, or store X as "
            f"float64"
        )
