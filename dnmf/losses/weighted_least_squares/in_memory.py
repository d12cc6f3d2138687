"""Factorization of a sample in memory of which entries are missing: the start. Pure NumPy.

Of a sample at least half of which is there, what a model says takes the place of what is missing, twice, and the usual
start is followed on that; then by the entries that are there alone. Where more is missing that fails: at 99 % all
components but one vanish. There random starts are followed by the entries that are there from the beginning, with a
ridge that shrinks.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from dnmf.arrays.draws import random_rows
from dnmf.arrays.filling import LEAST_SHARE, fill, observed_share
from dnmf.arrays.grams import column_pairs
from dnmf.arrays.products import row_powers
from dnmf.arrays.rows import Array
from dnmf.arrays.sample import StandIn, weigh
from dnmf.arrays.sketch import sketch
from dnmf.arrays.weighted import Weighted
from dnmf.losses.extrapolation import STRETCH, Fit, extrapolate
from dnmf.losses.least_squares.in_memory import HALF_STEP_SWEEPS, SWEEP_COST, WORK, alternate
from dnmf.losses.least_squares.in_memory import affordable as affordable_complete
from dnmf.losses.weighted_least_squares.rows import Mover
from dnmf.losses.weighted_least_squares.short_factor import column_grams
from dnmf.losses.weighted_least_squares.sums import column_totals, residual_sums
from dnmf.rules import Penalty
from dnmf.rules.gram_per_row import ColumnPenalty, times

# A sample that is completed is filled so often by its own model, and followed so far each time.
REFILLS, REFILLED = 2, 50

# Random starts of a sample most of which is missing, their streams of random numbers, and their ridges, relative to the
# mean diagonal of Gram matrices.
STARTS, STREAM, RIDGES = 3, 20, tuple(np.geomspace(1, 1e-3, 25).tolist())

# A given start is kept where the best random one is better by less than this share.
AS_GOOD = 0.02

# A non-zero of a Gram matrix of few entries takes as long as so many of a product of matrices.
FEW_COST = 4


@dataclass(frozen=True, slots=True)
class Alternation:
    """Half-steps on a sample, by the entries that are there.

    Attributes
    ----------
    y : (s, N) rows.
    counted : the same, their weights multiplied by how often each row counts.
    mover : of rows.
    short : penalty on the short factor.
    known : components of the short factor, the first ones, that stay what they are.
    """

    y: Weighted
    counted: Weighted
    mover: Mover
    short: Penalty
    known: int = 0

    @property
    def on_short(self) -> ColumnPenalty:
        """The penalty on the columns of the short factor."""
        return ColumnPenalty.scaled(self.short, column_totals(self.counted) if self.mover.per_observed else None)

    def on_long(self, W: Array) -> float:
        """What the penalty on the long factor adds, every row as often as it counts."""
        if not self.mover.penalty:
            return 0.0
        totals, counts = (row_powers(y, 0) for y in (self.y, self.counted))
        often = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
        own = ColumnPenalty.scaled(self.mover.penalty, totals if self.mover.per_observed else None)
        return ColumnPenalty(own.l1 * often, own.l2 * often).of(W)

    def move_long(self, W: Array, H: Array, ridge: float = 0.0) -> Array:
        """W (k, s) after a half-step against H (k, N)."""
        return self.mover.move(self.y, H, W, HALF_STEP_SWEEPS, ridge=ridge)

    def move_short(self, W: Array, H: Array, ridge: float = 0.0) -> Fit:
        """H after a half-step against W, with the loss of both."""
        cross, square = residual_sums(self.counted, W, H)
        moved, penalty, H8 = np.empty_like(H), self.on_short, H.astype("f8")
        penalty = ColumnPenalty(penalty.l1, penalty.l2 + ridge)
        loss = square
        for cut, G in column_grams(column_pairs(self.counted, W)):
            own, ahead = H8[:, cut], cross[:, cut]
            N = ahead + times(G, own)
            new = self.mover.rule.move(own, N, G, HALF_STEP_SWEEPS, penalty.on(cut), known=self.known)
            moved[:, cut] = new
            step = new - own
            loss -= float(np.vdot(step, 2 * ahead - times(G, step)))
        objective = loss + self.on_long(W) + self.on_short.of(moved)
        return Fit(W, moved, max(loss, 0.0), max(objective, 0.0))

    def follow(self, W: Array, H: Array, *, iterations: int, tol: float) -> Fit:
        """Both to their end, extrapolated."""
        return extrapolate(W, H, self.move_long, self.move_short, least=0, iterations=iterations, tol=tol)

    def shrink(self, H: Array) -> Fit:
        """From H (k, N), with a ridge that shrinks from one iteration to the next."""
        W, fit = None, Fit(H, H, np.inf, np.inf)
        # The weights of rows and of columns, as often as they add to the diagonals of Gram matrices.
        columns, rows = (column_totals(self.y), row_powers(self.counted, 0))
        for ridge in RIDGES:
            mean = float(columns @ np.square(H.astype("f8")).sum(axis=0)) / (len(H) * max(1, len(rows)))
            W = self.mover.solve(self.y, H, HALF_STEP_SWEEPS, ridge=ridge * mean) if W is None else W
            W = self.mover.move(self.y, H, W, HALF_STEP_SWEEPS, ridge=ridge * mean)
            mean = float(rows @ np.square(W.astype("f8")).sum(axis=0)) / (len(H) * len(columns))
            fit = self.move_short(W, H, ridge * mean)
            H = fit.H
        return fit

    def affordable(self, rank: int, iterations: int) -> int:
        """How many of so many iterations fit in the work: ten at least."""
        entries = FEW_COST * self.y.observed if self.y.sparse else self.y.shape[0] * self.y.shape[1]
        products = entries * rank * (rank + 1 + 4)
        sweeps = SWEEP_COST * HALF_STEP_SWEEPS * 2 * rank * rank * sum(self.y.shape)
        return max(STRETCH, min(iterations, int(WORK / (products + sweeps))))


def is_mostly_there(y: Weighted) -> bool:
    """Whether a model can complete rows."""
    return observed_share(y) >= LEAST_SHARE


def completed(drawn: StandIn, on: Alternation, penalties: tuple[Penalty, Penalty], fit: Fit) -> Array:
    """H (k, N) from a start on completed rows, which are completed again by what comes of it."""
    A, often = drawn.sketch, np.sqrt(drawn.counts).astype(fit.H.dtype)
    for refill in range(REFILLS + 1):
        if refill:
            model = (fit.W / often).T @ fit.H
            A = sketch(weigh(fill(on.y, model), drawn.counts), len(fit.H), seed=drawn.seed)
        most = affordable_complete(A, len(fit.H), REFILLED, shares=REFILLS + 1)
        fit = alternate(A, fit.W, fit.H, iterations=most, tol=1e-4, penalties=penalties, known=on.known)
    return fit.H


def from_random(drawn: StandIn, on: Alternation, given: Array) -> Array:
    """H (k, N) from the best of several random starts, or from the given one where that is as good."""
    rank, width = given.shape
    values = row_powers(on.counted, 1)
    size = np.sqrt(float(values.sum()) / max(float(row_powers(on.counted, 0).sum()), 1e-300) / rank)
    draw = partial(random_rows, drawn.seed, first=0, rows=width, rank=rank - on.known, dtype=given.dtype)
    random = ((2 * size * draw(STREAM + start)).astype(given.dtype) for start in range(STARTS))
    starts = [on.shrink(np.vstack([given[: on.known], each])) for each in random]
    best = min(starts, key=lambda fit: fit.objective)
    known = on.follow(on.mover.solve(on.y, given, HALF_STEP_SWEEPS), given, iterations=len(RIDGES), tol=0)
    return known.H if known.objective <= (1 + AS_GOOD) * best.objective else best.H
