"""Rows of the long factor, each moved by the Gram matrix of the entries that are there. Pure NumPy."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.grams import Group, missing_counts, row_grams
from dnmf.arrays.products import gram, right, row_powers
from dnmf.arrays.rows import Array
from dnmf.arrays.weighted import Weighted
from dnmf.losses.least_squares.surrogate import ENOUGH, SWEEP_PAYS
from dnmf.losses.row_by_row import STRIDE, row_by_row
from dnmf.plan.parts import part_rows
from dnmf.rules import Penalty
from dnmf.rules.gram_per_row import ColumnPenalty, GramRule, scale, times
from dnmf.rules.solver import Solver

# Rows of which at most this share is missing move by S Sᵀ, and what is missing counts as what the model before the pass
# says: what that leaves undone is of the order of this share of the move.
FILLED = 0.08

# Rows that tell how many sweeps pay.
WATCHED = 1000


@dataclass(frozen=True, slots=True)
class Mover:
    """How rows move.

    Attributes
    ----------
    solver : of both factors.
    penalty : on the long factor.
    per_observed : whether the penalty on a row grows with the weights of its entries, Σ_j ω_ij.
    """

    solver: Solver
    penalty: Penalty
    per_observed: bool

    @property
    def rule(self) -> GramRule:
        """Of rows with Gram matrices of their own."""
        return GramRule(self.solver)

    def penalty_of(self, y: Weighted, *, more: float = 0.0) -> ColumnPenalty:
        """The penalty on the rows y (h, N), with so much added to its l2."""
        totals = row_powers(y, 0).astype(y.dtype) if self.per_observed and self.penalty else None
        own = ColumnPenalty.scaled(self.penalty, totals)
        return ColumnPenalty(own.l1, own.l2 + more) if more else own

    def move(self, y: Weighted, S: Array, L: Array, sweeps: int, *, ridge: float = 0.0) -> Array:
        """A block L (k, h) after so many sweeps; `ridge` is added to the l2 of every row."""
        rule, penalty = self.rule, self.penalty_of(y, more=ridge)
        nearly = _nearly_complete(y)
        if nearly.all():
            return rule.move(L, _filled(y, S, L), gram(S), sweeps, penalty)
        if nearly.any():
            block = np.empty_like(L, order="C")
            for some in (nearly, ~nearly):
                block[:, some] = self.move(y[some], S, np.ascontiguousarray(L[:, some]), sweeps, ridge=ridge)
            return block
        return _by_groups(y, S, lambda N, G, at: rule.move(L[:, at], N, G, sweeps, penalty.on(at)))

    def scale_and_move(self, y: Weighted, S: Array, L: Array, sweeps: int) -> Array:
        """A block, whose rows first get the scale that fits theirs best."""
        rule, penalty = self.rule, self.penalty_of(y)
        return _by_groups(y, S, lambda N, G, at: rule.move(scale(L[:, at], N, G), N, G, sweeps, penalty.on(at)))

    def solve(self, y: Weighted, S: Array, sweeps: int, *, ridge: float = 0.0) -> Array:
        """A block from scratch."""
        rule, penalty = self.rule, self.penalty_of(y, more=ridge)
        return _by_groups(y, S, lambda N, G, at: rule.solve(N, G, sweeps, penalty.on(at)))

    def sweeps_that_pay(self, y: Weighted, counts: NDArray[np.float64], S: Array, L: Array | None, *, most: int) -> int:
        """How many sweeps of rows pay, from some of them, evenly spread, which count so often (h,)."""
        some = np.arange(0, y.shape[0], max(1, y.shape[0] // WATCHED))
        if not len(some):
            return 1
        y, counts = y[some], counts[some]
        N, groups, penalty = right(S, y.counted), list(row_grams(y, S)), self.penalty_of(y)
        L = self._once(N, groups, None if L is None else L[:, some], penalty)
        square = float(row_powers(y, 2) @ counts)
        loss = square - sum(
            float(np.vdot(L[:, at] * counts[at], 2 * N[:, at] - times(G, L[:, at]))) for at, G in groups
        )
        for made in range(2, most + 1):
            moved, decrease = self._once(N, groups, L, penalty), 0.0
            for at, G in groups:
                F, step = L[:, at], moved[:, at] - L[:, at]
                # Not the difference of two losses, which float32 would round away.
                slope = 2 * (N[:, at] - times(G, F) - penalty.on(at).gradient(F)) - times(G, step)
                decrease += float(np.vdot(step * counts[at], slope - penalty.on(at).l2 * step))
            L, loss = moved, loss - decrease
            if decrease < SWEEP_PAYS * (loss + ENOUGH * square):
                return made
        return most

    def _once(self, N: Array, groups: list[Group], L: Array | None, penalty: ColumnPenalty) -> Array:
        """A block after one sweep; from scratch where there is none."""
        moved, rule = np.empty_like(N), self.rule
        for at, G in groups:
            own = penalty.on(at)
            moved[:, at] = rule.solve(N[:, at], G, 1, own) if L is None else rule.move(L[:, at], N[:, at], G, 1, own)
        return moved

    def settle(self, y: Weighted, S: Array, *, tol: float, iterations: int) -> Array:
        """A block every row of which is moved until it stands still."""
        rule, penalty = self.rule, self.penalty_of(y)

        def settled(N: Array, G: Array, at: NDArray[np.intp]) -> Array:
            own = penalty.on(at)

            def stride(F: Array, rows: NDArray[np.intp]) -> Array:
                # As they are where all still move: a copy costs as much as two sweeps.
                all_of_them = len(rows) == N.shape[1]
                part = G if G.ndim == 2 or all_of_them else np.ascontiguousarray(G[:, :, rows])
                return rule.move(F, N[:, rows], part, STRIDE, own.on(rows))

            return row_by_row(stride, rule.solve(N, G, 1, own), tol=tol, groups=iterations // STRIDE)

        return _by_groups(y, S, settled)


def _nearly_complete(y: Weighted) -> NDArray[np.bool_]:
    """Rows (h,) of which so few entries are missing that these may count as what the model says of them."""
    if y.sparse or not y.masked or not y.shape[0]:
        return np.zeros(y.shape[0], bool)
    return missing_counts(y) <= FILLED * y.shape[1]


def _filled(y: Weighted, S: Array, L: Array) -> Array:
    """S Fᵀ (k × h), with F = Y where that is there, and Lᵀ S where it is not: S (Ω ∘ (Y − Lᵀ S))ᵀ + S Sᵀ L."""
    width, rows = y.shape[1], part_rows(y.shape[1], residual=True)
    residual, N = np.empty((rows, width), S.dtype), np.empty(L.shape, S.dtype)
    for start in range(0, y.shape[0], rows):
        cut = slice(start, start + rows)
        block, there = L[:, cut], y.weights[cut]
        R = residual[: len(there)]
        np.matmul(block.T, S, out=R)
        np.subtract(y.values[cut], R, out=R)
        np.multiply(R, there, out=R)
        N[:, cut] = S @ R.T
    N += gram(S) @ L
    # What is below 0 is rounding, and mu would multiply by that.
    return np.maximum(N, 0, out=N)


def _by_groups(y: Weighted, S: Array, step: Callable[[Array, Array, NDArray[np.intp]], Array]) -> Array:
    """What becomes of a block (k, h), one group of rows after the other: from numerators and Gram matrices."""
    N, block = right(S, y.counted), np.empty((len(S), y.shape[0]), S.dtype)
    for at, G in row_grams(y, S):
        block[:, at] = step(np.ascontiguousarray(N[:, at]), G, at)
    return block
