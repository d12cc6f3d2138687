"""Between two passes: the sample stands for X, corrected by what the last pass found on all of X. Pure NumPy.

Let f(S) be the loss with the best long factor, and f_A the same of the sample. A pass gives the gradient of f at its
short factor S₀ exactly, as sums over all rows; the sample gives f_A everywhere, without a read. So the short factor
moves to where

    f_A(S) + ⟨∇f(S₀) − ∇f_A(S₀), S⟩

is low: its gradient at S₀ is that of f, its curvature is the sample's. Where the two agree, nothing is left to do, so
what the loop ends at is a stationary point of X, not of the sample. Plain alternation spends a read of X on each of
the steps that are taken here on the sample.

f does not change with the length of a row of S, but its linear term does: rows keep their lengths, the factor of the
sample takes up the difference.

O. Shamir, N. Srebro and T. Zhang, ICML 2014 (DANE), equation 13, for the idea. This differs in: 1. one node, the
sample, in place of all; 2. no regularization; 3. few alternating steps in place of a minimization.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from dnmf.arrays.products import gram, gram8
from dnmf.arrays.rows import Array
from dnmf.arrays.sketch import Sketch
from dnmf.losses.extrapolation import Fit
from dnmf.losses.least_squares.in_memory import affordable, alternate
from dnmf.losses.least_squares.sums import Evaluation, Shared
from dnmf.losses.protocol import FARTHEST
from dnmf.rules import Penalty

# Sweeps of the sample's long factor in each step between two passes; of its steps, 30 gained nothing over 10, 3 gave up
# to half of the gain away.
STEP_SWEEPS = 3

# Sweeps of a pass: as long as one more decreases the sample's loss by this share of it, or of a hundredth of its size.
SWEEP_PAYS, ENOUGH = 1e-5, 1e-4
MOST_SWEEPS = 60


@dataclass(frozen=True, slots=True)
class Surrogate:
    """The sample, and the rows that belong to it in a long factor: moved as all rows of X are, with the same short one.

    See `Surrogate` of `dnmf.losses.protocol`.

    Attributes
    ----------
    A : (s, N) sample; rows of X were multiplied by the roots of their counts.
    small : its sketch, which is A itself where some of X is left out of the sample.
    penalties : on its rows, which grow with them, and on the short factor.
    rows : (k, s) its long factor; None before the first pass.
    """

    A: Sketch
    small: Sketch
    penalties: tuple[Penalty, Penalty]
    rows: Array | None = None

    trial: ClassVar[None] = None  # starts are compared by least squares as it is

    @property
    def whole(self) -> bool:
        """Whether nothing is left out of the sample."""
        return self.A.Q is None

    def with_rows(self, rows: Array | None) -> "Surrogate":
        return replace(self, rows=rows)

    def decide(self, rank: int) -> None:
        """Passes are the same for every sample."""

    def follow(self, shared: Shared, sweeps: int | None) -> tuple["Surrogate", int]:
        # The numerator of a sketch may be negative where that of X cannot: the multiplicative rule must not see that.
        N, G, A, long = np.maximum(self.A.right(shared.S), 0), shared.gram, self.A, self.penalties[0]
        rule = shared.solver.rule(long)
        rows = shared.solver.solve(long)(N, G, 1) if self.rows is None else rule(self.rows, N, G, 1)
        made, loss = 1, A.square - 2 * float(np.vdot(rows, N)) + float(np.vdot(rows, G @ rows))
        while made < (sweeps or MOST_SWEEPS):
            moved = rule(rows, N, G, 1)
            step = moved - rows
            # Not the difference of two losses, which float32 would round away.
            slope = 2 * (N - G @ rows - long.gradient(rows)) - G @ step - long.l2 * step
            decrease = float(np.vdot(step, slope))
            rows, made, loss = moved, made + 1, loss - decrease
            if sweeps is None and decrease < SWEEP_PAYS * (loss + ENOUGH * A.square):
                break
        return self.with_rows(rows), made

    def correct(self, evaluation: Evaluation, steps: int) -> Array | None:
        A, rows, shared = self.A, self.rows, evaluation.shared
        assert rows is not None
        S, moved = shared.S, shared.S.astype("f8")
        rows_rule, rule = (shared.solver.rule(penalty) for penalty in self.penalties)
        drift = evaluation.cross - A.left(rows) - (evaluation.sums.gram - gram8(rows)) @ moved
        lengths = np.linalg.norm(moved, axis=1, keepdims=True)
        for step in range(steps):
            if step:
                short = moved.astype(S.dtype)
                rows = rows_rule(rows, np.maximum(A.right(short), 0), gram(short), STEP_SWEEPS)
            moved = rule(moved, np.maximum(A.left(rows) + drift, 0), gram8(rows), STEP_SWEEPS)
            if moved.max() > FARTHEST * S.max():
                return None
            if any(self.penalties):  # then the length of a row of S matters, and is not kept
                continue
            new = np.linalg.norm(moved, axis=1, keepdims=True)
            # A component that was zero may come back, and then keeps the length that it comes with.
            lengths = np.where(lengths > 0, lengths, new)
            stretch = np.divide(new, lengths, out=np.ones_like(new), where=(new > 0) & (lengths > 0))
            moved, rows = moved / stretch, rows * stretch.astype(S.dtype)
        return moved.astype(S.dtype)

    def factorize(self, fit: Fit, *, iterations: int, tol: float) -> tuple[Array, float]:
        """The short factor from the best start, on the sketch and then on the sample, and its relative loss."""
        for A in (self.small,) if self.A is self.small else (self.small, self.A):
            most = affordable(A, len(fit.H), iterations)
            fit = alternate(A, fit.W, fit.H, iterations=most, tol=tol, penalties=self.penalties)
        return fit.H, fit.loss / self.A.square if self.A.square else 0.0
