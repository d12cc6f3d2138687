"""The sums of a pass, and what follows from them: the loss, and whether to go on. Pure NumPy.

Y stands for X as it is cut (Xᵀ where strips are whole columns), L for the long and S for the short factor, both
component-major: Y ≈ Lᵀ S, with Y (M × N), L (k × M), S (k × N).

The loss of factors is never formed from all of Y. With sums taken about a base B (k × N),

    cross = L (Y − Lᵀ B),   gram = L Lᵀ,   square = ‖Y − Lᵀ B‖²,

the loss with any short factor S is, exactly,

    ‖Y − Lᵀ S‖² = square − 2 ⟨S − B, cross⟩ + ⟨gram, (S − B)(S − B)ᵀ⟩.

With B = 0 this is the usual free loss: cross = L Y costs nothing extra and square = ‖Y‖² is known. But it subtracts
numbers as large as ‖Y‖²: from float32 products it was off by 1e-10 ‖Y‖² (exponential factors) to 5e-7 ‖Y‖² (log-normal
ones, whose small entries vanish in large partial sums), however short the sums. With B = the short factor at the start
of the pass it subtracts only numbers of the size of the loss, at the price of forming the residual in the strip, still
in one read. So a loss that is stored or may end a run is taken about the short factor, the others about 0.

Of sparse rows there is no residual that would fit. There products are added up in float64 after so few additions that
the free loss is off by some 1e-8 ‖Y‖² (log-normal factors; less for others); about a base all of it is in float64.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.pieces import cuts, part_of
from dnmf.arrays.products import row_powers
from dnmf.arrays.rows import Array, Rows, is_sparse
from dnmf.plan.pieces import LARGE_PIECE, piece_rows
from dnmf.rules import NO_PENALTY, Penalty, Rule

# Below this loss relative to ‖Y‖² a residual of float32 entries is formed in float64: it would lose its sixth digit.
CLOSE = 1e-4


# Of sparse rows: as many float32 numbers are added to an entry of LY, on average, before float64 takes over; non-zeros
# of a piece at least; and the loss relative to ‖Y‖² below which all of it is float64.
ADDITIONS, LEAST_PIECE, SPARSE_CLOSE = 32, 2**12, 0.05


# Sums of squares of squares must neither vanish nor overflow.
SAFE_SIZES = {"f": (1e-15, 1e15), "d": (1e-120, 1e120)}


@dataclass(frozen=True, slots=True)
class Sums:
    """What one or more strips add to a pass. Sums are added with `add`; all of them in float64.

    Attributes
    ----------
    cross : (k, N), L (Y − Lᵀ B).
    gram : (k, k), L Lᵀ.
    square : ‖Y − Lᵀ B‖², or 0 where B = 0.
    norm : ‖Y‖² where the base is float64, else 0.
    mass : sum of L's entries.
    """

    cross: NDArray[np.float64]
    gram: NDArray[np.float64]
    square: float
    norm: float
    mass: float


def strip_sums(y: Rows, L: NDArray[np.floating], base: NDArray[np.floating] | None) -> Sums:
    """The sums of one strip.

    Parameters
    ----------
    y : (h, N) strip.
    L : (k, h) its block of the long factor.
    base : (k, N), or None for B = 0. Its dtype is that of the residual; with float64 the sums have ‖Y‖² too.
    """
    L8 = L.astype("f8")
    gram, mass = L8 @ L8.T, float(L8.sum())
    if is_sparse(y):
        if base is None:
            return Sums(_sparse_cross(y, L, ADDITIONS * y.shape[1]), gram, 0.0, 0.0, mass)
        norm = float(row_powers(y, 2).sum())
        return _about(base.astype("f8"), Sums(_sparse_cross(y, L8, LARGE_PIECE), gram, 0.0, norm, mass))
    if base is None:
        del L8  # as large as two blocks of float32
        cross, square, norm = _cross(y, L), 0.0, 0.0
    else:
        del L8
        cross, square, norm = _residual(y, L, base)
    return Sums(cross, gram, square, norm, mass)


def _sparse_cross(y: Rows, L: Array, non_zeros: int) -> NDArray[np.float64]:
    """L y (k × N) of sparse rows: products in L's dtype, pieces of so many non-zeros added up in float64."""
    cross, L_rows = np.zeros((y.shape[1], len(L))), np.ascontiguousarray(L.T)
    for cut in cuts(y, min(LARGE_PIECE, max(LEAST_PIECE, non_zeros))):
        cross += part_of(y, cut).T @ L_rows[cut]
    return cross.T


def _about(base: NDArray[np.float64], sums: Sums) -> Sums:
    """Sums about a base, from those about 0."""
    square = sums.norm - 2 * float(np.vdot(base, sums.cross)) + float(np.vdot(sums.gram, base @ base.T))
    return replace(sums, cross=sums.cross - sums.gram @ base, square=square)


# Buffers are made once per strip: a Dask worker's allocator gives every large temporary back to the system at once, and
# getting its pages again costs more than the arithmetic.


def _cross(y: Array, L: Array) -> NDArray[np.float64]:
    """L y (k × N): products in y's dtype, pieces added up in float64."""
    rows = piece_rows(y.shape[1], residual=False)
    cross, product = np.zeros((len(L), y.shape[1])), np.empty((len(L), y.shape[1]), y.dtype)
    for start in range(0, len(y), rows):
        cross += np.matmul(L[:, start : start + rows], y[start : start + rows], out=product)
    return cross


def _residual(y: Array, L: Array, base: Array) -> tuple[NDArray[np.float64], float, float]:
    """L R (k × N), ‖R‖² and ‖y‖², with the residual R = y − Lᵀ B formed piece by piece in the base's dtype."""
    dtype, width = base.dtype, y.shape[1]
    rows = min(len(y), piece_rows(width, residual=True))
    L = L.astype(dtype, copy=False)
    # Strips of columns are turned: their pieces are kept in that layout, mixing the two is slow.
    turned = not y.flags.c_contiguous
    model, residual = (np.empty((width, rows), dtype).T if turned else np.empty((rows, width), dtype) for _ in range(2))
    cross, product = np.zeros(base.shape), np.empty_like(base)
    square = norm = 0.0
    for start in range(0, len(y), rows):
        piece = y[start : start + rows]
        R, M, part = residual[: len(piece)], model[: len(piece)], L[:, start : start + rows]
        if turned:
            np.matmul(base.T, part, out=M.T)
        else:
            np.matmul(part.T, base, out=M)
        if dtype == np.float64:
            R[...] = piece
            norm += _square(R)
        np.subtract(piece, M, out=R)
        square += _square(R)
        cross += np.matmul(part, R, out=product)
    return cross, square, norm


def _square(a: Array) -> float:
    """Sum of squares of an array that is contiguous row by row or column by column; rows are added up in float64."""
    lines = a if a.flags.c_contiguous else a.T
    return float(np.einsum("ij,ij->i", lines, lines).sum(dtype="f8"))


def add(parts: Sequence[Sums]) -> Sums:
    """Add sums up in the order given; none of the parts is changed."""
    cross, gram = parts[0].cross.copy(), parts[0].gram.copy()
    for part in parts[1:]:
        cross += part.cross
        gram += part.gram
    square, norm, mass = (sum(getattr(p, name) for p in parts) for name in ("square", "norm", "mass"))
    return Sums(cross, gram, square, norm, mass)


def gram(S: NDArray[np.floating]) -> NDArray[np.floating]:
    """S Sᵀ (k × k), multiplied in float64, in S's dtype."""
    return np.asarray(gram8(S), S.dtype)


def gram8(S: NDArray[np.floating]) -> NDArray[np.float64]:
    """S Sᵀ (k × k) in float64."""
    S8 = S.astype("f8")
    return np.asarray(S8 @ S8.T)


def cross(sums: Sums, base: Array | None) -> NDArray[np.float64]:
    """L Y (k × N), whatever base the sums were taken about."""
    if base is None:
        return sums.cross
    # L Y is not negative, but as a sum of rounded numbers it may come out below 0, and mu would multiply by that.
    return np.asarray(np.maximum(sums.cross + sums.gram @ base.astype("f8"), 0))


def moved(rule: Rule, inner: int, sums: Sums, base: Array | None, S: Array) -> Array:
    """The short factor (k × N, S's dtype) after a pass: its rule in float64, on the sums, whatever their base."""
    return rule(S.astype("f8"), cross(sums, base), sums.gram, inner).astype(S.dtype)


def projected_gradient(sums: Sums, base: Array | None, S: Array, penalty: Penalty = NO_PENALTY) -> float:
    """‖∇‖ of the loss and the penalty with respect to the short factor S (k × N).

    What would push an entry of 0 below 0 does not count.

    0 exactly where no change of S alone decreases the loss.

    References
    ----------
    C.-J. Lin, Neural Computation 19, 2007, doi:10.1162/neco.2007.19.10.2756, equation 8.
    """
    step = S.astype("f8") if base is None else S.astype("f8") - base.astype("f8")
    gradient = 2 * (sums.gram @ step - sums.cross + penalty.gradient(S.astype("f8")))
    return float(np.linalg.norm(gradient[(S > 0) | (gradient < 0)]))


def loss(sums: Sums, base: NDArray[np.floating] | None, S: NDArray[np.floating], norm: float) -> float:
    """‖Y − Lᵀ S‖² for the long factor that the sums were made with and any short factor S (k × N).

    `norm` is ‖Y‖². The result is not below 0.
    """
    square = norm if base is None else sums.square
    step = S.astype("f8") if base is None else S.astype("f8") - base.astype("f8")
    total = square - 2 * float(np.vdot(step, sums.cross)) + float(np.vdot(sums.gram, step @ step.T))
    return 0.0 if total < 0 else total


def base(S: Array, known: float | None, norm: float, *, exact: bool, sparse: bool = False) -> Array | None:
    """The base for the sums of the next pass: None for 0, or the short factor in the dtype of the residual.

    Parameters
    ----------
    S : (k, N) short factor at the start of the pass.
    known : the last known loss, None before the first pass.
    norm : ‖Y‖².
    exact : whether the loss after the pass must be good to six digits.
    sparse : whether Y is sparse.
    """
    if known is None or known < (SPARSE_CLOSE if sparse else CLOSE) * norm:
        return S.astype("f8")
    return S if exact and not sparse else None


def is_exact(base: Array | None, loss: float, norm: float, *, sparse: bool = False) -> bool:
    """Whether a loss from sums about this base is good to six digits."""
    if base is None:
        return sparse and loss >= SPARSE_CLOSE * norm
    return base.dtype == np.float64 or loss >= CLOSE * norm


def check_range(norm: float, entries: int, dtype: np.dtype[Any]) -> None:
    """Raise ValueError where products of X's entries would leave the range of its dtype; `norm` is Σ x^β."""
    size = math.sqrt(norm / entries)
    low, high = SAFE_SIZES[dtype.char]
    if norm != 0 and not math.isnan(norm) and not low < size < high:
        raise ValueError(
            f"the root mean square of X is {size:.1e}, and products of {dtype} entries of that size leave its range: "
            f"multiply X by a constant that brings it between {low:.0e} and {high:.0e}, or store X as float64"
        )
