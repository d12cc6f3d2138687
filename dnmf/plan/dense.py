"""Dense X: strips are whole chunks high, along either axis."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, prod
from typing import Self

from dnmf.plan.grid import Demand, Grid
from dnmf.plan.memory import MIB, RULE_BLOCKS
from dnmf.plan.pieces import piece_rows
from dnmf.plan.strips import Plan


@dataclass(frozen=True, slots=True)
class DenseGrid(Grid):
    """The grid in which dense X is stored: see `Grid`.

    Attributes
    ----------
    shard : (rows, columns) of the pieces in which chunks are stored together; equal to `chunk` without sharding.
    """

    shard: tuple[int, ...]

    @property
    def axes(self) -> tuple[int, ...]:
        return 0, 1

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.itemsize

    @property
    def stored_nbytes(self) -> int:
        return prod(self.shape) * self.stored

    def cuts(self, axis: int, demand: Demand) -> Iterator[Plan]:
        """Strips of whole shards, then of whole chunks, lower and lower."""
        wanted = self.wanted_bytes(axis, demand)
        for unit in (self.shard[axis], self.chunk[axis]):
            most = ceil(wanted / (unit * self.shape[1 - axis] * self.itemsize))
            for height in _heights(self.shape[axis], unit, most, demand.threads):
                yield self.in_strips(axis, height)

    def in_strips(self, axis: int, height: int) -> Plan:
        """X in strips of one height."""
        length, width = self.shape[axis], self.shape[1 - axis]
        return Plan(axis, height, length, width, largest=height * width * self.itemsize)

    def peak(self, plan: Plan, demand: Demand) -> int:
        """Projected peak memory of one worker, bytes: the terms that all strips share; strips loaded and computed with;
        chunks being decoded; pieces of a residual; what a rule works with, and the long factor, old and new; X.
        """
        axis, height, width = plan.axis, plan.height, plan.width
        workers, strip = demand.workers, height * width * self.itemsize
        loaded = (ceil(workers.saturation * workers.threads) * self.copies + workers.stolen) * strip
        chunks = ceil(height / self.chunk[axis]) * ceil(width / self.chunk[1 - axis])
        decoded = workers.threads * min(self.in_flight, chunks) * 2 * prod(self.chunk) * self.stored
        share = ceil(ceil(plan.length / height) / workers.count)
        pieces = workers.threads * 2 * 8 * min(piece_rows(width, residual=True), height) * width
        block = demand.rank * height * self.itemsize
        factor = workers.threads * RULE_BLOCKS * block + (0 if plan.in_run else 2 * share * block)
        kept = share * strip if plan.cached else 0
        return self.same_in_all(plan, demand) + loaded + decoded + pieces + factor + kept

    def least(self, axis: int, demand: Demand) -> int:
        """Projected peak of strips of one chunk's height."""
        lowest = self.in_strips(axis, min(self.chunk[axis], self.shape[axis]))
        return self.peak(replace(lowest, in_run=True, sample=int(demand.sampled)), demand)

    def rewritten(self) -> Iterator[tuple[Self, int]]:
        """X in chunks of whole rows (columns, where it is wide), a power of two of them, of 8 MiB at most."""
        axis = 0 if self.shape[0] >= self.shape[1] else 1
        for exponent in range(self.shape[axis].bit_length(), -1, -1):
            height = min(2**exponent, self.shape[axis])
            chunk = (height, self.shape[1]) if axis == 0 else (self.shape[0], height)
            if prod(chunk) * self.stored <= 8 * MIB or exponent == 0:
                yield replace(self, chunk=chunk, shard=chunk), axis

    @property
    def pieces(self) -> str:
        return f"chunks of {self.chunk[0]} × {self.chunk[1]}"

    @property
    def remedy(self) -> str:
        return f"rewrite X in chunks of {self.chunk[0]} × {self.chunk[1]}"


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
