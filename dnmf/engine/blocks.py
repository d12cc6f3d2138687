"""What a read does to one strip: a fold over its pieces; and the reading and writing of stored factors.

Blocks of the long factor are transposed component-major arrays, (h × k): rules see (k × h), a piece of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.checksum import Checksum
from dnmf.arrays.rows import Array, Value, align, aligned
from dnmf.engine.read import NO_CHECKSUMS, Outcome, Read, Visit
from dnmf.matrix.strips import Piece, Strip
from dnmf.run.arrays import StoredArray
from dnmf.run.factors import whole

Place = NDArray[np.int64]

# Whatever whoever computes a block has NumPy do about overflows and the like: what is not finite is looked for.
as_always = np.errstate(all="ignore")

# Rows that are drawn at a time.
DRAWN = 2**16


@dataclass(frozen=True, slots=True)
class Draw:
    """How a first long factor is made: `rows(first, count)` gives (rank, count) of a dtype."""

    rows: Callable[[int, int], Array]
    rank: int
    dtype: np.dtype[np.floating]


@dataclass(frozen=True, slots=True)
class Places:
    """An array-like of the length of X's cut axis whose slices say where they are: [[first, last + 1]]."""

    length: int
    ndim = 2
    dtype = np.dtype("i8")

    @property
    def shape(self) -> tuple[int, int]:
        """One column."""
        return self.length, 1

    def __getitem__(self, where: tuple[slice, ...]) -> Place:
        return np.array([where[0].indices(self.length)[:2]])


@dataclass(frozen=True, slots=True)
class Folded:
    """What came of a strip: its block of the long factor (h, k), None where it stays what it is; and what it adds."""

    L: Array | None
    outcome: Outcome

    def __sizeof__(self) -> int:
        """Bytes of the block: by it Dask knows what it would cost to move."""
        return 0 if self.L is None else self.L.nbytes


@as_always
def fold(strip: Strip, shared: Value | None, L: Array | None, *, what: Read, reads: bool) -> Folded:
    """Go through a strip once; `reads` says whether it is read for that, and so has a checksum."""
    seen = Checksum()
    own = None if shared is None else align(shared)
    before = None if L is None else aligned(L).T
    after = None if what.move is None else np.empty((what.move.rank, strip.height), strip.dtype)

    def visit(piece: Piece) -> Visit:
        start = piece.first - strip.start
        at = slice(start, start + piece.rows.shape[0])
        found = Visit(piece.rows, piece.first, own, None if before is None else before[:, at])
        if reads:
            seen.add(piece.rows)
        if what.move is None or after is None:
            return found
        after[:, at] = what.move.rows(found)
        return replace(found, L=after[:, at])

    # A map keeps nothing that it has given: one piece is let go before the next one is read.
    value = what.total.fold(map(visit, strip))
    return Folded(None if after is None else after.T, Outcome(value, seen.value if reads else NO_CHECKSUMS))


@as_always
def draw_rows(place: Place, draw: Draw) -> Array:
    """A block of a first long factor."""
    first, last = place[0].tolist()
    block = np.empty((draw.rank, last - first), draw.dtype)
    # Numbers are drawn in float64: some at a time.
    for start in range(first, last, DRAWN):
        stop = min(start + DRAWN, last)
        block[:, start - first : stop - first] = draw.rows(start, stop - start)
    return block.T


def write(L: Array, place: Place, target: StoredArray, axis: int) -> Array:
    """L unchanged, also written to its chunks of a stored factor."""
    if axis == 0:
        target[_slice(place), :] = np.ascontiguousarray(L)
    else:
        target[:, _slice(place)] = np.ascontiguousarray(L.T)
    return L


def read(place: Place, source: StoredArray, axis: int) -> Array:
    """A block of a stored factor."""
    rows = _slice(place)
    block = whole(source[rows, :] if axis == 0 else source[:, rows], source)
    return np.asfortranarray(block if axis == 0 else block.T)


def _slice(place: Place) -> slice:
    return slice(int(place[0, 0]), int(place[0, 1]))
