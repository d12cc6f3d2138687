"""Least squares over the entries that are there: what a strip does, in terms of `rows` and `sums`."""

from dataclasses import dataclass
from typing import ClassVar

from dnmf.arrays.rows import Array
from dnmf.arrays.sample import StandIn
from dnmf.arrays.weighted import Weighted
from dnmf.losses.protocol import CLOSE, Known
from dnmf.losses.weighted_least_squares.rows import Mover
from dnmf.losses.weighted_least_squares.short_factor import ShortFactor, without_sample
from dnmf.losses.weighted_least_squares.sums import Evaluation, Shared, Sums, strip_sums
from dnmf.losses.weighted_least_squares.surrogate import Surrogate
from dnmf.rules import NO_PENALTY, Penalty
from dnmf.rules.solver import Solver


@dataclass(frozen=True, slots=True)
class WeightedLeastSquares:
    """Σ ω (y − m)² and penalties: see `Loss`. A weight of 0 says that an entry is missing.

    Attributes
    ----------
    solver : of both factors.
    long, short : penalties on L and on S.
    short_sweeps : of the short factor after a pass.
    per_observed : whether the penalty on a row of L, or on a column of S, is multiplied by the sum of its weights, for
        a mask the number of its entries that are there.
    known : components of S, the first ones, that stay what they are.
    signed : whether Y may have entries below 0.
    """

    solver: Solver
    long: Penalty
    short: Penalty
    short_sweeps: int
    per_observed: bool = False
    known: int = 0
    signed: bool = False

    beta: ClassVar = 2.0
    from_columns: ClassVar = None  # a row needs the weights of all of its entries

    @property
    def keeps_zeros(self) -> bool:
        return self.solver.keeps_zeros

    @property
    def penalized(self) -> bool:
        return bool(self.long or self.short)

    @property
    def mover(self) -> Mover:
        """How rows move."""
        return Mover(self.solver, self.long, self.per_observed)

    def prepare(self, S: Array, known: Known) -> Shared:
        """S, and S in float64 where the loss is small or not known."""
        base = S.astype("f8") if known.is_below(CLOSE) else S
        short = known.decided if isinstance(known.decided, ShortFactor) else without_sample(S.shape[1], len(S))
        return Shared(S, base, known.norm, self.solver, short, last=known.exact)

    def update(self, y: Weighted, shared: Shared, L: Array, sweeps: int) -> Array:
        return self.mover.move(y, shared.S, L, sweeps)

    def scale_and_update(self, y: Weighted, shared: Shared, L: Array, sweeps: int) -> Array:
        """A random block, whose rows first get the scale that fits theirs best."""
        return self.mover.scale_and_move(y, shared.S, L, sweeps)

    def solve(self, y: Weighted, shared: Shared, sweeps: int) -> Array:
        return self.mover.solve(y, shared.S, sweeps)

    def settle(self, y: Weighted, S: Array, *, tol: float, iterations: int) -> Array:
        return self.mover.settle(y, S, tol=tol, iterations=iterations)

    def sums(self, y: Weighted, shared: Shared, L: Array) -> Sums:
        per_row = self.long if self.per_observed else NO_PENALTY
        return strip_sums(y, L, shared, per_row=per_row, totals=self.per_observed and bool(self.short))

    def evaluate(self, sums: Sums, shared: Shared) -> Evaluation:
        return Evaluation(sums, shared, self.long, self.short, self.per_observed, self.short_sweeps, self.known)

    def surrogate(self, drawn: StandIn) -> Surrogate:
        """The sample with its weights, its rows as often as they count."""
        return Surrogate(drawn, drawn.rows.times(drawn.counts), self.mover, self.short, known=self.known)
