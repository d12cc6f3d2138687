"""Least squares, by coordinate descent or the multiplicative rule: everything follows from LY and LLᵀ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.products import right
from dnmf.arrays.rows import Array, Rows, settled
from dnmf.arrays.sketch import Sketch, as_it_is
from dnmf.losses.extrapolation import Fit
from dnmf.losses.least_squares import sums as least_squares_sums
from dnmf.losses.least_squares.in_memory import affordable, alternate
from dnmf.losses.least_squares.sums import Sums, add, check_range, is_exact, projected_gradient, strip_sums
from dnmf.losses.least_squares.surrogate import Model, corrected, follow
from dnmf.losses.row_by_row import STRIDE, row_by_row
from dnmf.rules import KEEPS_ZEROS, RULES, Penalty, Rule
from dnmf.rules.from_scratch import from_scratch, scaled


@dataclass(frozen=True, slots=True)
class Squared:
    """‖Y − Lᵀ S‖² and penalties.

    Attributes
    ----------
    solver : name of the rule.
    long, short : penalties on L and on S.
    sparse : whether strips are sparse.
    order : the components in the order in which cd sets them, or None for 1…k.
    """

    solver: str
    long: Penalty
    short: Penalty
    sparse: bool = False
    order: tuple[int, ...] | None = None

    beta = 2.0

    @property
    def keeps_zeros(self) -> bool:
        """Whether an entry that is zero stays zero."""
        return self.solver in KEEPS_ZEROS

    @property
    def penalized(self) -> bool:
        """Whether there are penalties."""
        return bool(self.long or self.short)

    def shuffled(self, order: Sequence[int]) -> "Squared":
        """The same with another order of the components."""
        return replace(self, order=tuple(order))

    def _rule(self, penalty: Penalty) -> Rule:
        bound: dict[str, Any] = {"penalty": penalty} if penalty else {}
        if self.solver == "cd" and self.order is not None:
            bound["order"] = self.order
        return partial(RULES[self.solver], **bound) if bound else RULES[self.solver]

    def _scratch(self, penalty: Penalty) -> Rule:
        return from_scratch(self._rule(penalty), keeps_zeros=self.keeps_zeros, penalty=penalty)

    # In a strip.

    def update(self, y: Rows, L: Any, S: Array, gram: Array, inner: int) -> Array:
        """The strip's block (k × h) of the long factor after `inner` sweeps."""
        return self._rule(self.long)(L, right(S, y), gram, inner)

    def scale_and_update(self, y: Rows, L: Any, S: Array, gram: Array, inner: int) -> Array:
        """The same for a random block, whose rows get their scale first."""
        return scaled(self._rule(self.long))(L, right(S, y), gram, inner)

    def solve(self, y: Rows, L: Any, S: Array, gram: Array, inner: int) -> Array:
        """The same from scratch: L is None."""
        return self._scratch(self.long)(L, right(S, y), gram, inner)

    def settled(self, y: Rows, S: Array, *, tol: float, iterations: int) -> Array:
        """The block that belongs to S, every row of it solved to its end, whatever its neighbours are."""
        return self.settled_products(right(S, y), S, tol=tol, iterations=iterations)

    def settled_products(self, N: Array, S: Array, *, tol: float, iterations: int) -> Array:
        """The same from the products N = S yᵀ (k × h)."""
        G, rule = least_squares_sums.gram(S), self._rule(self.long)
        start = self._scratch(self.long)(None, N, G, 1)  # type: ignore[arg-type]
        return row_by_row(lambda F, rows: rule(F, N[:, rows], G, STRIDE), start, tol=tol, groups=iterations // STRIDE)

    def sums(self, y: Rows, L: Array, base: Array | None) -> Sums:
        """What the strip adds to a pass, see `dnmf.state`."""
        return strip_sums(y, L, None if base is None else settled(base))

    def add(self, parts: Sequence[Sums]) -> Sums:
        """Sums of several strips."""
        return add(parts)

    # After a pass.

    def check_range(self, norm: float, entries: int, dtype: np.dtype[Any], total: float = math.nan) -> None:
        """Raise ValueError where products of X would leave the range of its dtype; norms that are not known are NaN."""
        check_range(norm, entries, dtype)

    def shared(self, S: Array) -> Array | None:
        """What else every strip needs: S Sᵀ."""
        return least_squares_sums.gram(S)

    def base(self, S: Array, known: float | None, norm: float, *, exact: bool) -> Array | None:
        """What the sums of the next pass are taken about, see `dnmf.state`."""
        return least_squares_sums.base(S, known, norm, exact=exact, sparse=self.sparse)

    def is_exact(self, base: Array | None, loss: float, norm: float) -> bool:
        """Whether a loss from such sums is good to six digits."""
        return is_exact(base, loss, norm, sparse=self.sparse)

    def loss(self, sums: Sums, base: Array | None, S: Array, norm: float) -> float:
        """‖Y − Lᵀ S‖²."""
        return least_squares_sums.loss(sums, base, S, norm)

    def penalties(self, sums: Sums, S: Array) -> float:
        """What the penalties add to the loss."""
        return self.long.value(sums.mass, float(np.trace(sums.gram))) + self.short.of(S) if self.penalized else 0.0

    def moved(self, sums: Sums, base: Array | None, S: Array, inner: int) -> Array:
        """The short factor after `inner` sweeps."""
        return least_squares_sums.moved(self._rule(self.short), inner, sums, base, S)

    def decrease(self, sums: Sums, base: Array | None, S: Array, moved: Array, norm: float) -> float:
        """By how much a move of the short factor decreases the objective."""
        loss = least_squares_sums.loss(sums, base, S, norm) - least_squares_sums.loss(sums, base, moved, norm)
        return loss + (self.short.of(S) - self.short.of(moved) if self.short else 0.0)

    def gradient(self, sums: Sums, base: Array | None, S: Array) -> float:
        """Norm of the projected gradient with respect to S."""
        return projected_gradient(sums, base, S, self.short)

    # Between passes, on a sample.

    def follow(self, model: Model, S: Array, *, first: bool, inner: int | None) -> tuple[Model, int]:
        """The sample's rows after the next pass, and how many sweeps that pass makes."""
        penalty = self._on_sample(model)
        rule = self._rule(penalty)
        return follow(model, S, self._scratch(penalty) if first else rule, rule, inner, penalty)

    def corrected(self, model: Model, S: Array, sums: Sums, base: Array | None) -> Array | None:
        """The short factor for the next pass, by steps on the sample; None where it is too poor for that."""
        rows_rule = self._rule(self._on_sample(model)) if self.penalized else None
        cross = least_squares_sums.cross(sums, base)
        return corrected(model, S, cross, sums.gram, self._rule(self.short), rows_rule)

    def _on_sample(self, model: Model) -> Penalty:
        return self.long if model.weights is None else self.long.weighted(model.weights)

    def is_whole(self, model: Model) -> bool:
        """Whether nothing is left out of a sample, so that the first pass may be the last one."""
        return model.A.Q is None

    # First factors, from a sample.

    def model(self, small: Sketch, rows: Rows, counts: NDArray[np.float64], *, whole: bool) -> Model:
        """What stands for Y between passes: the sample, or its sketch where it is not all of Y."""
        weights = np.sqrt(counts).astype(rows.dtype) if self.long else None
        return Model(as_it_is(rows) if whole else small, None, weights)

    def begun(self, fit: Fit, small: Sketch, model: Model, *, iterations: int, tol: float) -> tuple[Array, float]:
        """The short factor from the best start, followed to its end, and its loss relative to the sample."""
        penalties = (self._on_sample(model), self.short)
        for A in (small,) if model.A is small else (small, model.A):
            most = affordable(A, len(fit.H), iterations)
            fit = alternate(A, fit.W, fit.H, iterations=most, tol=tol, penalties=penalties)
        return fit.H, fit.loss / model.A.square if model.A.square else 0.0

    def penalties_of_starts(self, model: Model) -> tuple[Penalty, Penalty]:
        """The penalties under which starts are compared."""
        return self._on_sample(model), self.short
