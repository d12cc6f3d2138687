"""β-divergences: what a strip adds to the sums of a pass, and what follows from them.

D(Y | M) = Σ d(y, m) with the model M = Lᵀ S, and, for β other than 0 and 1,

    d(y, m) = (y^β + (β − 1) m^β − β y m^(β−1)) / (β (β − 1)),

y log(y/m) − y + m for β = 1 (Kullback–Leibler), y/m − log(y/m) − 1 for β = 0 (Itakura–Saito). For β = 2 it is half of
the squared error; so that all losses have one unit, the loss is twice the divergence. Factors are component-major:
L (k × h), S (k × N). The model is formed part by part while a piece is in memory; of sparse rows only where they
are not zero, but for β other than 1 and 2, where a sum over all entries has no closed form. Pure NumPy and SciPy.

C. Févotte and J. Idier, Neural Computation 23, 2011, doi:10.1162/NECO_a_00168: the rules, equations 57 to 59 and
table 2, and that the loss never rises.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.parts import cuts, part_of
from dnmf.arrays.products import left, row_powers
from dnmf.arrays.rows import Array, Rows
from dnmf.arrays.weighted import Weighted
from dnmf.components.sums import ComponentSums
from dnmf.losses import SWEEPS
from dnmf.losses.divergence.entries import (
    column_totals,
    dense_models,
    form_model,
    require_positive,
    row_divergences,
    split_terms,
)
from dnmf.plan.parts import LARGE_PART
from dnmf.rules import Penalty
from dnmf.rules.beta_multiplicative import multiply

# A ratio of a move below this counts as this: its negative powers must not overflow.
LEAST_RATIO = 1e-60


@dataclass(frozen=True, slots=True)
class Shared:
    """What every strip needs in a pass.

    Attributes
    ----------
    S : (k, N) short factor.
    base : S in the dtype in which the model is formed for the sums.
    norm : Σ y^β, NaN where it is not known.
    """

    S: Array
    base: Array
    norm: float

    decided: ClassVar = None


@dataclass(frozen=True, slots=True)
class Sums:
    """What one or more strips add to a pass, in float64.

    Attributes
    ----------
    numerator : (k, N), L (Y ⊙ M^(β−2)).
    denominator : (k, N), L M^(β−1); for β = 1 all columns are the same, and it is (k, 1), but of rows with weights,
        where it is (k, N), L Ω.
    loss : twice the divergence of Y from M.
    norm : Σ y^β.
    mass, squares : (k,) sum of each row of L, and of its squares.
    totals : (N,) Σ_i ω_ij, where penalties grow with the weights of what they are on; else nothing (0,).
    penalized : sum of all of L, and of its squares, each row times Σ_j ω_ij; 0 where penalties do not grow.
    """

    numerator: NDArray[np.float64]
    denominator: NDArray[np.float64]
    loss: float
    norm: float
    mass: NDArray[np.float64]
    squares: NDArray[np.float64]
    totals: NDArray[np.float64]
    penalized: NDArray[np.float64]


def strip_sums(
    y: Rows, L: Array, S: Array, *, beta: float, weights: Array | None = None, times: Array | None = None
) -> Sums:
    """The sums of one piece.

    Parameters
    ----------
    y : (h, N) rows.
    L : (k, h).
    S : (k, N). Its dtype is that in which the model is formed.
    beta : of the loss.
    weights : (h,) what every row counts, or None for 1.
    times : (h,) Σ_j ω_ij, where penalties grow with it, or None.

    Raises
    ------
    ValueError
        If an entry is 0 where the divergence is infinite then: for β ≤ 0.
    """
    if beta <= 0:
        y = require_positive(y, beta)
    L = L.astype(S.dtype, copy=False)
    numerator, loss = np.zeros(S.shape), 0.0
    below = np.zeros((len(S), 1) if beta == 1 and not isinstance(y, Weighted) else S.shape)
    for cut in cuts(y, LARGE_PART):
        part, block = part_of(y, cut), L[:, cut]
        counted = block if weights is None else block * weights[cut]
        M = form_model(part, block, S, beta)
        rows = row_divergences(part, M, block, S, beta)
        P, Q = split_terms(part, M, beta)
        numerator += left(counted, P)
        below += _counted_below(part, counted, block, S, Q, beta)
        loss += 2 * float(rows.sum() if weights is None else rows @ weights[cut])
    powers = row_powers(y, beta)
    L8 = L.astype("f8")
    return Sums(
        numerator,
        below,
        loss,
        norm=float(powers.sum() if weights is None else powers @ weights),
        mass=L8.sum(axis=1),
        squares=np.einsum("kh,kh->k", L8, L8),
        totals=np.zeros(0) if times is None else column_totals(y, weights),
        penalized=np.zeros(2) if times is None else _penalized(L8, times if weights is None else times * weights),
    )


def _penalized(L: NDArray[np.float64], times: Array) -> NDArray[np.float64]:
    return np.array([(L @ times).sum(), ((L * L) @ times).sum()])


def _counted_below(y: Rows, counted: Array, L: Array, S: Array, Q: Rows | None, beta: float) -> NDArray[np.float64]:
    """L M^(β−1), (k × N) or (k × 1), of rows that count more or less than once."""
    if beta == 1 and isinstance(y, Weighted):
        return np.asarray(left(counted, y.omega), "f8")
    if beta == 1:
        return np.asarray(counted.sum(axis=1, keepdims=True, dtype="f8"))
    if Q is not None:
        return np.asarray(left(counted, Q), "f8")
    if beta == 2:
        return np.asarray((counted @ L.T) @ S, "f8")
    below = np.zeros(S.shape)
    for cut, Q in dense_models(L, S, beta):
        below += counted[:, cut] @ Q
    return below


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the sums of a pass say about its short factor S, by the rule and with penalties on L and on S.

    See `Evaluation` of `dnmf.losses.protocol`.
    """

    sums: Sums
    shared: Shared
    beta: float
    long: Penalty
    short: Penalty
    known: int = 0  # components of S, the first ones, that stay what they are

    exact: ClassVar = True  # the model is formed in the strip
    moves: ClassVar = SWEEPS

    @property
    def norm(self) -> float:
        return self.sums.norm if math.isnan(self.shared.norm) else self.shared.norm

    @property
    def loss(self) -> float:
        return max(self.sums.loss, 0.0)

    @property
    def penalties(self) -> float:
        if not (self.long or self.short):
            return 0.0
        total, square = float(self.sums.mass.sum()), float(self.sums.squares.sum())
        if self.times is not None:
            total, square = self.sums.penalized.tolist()
        return self.long.value(total, square) + self._on_short(self.shared.S)

    @property
    def times(self) -> NDArray[np.float64] | None:
        """How many times the penalty on each column of S counts (N,); None for once."""
        return self.sums.totals if self.sums.totals.size else None

    def _on_short(self, S: Array) -> float:
        return self.short.of(S, self.times)

    def step(self) -> Array:
        """The short factor after one update, in float64: a second one would need another look at Y."""
        S, sums = self.shared.S, self.sums
        move = partial(multiply, beta=self.beta, penalty=self.short, times=self.times, known=self.known)
        return move(S.astype("f8"), sums.numerator, sums.denominator).astype(S.dtype)

    def gain(self, moved: Array) -> float:
        """By how much a move of the short factor decreases the objective, at least, and without a read.

        The difference of the function that majorizes the loss at S, which the update minimizes: the part of d that is
        convex in m by Jensen's inequality, the concave part by its tangent.
        """
        S8, beta, sums = self.shared.S.astype("f8"), self.beta, self.sums
        r = np.divide(moved, S8, out=np.ones_like(S8), where=S8 > 0)
        least = np.maximum(r, LEAST_RATIO)
        rise = r - 1 if beta > 2 else np.log(least) if beta == 1 else (least ** (beta - 1) - 1) / (beta - 1)
        fall = r - 1 if beta < 1 else (r**beta - 1) / beta
        # An entry becomes 0 where the numerator is.
        gained = float(np.sum(S8 * (np.where(sums.numerator > 0, sums.numerator * rise, 0) - sums.denominator * fall)))
        return 2 * gained - (self._on_short(moved) - self._on_short(self.shared.S))

    def gradient_norm(self) -> float:
        """‖∇‖ of the objective with respect to S, over the entries that the rule can move: above 0, not known."""
        S, sums = self.shared.S, self.sums
        gradient = 2 * (sums.denominator - sums.numerator + self.short.gradient(S.astype("f8"), self.times))
        movable = S > 0
        movable[: self.known] = False
        return float(np.linalg.norm(gradient[movable]))

    @property
    def of_components(self) -> ComponentSums:
        return ComponentSums(self.sums.mass, self.sums.squares, self.norm)
