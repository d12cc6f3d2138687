"""The loss: what a strip does, in terms of `rows` and `sums`."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.products import row_powers
from dnmf.arrays.rows import Array, Rows
from dnmf.arrays.sample import StandIn
from dnmf.losses.divergence.entries import row_sums, row_totals
from dnmf.losses.divergence.rows import move_rows, solve_rows
from dnmf.losses.divergence.sums import Evaluation, Shared, Sums, strip_sums
from dnmf.losses.divergence.surrogate import Surrogate
from dnmf.losses.protocol import CLOSE, Known
from dnmf.losses.row_by_row import STRIDE, row_by_row
from dnmf.rules import Penalty


@dataclass(frozen=True, slots=True)
class Divergence:
    """Twice the β-divergence of Y from Lᵀ S, and penalties: see `Loss`.

    Attributes
    ----------
    beta : of the loss.
    long, short : penalties on L and on S.
    per_observed : whether the penalty on a row or a column grows with the weights of its entries, Σ ω.
    """

    beta: float
    long: Penalty
    short: Penalty
    per_observed: bool = False

    keeps_zeros: ClassVar = True
    from_columns: ClassVar = None

    @property
    def penalized(self) -> bool:
        return bool(self.long or self.short)

    def prepare(self, S: Array, known: Known) -> Shared:
        """S, and S in float64 where the loss is small or not known."""
        return Shared(S, S.astype("f8") if known.is_below(CLOSE) else S, known.norm)

    def update(self, y: Rows, shared: Shared, L: Array, sweeps: int) -> Array:
        return move_rows(y, L, shared.S, sweeps, beta=self.beta, penalty=self.long, times=self._times(y))

    def _times(self, y: Rows) -> Array | None:
        """How many times the penalties on rows y count (h,); None for once."""
        return row_totals(y) if self.per_observed and self.penalized else None

    def scale_and_update(self, y: Rows, shared: Shared, L: Array, sweeps: int) -> Array:
        """A random block, whose rows first get the sum of their rows of Y."""
        sums = row_sums(y, L, shared.S)
        scale = np.divide(row_powers(y, 1), sums, out=np.zeros(len(sums)), where=sums > 0)
        return self.update(y, shared, np.asarray(L * scale, L.dtype), sweeps)

    def solve(self, y: Rows, shared: Shared, sweeps: int) -> Array:
        """A block from scratch, beginning with least squares."""
        return solve_rows(y, shared.S, sweeps, beta=self.beta, penalty=self.long, times=self._times(y))

    def settle(self, y: Rows, S: Array, *, tol: float, iterations: int) -> Array:
        start = solve_rows(y, S, STRIDE, beta=self.beta, penalty=self.long, times=self._times(y))
        return row_by_row(partial(self._stride, y, S), start, tol=tol, groups=iterations // STRIDE)

    def _stride(self, y: Rows, S: Array, F: Array, rows: NDArray[np.intp]) -> Array:
        part = y if len(rows) == y.shape[0] else y[rows]
        return move_rows(part, F, S, STRIDE, beta=self.beta, penalty=self.long, times=self._times(part))

    def sums(self, y: Rows, shared: Shared, L: Array) -> Sums:
        return strip_sums(y, L, shared.base, beta=self.beta, times=self._times(y))

    def evaluate(self, sums: Sums, shared: Shared) -> Evaluation:
        return Evaluation(sums, shared, self.beta, self.long, self.short)

    def surrogate(self, drawn: StandIn) -> Surrogate:
        """The sample, its rows as often as they count."""
        return Surrogate(drawn.rows, drawn.counts, self.beta, self.long, self.short, times=self._times(drawn.rows))
