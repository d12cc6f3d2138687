"""β-divergences on a sample in memory: its factorization, and the steps that it takes between two passes. Pure NumPy.

Rows of the sample are as they are in Y, and count as often as rows of Y that they stand for. The rules are those of
`dnmf.divergences`, the correction is that of `dnmf.correction`: what the sample finds for numerator and denominator of
the short factor's rule is shifted by the difference between the pass and the sample, so that the first step is that of
all of Y, and what the steps converge to is a stationary point of Y.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.rows import Array, Rows
from dnmf.losses.divergence import sums as divergence_sums
from dnmf.losses.divergence.rows import update
from dnmf.losses.divergence.sums import Sums
from dnmf.rules import Penalty
from dnmf.rules.beta_multiplicative import stepped

# Steps on the sample between two passes, and updates of its long factor in each.
STEPS, SWEEPS = 10, 2


# Where the correction leaves no denominator, it is this share of the sample's.
LEAST_BELOW = 0.1


# As for least squares: where an entry grows by more, the sample has too few rows.
FARTHEST = 1e3


@dataclass(frozen=True, slots=True)
class Counted:
    """A sample that stands for Y.

    Attributes
    ----------
    A : (s, N) rows.
    counts : (s,) how often each counts.
    rows : (k, s) its long factor; None before the first pass.
    """

    A: Rows
    counts: NDArray[np.float64]
    rows: Array | None


@dataclass(frozen=True, slots=True)
class Terms:
    """What makes a loss: β, and the penalties on the long and on the short factor."""

    beta: float
    long: Penalty
    short: Penalty


def follow(model: Counted, S: Array, inner: int, terms: Terms) -> Counted:
    """The sample's rows after the next pass, which moves them as it moves all rows."""
    assert model.rows is not None
    return replace(model, rows=update(model.A, model.rows, S, inner, beta=terms.beta, penalty=terms.long))


def corrected(model: Counted, S: Array, sums: Sums, terms: Terms) -> Array | None:
    """The short factor (k, N) for the next pass, or None where the sample is too poor a model of Y to take a step.

    Parameters
    ----------
    model : after the pass, its rows moved against S as all rows of Y are.
    S : (k, N) short factor of the pass.
    sums : of the pass.
    terms : of the loss.
    """
    rows, moved, counts = model.rows, S, model.counts.astype(S.dtype)
    assert rows is not None
    ours = divergence_sums.sums(model.A, rows, S, beta=terms.beta, weights=counts)
    more, below = sums.numerator - ours.numerator, sums.denominator - ours.denominator
    lengths = S.astype("f8").sum(axis=1, keepdims=True)
    for step in range(STEPS):
        if step:
            rows = update(model.A, rows, moved, SWEEPS, beta=terms.beta, penalty=terms.long)
            ours = divergence_sums.sums(model.A, rows, moved, beta=terms.beta, weights=counts)
        top, bottom = ours.numerator + more, ours.denominator + below
        # What would be negative goes to the other side of the fraction: the gradient stays what it is.
        above = np.maximum(top, 0) + np.maximum(-bottom, 0)
        bottom = np.where(bottom > 0, bottom, LEAST_BELOW * ours.denominator) + np.maximum(-top, 0)
        new = stepped(moved.astype("f8"), above, bottom, terms.beta, terms.short)
        if not new.max() <= FARTHEST * S.max():
            return None
        if not (terms.long or terms.short):
            # The loss does not change with the length of a row of S, but its linear correction does.
            sizes = new.sum(axis=1, keepdims=True)
            stretch = np.divide(sizes, lengths, out=np.ones_like(sizes), where=(sizes > 0) & (lengths > 0))
            new, rows = new / stretch, rows * stretch.astype(S.dtype)
        moved = new.astype(S.dtype)
    return moved
