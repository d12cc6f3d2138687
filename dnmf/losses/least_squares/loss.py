"""Least squares, by coordinate descent or the multiplicative rule: everything follows from LY and LLᵀ."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from dnmf.arrays.products import gram, right
from dnmf.arrays.rows import Array, Rows
from dnmf.arrays.sample import StandIn
from dnmf.arrays.sketch import as_it_is
from dnmf.losses.least_squares.sums import SPARSE_CLOSE, Evaluation, Shared, Sums, strip_sums
from dnmf.losses.least_squares.surrogate import Surrogate
from dnmf.losses.protocol import CLOSE, FromColumns, Known
from dnmf.losses.row_by_row import STRIDE, row_by_row
from dnmf.rules import Penalty
from dnmf.rules.from_scratch import scale_rows
from dnmf.rules.solver import Solver


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """‖Y − Lᵀ S‖² and penalties: see `Loss`.

    Attributes
    ----------
    solver : of both factors.
    long, short : penalties on L and on S.
    sparse : whether strips are sparse.
    short_sweeps : of the short factor after a pass.
    known : components of S, the first ones, that stay what they are.
    signed : whether Y may have entries below 0.
    """

    solver: Solver
    long: Penalty
    short: Penalty
    sparse: bool
    short_sweeps: int
    known: int = 0
    signed: bool = False

    beta: ClassVar = 2.0

    @property
    def keeps_zeros(self) -> bool:
        return self.solver.keeps_zeros

    @property
    def penalized(self) -> bool:
        return bool(self.long or self.short)

    @property
    def from_columns(self) -> FromColumns:
        """Rows follow from their products with S."""
        return FromColumns(partial(strip_sums, base=None), self._settle_sums)

    def prepare(self, S: Array, known: Known) -> Shared:
        """S, S Sᵀ, and what the sums are taken about, see `sums`: S in float64, S, or 0."""
        base = S if known.exact and not self.sparse else None
        if known.is_below(SPARSE_CLOSE if self.sparse else CLOSE):
            base = S.astype("f8")
        return Shared(S, gram(S), base, known.norm, self.solver)

    def update(self, y: Rows, shared: Shared, L: Array, sweeps: int) -> Array:
        return self.solver.rule(self.long)(L, right(shared.S, y), shared.gram, sweeps)

    def scale_and_update(self, y: Rows, shared: Shared, L: Array, sweeps: int) -> Array:
        """A random block, whose rows first get the scale that fits theirs best."""
        N, G = right(shared.S, y), shared.gram
        return self.solver.rule(self.long)(scale_rows(L, N, G), N, G, sweeps)

    def solve(self, y: Rows, shared: Shared, sweeps: int) -> Array:
        return self.solver.solve(self.long)(right(shared.S, y), shared.gram, sweeps)

    def settle(self, y: Rows, S: Array, *, tol: float, iterations: int) -> Array:
        return self._settle_products(right(S, y), S, tol=tol, iterations=iterations)

    def _settle_sums(self, sums: Sums, S: Array, *, tol: float, iterations: int) -> Array:
        return self._settle_products(sums.cross.astype(S.dtype), S, tol=tol, iterations=iterations)

    def _settle_products(self, N: Array, S: Array, *, tol: float, iterations: int) -> Array:
        G, rule = gram(S), self.solver.rule(self.long)
        start = self.solver.solve(self.long)(N, G, 1)
        return row_by_row(lambda F, rows: rule(F, N[:, rows], G, STRIDE), start, tol=tol, groups=iterations // STRIDE)

    def sums(self, y: Rows, shared: Shared, L: Array) -> Sums:
        return strip_sums(y, L, shared.base)

    def evaluate(self, sums: Sums, shared: Shared) -> Evaluation:
        return Evaluation(
            sums, shared, self.long, self.short, self.short_sweeps, self.sparse, known=self.known, signed=self.signed
        )

    def surrogate(self, drawn: StandIn) -> Surrogate:
        """The sample by its leading directions, or as it is where it is all of Y."""
        long = self.long.weighted(np.sqrt(drawn.counts).astype(drawn.rows.dtype)) if self.long else self.long
        A = as_it_is(drawn.rows) if drawn.whole else drawn.sketch
        return Surrogate(A, drawn.sketch, (long, self.short), known=self.known, signed=self.signed)
