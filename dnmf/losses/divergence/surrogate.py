"""β-divergences of a sample in memory: its factorization, and the steps that it takes between two passes. Pure NumPy.

Rows of the sample are as they are in Y, and count as often as rows of Y that they stand for. The rules are those of
`rows`. What the steps minimize is the loss of the sample, and of what Y has more the function that majorizes it about
the short factor S₀ of the pass: for Kullback–Leibler ⟨δ + (−ν)₊, S⟩ − Σ (ν)₊ S₀ log S is added, where ν and δ are
numerator and denominator of the rule on all of Y less those on the sample. So the gradient at S₀ is that of all of Y,
and what passes converge to is a stationary point of Y.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.products import row_powers
from dnmf.arrays.rows import Array, Rows, dense_size, is_sparse
from dnmf.arrays.weighted import Weighted
from dnmf.losses import SWEEPS
from dnmf.losses.divergence.rows import move_rows, solve_rows
from dnmf.losses.divergence.sums import Evaluation, Shared, Sums, strip_sums
from dnmf.losses.extrapolation import STRETCH, Fit, extrapolate
from dnmf.losses.protocol import FARTHEST
from dnmf.rules import NO_PENALTY, Penalty
from dnmf.rules.beta_multiplicative import multiply
from dnmf.rules.from_scratch import lift_zeros

# Updates of the sample's long factor in each step between two passes.
STEP_UPDATES = 2

# What one factorization may take: entries of the sample times components times iterations.
ENTRIES = 6e9

# Rows on which starts are tried, and entries of them: what more would cost grows with the width of X. On 2000 rows the
# best start for counts of topics was found; followed to its end on these rows alone, it was no good start for others.
# Where most entries are not zero, least squares know better: expression of genes and spectra of music ended up to 1.5
# and 4 % higher from the start that was ahead after twenty iterations.
TRIAL_ROWS, LEAST_TRIAL_ROWS, TRIAL_ENTRIES = 2000, 500, 1e6

# An extrapolated entry is at least this share of what it was: the rules keep zeros.
LEAST_KEPT = 0.5


def affordable(A: Rows, rank: int, iterations: int, *, beta: float) -> int:
    """How many of so many iterations fit in the work: ten at least."""
    return max(STRETCH, min(iterations, int(ENTRIES / (rank * max(1, _work(A, beta))))))


def _mostly_zero(A: Rows) -> bool:
    """Whether most entries that are there are zero."""
    there, values = (A.observed, A.values) if isinstance(A, Weighted) else (math.prod(A.shape), A)
    return bool(2 * np.count_nonzero(values.data if is_sparse(values) else values) <= there)


def _work(A: Rows, beta: float) -> int:
    """Entries of a dense matrix on which an iteration takes as long."""
    # Only for β = 1, or where what is not stored is missing, sparse rows need no model of all their entries.
    return dense_size(A) if beta == 1 or isinstance(A, Weighted) else math.prod(A.shape)


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A sample that stands for Y: see `Surrogate` of `dnmf.losses.protocol`.

    Attributes
    ----------
    A : (s, N) rows.
    counts : (s,) how often each counts.
    beta, long, short : of the loss, penalties on the long and on the short factor.
    rows : (k, s) its long factor; None before the first pass.
    times : (s,) how many times the penalty on each row counts, where that grows with its weights; None for once.
    """

    A: Rows
    counts: NDArray[np.float64]
    beta: float
    long: Penalty
    short: Penalty
    rows: Array | None = None
    times: Array | None = None

    penalties: ClassVar = (NO_PENALTY, NO_PENALTY)  # of starts, which are those of least squares

    @property
    def whole(self) -> bool:
        """Whether every row counts for itself alone."""
        return bool((self.counts == 1).all())

    @property
    def trial(self) -> "Surrogate | None":
        """Some rows, evenly spread, which count as much as all, where most entries of X are zero."""
        rows, work = self.A.shape[0], _work(self.A, self.beta)
        some = min(rows, TRIAL_ROWS, int(TRIAL_ENTRIES * rows / max(1, work)))
        if some < LEAST_TRIAL_ROWS or not _mostly_zero(self.A):
            return None
        at = np.linspace(0, rows - 1, some).astype(np.intp)
        counts = self.counts[at] * (self.counts.sum() / self.counts[at].sum())
        times = None if self.times is None else self.times[at]
        return replace(self, A=self.A[at], counts=counts, times=times, rows=None)

    def begin(self, H: Array, iterations: int) -> Fit:
        """From a short factor, see `Trial` of `dnmf.losses.protocol`."""
        H = lift_zeros(H)
        return self.with_rows(self._solve(H, SWEEPS)).majorize(H, iterations=iterations, tol=0)

    def go_on(self, fit: Fit, iterations: int) -> Fit:
        """From where it ended."""
        return self.with_rows(fit.W).majorize(fit.H, iterations=iterations, tol=0)

    def with_rows(self, rows: Array | None) -> "Surrogate":
        return replace(self, rows=rows)

    def decide(self, rank: int) -> None:
        """Passes are the same for every sample."""

    def follow(self, shared: Shared, sweeps: int | None) -> tuple["Surrogate", int]:
        """The sample after the next pass, and how many updates that pass makes."""
        S, updates = shared.S, sweeps or SWEEPS
        rows = self._solve(S, updates) if self.rows is None else self._move(self.rows, S, updates)
        return self.with_rows(rows), updates

    def _solve(self, S: Array, updates: int) -> Array:
        return solve_rows(self.A, S, updates, beta=self.beta, penalty=self.long, times=self.times)

    def _move(self, rows: Array, S: Array, updates: int = 1) -> Array:
        return move_rows(self.A, rows, S, updates, beta=self.beta, penalty=self.long, times=self.times)

    def _sums(self, rows: Array, S: Array) -> Sums:
        counts = self.counts.astype(S.dtype)
        return strip_sums(self.A, rows, S, beta=self.beta, weights=counts, times=self.times)

    def correct(self, evaluation: Evaluation, steps: int) -> Array | None:
        S, rows, sums = evaluation.shared.S, self.rows, evaluation.sums
        assert rows is not None
        moved, ours = S, self._sums(rows, S)
        more, below = sums.numerator - ours.numerator, sums.denominator - ours.denominator
        lengths = S.astype("f8").sum(axis=1, keepdims=True)
        for step in range(steps):
            if step:
                rows = self._move(rows, moved, STEP_UPDATES)
                ours = self._sums(rows, moved)
            change = np.divide(moved, S, out=np.ones(S.shape), where=S > 0, dtype="f8")
            # What Y has less than the sample goes to the other side of the fraction: there it holds a step back.
            top = ours.numerator + _majorized(more, change, self.beta - 2) + np.maximum(-below, 0)
            bottom = ours.denominator + _majorized(below, change, max(self.beta - 1, 0)) + np.maximum(-more, 0)
            new = multiply(moved.astype("f8"), top, bottom, self.beta, self.short, evaluation.times)
            if not new.max() <= FARTHEST * S.max():
                return None
            if not (self.long or self.short):
                # The loss does not change with the length of a row of S, but its linear correction does.
                sizes = new.sum(axis=1, keepdims=True)
                stretch = np.divide(sizes, lengths, out=np.ones_like(sizes), where=(sizes > 0) & (lengths > 0))
                new, rows = new / stretch, rows * stretch.astype(S.dtype)
            moved = new.astype(S.dtype)
        return moved

    def factorize(self, fit: Fit, *, iterations: int, tol: float) -> tuple[Array, float]:
        """The short factor from the best start by least squares, and its loss relative to the sample's norm."""
        H = lift_zeros(fit.H)
        most = affordable(self.A, len(H), iterations, beta=self.beta)
        end = self.with_rows(self._solve(H, SWEEPS)).majorize(H, iterations=most, tol=tol)
        norm = float(row_powers(self.A, self.beta) @ self.counts)
        return end.H, max(end.loss, 0.0) / norm if norm else 0.0

    def majorize(self, H: Array, *, iterations: int, tol: float) -> Fit:
        """Its rows and H (k, N), moved until the objective decreases by less than `tol` of itself over ten iterations.

        Kullback–Leibler of counts came in 87 extrapolated iterations as far as without it in 200.
        """
        assert self.rows is not None
        return extrapolate(self.rows, H, self._move, self._move_short, least=LEAST_KEPT, iterations=iterations, tol=tol)

    def _move_short(self, W: Array, H: Array) -> Fit:
        """H after one update, with the loss before it: H is at least as good after it."""
        sums = self._sums(W, H)
        times = None if self.times is None else sums.totals
        objective = sums.loss + self._penalty(W) + self.short.of(H, times)
        moved = multiply(H.astype("f8"), sums.numerator, sums.denominator, self.beta, self.short, times)
        return Fit(W, moved.astype(H.dtype), sums.loss, objective)

    def _penalty(self, W: Array) -> float:
        """On the long factor, every row as often as it counts."""
        if not self.long:
            return 0.0
        W8, counts = W.astype("f8"), self.counts if self.times is None else self.counts * self.times
        return self.long.value(float(W8.sum(axis=0) @ counts), float((W8**2).sum(axis=0) @ counts))


def _majorized(more: NDArray[np.float64], change: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """What Y has more than the sample, where an entry of the short factor has changed to so many times what it was.

    It is a power of that, as in the function that majorizes the loss of Y and that the rule minimizes. Held constant,
    what the sample knows nothing of would grow the entries without end that it should bring to rest.
    """
    if power == 0:
        return np.maximum(more, 0)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(np.maximum(more, 0) * np.minimum(change**power, FARTHEST))
