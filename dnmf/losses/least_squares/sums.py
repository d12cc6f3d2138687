"""The sums of a pass, and what follows from them: the loss, the next short factor, and whether to go on. Pure NumPy.

The loss of factors is never formed from all of Y. With sums taken about a base B (k × N),

    cross = L (Y − Lᵀ B),   gram = L Lᵀ,   square = ‖Y − Lᵀ B‖²,

the loss with any short factor S is, exactly,

    ‖Y − Lᵀ S‖² = square − 2 ⟨S − B, cross⟩ + ⟨gram, (S − B)(S − B)ᵀ⟩.

With B = 0 this is the usual free loss: cross = L Y costs nothing extra and square = ‖Y‖² is known. But it subtracts
numbers as large as ‖Y‖²: from float32 products it was off by 1e-10 ‖Y‖² (exponential factors) to 5e-7 ‖Y‖² (log-normal
ones, whose small entries vanish in large partial sums), however short the sums. With B = the short factor at the start
of the pass it subtracts only numbers of the size of the loss, at the price of forming the residual in the piece, still
in one read. So a loss that is stored or may end a run is taken about the short factor, the others about 0.

Of sparse rows there is no residual that would fit. There products are added up in float64 after so few additions that
the free loss is off by some 1e-8 ‖Y‖² (log-normal factors; less for others); about a base all of it is in float64.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.parts import cuts, part_of
from dnmf.arrays.products import row_powers
from dnmf.arrays.rows import Array, Rows, is_sparse
from dnmf.components.sums import ComponentSums
from dnmf.losses.protocol import CLOSE
from dnmf.plan.parts import LARGE_PART, part_rows
from dnmf.rules import Penalty
from dnmf.rules.solver import Solver

# Of sparse rows: as many float32 numbers are added to an entry of LY, on average, before float64 takes over; non-zeros
# of a part at least; and the loss relative to ‖Y‖² below which all of it is float64.
ADDITIONS, LEAST_PART, SPARSE_CLOSE = 32, 2**12, 0.05


@dataclass(frozen=True, slots=True)
class Shared:
    """What every strip needs in a pass.

    Attributes
    ----------
    S : (k, N) short factor.
    gram : (k, k), S Sᵀ in S's dtype.
    base : (k, N) that the sums are taken about: S in the dtype of the residual, or None for 0.
    norm : ‖Y‖², NaN where it is not known.
    solver : of the short factor, and of the sample's rows.
    """

    S: Array
    gram: Array
    base: Array | None
    norm: float
    solver: Solver

    decided: ClassVar = None


@dataclass(frozen=True, slots=True)
class Sums:
    """What one or more strips add to a pass, all of it in float64.

    Attributes
    ----------
    cross : (k, N), L (Y − Lᵀ B).
    gram : (k, k), L Lᵀ.
    square : ‖Y − Lᵀ B‖², or 0 where B = 0.
    norm : ‖Y‖² where the base is float64, else 0.
    mass : (k,) sum of each row of L.
    """

    cross: NDArray[np.float64]
    gram: NDArray[np.float64]
    square: float
    norm: float
    mass: NDArray[np.float64]


def strip_sums(y: Rows, L: Array, base: Array | None) -> Sums:
    """The sums of one piece.

    Parameters
    ----------
    y : (h, N) rows.
    L : (k, h) its block of the long factor.
    base : (k, N), or None for B = 0. Its dtype is that of the residual; with float64 the sums have ‖Y‖² too.
    """
    L8 = L.astype("f8")
    gram, mass = L8 @ L8.T, L8.sum(axis=1)
    if is_sparse(y):
        if base is None:
            return Sums(_sparse_cross(y, L, ADDITIONS * y.shape[1]), gram, 0.0, 0.0, mass)
        norm = float(row_powers(y, 2).sum())
        return _about(base.astype("f8"), Sums(_sparse_cross(y, L8, LARGE_PART), gram, 0.0, norm, mass))
    del L8  # as large as two blocks of float32
    cross, square, norm = (_cross(y, L), 0.0, 0.0) if base is None else _residual(y, L, base)
    return Sums(cross, gram, square, norm, mass)


def _sparse_cross(y: Rows, L: Array, non_zeros: int) -> NDArray[np.float64]:
    """L y (k × N) of sparse rows: products in L's dtype, parts of so many non-zeros added up in float64."""
    cross, L_rows = np.zeros((y.shape[1], len(L))), np.ascontiguousarray(L.T)
    for cut in cuts(y, min(LARGE_PART, max(LEAST_PART, non_zeros))):
        cross += part_of(y, cut).T @ L_rows[cut]
    return cross.T


def _about(base: NDArray[np.float64], sums: Sums) -> Sums:
    """Sums about a base, from those about 0."""
    square = sums.norm - 2 * float(np.vdot(base, sums.cross)) + float(np.vdot(sums.gram, base @ base.T))
    return replace(sums, cross=sums.cross - sums.gram @ base, square=square)


# Buffers are made once per piece: where the allocator gives every large temporary back to the system at once, as with
# Dask's own settings, getting its pages again costs more than the arithmetic.


def _cross(y: Array, L: Array) -> NDArray[np.float64]:
    """L y (k × N): products in y's dtype, parts added up in float64."""
    rows = part_rows(y.shape[1], residual=False)
    cross, product = np.zeros((len(L), y.shape[1])), np.empty((len(L), y.shape[1]), y.dtype)
    for start in range(0, len(y), rows):
        cross += np.matmul(L[:, start : start + rows], y[start : start + rows], out=product)
    return cross


def _residual(y: Array, L: Array, base: Array) -> tuple[NDArray[np.float64], float, float]:
    """L R (k × N), ‖R‖² and ‖y‖², with the residual R = y − Lᵀ B formed part by part in the base's dtype."""
    dtype, width = base.dtype, y.shape[1]
    rows = min(len(y), part_rows(width, residual=True))
    L = L.astype(dtype, copy=False)
    # Strips of columns are turned: their parts are kept in that layout, mixing the two is slow.
    turned = not y.flags.c_contiguous
    model, residual = (np.empty((width, rows), dtype).T if turned else np.empty((rows, width), dtype) for _ in range(2))
    cross, product = np.zeros(base.shape), np.empty_like(base)
    square = norm = 0.0
    for start in range(0, len(y), rows):
        part, block = y[start : start + rows], L[:, start : start + rows]
        R, M = residual[: len(part)], model[: len(part)]
        if turned:
            np.matmul(base.T, block, out=M.T)
        else:
            np.matmul(block.T, base, out=M)
        if dtype == np.float64:
            R[...] = part
            norm += _square(R)
        np.subtract(part, M, out=R)
        square += _square(R)
        cross += np.matmul(block, R, out=product)
    return cross, square, norm


def _square(a: Array) -> float:
    """Sum of squares of an array that is contiguous row by row or column by column; rows are added up in float64."""
    lines = a if a.flags.c_contiguous else a.T
    return float(np.einsum("ij,ij->i", lines, lines).sum(dtype="f8"))


@dataclass(frozen=True)
class Evaluation:
    """What the sums of a pass say about any short factor (k, N), for the long factor that they were made with.

    See `Evaluation` of `dnmf.losses.protocol`.

    Attributes
    ----------
    sums, shared : of the pass.
    long, short : penalties on L and on S.
    sweeps : of the short factor.
    sparse : whether strips are sparse.
    known : components of S, the first ones, that stay what they are.
    signed : whether Y may have entries below 0.
    """

    sums: Sums
    shared: Shared
    long: Penalty
    short: Penalty
    sweeps: int
    sparse: bool
    known: int = 0
    signed: bool = False

    moves: ClassVar = 1  # it is as good as many: more of them would bring next to nothing

    @property
    def norm(self) -> float:
        return self.sums.norm if math.isnan(self.shared.norm) else self.shared.norm

    @cached_property
    def loss(self) -> float:
        return self.loss_at(self.shared.S)

    def loss_at(self, S: Array) -> float:
        """‖Y − Lᵀ S‖², not below 0."""
        sums, step = self.sums, self._from_base(S)
        square = self.norm if self.shared.base is None else sums.square
        total = square - 2 * float(np.vdot(step, sums.cross)) + float(np.vdot(sums.gram, step @ step.T))
        return 0.0 if total < 0 else total

    def _from_base(self, S: Array) -> NDArray[np.float64]:
        base = self.shared.base
        return S.astype("f8") if base is None else S.astype("f8") - base.astype("f8")

    @property
    def penalties(self) -> float:
        if not (self.long or self.short):
            return 0.0
        total, square = float(self.sums.mass.sum()), float(np.trace(self.sums.gram))
        return self.long.value(total, square) + self.short.of(self.shared.S)

    @property
    def exact(self) -> bool:
        base = self.shared.base
        if base is None:
            return self.sparse and self.loss >= SPARSE_CLOSE * self.norm
        return base.dtype == np.float64 or self.loss >= CLOSE * self.norm

    @property
    def cross(self) -> NDArray[np.float64]:
        """L Y (k × N), whatever base the sums were taken about."""
        base = self.shared.base
        if base is None:
            return self.sums.cross
        cross = self.sums.cross + self.sums.gram @ base.astype("f8")
        # L Y of a Y without entries below 0 has none, but as a sum of rounded numbers it may come out below 0, and mu
        # would multiply by that.
        return np.asarray(cross if self.signed else np.maximum(cross, 0))

    def step(self) -> Array:
        """The short factor after its sweeps, in float64, on the sums, whatever their base."""
        S, rule = self.shared.S, self.shared.solver.rule(self.short, self.known)
        return rule(S.astype("f8"), self.cross, self.sums.gram, self.sweeps).astype(S.dtype)

    def gain(self, moved: Array) -> float:
        loss = self.loss - self.loss_at(moved)
        return loss + (self.short.of(self.shared.S) - self.short.of(moved) if self.short else 0.0)

    def gradient_norm(self) -> float:
        """‖∇‖ of the objective with respect to S; what is known, or would push an entry of 0 below 0, does not count.

        0 exactly where no change of S alone decreases the objective.

        References
        ----------
        C.-J. Lin, Neural Computation 19, 2007, doi:10.1162/neco.2007.19.10.2756, equation 8.
        """
        S, sums = self.shared.S, self.sums
        gradient = 2 * (sums.gram @ self._from_base(S) - sums.cross + self.short.gradient(S.astype("f8")))
        movable = (S > 0) | (gradient < 0)
        movable[: self.known] = False
        return float(np.linalg.norm(gradient[movable]))

    @property
    def of_components(self) -> ComponentSums:
        """Where the sums were taken about S, L (Y − Lᵀ S) is one of them, and nothing is subtracted."""
        sums = self.sums
        residual = sums.cross - sums.gram @ self._from_base(self.shared.S)
        return ComponentSums(sums.mass, np.diag(sums.gram), self.norm, sums.gram, residual)
