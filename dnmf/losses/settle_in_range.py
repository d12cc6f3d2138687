"""Rows solved by themselves, each times the power of two with which powers of its entries stay in range."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.extent import Extent, plain_squares, row_extremes, times_power, top_weight
from dnmf.arrays.rows import Array, Rows
from dnmf.losses.protocol import AnyLoss
from dnmf.losses.scale import check_fits, check_weights, factor_exponent, range_of, scaled_penalties, top_to_one
from dnmf.rules import NO_PENALTY


def settle_in_range(loss: AnyLoss, y: Rows, S: Array, *, tol: float, iterations: int) -> Array:
    """`Loss.settle`: the block (k, h) that belongs to S, for rows y (h, N) and S (k, N) of any size.

    Raises
    ------
    ValueError
        If a row has entries so far apart that their powers do not fit in its dtype together; if weights do not.
    """
    exponents, shift = _row_exponents(y, loss.beta, signed=loss.signed), factor_exponent(S)
    if shift == 0 and not exponents.any():
        return loss.settle(y, S, tol=tol, iterations=iterations)
    S, block = times_power(S, shift), np.zeros((len(S), y.shape[0]), S.dtype)
    for exponent in np.unique(exponents).tolist():
        rows = np.flatnonzero(exponents == exponent)
        scaled = _with_penalty_of(loss, exponent, shift, S.dtype)
        found = scaled.settle(times_power(y[rows], exponent), S, tol=tol, iterations=iterations)
        block[:, rows] = times_power(found, shift - exponent)
    return block


def _row_exponents(y: Rows, beta: float, *, signed: bool) -> NDArray[np.int64]:
    """That of every row (h,): 0 for those that are plain."""
    exponents = np.zeros(y.shape[0], "i8")
    # Least squares form no powers of single rows.
    least, most, low = (*plain_squares(y.dtype), 0.0) if beta == 2 else range_of(beta, y.dtype)
    tops, lows = row_extremes(y, beta, signed=signed)
    odd = (tops > 0) & ~((tops >= least) & (tops <= most) & (lows >= low))
    if (weight := top_weight(y)) != 1:
        plain = float(np.max(tops, where=~odd, initial=0)) or 1.0
        check_weights(Extent(plain, plain, np.zeros(1), weight), 0, beta, y.dtype)
    for row in np.flatnonzero(odd).tolist():
        top = float(tops[row])
        if beta == 2:
            exponents[row] = top_to_one(top)
        else:
            exponents[row] = check_fits(Extent(top, float(lows[row]), np.zeros(1)), beta, y.dtype)
    return exponents


def _with_penalty_of(loss: AnyLoss, exponent: int, shift: int, dtype: np.dtype[np.floating]) -> AnyLoss:
    """The loss of rows times 2ᵉ, where S is multiplied by another power: their block takes the rest."""
    if not loss.penalized:
        return loss
    long, _ = scaled_penalties(loss.long, NO_PENALTY, exponent, loss.beta, dtype, long_exponent=exponent - shift)
    frozen: Any = loss
    return cast(AnyLoss, replace(frozen, long=long))
