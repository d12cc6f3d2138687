"""Between two passes: a sample, of which entries are missing as they are in X, stands for X. Pure NumPy.

As `dnmf.losses.least_squares.surrogate`: the gradient at the short factor of the pass is that of X, the curvature is
the sample's, which is a Gram matrix of its own for every column. A column of which the sample has too few observations
is moved by the one that bounds all of them.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.grams import column_pairs
from dnmf.arrays.products import row_powers
from dnmf.arrays.rows import Array
from dnmf.arrays.sample import StandIn
from dnmf.arrays.weighted import Weighted
from dnmf.losses.extrapolation import Fit
from dnmf.losses.least_squares.surrogate import MOST_SWEEPS, STEP_SWEEPS
from dnmf.losses.protocol import FARTHEST
from dnmf.losses.weighted_least_squares.in_memory import Alternation, completed, from_random, is_mostly_there
from dnmf.losses.weighted_least_squares.rows import Mover
from dnmf.losses.weighted_least_squares.short_factor import ENOUGH, ShortFactor, column_counts, column_grams, decide
from dnmf.losses.weighted_least_squares.sums import Evaluation, Shared, residual_sums, tops_of
from dnmf.rules import Penalty
from dnmf.rules.gram_per_row import times


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A sample that stands for Y: see `Surrogate` of `dnmf.losses.protocol`.

    Attributes
    ----------
    drawn : the sample.
    counted : its rows, their weights multiplied by how often each counts.
    mover : of rows of the long factor.
    short : penalty on the short factor.
    rows : (k, s) its long factor; None before the first pass.
    known : components of the short factor, the first ones, that stay what they are.
    """

    drawn: StandIn
    counted: Weighted
    mover: Mover
    short: Penalty
    rows: Array | None = None
    known: int = 0

    trial: ClassVar[None] = None  # starts are compared by least squares of completed rows

    @property
    def y(self) -> Weighted:
        """The rows (s, N)."""
        rows: Weighted = self.drawn.rows
        return rows

    @property
    def whole(self) -> bool:
        return self.drawn.whole

    @property
    def penalties(self) -> tuple[Penalty, Penalty]:
        """Those under which starts are compared on completed rows, of which every entry counts once."""
        columns = self.y.shape[1]
        often = np.sqrt(self.drawn.counts).astype(self.y.dtype)
        if self.mover.per_observed:
            by = float(columns), float(self.drawn.counts.sum())
        else:
            entries = columns * float(self.drawn.counts.sum())
            by = (entries / max(float(row_powers(self.counted, 0).sum()), 1e-300),) * 2
        long, short = (Penalty(p.l1 * f, p.l2 * f) for p, f in zip((self.mover.penalty, self.short), by, strict=True))
        return long.weighted(often) if long else long, short

    def with_rows(self, rows: Array | None) -> "Surrogate":
        return replace(self, rows=rows)

    def decide(self, rank: int) -> ShortFactor:
        """How the short factor of so many components moves."""
        return decide(self.y, rank, whole=self.whole)

    def follow(self, shared: Shared, sweeps: int | None) -> tuple["Surrogate", int]:
        S, counts = shared.S, self.drawn.counts
        made = sweeps or self.mover.sweeps_that_pay(self.y, counts, S, self.rows, most=MOST_SWEEPS)
        if self.rows is None:
            return self.with_rows(self.mover.solve(self.y, S, made)), made
        return self.with_rows(self.mover.move(self.y, S, self.rows, made)), made

    def correct(self, evaluation: Evaluation, steps: int) -> Array | None:
        shared, rows = evaluation.shared, self.rows
        assert rows is not None
        if shared.short.kind != "sample":
            return evaluation.step()
        S, moved = shared.S, shared.S.astype("f8")
        poor = np.zeros(S.shape[1], bool) if self.whole else column_counts(self.y) < ENOUGH * len(S)
        drift = evaluation.sums.cross - residual_sums(self.counted, rows, S)[0]
        lengths = np.linalg.norm(moved, axis=1, keepdims=True)
        for step in range(steps):
            if step:
                rows = self.mover.move(self.y, moved.astype(S.dtype), rows, STEP_SWEEPS)
            moved = self._moved(moved, rows, drift, poor, evaluation)
            if moved[self.known :].max() > FARTHEST * S[self.known :].max():
                return None
            if self.mover.penalty or self.short:  # then the length of a row of S matters, and is not kept
                continue
            new = np.linalg.norm(moved, axis=1, keepdims=True)
            # A component that was zero may come back, and then keeps the length that it comes with.
            lengths = np.where(lengths > 0, lengths, new)
            stretch = np.divide(new, lengths, out=np.ones_like(new), where=(new > 0) & (lengths > 0))
            stretch[: self.known] = 1
            moved, rows = moved / stretch, rows * stretch.astype(S.dtype)
        return moved.astype(S.dtype)

    def _moved(
        self, S8: Array, rows: Array, drift: Array, poor: NDArray[np.bool_], evaluation: Evaluation
    ) -> NDArray[np.float64]:
        """Every column of the short factor, in float64, by its own curvature in the sample."""
        cross, _ = residual_sums(self.counted, rows, S8.astype(rows.dtype))
        pairs, moved, penalty = column_pairs(self.counted, rows), np.empty(S8.shape), evaluation.on_short
        if poor.any():
            bound = (rows.astype("f8") * tops_of(self.counted)) @ rows.T.astype("f8")
            pairs[:, poor] = bound[np.triu_indices(len(bound))][:, None]
        for cut, G in column_grams(pairs):
            own = S8[:, cut]
            N = cross[:, cut] + drift[:, cut] + times(G, own)
            moved[:, cut] = self.mover.rule.move(own, N, G, STEP_SWEEPS, penalty.on(cut), known=self.known)
        return moved

    def factorize(self, fit: Fit, *, iterations: int, tol: float) -> tuple[Array, float]:
        """The short factor from the best start, followed to its end by the entries that are there."""
        on = Alternation(self.y, self.counted, self.mover, self.short, self.known)
        if is_mostly_there(self.y):
            H = completed(self.drawn, on, self.penalties, fit)
        else:
            H = from_random(self.drawn, on, fit.H)
        W = self.mover.solve(self.y, H, STEP_SWEEPS)
        end = on.follow(W, H, iterations=on.affordable(len(H), iterations), tol=tol)
        norm = float(row_powers(self.counted, 2).sum())
        return end.H, end.loss / norm if norm else 0.0
