"""The power of two by which X is multiplied inside, where its own entries are too large or too small for a loss.

The factorization of c · X is that of X times c. Powers of two round nothing, so that of c = 2ᵉ is it to the last bit. X
whose entries are plain is multiplied by nothing.
"""

import math

import numpy as np

from dnmf.arrays.extent import Extent
from dnmf.arrays.rows import Array
from dnmf.rules import Penalty
from dnmf.rules.beta_multiplicative import floor

# For least squares: least and most of the largest entry, which is squared, and least of that of a quiet row, which is
# not.
SQUARES = {"f": (1e-13, 1e15, 1e-36), "d": (1e-115, 1e120, 1e-300)}

# Between these the largest entry of a factor may be squared.
PLAIN_FACTOR = {"f": (1e-17, 1e17), "d": (1e-150, 1e150)}

# The largest weight, and its product with the entries that it is multiplied by, are between these.
WEIGHTS = {"f": (1e-32, 1e32), "d": (1e-150, 1e150)}

# A penalty is at most this, in each dtype: one that is as large leaves nothing of a factor.
MOST_PENALTY = {"f": 1e15, "d": 1e120}


def range_of(beta: float, dtype: np.dtype[np.floating]) -> tuple[float, float, float]:
    """Least and most that the largest entry of X may be, and least that the largest of a row or a column may be."""
    if beta == 2:
        return SQUARES[dtype.char]
    power, limits = max(beta, 1.0), np.finfo(dtype)
    least = max(floor(beta, dtype), float(limits.tiny) ** (1 / power))
    return 1e3 * least, float(limits.max) ** (1 / (1 + power)) / 1e3, 10 * least


def top_to_one(top: float) -> int:
    """The exponent of the power of two that brings a number to between 1 and 2.

    >>> top_to_one(0.3)
    2
    """
    return 1 - math.frexp(top)[1]


def exponent_for(extent: Extent, beta: float, dtype: np.dtype[np.floating]) -> int | None:
    """e with which 2ᵉ X is in the range of a loss: 0 where X is, None where no e is right for all of its rows.

    >>> plain, tiny = (Extent(top, top, np.zeros(2)) for top in (1.0, 1e-30))
    >>> exponent_for(plain, 2, np.dtype("f4")), exponent_for(tiny, 2, np.dtype("f4"))
    (0, 100)
    """
    least, most, low = range_of(beta, dtype)
    if extent.top == 0:
        return 0
    exponent = 0 if least <= extent.top <= most else top_to_one(extent.top)
    # Logarithms, since a float would overflow.
    room, quiet = math.log2(most) - math.log2(extent.top), math.log2(low) - math.log2(extent.low)
    exponent = max(exponent, math.ceil(quiet))
    return exponent if exponent <= room else None


def factor_exponent(S: Array) -> int:
    """The exponent of the power of two that brings a factor to where it may be squared: 0 where it may."""
    top, (least, most) = float(S.max()), PLAIN_FACTOR[S.dtype.char]
    return 0 if top == 0 or least <= top <= most else top_to_one(top)


def check_fits(extent: Extent, beta: float, dtype: np.dtype[np.floating]) -> int:
    """The exponent of `exponent_for`, or ValueError with what to do where there is none."""
    exponent = exponent_for(extent, beta, dtype)
    if exponent is not None:
        check_weights(extent, exponent, beta, dtype)
        return exponent
    wider = dtype != np.float64 and exponent_for(extent, beta, np.dtype("f8")) is not None
    remedy = "store X as float64" if wider else "multiply the quiet rows and columns by a constant, or leave them out"
    what = "entries" if beta <= 0 else "rows or columns with no entry above"
    raise ValueError(
        f"X has entries up to {extent.top:.1e} beside {what} {extent.low:.1e}, and for beta_loss = {beta:g} powers of "
        f"both do not fit into the range of {dtype}: {remedy}"
    )


def check_weights(extent: Extent, exponent: int, beta: float, dtype: np.dtype[np.floating]) -> None:
    """ValueError where weights leave no room for what they are multiplied by, of X times 2 to an exponent."""
    if not extent.weight or not extent.top:
        return
    least, most = (math.log2(limit) for limit in WEIGHTS[dtype.char])
    weight, top = math.log2(extent.weight), math.log2(extent.top) + exponent
    if not all(least <= size <= most for size in (weight, weight + max(1.0, beta - 1) * top)):
        raise ValueError(
            f"weights are up to {extent.weight:.1e}, and entries of X up to {extent.top:.1e}: their products do not "
            f"fit into the range of {dtype}; multiply all weights by one constant, with which the largest is about 1: "
            f"the loss is multiplied by it, and nothing else changes but what penalties are worth"
        )


def in_units_of_x(loss: float, exponent: int, beta: float) -> float:
    """A loss of 2ᵉ X as one of X: it grows with the power β of X."""
    if exponent == 0:
        return loss
    with np.errstate(over="ignore", under="ignore"):
        return float(loss * np.exp2(-exponent * beta))


def scaled_penalties(
    long: Penalty,
    short: Penalty,
    exponent: int,
    beta: float,
    dtype: np.dtype[np.floating],
    *,
    long_exponent: int | None = None,
) -> tuple[Penalty, Penalty]:
    """Penalties on the long and on the short factor of X, as those on the factors of 2ᵉ X.

    The long one is multiplied by 2 to the `long_exponent`, e where none is given.
    """
    long_exponent = exponent if long_exponent is None else long_exponent
    if exponent == 0 and long_exponent == 0:
        return long, short
    most = MOST_PENALTY[dtype.char]

    def grown(weight: float, by: float) -> float:
        # As logarithms: powers of two may overflow, and a product of two that do not, too.
        return min(most, 2.0 ** min(1000.0, math.log2(weight) + by)) if weight else 0.0

    unit = exponent * beta
    return (
        Penalty(grown(float(long.l1), unit - long_exponent), grown(long.l2, unit - 2 * long_exponent)),
        Penalty(grown(float(short.l1), unit), grown(short.l2, unit)),
    )
