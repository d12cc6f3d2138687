"""The multiplicative rule of β-divergences: numerator and denominator depend on the factor, so each step has its own.

C. Févotte and J. Idier, Neural Computation 23, 2011, doi:10.1162/NECO_a_00168, table 2.
"""

import numpy as np
from numpy.typing import NDArray

from dnmf.rules.penalty import Penalty

# The least model for β between 0 and 1, see `floor`.
FLOOR = float(np.finfo("f4").eps)


def exponent(beta: float) -> float:
    """The power of numerator / denominator with which the loss never rises."""
    return 1 / (2 - beta) if beta < 1 else 1 / (beta - 1) if beta > 2 else 1.0


def multiply(
    F: NDArray[np.floating],
    numerator: NDArray[np.floating],
    denominator: NDArray[np.floating],
    beta: float,
    penalty: Penalty,
    times: NDArray[np.floating] | None = None,
) -> NDArray[np.floating]:
    """F ⊙ (numerator / (denominator + l1 + l2 F))^exponent, (k × r); 0 where the denominator is.

    `times` is how many times the penalty on each column of F counts (r,); None for once.
    """
    below = denominator + penalty.gradient(F, times) if penalty else np.broadcast_to(denominator, F.shape)
    ratio = np.zeros_like(F)
    with np.errstate(over="ignore"):
        np.divide(numerator, below, out=ratio, where=below > 0)
        if (power := exponent(beta)) != 1:
            ratio **= power
        moved = F * np.minimum(ratio, np.finfo(F.dtype).max)
    return np.asarray(np.minimum(moved, np.finfo(F.dtype).max))


def floor(beta: float, dtype: np.dtype[np.floating]) -> float:
    """The least entry of a model: its powers must not overflow.

    For β between 0 and 1 the loss of an entry of 0 falls ever faster as its model goes to 0, so that the floor is part
    of the problem: it is scikit-learn's, the spacing of float32 at 1.
    """
    # Sums are float64: what is made of float64 entries must stay within its range when it is squared, too.
    least = np.finfo(dtype).tiny if dtype == np.float32 else np.sqrt(np.finfo(dtype).tiny)
    return FLOOR if 0 < beta < 1 else float(least) ** (1 / (3 - min(beta, 2.0)))
