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

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.rows import Array
from dnmf.arrays.sketch import Sketch
from dnmf.losses.least_squares.sums import gram, gram8
from dnmf.rules import NO_PENALTY, Penalty, Rule

# Steps on the sample between two passes, and sweeps of its long factor in each: 30 steps gained nothing over 10, 3 gave
# up to half of the gain away.
STEPS, SWEEPS = 10, 3


# Where a step makes an entry this many times as large as any before, the correction outweighs the sample: it has too
# few rows. Without a limit that grows doubly exponentially.
FARTHEST = 1e3


# Sweeps of a pass: as long as one more decreases the sample's loss by this share of it, or of a hundredth of its size.
SWEEP_PAYS, ENOUGH = 1e-5, 1e-4


MOST_SWEEPS = 60


@dataclass(frozen=True, slots=True)
class Model:
    """The sample, and the rows that belong to it in a long factor: moved as all rows of X are, with the same short one.

    Attributes
    ----------
    A : (s, N) sample.
    rows : (k, s) its long factor; None before the first pass.
    weights : (s,) by which rows of X were multiplied; None where that does not matter.
    """

    A: Sketch
    rows: Array | None
    weights: Array | None = None


def follow(
    model: Model, S: Array, first: Rule, rule: Rule, inner: int | None, penalty: Penalty = NO_PENALTY
) -> tuple[Model, int]:
    """The model's rows after the next pass, and how many sweeps that pass makes.

    Parameters
    ----------
    model : before the pass.
    S : (k, N) the pass's short factor.
    first, rule : the rule of the first sweep, and that of all further ones.
    inner : sweeps, or None for as many as pay on the sample.
    penalty : that of the rules, on the rows.
    """
    # The numerator of a sketch may be negative where that of X cannot: the multiplicative rule must not see that.
    N, G, A = np.maximum(model.A.right(S), 0), gram(S), model.A
    rows, sweeps = first(model.rows, N, G, 1), 1  # type: ignore[arg-type]
    loss = A.square - 2 * float(np.vdot(rows, N)) + float(np.vdot(rows, G @ rows))
    while sweeps < (inner or MOST_SWEEPS):
        moved = rule(rows, N, G, 1)
        step = moved - rows
        # Not the difference of two losses, which float32 would round away.
        decrease = float(np.vdot(step, 2 * (N - G @ rows - penalty.gradient(rows)) - G @ step - penalty.l2 * step))
        rows, sweeps, loss = moved, sweeps + 1, loss - decrease
        if inner is None and decrease < SWEEP_PAYS * (loss + ENOUGH * A.square):
            break
    return replace(model, rows=rows), sweeps


def corrected(
    model: Model,
    S: Array,
    cross: NDArray[np.float64],
    long: NDArray[np.float64],
    rule: Rule,
    rows_rule: Rule | None = None,
) -> Array | None:
    """The short factor (k, N) for the next pass, or None where the sample is too poor a model of X to take a step.

    Parameters
    ----------
    model : after the pass, its rows solved against S as all rows of X are.
    S : (k, N) short factor of the pass.
    cross, long : (k, N), L Y, and (k, k), L Lᵀ, of the pass.
    rule : that of the short factor.
    rows_rule : that of the sample's rows, where penalties make it another one: then the length of a row of S matters,
        and is not kept.
    """
    A, rows, moved = model.A, model.rows, S.astype("f8")
    assert rows is not None
    drift = cross - A.left(rows) - (long - gram8(rows)) @ moved
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    for step in range(STEPS):
        if step:
            short = moved.astype(S.dtype)
            rows = (rows_rule or rule)(rows, np.maximum(A.right(short), 0), gram(short), SWEEPS)
        moved = rule(moved, np.maximum(A.left(rows) + drift, 0), gram8(rows), SWEEPS)
        if moved.max() > FARTHEST * S.max():
            return None
        if rows_rule is not None:
            continue
        new = np.linalg.norm(moved, axis=1, keepdims=True)
        # A component that was zero may come back, and then keeps the length that it comes with.
        lengths = np.where(lengths > 0, lengths, new)
        stretch = np.divide(new, lengths, out=np.ones_like(new), where=(new > 0) & (lengths > 0))
        moved, rows = moved / stretch, rows * stretch.astype(S.dtype)
    return moved.astype(S.dtype)
