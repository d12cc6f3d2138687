"""Sparse X: strips that weigh the same, whatever its rows hold, along the axis in which it is stored.

Rows stand for the lines in which X is stored: its columns, where those come one after the other.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from math import ceil
from typing import ClassVar, Self

from dnmf.plan.grid import Demand, Grid
from dnmf.plan.memory import MIB, RULE_BLOCKS, index_bytes
from dnmf.plan.parts import LARGE_PART, PART_NON_ZEROS
from dnmf.plan.strips import Plan, rows_or_columns

# Bytes that a strip weighs at least. Smaller ones would not fit either: what is too large then is something else.
LEAST_STRIP = MIB

# Strips are whole units of rows, some as many each: the long factor is stored in chunks of one height.
UNITS = 8


@dataclass(frozen=True, slots=True)
class SparseGrid(Grid):
    """How sparse X is stored: its non-zeros row by row (CSR) or column by column (CSC), and so it is cut. See `Grid`.

    Attributes
    ----------
    axis : 0 where rows are stored one after the other, 1 where columns are. These are the lines below.
    ends : of n lines n + 1 numbers: the non-zeros before each line, and of all. Tasks carry no grid, and so none of it.
    fullest : non-zeros of the fullest line.
    pointers : bytes that are decoded to learn where lines end, before any of them is read.
    unit : lines of the smallest block that can be read, where X comes in blocks of lines; 0 where it does not.
    """

    axis: int
    ends: Sequence[int] = field(compare=False, repr=False)
    fullest: int
    pointers: int = 0
    unit: int = 0

    drawn_fullness: ClassVar[int] = 2

    @property
    def axes(self) -> tuple[int, ...]:
        return (self.axis,)

    @property
    def length(self) -> int:
        """Lines of X."""
        return self.shape[self.axis]

    @property
    def index_size(self) -> int:
        """Bytes of a place or pointer as it is computed with."""
        return index_bytes(self.shape[1 - self.axis])

    @property
    def non_zero(self) -> int:
        """Bytes of a non-zero as it is computed with, its place and its weight included."""
        return self.itemsize + self.index_size + self.omega

    @property
    def nbytes(self) -> int:
        return self.strip_bytes(0, self.length)

    @property
    def stored_nbytes(self) -> int:
        return int(self.ends[-1]) * self.stored + 8 * len(self.ends) + self.beside.stored_nbytes

    def strip_bytes(self, start: int, stop: int) -> int:
        """Bytes of some consecutive lines as they are computed with."""
        non_zeros = int(self.ends[stop]) - int(self.ends[start])
        return non_zeros * self.non_zero + (stop - start + 1) * self.index_size

    def strips_bytes(self, heights: Sequence[int]) -> list[int]:
        """Bytes of every strip, from the heights of all."""
        return [self.strip_bytes(start, stop) for start, stop in pairwise(accumulate(heights, initial=0))]

    def weight(self, rank: int, rows: int) -> int:
        """Bytes of the first rows: their non-zeros, and what a rule works with, so that empty rows count too."""
        return int(self.ends[rows]) * self.non_zero + rows * RULE_BLOCKS * rank * self.itemsize

    def cuts(self, axis: int, demand: Demand) -> Iterator[Plan]:
        """Strips of equal weight, more and more of them."""
        threads = demand.threads
        # Every strip decodes the chunks in which it begins and ends: where chunks are large, fewer strips read less.
        chunk = min(self.chunk[0] * self.non_zero, ceil(self.nbytes / threads))
        wanted = max(self.wanted_bytes(axis, demand, most=demand.sizes.whole_strip), chunk)
        # What is wanted was rounded down: that makes no strip more.
        return self.more_and_more(demand.rank, strips=ceil(self.nbytes / (wanted + 1)), threads=threads)

    def more_and_more(self, rank: int, *, strips: int, threads: int) -> Iterator[Plan]:
        """Ways to cut X, from about as many strips as are wanted up to those of a `LEAST_STRIP`.

        More strips than one are a multiple of the threads, unless rows or units are too heavy for that.

        >>> grid = SparseGrid((1000, 99), (100,), 8, 4, 0, range(0, 10_010, 10), fullest=10)
        >>> [cut.heights for cut in grid.more_and_more(5, strips=3, threads=2)]
        [(248, 248, 248, 256)]
        """
        last = max(strips, ceil(self.weight(rank, self.length) / LEAST_STRIP))
        while True:
            even = threads * ceil(strips / threads) if strips > 1 else 1
            yield self._in_strips(rank, even)
            if strips >= last:
                return
            strips = min(2 * even, last)

    def _in_strips(self, rank: int, strips: int) -> Plan:
        """X in at most so many strips, none heavier than their mean and one unit."""
        length = self.length
        unit = self.unit or (length if strips == 1 else max(1, length // (UNITS * strips)))
        units, total = ceil(length / unit), self.weight(rank, length)

        def before(edge: int) -> int:
            return self.weight(rank, min(edge * unit, length))

        def nearest(target: int) -> int:
            above = bisect_left(range(units + 1), target, key=before)
            return above - (above > 0 and target - before(above - 1) < before(above) - target)

        edges = sorted({0, *(nearest(total * i // strips) for i in range(1, strips)), units})
        counts = tuple(stop - start for start, stop in pairwise(edges))
        cut = Plan(self.axis, unit, length, self.shape[1 - self.axis], counts=counts)
        return replace(cut, largest=max(self.strips_bytes(cut.heights)))

    def peak(self, plan: Plan, demand: Demand) -> int:
        """Projected peak memory of one worker, bytes. It follows non-zeros.

        The terms are those of dense X, for the largest and the highest strip; no sum of bytes over strips is that of
        average ones, since strips differ.
        """
        workers, threads, rank, heights = demand.workers, demand.workers.threads, demand.rank, plan.heights
        strips = self.strips_bytes(heights)
        largest, share = max(strips), ceil(len(strips) / workers.count)
        loaded = (ceil(workers.saturation * threads) * self.copies + workers.stolen) * largest
        # Entries are read, then their places: twice the bytes of both covers one of them compressed, decoded and cast.
        chunks = min(self.in_flight, largest // (self.chunk[0] * self.non_zero) + 2)
        decoded = threads * 2 * max(chunks * self.chunk[0] * self.stored, self.pointers)
        # A large part is cut out of a strip and cast to float64, or has two numbers per non-zero; a small one has two
        # per component. Neither ends inside a line.
        full = largest // self.non_zero
        copied = (self.non_zero + 2 * 8) * min(full, max(LARGE_PART, self.fullest))
        parts = threads * (copied + 2 * 8 * rank * min(full, max(PART_NON_ZEROS, self.fullest)))
        factor = threads * RULE_BLOCKS * rank * max(heights) * self.itemsize
        old_and_new = 0 if plan.in_run else 2 * rank * self.itemsize * _most(heights, share)
        # The product of a strip is made turned, in the dtype of X or in float64, and added up in float64.
        turned = threads * 2 * 8 * rank * plan.width
        kept = _most(strips, share) if plan.cached else 0
        return self.same_in_all(plan, demand) + loaded + decoded + parts + factor + old_and_new + turned + kept

    def least(self, axis: int, demand: Demand) -> int:
        """Projected peak of as many strips as are worth it."""
        *_, cut = self.cuts(axis, demand)
        return self.peak(replace(cut, in_run=True, sample=int(demand.sampled)), demand)

    def rewritten(self) -> Iterator[tuple[Self, int]]:
        """X in smaller chunks, each time half as large, of 8 MiB at most; or in smaller blocks of lines."""
        non_zeros, most = self.chunk[0], max(1, 8 * MIB // self.stored)
        for size in (2**e for e in reversed(range((self.unit or non_zeros).bit_length()))):
            chunk = ceil(size * non_zeros / self.unit) if self.unit else size
            if size < (self.unit or non_zeros) and (chunk <= most or size == 1):
                yield replace(self, chunk=(chunk,), unit=size if self.unit else 0), self.axis

    @property
    def read_in(self) -> str:
        lines = rows_or_columns(self.axis)
        return f"{self.chunk[0]} non-zeros in a chunk, {self.fullest} in the fullest of its {lines}"

    @property
    def remedy(self) -> str:
        if self.unit:
            return f"rechunk X to blocks of {self.unit} {rows_or_columns(self.axis)}"
        return f"write X again in chunks of {self.chunk[0]} non-zeros, as `dnmf convert` does"


def _most(sizes: Sequence[int], share: int) -> int:
    """What a worker holds at most of things of these sizes, as many as are its share."""
    return sum(sorted(sizes, reverse=True)[:share])
