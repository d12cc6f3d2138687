"""Alternating in memory, moved on beyond each step while that pays: the same for every loss."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dnmf.arrays.rows import Array

# The decrease that decides is taken over so many iterations.
STRETCH = 10

# Of the extrapolation, as published.
FIRST_STEP, STEP_GROWTH, BOUND_GROWTH, STEP_CUT = 0.5, 1.05, 1.01, 1.5


@dataclass(frozen=True, slots=True)
class Pace:
    """How far beyond a step the extrapolation goes, and how far it may: both grow while the objective falls."""

    step: float = FIRST_STEP
    bound: float = 1.0

    def grow(self) -> "Pace":
        """After an iteration that was better."""
        return Pace(min(self.bound, STEP_GROWTH * self.step), min(1.0, BOUND_GROWTH * self.bound))

    def cut(self) -> "Pace":
        """After one that was worse."""
        return Pace(self.step / STEP_CUT, self.step)


@dataclass(frozen=True, slots=True)
class Fit:
    """A ≈ Wᵀ H: W (k, s) component-major, H (k, N), the loss, and that with the penalties."""

    W: Array
    H: Array
    loss: float
    objective: float


def extrapolate(
    W: Array,
    H: Array,
    move_long: Callable[[Array, Array], Array],
    move_short: Callable[[Array, Array], Fit],
    *,
    least: float,
    iterations: int,
    tol: float,
) -> Fit:
    """Move W, then H, until the objective decreases by less than `tol` of itself over ten iterations.

    Parameters
    ----------
    W, H : first factors, (k, s) and (k, N). Not changed.
    move_long : W after a half-step, from W and H.
    move_short : W and H after the other half-step, with a loss and an objective of W.
    least : an extrapolated entry is at least this share of what it was: 0, or more where the rules keep zeros.
    iterations : at most.
    tol : relative decrease; 0 goes on as long as the objective decreases.

    References
    ----------
    A. M. S. Ang and N. Gillis, Neural Computation 31, 2019, doi:10.1162/neco_a_01157, algorithm 3. This differs in:

    1. Factors that were extrapolated are cut off, so that what is kept is a factorization.
    2. The loss that decides on a restart is that of the extrapolated W and of H before its extrapolation: it is known
       from what the next half-step needs anyway.
    """
    kept, pace, before = Fit(W, H, np.inf, np.inf), Pace(), np.inf
    for iteration in range(1, iterations + 1):
        W = _go_beyond(move_long(W, H), kept.W, pace.step, least)
        found = move_short(W, H)
        if found.objective > kept.objective:
            W, H, pace = kept.W, kept.H, pace.cut()
        else:
            H = _go_beyond(found.H, kept.H, pace.step, least)
            kept, pace = found, pace.grow()
        if iteration % STRETCH == 0:
            if before - kept.objective <= tol * kept.objective:
                break
            before = kept.objective
    return kept


def _go_beyond(F: Array, before: Array, step: float, least: float) -> Array:
    """F, moved on by a share of the step that led to it, and cut off."""
    return np.asarray(np.maximum(F + step * (F - before), least * F if least else 0), F.dtype)
