"""Dense X: strips are whole chunks high, along either axis."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, prod
from typing import Self

from dnmf.plan.grid import Demand, Grid
from dnmf.plan.memory import MIB, RULE_BLOCKS
from dnmf.plan.parts import part_rows
from dnmf.plan.strips import Plan

# Bytes of a piece, at least, for each byte of the sums that it adds.
PIECE_PER_SUMS = 2


@dataclass(frozen=True, slots=True)
class DenseGrid(Grid):
    """The grid in which dense X is stored: see `Grid`.

    Attributes
    ----------
    shard : (rows, columns) in which chunks are stored together; equal to `chunk` without sharding.
    together : of several arrays that are read with one cut, chunk and bytes of an entry in the store of each; then
        `chunk` and `shard` are what they have in common. Empty where there is one.
    along : the axes along which X can be cut.
    """

    shard: tuple[int, ...]
    together: tuple[tuple[tuple[int, ...], int], ...] = ()
    along: tuple[int, ...] = (0, 1)

    @property
    def merged(self) -> bool:
        """Whether a strip is made of blocks that are in memory, and so is in memory as a whole."""
        return self.copies > 1

    @property
    def axes(self) -> tuple[int, ...]:
        return self.along

    @property
    def entry(self) -> int:
        """Bytes of an entry as it is computed with, its weight included."""
        return self.itemsize + self.omega

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.entry

    @property
    def stored_nbytes(self) -> int:
        return prod(self.shape) * self.stored + self.beside.stored_nbytes

    def cuts(self, axis: int, demand: Demand) -> Iterator[Plan]:
        """Strips of whole shards, then of whole chunks, lower and lower."""
        wanted, row = self._wanted_bytes(axis, demand), self.shape[1 - axis] * self.entry
        for unit in (self.shard[axis], self.chunk[axis]):
            for height in _heights(self.shape[axis], unit, ceil(wanted / (unit * row)), demand.threads):
                yield self.in_strips(axis, height, self.piece(axis, demand))

    def _wanted_bytes(self, axis: int, demand: Demand) -> int:
        """Bytes of a strip if memory were no concern; in pieces, its block of the long factor is all that is large."""
        sizes, width = demand.sizes, self.shape[1 - axis]
        if self.merged:
            return self.wanted_bytes(axis, demand, most=sizes.whole_strip)
        return self.wanted_bytes(axis, demand, most=min(sizes.large_strip, sizes.long_block * width // demand.rank))

    def piece(self, axis: int, demand: Demand) -> int:
        """Rows (columns) of a piece, as X and the rank say, whatever workers have; 0 where strips are whole.

        It is whole shards high, where that is not too much, else as many chunks as a shard is a multiple of: what is in
        two pieces would be asked for twice. It is not smaller than what it adds, which costs as much to add up.
        """
        if self.merged:
            return 0
        width, shard, chunk = self.shape[1 - axis], self.shard[axis], self.chunk[axis]
        wanted = max(demand.sizes.piece, PIECE_PER_SUMS * 8 * demand.rank * width) // (width * self.entry)
        if shard <= wanted:
            return min(wanted // shard * shard, self.shape[axis])
        # X may be lower than a shard: that is then no whole number of chunks.
        chunks, most = (shard // chunk if shard % chunk == 0 else 1), max(1, wanted // chunk)
        return min(max(n for n in range(1, most + 1) if chunks % n == 0 or chunks == 1) * chunk, self.shape[axis])

    def in_strips(self, axis: int, height: int, piece: int) -> Plan:
        """X in strips of one height, and these in pieces of one."""
        length, width = self.shape[axis], self.shape[1 - axis]
        return Plan(axis, height, length, width, largest=height * width * self.entry, piece=piece)

    def peak(self, plan: Plan, demand: Demand) -> int:
        """Projected peak memory of one worker, bytes: the terms that all strips share; pieces, or whole strips; chunks
        being decoded; float64 copies for a residual; what a rule works with; the long factor, old and new; X.
        """
        axis, height, width, workers = plan.axis, plan.height, plan.width, demand.workers
        piece, row, of_factor = min(plan.piece or height, height), width * self.entry, demand.rank * self.itemsize
        # A piece is let go before the next one is read, if that is not read ahead. Whole strips are loaded ahead.
        loaded = workers.threads * min((1 + self.waits) * piece, height)
        if not plan.piece:
            loaded = (ceil(workers.saturation * workers.threads) * self.copies + workers.stolen) * height
        decoded = workers.threads * sum(
            min(self.in_flight, ceil(piece / chunk[axis]) * ceil(width / chunk[1 - axis])) * 2 * prod(chunk) * stored
            for chunk, stored in self.together or ((self.chunk, self.stored),)
        )
        # A piece is copied where what is missing becomes 0, and weighed where weights are no mask; where entries are
        # there is two truth values for each.
        weighed = workers.threads * piece * width * (self.entry + 1) if self.omega else 0
        residual = workers.threads * 2 * 8 * min(part_rows(width, residual=True), piece) * width
        share = ceil(ceil(plan.length / height) / workers.count)
        # Of a piece a rule has an old and a new block among others; a fold has both of the strip, and a copy of each
        # where it is read or written.
        factor = workers.threads * ((RULE_BLOCKS - 2) * piece + 4 * height) + (0 if plan.in_run else 2 * share * height)
        kept = share * height if plan.cached else 0
        same = self.same_in_all(plan, demand)
        return same + decoded + residual + weighed + (loaded + kept) * row + factor * of_factor

    def least(self, axis: int, demand: Demand) -> int:
        """Projected peak of strips of one chunk's height."""
        height = min(self.chunk[axis], self.shape[axis])
        lowest = self.in_strips(axis, height, 0 if self.merged else height)
        return self.peak(replace(lowest, in_run=True, sample=int(demand.sampled)), demand)

    def rewritten(self) -> Iterator[tuple[Self, int]]:
        """X in chunks of whole rows (columns, where it is wide), a power of two of them, of 8 MiB at most."""
        axis = 0 if self.shape[0] >= self.shape[1] else 1
        axis = axis if axis in self.along else 1 - axis
        for exponent in range(self.shape[axis].bit_length(), -1, -1):
            height = min(2**exponent, self.shape[axis])
            chunk = (height, self.shape[1]) if axis == 0 else (self.shape[0], height)
            if prod(chunk) * self.stored <= 8 * MIB or exponent == 0:
                yield replace(self, chunk=chunk, shard=chunk, together=self._all_in(chunk)), axis

    def _all_in(self, chunk: tuple[int, ...]) -> tuple[tuple[tuple[int, ...], int], ...]:
        """All arrays in the same chunks."""
        return tuple((chunk, stored) for _, stored in self.together)

    @property
    def read_in(self) -> str:
        found = " and ".join(f"{chunk[0]} × {chunk[1]}" for chunk, _ in self.together)
        common = f"chunks of {self.chunk[0]} × {self.chunk[1]}"
        return f"X and its weights in chunks of {found}, which end together in {common}," if found else common

    @property
    def remedy(self) -> str:
        return f"rewrite X{' and its weights' if self.together else ''} in chunks of {self.chunk[0]} × {self.chunk[1]}"


def _heights(length: int, unit: int, wanted: int, threads: int) -> Iterator[int]:
    """Heights to try, from the wanted number of units down to one, each with strips of nearly equal height."""
    units = ceil(length / unit)
    count = ceil(units / min(wanted, units))
    while True:
        even = threads * ceil(count / threads) if count > 1 else 1
        per_strip = ceil(units / min(even, units))
        yield min(per_strip * unit, length)
        if per_strip == 1:
            return
        count = ceil(units / (per_strip - 1))
