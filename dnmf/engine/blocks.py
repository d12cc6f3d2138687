"""What a read does to one strip: a fold over its pieces; and the reading and writing of stored factors.

Blocks of the long factor are transposed component-major arrays, (h × k): rules see (k × h), contiguous.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.checksum import Checksum
from dnmf.arrays.rows import Array, Value, align, aligned
from dnmf.engine.read import NO_CHECKSUMS, Move, Outcome, Read, Visit
from dnmf.matrix.strips import Strip
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


@as_always
def fold(strip: Strip, shared: Value | None, L: Array | None, *, what: Read, reads: bool) -> Folded:
    """Go through a strip once; `reads` says whether it is read for that, and so has a checksum."""
    visits, seen, moved = _visits(strip, None if shared is None else align(shared), L), Checksum(), None
    if reads:
        visits = _summed(visits, seen)
    if what.move is not None:
        moved = np.empty((what.move.rank, strip.height), strip.dtype)
        visits = _moved(visits, what.move, moved)
    value = what.total.fold(visits)
    return Folded(None if moved is None else moved.T, Outcome(value, seen.value if reads else NO_CHECKSUMS))


def _visits(strip: Strip, shared: Value | None, L: Array | None) -> Iterator[Visit]:
    """A visit to each piece of a strip, with its block of the long factor as it was."""
    block, start = None if L is None else aligned(L).T, 0
    for piece in strip:
        stop = start + piece.rows.shape[0]
        yield Visit(piece.rows, piece.first, shared, None if block is None else block[:, start:stop])
        start = stop


def _summed(visits: Iterator[Visit], seen: Checksum) -> Iterator[Visit]:
    """The same visits; the checksum sees their rows."""
    for visit in visits:
        seen.add(visit.rows)
        yield visit


def _moved(visits: Iterator[Visit], move: Move, block: Array) -> Iterator[Visit]:
    """The same visits, each with its block of the long factor as it is moved; all of them go into one (k, h)."""
    start = 0
    for visit in visits:
        stop = start + visit.rows.shape[0]
        block[:, start:stop] = L = move.rows(visit)
        yield replace(visit, L=L)
        start = stop


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
