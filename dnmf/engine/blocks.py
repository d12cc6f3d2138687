"""What a read does to one strip: pure functions of NumPy arrays, and the reading and writing of stored factors.

Blocks of the long factor are transposed component-major arrays, (h × k): rules see (k × h), contiguous.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.checksum import checksum
from dnmf.arrays.rows import Array, Rows, Value, align, aligned
from dnmf.engine.read import NO_CHECKSUMS, Move, Outcome, Piece, Total
from dnmf.run.arrays import StoredArray
from dnmf.run.factors import whole

Place = NDArray[np.int64]

# Whatever whoever computes a block has NumPy do about overflows and the like: what is not finite is looked for.
as_always = np.errstate(all="ignore")


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


@as_always
def move_rows(y: Rows, shared: Value | None, L: Array | None, *, move: Move) -> Array:
    """The strip's block of the long factor after a read, (h, k)."""
    blocks = [move.rows(piece, *others) for piece, others in _pieces(y, None, shared, L)]
    return (blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)).T


@as_always
def add_up(
    y: Rows, place: Place | None, shared: Value | None, L: Array | None, *, total: Total, reads: bool
) -> Outcome:
    """What the strip adds, and its checksum if it was read for that."""
    parts = [total.part(piece, *others) for piece, others in _pieces(y, place, shared, L)]
    return Outcome(parts[0] if len(parts) == 1 else total.add(parts), checksum(y) if reads else NO_CHECKSUMS)


def _pieces(
    y: Rows, place: Place | None, shared: Value | None, L: Array | None
) -> Iterator[tuple[Piece, list[object]]]:
    """The pieces of a strip, each with what goes with it. Today a strip is one piece."""
    others = [] if shared is None else [align(shared)]
    block = [] if L is None else [aligned(L).T]
    yield Piece(aligned(y), None if place is None else int(place[0, 0])), [*others, *block]


@as_always
def draw_rows(place: Place, draw: Draw) -> Array:
    """A block of a first long factor."""
    first, last = place[0].tolist()
    return draw.rows(first, last - first).T


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
