"""β-divergences other than least squares, by the multiplicative rule."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.products import right, row_powers
from dnmf.arrays.rows import Array, Rows, settled
from dnmf.arrays.sketch import Sketch
from dnmf.losses.divergence import sums as divergence_sums
from dnmf.losses.divergence.in_memory import affordable, majorize
from dnmf.losses.divergence.rows import update
from dnmf.losses.divergence.sums import Sums, add, least_decrease, projected_gradient
from dnmf.losses.divergence.surrogate import Counted, Terms, corrected, follow
from dnmf.losses.extrapolation import Fit
from dnmf.losses.least_squares.in_memory import UNPENALIZED
from dnmf.losses.least_squares.sums import CLOSE, gram
from dnmf.losses.row_by_row import STRIDE, row_by_row
from dnmf.rules import Penalty, coordinate_descent
from dnmf.rules.beta_multiplicative import check_range
from dnmf.rules.from_scratch import LEAST_SHARE, from_scratch, scale_rows

# Updates of a block of the long factor per pass, where nothing else is asked for; and sweeps of least squares that they
# begin with where they start from scratch.
SWEEPS, FIRST_SWEEPS = 10, 10


@dataclass(frozen=True, slots=True)
class Divergence:
    """Twice the β-divergence of Y from Lᵀ S, and penalties.

    Attributes
    ----------
    beta : of the loss.
    long, short : penalties on L and on S.
    """

    beta: float
    long: Penalty
    short: Penalty

    keeps_zeros = True

    @property
    def penalized(self) -> bool:
        """Whether there are penalties."""
        return bool(self.long or self.short)

    def shuffled(self, order: Sequence[int]) -> "Divergence":
        """The same: components do not wait for each other in its rule."""
        return self

    @property
    def _terms(self) -> Terms:
        return Terms(self.beta, self.long, self.short)

    # In a strip.

    def update(self, y: Rows, L: Any, S: Array, shared: None, inner: int) -> Array:
        """The strip's block (k × h) of the long factor after `inner` updates."""
        return update(y, L, S, inner, beta=self.beta, penalty=self.long)

    def scale_and_update(self, y: Rows, L: Any, S: Array, shared: None, inner: int) -> Array:
        """The same for a random block, whose rows get the sum of their rows of Y first."""
        sums = L.T @ S.sum(axis=1)
        scale = np.divide(row_powers(y, 1), sums, out=np.zeros(len(sums)), where=sums > 0)
        return self.update(y, np.asarray(L * scale, L.dtype), S, None, inner)

    def solve(self, y: Rows, L: Any, S: Array, shared: None, inner: int) -> Array:
        """The same from scratch, beginning with least squares; L is None."""
        N, G = right(S, y), gram(S)
        start = from_scratch(coordinate_descent, keeps_zeros=False)(None, N, G, FIRST_SWEEPS)  # type: ignore[arg-type]
        np.maximum(start, LEAST_SHARE * scale_rows(np.ones_like(N), N, G), out=start)
        return self.update(y, start, S, None, inner)

    def settled(self, y: Rows, S: Array, *, tol: float, iterations: int) -> Array:
        """The block that belongs to S, every row of it solved to its end, whatever its neighbours are."""
        start = self.solve(y, None, S, None, STRIDE)
        step = partial(self._step, y, S)
        return row_by_row(step, start, tol=tol, groups=iterations // STRIDE)

    def _step(self, y: Rows, S: Array, F: Array, rows: NDArray[np.intp]) -> Array:
        return self.update(y if len(rows) == y.shape[0] else y[rows], F, S, None, STRIDE)

    def sums(self, y: Rows, L: Array, base: Array | None) -> Sums:
        """What the strip adds to a pass; `base` is the short factor."""
        assert base is not None
        return divergence_sums.sums(y, L, settled(base), beta=self.beta)

    def add(self, parts: Sequence[Sums]) -> Sums:
        """Sums of several strips."""
        return add(parts)

    # After a pass.

    def check_range(self, norm: float, entries: int, dtype: np.dtype[Any], total: float = math.nan) -> None:
        """Raise ValueError where powers of X would leave the range of its dtype; sums that are not known are NaN."""
        size = total / entries if total > 0 else (norm / entries) ** (1 / self.beta) if self.beta and norm > 0 else 0
        if size > 0:
            check_range(size, self.beta, dtype)

    def shared(self, S: Array) -> Array | None:
        """What else every strip needs: nothing."""
        return None

    def base(self, S: Array, known: float | None, norm: float, *, exact: bool) -> Array | None:
        """S itself, in float64 where the loss is small or not known."""
        return S.astype("f8") if known is None or known < CLOSE * norm else S

    def is_exact(self, base: Array | None, loss: float, norm: float) -> bool:
        """Always: the model is formed in the strip."""
        return True

    def loss(self, sums: Sums, base: Array | None, S: Array, norm: float) -> float:
        """Twice the divergence at the short factor that the pass was made with."""
        return max(sums.loss, 0.0)

    def penalties(self, sums: Sums, S: Array) -> float:
        """What the penalties add to the loss."""
        return self.long.value(sums.mass, sums.square) + self.short.of(S) if self.penalized else 0.0

    def moved(self, sums: Sums, base: Array | None, S: Array, inner: int) -> Array:
        """The short factor after one update: a second one would need another look at Y."""
        return divergence_sums.moved(sums, S, beta=self.beta, penalty=self.short)

    def decrease(self, sums: Sums, base: Array | None, S: Array, moved: Array, norm: float) -> float:
        """By how much ten such moves of the short factor would decrease the objective, if all were like this one."""
        return SWEEPS * least_decrease(sums, S, moved, beta=self.beta, penalty=self.short)

    def gradient(self, sums: Sums, base: Array | None, S: Array) -> float:
        """Norm of the projected gradient with respect to S."""
        return projected_gradient(sums, S, self.short)

    # Between passes, on a sample.

    def follow(self, model: Counted, S: Array, *, first: bool, inner: int | None) -> tuple[Counted, int]:
        """The sample's rows after the next pass, and how many updates that pass makes."""
        sweeps = inner or SWEEPS
        if first:
            return Counted(model.A, model.counts, self.solve(model.A, None, S, None, sweeps)), sweeps
        return follow(model, S, sweeps, self._terms), sweeps

    def corrected(self, model: Counted, S: Array, sums: Sums, base: Array | None) -> Array | None:
        """The short factor for the next pass, by steps on the sample; None where it is too poor for that."""
        return corrected(model, S, sums, self._terms)

    def is_whole(self, model: Counted) -> bool:
        """Whether the first pass may be the last one."""
        return bool((model.counts == 1).all())

    # First factors, from a sample.

    def model(self, small: Sketch, rows: Rows, counts: NDArray[np.float64], *, whole: bool) -> Counted:
        """What stands for Y between passes: the sample."""
        return Counted(rows, counts, None)

    def begun(self, fit: Fit, small: Sketch, model: Counted, *, iterations: int, tol: float) -> tuple[Array, float]:
        """The short factor from the best start by least squares, followed to its end, and its loss relative to ‖Y‖."""
        H = np.maximum(fit.H, LEAST_SHARE * fit.H.mean(axis=1, keepdims=True))
        start = Counted(model.A, model.counts, self.solve(model.A, None, H, None, SWEEPS))
        most = affordable(model.A, len(H), iterations, beta=self.beta)
        end = majorize(start, H, self._terms, iterations=most, tol=tol)
        norm = float(row_powers(model.A, self.beta) @ model.counts)
        return end.H, max(end.loss, 0.0) / norm if norm else 0.0

    def penalties_of_starts(self, model: Counted) -> tuple[Penalty, Penalty]:
        """None: starts are those of least squares."""
        return UNPENALIZED
