"""Where sparse X may be cut: strips that weigh the same, whatever its rows hold. Pure functions of integers.

Rows stand for the lines in which X is stored: its columns, where those come one after the other.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from dnmf.memory import MIB, RULE_BLOCKS, SparseGrid

# Bytes that a strip weighs at least. Smaller ones would not fit either: what is too large then is something else.
LEAST_STRIP = MIB

# Strips are whole units of rows, some as many each: the long factor is stored in chunks of one height.
UNITS = 8


@dataclass(frozen=True, slots=True)
class Cut:
    """Strips of sparse X: rows of a unit, and how many units each strip has, in order. The last unit may be lower."""

    unit: int
    counts: tuple[int, ...]

    def heights(self, length: int) -> tuple[int, ...]:
        """Rows of every strip."""
        full = [count * self.unit for count in self.counts[:-1]]
        return *full, length - sum(full)


def weight(grid: SparseGrid, rank: int, rows: int) -> int:
    """Bytes of the first rows: their non-zeros, and what a rule works with, so that empty rows count too."""
    return int(grid.ends[rows]) * (grid.itemsize + grid.index_size) + rows * RULE_BLOCKS * rank * grid.itemsize


def cuts(grid: SparseGrid, rank: int, *, strips: int, threads: int) -> Iterator[Cut]:
    """Ways to cut X, from about as many strips as are wanted up to those of a `LEAST_STRIP`.

    More strips than one are a multiple of the threads, unless rows or units are too heavy for that.

    >>> grid = SparseGrid((1000, 99), 0, range(0, 10_010, 10), (100,), 8, 4, 4, fullest=10)
    >>> [cut.heights(1000) for cut in cuts(grid, 5, strips=3, threads=2)]
    [(248, 248, 248, 256)]
    """
    last = max(strips, ceil(weight(grid, rank, grid.shape[grid.axis]) / LEAST_STRIP))
    while True:
        even = threads * ceil(strips / threads) if strips > 1 else 1
        yield _cut(grid, rank, even)
        if strips >= last:
            return
        strips = min(2 * even, last)


def _cut(grid: SparseGrid, rank: int, strips: int) -> Cut:
    """At most so many strips, none heavier than their mean and one unit."""
    length = grid.shape[grid.axis]
    unit = grid.unit or (length if strips == 1 else max(1, length // (UNITS * strips)))
    units, total = ceil(length / unit), weight(grid, rank, length)

    def before(edge: int) -> int:
        return weight(grid, rank, min(edge * unit, length))

    def nearest(target: int) -> int:
        above = bisect_left(range(units + 1), target, key=before)
        return above - (above > 0 and target - before(above - 1) < before(above) - target)

    edges = sorted({0, *(nearest(total * i // strips) for i in range(1, strips)), units})
    return Cut(unit, tuple(stop - start for start, stop in pairwise(edges)))
