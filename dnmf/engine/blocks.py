"""What a pass does to one block: pure functions of NumPy arrays, and the reading and writing of stored factors.

Blocks of the long factor are transposed component-major arrays, (h × k): rules see (k × h), contiguous.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays import sample
from dnmf.arrays.checksum import checksum
from dnmf.arrays.rows import Array, Rows, aligned
from dnmf.engine.outcome import NONE, Seen
from dnmf.losses.protocol import Shared, Value, align
from dnmf.run.factors import whole

Draw = Callable[[int, int], Array]


Update = Callable[[Rows, Any, Array, int], Array]


Solve = Callable[[Rows, Any, int], Array]


@dataclass(frozen=True, slots=True)
class Places:
    """An array-like of the length of X's cut axis whose slices say where they are: [[first, last + 1]]."""

    length: int

    @property
    def shape(self) -> tuple[int, int]:
        """One column."""
        return self.length, 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of row numbers."""
        return np.dtype("i8")

    @property
    def ndim(self) -> int:
        """Always 2."""
        return 2

    def __getitem__(self, where: tuple[slice, ...]) -> NDArray[np.int64]:
        return np.array([where[0].indices(self.length)[:2]])


def _slice(place: NDArray[np.int64]) -> slice:
    return slice(int(place[0, 0]), int(place[0, 1]))


def update(y: Rows, L: Array, shared: Shared, update: Update, sweeps: int) -> Array:
    """The block of the long factor after a pass."""
    return update(aligned(y), align(shared), aligned(L).T, sweeps).T


def solve(y: Rows, shared: Shared, solve: Solve, sweeps: int) -> Array:
    """The block of a long factor that the first pass makes."""
    return solve(aligned(y), align(shared), sweeps).T


def sums(y: Rows, L: Array, shared: Shared, sums: Callable[[Rows, Any, Array], Value], reads: bool) -> Seen:
    """The sums of one strip, and its checksum if it was read for them."""
    return Seen(sums(aligned(y), align(shared), aligned(L).T), checksum(y) if reads else NONE)


def drawn_rows(y: Rows, place: NDArray[np.int64], seed: int, size: int, beta: float) -> Seen:
    """The sample of one strip, see `dnmf.arrays.sample`, and its checksum."""
    return Seen(sample.draw(aligned(y), int(place[0, 0]), seed=seed, size=size, beta=beta), checksum(y))


def drawn(place: NDArray[np.int64], draw: Draw) -> Array:
    """A block of a first long factor, from `draw(first_row, rows)`."""
    first, last = place[0].tolist()
    return draw(first, last - first).T


def write(L: Array, place: NDArray[np.int64], target: Any, axis: int) -> Array:
    """L unchanged, also written to its chunks of a stored factor."""
    if axis == 0:
        target[_slice(place), :] = np.ascontiguousarray(L)
    else:
        target[:, _slice(place)] = np.ascontiguousarray(L.T)
    return L


def read(place: NDArray[np.int64], source: Any, axis: int) -> Array:
    """A block of a stored factor."""
    rows = _slice(place)
    block = whole(source[rows, :] if axis == 0 else source[:, rows], source)
    return np.asfortranarray(block if axis == 0 else block.T)
