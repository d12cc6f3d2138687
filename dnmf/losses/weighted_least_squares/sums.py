"""The sums of a pass over the entries that are there, and what follows from them. Pure NumPy and SciPy.

Sums are taken about the short factor S of the pass, so that missing entries take no part in any of them:

    cross = L (Ω ∘ R),   R = Y − Lᵀ S,   square = Σ ω r².

The loss at S is `square` itself. Of the short factor T that comes next it is

    Σ_j [ω-part of column j] = square − 2 ⟨T − S, cross⟩ + Σ_j (t_j − s_j)ᵀ C_j (t_j − s_j),   C_j = Σ_i ω_ij l_i l_iᵀ.

Where the C_j are among the sums, every column is solved by its own ("exact"). Else the last term is at most
⟨B, (T − S)(T − S)ᵀ⟩ with B = Σ_i (max_j ω_ij) l_i l_iᵀ, since ω_ij is at most the largest weight of its row: what
minimizes that ("expectation") never raises the loss. For a mask it is the expectation step of missing data: those
entries count as what the model says they are.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.grams import column_pairs
from dnmf.arrays.parts import cuts, part_of
from dnmf.arrays.products import model_at, right, row_powers
from dnmf.arrays.rows import Array, Rows, with_data
from dnmf.arrays.weighted import Weighted
from dnmf.components.sums import ComponentSums
from dnmf.losses.protocol import CLOSE
from dnmf.losses.weighted_least_squares.short_factor import ShortFactor, column_grams
from dnmf.plan.parts import LARGE_PART, part_rows
from dnmf.rules import Penalty
from dnmf.rules.gram_per_row import ColumnPenalty, GramRule, times
from dnmf.rules.solver import Solver

# As many float32 numbers are added to an entry of a sparse product, on average, before float64 takes over; and
# non-zeros of a part at least.
ADDITIONS, LEAST_PART = 32, 2**12


# As much as a pass may be expected to be worth of moves by missing entries that count as what the model says.
MOST_MOVES = 20


@dataclass(frozen=True, slots=True)
class Shared:
    """What every strip needs in a pass.

    Attributes
    ----------
    S : (k, N) short factor.
    base : S in the dtype of the residual.
    norm : Σ ω y², NaN where it is not known.
    solver : of both factors.
    short : how the short factor moves.
    last : whether the pass may be the last one, and so says what components are.
    """

    S: Array
    base: Array
    norm: float
    solver: Solver
    short: ShortFactor
    last: bool = False

    @property
    def decided(self) -> str:
        return self.short.sentence


@dataclass(frozen=True, slots=True)
class Sums:
    """What one or more strips add to a pass, all of it in float64.

    Attributes
    ----------
    cross : (k, N), L (Ω ∘ R).
    gram : (k, k), L Lᵀ.
    bound : (k, k), Σ_i (max_j ω_ij) l_i l_iᵀ.
    square : Σ ω r².
    norm : Σ ω y² where the base is float64, else 0.
    mass : (k,) sum of each row of L.
    observed, room : Σ ω, and what it would be if every entry of a row counted as much as the largest one does.
    totals : (N,) Σ_i ω_ij of each column, where penalties grow with it; else (0,).
    penalty : on L, where it grows with the weights of its rows; else 0.
    pairs : (k (k + 1) / 2, N) the C_j, where columns are solved by their own; else (0, N).
    energy : (k,) Σ_ij ω_ij (l_ai s_aj)² of each component, where the pass may be the last one; else NaN.
    """

    cross: NDArray[np.float64]
    gram: NDArray[np.float64]
    bound: NDArray[np.float64]
    square: float
    norm: float
    mass: NDArray[np.float64]
    observed: float
    room: float
    totals: NDArray[np.float64]
    penalty: float
    pairs: NDArray[np.float64]
    energy: NDArray[np.float64]


def strip_sums(y: Weighted, L: Array, shared: Shared, *, per_row: Penalty, totals: bool) -> Sums:
    """The sums of one piece y (h, N) with its block L (k, h) of the long factor.

    `per_row` is a penalty on L that grows with the weights of its rows; `totals` are needed for one of columns.
    """
    width, L8 = y.shape[1], L.astype("f8")
    gram, tops = L8 @ L8.T, None if y.masked else tops_of(y)
    bound = gram if tops is None else (L8 * tops) @ L8.T
    exact = shared.base.dtype == np.float64
    cross, square = residual_sums(y, L, shared.base)
    return Sums(
        cross=cross,
        gram=gram,
        bound=bound,
        square=square,
        norm=float(row_powers(y, 2).sum()) if exact else 0.0,
        mass=L8.sum(axis=1),
        observed=float(y.observed if y.masked else np.sum(y.weights, dtype="f8")),
        room=float(y.shape[0] if tops is None else tops.sum()) * width,
        totals=column_totals(y) if totals else np.zeros(0),
        penalty=ColumnPenalty.scaled(per_row, row_powers(y, 0)).of(L8) if per_row else 0.0,
        pairs=column_pairs(y, L) if shared.short.exact else np.zeros((0, width)),
        energy=_energy(y, L, shared.S) if shared.last else np.full(len(L), np.nan),
    )


def _energy(y: Weighted, L: Array, S: Array) -> NDArray[np.float64]:
    """Σ_ij ω_ij (l_ai s_aj)² of each component (k,)."""
    energy, squares = np.zeros(len(L)), S * S
    for cut in cuts(y):
        block = L[:, cut]
        energy += (block * block * right(squares, part_of(y, cut).omega)).sum(axis=1, dtype="f8")
    return energy


def tops_of(y: Weighted) -> NDArray[np.float64]:
    """The largest weight of each row (h,)."""
    if not y.sparse:
        return np.asarray(y.weights.max(axis=1, initial=0), "f8")
    tops, full = np.zeros(y.shape[0]), np.diff(y.values.indptr) > 0
    if full.any():
        tops[full] = np.maximum.reduceat(y.weights, y.values.indptr[:-1][full])
    return tops


def column_totals(y: Weighted) -> NDArray[np.float64]:
    """Σ_i ω_ij of each column (N,)."""
    if y.sparse:
        return np.asarray(np.bincount(y.values.indices, y.weights, y.shape[1]), "f8")
    return np.asarray(y.weights.sum(axis=0, dtype="f8"))


def residual_sums(y: Weighted, L: Array, base: Array) -> tuple[NDArray[np.float64], float]:
    """L (Ω ∘ R) (k × N) and Σ ω r², with R = Y − Lᵀ B formed part by part in the dtype of the base B."""
    return _sparse_residual(y, L, base) if y.sparse else _residual(y, L, base)


def _residual(y: Weighted, L: Array, base: Array) -> tuple[NDArray[np.float64], float]:
    """As `residual_sums`, of dense rows."""
    values, dtype, (height, width) = y.values, base.dtype, y.shape
    rows, L = max(1, min(height, part_rows(width, residual=True))), L.astype(base.dtype, copy=False)
    # Strips of columns are turned: their parts are kept in that layout, mixing the two is slow.
    turned = not values.flags.c_contiguous
    model, weighed = (np.empty((width, rows), dtype).T if turned else np.empty((rows, width), dtype) for _ in range(2))
    cross, product, square = np.zeros(base.shape), np.empty_like(base), 0.0
    for start in range(0, height, rows):
        cut = slice(start, start + rows)
        block, part, weights = L[:, cut], values[cut], y.weights[cut]
        R, counted = model[: len(part)], weighed[: len(part)]
        if turned:
            np.matmul(base.T, block, out=R.T)
        else:
            np.matmul(block.T, base, out=R)
        np.subtract(part, R, out=R)
        counted = np.multiply(R, weights, out=R if y.masked else counted)
        square += _inner(counted, counted if y.masked else R)
        cross += np.matmul(block, counted, out=product)
    return cross, square


def _inner(a: Array, b: Array) -> float:
    """Σ a b of arrays of one layout; lines are added up in float64."""
    if not a.flags.c_contiguous:
        a, b = a.T, b.T
    return float(np.einsum("ij,ij->i", a, b).sum(dtype="f8"))


def _sparse_residual(y: Weighted, L: Array, base: Array) -> tuple[NDArray[np.float64], float]:
    """As `residual_sums`, of sparse rows: only where entries are there."""
    base_rows, L_rows = np.ascontiguousarray(base.T), np.ascontiguousarray(L.T, base.dtype)
    cross, square = np.zeros(base_rows.shape), 0.0
    for cut in cuts(y, min(LARGE_PART, max(LEAST_PART, ADDITIONS * y.shape[1]))):
        part: Rows = part_of(y, cut)
        R = part.values.data - model_at(part.values, L_rows[cut].T, base_rows)
        counted = R if y.masked else R * part.weights
        square += float(np.vdot(counted.astype("f8"), R.astype("f8")))
        cross += with_data(part.values, counted).T @ L_rows[cut]
    return cross.T, square


@dataclass(frozen=True)
class Evaluation:
    """What the sums of a pass say about its short factor, and about the next one: see `Evaluation` of the protocol.

    Attributes
    ----------
    sums, shared : of the pass.
    long, short : penalties on L and on S.
    per_observed : whether penalties grow with weights.
    sweeps : of the short factor.
    known : components of S, the first ones, that stay what they are.
    """

    sums: Sums
    shared: Shared
    long: Penalty
    short: Penalty
    per_observed: bool
    sweeps: int
    known: int = 0

    @property
    def moves(self) -> int:
        """As often as entries are missing: the more of them count as what the model says, the shorter a step is."""
        if self.shared.short.exact or not self.sums.observed:
            return 1
        return min(MOST_MOVES, max(1, round(self.sums.room / self.sums.observed)))

    @property
    def norm(self) -> float:
        return self.sums.norm if math.isnan(self.shared.norm) else self.shared.norm

    @property
    def loss(self) -> float:
        return max(self.sums.square, 0.0)

    @property
    def on_short(self) -> ColumnPenalty:
        """The penalty on the columns of S."""
        return ColumnPenalty.scaled(self.short, self.sums.totals if self.per_observed else None)

    @property
    def penalties(self) -> float:
        if not (self.long or self.short):
            return 0.0
        on_long = self.sums.penalty
        if not self.per_observed:
            on_long = self.long.value(float(self.sums.mass.sum()), float(np.trace(self.sums.gram)))
        return on_long + self.on_short.of(self.shared.S)

    @property
    def exact(self) -> bool:
        return self.shared.base.dtype == np.float64 or self.loss >= CLOSE * self.norm

    def step(self) -> Array:
        return self._moved

    @cached_property
    def _moved(self) -> Array:
        """Every column of S after its sweeps, by its own Gram matrix or by the one that bounds all of them."""
        S8, rule = self.shared.S.astype("f8"), GramRule(self.shared.solver)
        moved, penalty = np.empty_like(S8), self.on_short
        for cut, G in self._grams():
            own = S8[:, cut]
            N = self.sums.cross[:, cut] + times(G, own)
            moved[:, cut] = rule.move(own, N, G, self.sweeps, penalty.on(cut), known=self.known)
        return moved.astype(self.shared.S.dtype)

    def _grams(self) -> Iterator[tuple[slice, Array]]:
        """Columns of S some at a time, and their Gram matrices; or all of them with the one that bounds them."""
        pairs, bound = self.sums.pairs, self.sums.bound
        return column_grams(pairs) if len(pairs) else iter([(slice(0, pairs.shape[1]), bound)])

    def gain(self, moved: Array) -> float:
        S = self.shared.S
        step = moved.astype("f8") - S.astype("f8")
        squares = sum(float(np.vdot(step[:, cut], times(G, step[:, cut]))) for cut, G in self._grams())
        decrease = 2 * float(np.vdot(step, self.sums.cross)) - squares
        return decrease + self.on_short.of(S) - self.on_short.of(moved)

    def gradient_norm(self) -> float:
        """‖∇‖ of the objective with respect to S; what is known, or would push a 0 below 0, does not count."""
        S = self.shared.S
        gradient = 2 * (self.on_short.gradient(S.astype("f8")) - self.sums.cross)
        movable = (S > 0) | (gradient < 0)
        movable[: self.known] = False
        return float(np.linalg.norm(gradient[movable]))

    @property
    def of_components(self) -> ComponentSums:
        """With L Lᵀ: what a component says where entries are missing counts as explained by it."""
        sums = self.sums
        return ComponentSums(sums.mass, np.diag(sums.gram), self.norm, sums.gram, sums.cross, sums.energy)
