"""Known components: some rows of V are given, and stay to the last bit, while the others and W are found.

They are the first rows of the short factor, which therefore is V: X is cut along its rows. No rule moves them, no loss
counts what they could gain, and what stretches components leaves them; their columns of W take up all scale.

Starts hold them while all others move. On 4000 × 100, eight components with 30 % of noise, two or five of them known,
of three kinds, three seeds each, that was ahead of factorizing what they leave of X, cut off at zero: errors were
0.4 to 8.6 % lower after one pass, and cosines of the others to the truth higher by 0.03 to 0.1; after eight passes by
up to 0.4 % and 0.07.
"""

from os import PathLike
from typing import Any

import numpy as np
import zarr

from dnmf.arrays.rows import Array, Rows, aligned
from dnmf.arrays.sketch import Sketch
from dnmf.losses.least_squares.in_memory import solved_against
from dnmf.losses.protocol import AnyLoss, Shared
from dnmf.losses.settle_in_range import settle_in_range
from dnmf.matrix.foreign import factor_of
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.sparse import FORMATS
from dnmf.run.result import Factorization, open_without_W
from dnmf.stores.places import answering

# The largest entry of a known component is between these, in each dtype: it is squared, and added up, beside others.
POSSIBLE = {"f": (1e-12, 1e12), "d": (1e-100, 1e100)}

# Where all components are known, rows are solved as `transform` solves them.
TOL, ITERATIONS = 1e-4, 200

REMEDY = "an array (k₀, n), the path of a .npy file or of a Zarr array, or a run is required"


def known_components(fixed: Any) -> Array | None:
    """What was given as known components, as an array (k₀, n) that is not checked yet.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        If it is nothing that they may be.
    """
    if fixed is None:
        return None
    V = _read(str(fixed)) if isinstance(fixed, str | PathLike) else fixed
    V = V.V if isinstance(V, Factorization) else V
    V = V[...] if isinstance(V, zarr.Array) else V
    try:
        array = np.asarray(factor_of("fixed", V))
    except TypeError as error:
        raise TypeError(f"{error}: {REMEDY}") from None
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"fixed has shape {array.shape}: {REMEDY}")
    return array


def _read(path: str) -> Any:
    """The array at a path, or the V of the run there."""
    if path.endswith(".npy"):
        try:
            return np.load(path, allow_pickle=False)
        except ValueError as error:
            raise ValueError(f"fixed is {path}, which is no .npy file of numbers ({error}): {REMEDY}") from None
    try:
        found = zarr.open(answering(path), mode="r")
    except FileNotFoundError:
        raise FileNotFoundError(f"fixed is {path}, and nothing that Zarr opens is there: {REMEDY}") from None
    return found if isinstance(found, zarr.Array) else open_without_W(found)


def checked_components(known: Array | None, matrix: Matrix) -> Array | None:
    """Known components in the dtype in which X is computed with, if they can be some of its V; None for none.

    Raises
    ------
    ValueError
        If they are of another width, negative, NaN or infinite, zero or out of range, or X is stored by columns.
    """
    if known is None:
        return None
    n = matrix.grid.shape[1]
    if known.shape[1] != n:
        raise ValueError(f"fixed has shape {known.shape} and X has {n} columns: shape (k₀, {n}) is required")
    if not (known.min() >= 0 and known.max() < np.inf):
        raise ValueError("fixed has a negative, NaN or infinite entry: finite entries ≥ 0 are required")
    tops, (least, most) = known.max(axis=1), POSSIBLE[matrix.dtype.char]
    if not tops.all():
        raise ValueError(
            f"row {int(np.argmin(tops))} of fixed is zero everywhere: a component that explains nothing is not known; "
            f"leave it out"
        )
    if tops.min() < least or tops.max() > most:
        raise ValueError(
            f"rows of fixed have largest entries of {tops.min():.1e} to {tops.max():.1e}, and with X in {matrix.dtype} "
            f"{least:.0e} to {most:.0e} is possible: multiply them by constants, which W takes up"
        )
    if 0 not in matrix.grid.axes:
        raise ValueError(
            f"{matrix.location} is stored column by column ({FORMATS[1]}), and known components need whole rows of X "
            f"at a time: write it row by row, as {FORMATS[0]}"
        )
    return np.ascontiguousarray(known, matrix.dtype)


def check_same(known: Array | None, kept: Array | None) -> None:
    """Refuse components that are not those that a run was begun with."""
    if known is not None and (kept is None or not np.array_equal(np.asarray(known, kept.dtype), kept)):
        raise ValueError(
            "fixed is not what it was when the run began: a run goes on with the known components that it began with; "
            "start a new one"
        )


def with_known(known: Array | None, S: Array, *, sized: bool) -> Array:
    """A short factor (k, N) whose first rows are those that are known (k₀, N), if any are.

    The others, whose largest entries are about 1, become as large as these where they are to be `sized`: next to much
    larger components they would vanish in the ridge of a least-squares start.
    """
    if known is None:
        return S
    size = known.max(axis=1).mean() if sized else 1
    return np.vstack([known, S[len(known) :] * np.asarray(size, S.dtype)])


def explained(A: Sketch, known: Array) -> tuple[Array, Sketch]:
    """The long factor (k₀, s) of known components (k₀, N) on a sketch (s, N), and what is left of the sketch then.

    That is for singular vectors alone: its square is not known.
    """
    if not len(known):
        return np.zeros((0, A.rows), A.B.dtype), A
    W = solved_against(A, known)
    along = W if A.Q is None else W @ aligned(A.Q).T
    return W, Sketch(A.Q, A.B - along.T @ known, np.nan)


def solve_to_the_end(y: Rows, shared: Shared, sweeps: int, *, loss: AnyLoss) -> Array:
    """A block (k, h) of the long factor where all of the short one is known, as a move of the first and last pass."""
    return settle_in_range(loss, y, shared.S, tol=TOL, iterations=ITERATIONS)
