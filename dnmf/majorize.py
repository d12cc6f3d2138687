"""β-divergences on a sample in memory: its factorization, and the steps that it takes between two passes. Pure NumPy.

Rows of the sample are as they are in Y, and count as often as rows of Y that they stand for. The rules are those of
`dnmf.divergences`, the correction is that of `dnmf.correction`: what the sample finds for numerator and denominator of
the short factor's rule is shifted by the difference between the pass and the sample, so that the first step is that of
all of Y, and what the steps converge to is a stationary point of Y.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dnmf import divergences
from dnmf.alternate import STRETCH, Fit, Pace
from dnmf.divergences import Sums
from dnmf.products import Array, Rows, dense_size
from dnmf.rules import Penalty
from dnmf.rules.powered import stepped

# Steps on the sample between two passes, and updates of its long factor in each.
STEPS, SWEEPS = 10, 2

# What one factorization may take: entries of the sample times components times iterations.
WORK = 6e9

# An extrapolated entry is at least this share of what it was: the rules keep zeros.
LEAST_SHARE = 0.5

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


def affordable(A: Rows, rank: int, iterations: int, *, beta: float) -> int:
    """How many of so many iterations fit in the work: ten at least."""
    # Only for β = 1 sparse rows need no model of all their entries.
    entries = dense_size(A) if beta == 1 else math.prod(A.shape)
    return max(STRETCH, min(iterations, int(WORK / (rank * max(1, entries)))))


def majorize(model: Counted, H: Array, terms: Terms, *, iterations: int, tol: float) -> Fit:
    """Move W, then H, until the objective decreases by less than `tol` of itself over ten iterations.

    The extrapolation is that of `dnmf.alternate`: Kullback–Leibler of counts came in 87 iterations as far as without it
    in 200.

    Parameters
    ----------
    model : the sample; its rows are the first W.
    H : (k, N) first factor. Not changed.
    terms : of the loss.
    iterations : at most.
    tol : relative decrease.
    """
    assert model.rows is not None
    counts = model.counts.astype(H.dtype)
    kept = Fit(model.rows, H, np.inf, np.inf)
    W_next, H_next, pace, before = model.rows, H, Pace(), np.inf
    for iteration in range(1, iterations + 1):
        W = divergences.update(model.A, W_next, H_next, 1, beta=terms.beta, penalty=terms.long)
        W_next = _beyond(W, kept.W, pace.step)
        sums = divergences.sums(model.A, W_next, H_next, beta=terms.beta, weights=counts)
        # The loss is that of H before it moves: H is at least as good after it.
        objective = sums.loss + _on_rows(W_next, model, terms) + terms.short.of(H_next)
        if objective > kept.objective:
            W_next, H_next, pace = kept.W, kept.H, pace.cut()
        else:
            moved = divergences.moved(sums, H_next, beta=terms.beta, penalty=terms.short)
            H_next = _beyond(moved, kept.H, pace.step)
            kept, pace = Fit(W_next, moved, sums.loss, objective), pace.grown()
        if iteration % STRETCH == 0:
            if before - kept.objective <= tol * kept.objective:
                break
            before = kept.objective
    return kept


def _beyond(F: Array, before: Array, step: float) -> Array:
    """F, moved on by a share of the step that led to it; positive where F is."""
    return np.asarray(np.maximum(F + step * (F - before), LEAST_SHARE * F), F.dtype)


def _on_rows(W: Array, model: Counted, terms: Terms) -> float:
    """The penalty on the long factor, every row as often as it counts."""
    if not terms.long:
        return 0.0
    counts, W8 = model.counts, W.astype("f8")
    return terms.long.value(float(W8.sum(axis=0) @ counts), float((W8**2).sum(axis=0) @ counts))


def follow(model: Counted, S: Array, inner: int, terms: Terms) -> Counted:
    """The sample's rows after the next pass, which moves them as it moves all rows."""
    assert model.rows is not None
    return replace(model, rows=divergences.update(model.A, model.rows, S, inner, beta=terms.beta, penalty=terms.long))


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
    ours = divergences.sums(model.A, rows, S, beta=terms.beta, weights=counts)
    more, below = sums.numerator - ours.numerator, sums.denominator - ours.denominator
    lengths = S.astype("f8").sum(axis=1, keepdims=True)
    for step in range(STEPS):
        if step:
            rows = divergences.update(model.A, rows, moved, SWEEPS, beta=terms.beta, penalty=terms.long)
            ours = divergences.sums(model.A, rows, moved, beta=terms.beta, weights=counts)
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
