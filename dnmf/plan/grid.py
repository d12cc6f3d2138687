"""dnmf.plan.grid."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import accumulate, pairwise
from math import prod
from typing import Any


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid in which X is stored.

    Attributes
    ----------
    shape : (m, n)
    chunk : (rows, columns) of the smallest piece that can be read.
    shard : (rows, columns) of the pieces in which chunks are stored together; equal to `chunk` without sharding.
    stored : bytes of an entry in the store.
    itemsize : bytes of an entry as it is computed with.
    copies : how many times a strip is in memory while it is made.
    in_flight : chunks of one read that are decoded at the same time.
    """

    shape: tuple[int, int]
    chunk: tuple[int, int]
    shard: tuple[int, int]
    stored: int
    itemsize: int
    copies: int = 1
    in_flight: int = 10

    @property
    def nbytes(self) -> int:
        """Bytes of all of X as it is computed with."""
        return prod(self.shape) * self.itemsize

    @property
    def stored_nbytes(self) -> int:
        """Bytes of all of X as it is stored, decoded."""
        return prod(self.shape) * self.stored


@dataclass(frozen=True, slots=True)
class SparseGrid:
    """How sparse X is stored: its non-zeros row by row (CSR) or column by column (CSC), and so it is cut.

    Attributes
    ----------
    shape : (m, n)
    axis : 0 where rows are stored one after the other, 1 where columns are. These are the lines below.
    ends : of n lines n + 1 numbers: the non-zeros before each line, and of all. They stay in this process: a grid that
        was sent elsewhere has none, since every task carries one, and the store has them too.
    chunk : (non-zeros,) of the smallest piece of the store that can be read.
    stored : bytes of a non-zero in the store, its place included.
    itemsize : bytes of an entry as it is computed with.
    index_size : bytes of its place, likewise.
    fullest : non-zeros of the fullest line.
    pointers : bytes that are decoded to learn where lines end, before any of them is read.
    unit : lines of the smallest piece that can be read, where X comes in pieces of lines; 0 where it does not.
    copies : how many times a strip is in memory while it is made.
    in_flight : chunks of one read that are decoded at the same time.
    """

    shape: tuple[int, int]
    axis: int
    ends: Sequence[int] = field(compare=False, repr=False)
    chunk: tuple[int]
    stored: int
    itemsize: int
    index_size: int
    fullest: int
    pointers: int = 0
    unit: int = 0
    copies: int = 1
    in_flight: int = 10

    def __reduce__(self) -> tuple[Any, ...]:
        return SparseGrid, tuple(() if f.name == "ends" else getattr(self, f.name) for f in fields(self))

    @property
    def nbytes(self) -> int:
        """Bytes of all of X as it is computed with."""
        return self.strip_bytes(0, self.shape[self.axis])

    @property
    def stored_nbytes(self) -> int:
        """Bytes that are decoded where all of X is read once."""
        return int(self.ends[-1]) * self.stored + 8 * len(self.ends)

    def strip_bytes(self, start: int, stop: int) -> int:
        """Bytes of some consecutive lines as they are computed with."""
        non_zeros = int(self.ends[stop]) - int(self.ends[start])
        return non_zeros * (self.itemsize + self.index_size) + (stop - start + 1) * self.index_size

    def strips_bytes(self, heights: Sequence[int]) -> list[int]:
        """Bytes of every strip, from the heights of all."""
        return [self.strip_bytes(start, stop) for start, stop in pairwise(accumulate(heights, initial=0))]
