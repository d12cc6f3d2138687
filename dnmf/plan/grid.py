"""What the planner asks of the grid in which X is stored, and what follows alike for dense and for sparse X."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import ceil
from typing import ClassVar, Self

from dnmf.plan.memory import (
    IDLE_WORKER,
    MIB,
    SAMPLE_SPLIT,
    USABLE_SHARE,
    Workers,
    in_words,
    partial_sums_bytes,
)
from dnmf.plan.sizes import Sizes, current
from dnmf.plan.strips import Plan
from dnmf.plan.weighing import weighing_bytes

# Samples that wait in a worker while others are drawn: some more where it has hundreds of strips.
WAITING = 3


@dataclass(frozen=True, slots=True)
class Demand:
    """What X is cut for: so many components, by these workers, with or without a sample of its rows."""

    rank: int
    workers: Workers
    sampled: bool = False
    sizes: Sizes = field(default_factory=current)

    @property
    def threads(self) -> int:
        """Of all workers."""
        return self.workers.count * self.workers.threads


@dataclass(frozen=True, slots=True)
class Beside:
    """A second array of X's shape that is read with the same cut, of which no more is kept than entries need.

    Attributes
    ----------
    held : bytes of it that a thread holds while it reads.
    line : bytes of it that a thread holds for each row (column) of its strip.
    stored_nbytes : bytes that are decoded where all of it is read once.
    """

    held: int = 0
    line: int = 0
    stored_nbytes: int = 0


NOTHING = Beside()


@dataclass(frozen=True, slots=True)
class Grid(ABC):
    """The grid in which X is stored.

    Attributes
    ----------
    shape : (m, n)
    chunk : the smallest that can be read: (rows, columns), or (non-zeros,) of sparse X.
    stored : bytes of an entry in the store; of sparse X with its place.
    itemsize : bytes of an entry as it is computed with.
    copies : how many times a strip is in memory while it is made.
    in_flight : chunks of one read that are decoded at the same time.
    omega : bytes of the weight of an entry, as it is computed with; 0 where no entry has one.
    beside : what else is read with the same cut, and not held as it is.
    """

    shape: tuple[int, int]
    chunk: tuple[int, ...]
    stored: int
    itemsize: int
    copies: int = field(default=1, kw_only=True)
    in_flight: int = field(default=10, kw_only=True)
    omega: int = field(default=0, kw_only=True)
    beside: Beside = field(default=NOTHING, kw_only=True)

    # Rows of a sample are drawn by their squared norms: how many times as full as the average these are taken to be.
    drawn_fullness: ClassVar[int] = 1

    @property
    def waits(self) -> bool:
        """Whether reading waits for a network more than it computes, so that one piece is read ahead."""
        return self.in_flight > 1

    @property
    @abstractmethod
    def axes(self) -> tuple[int, ...]:
        """Those along which X can be cut."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of all of X as it is computed with."""

    @property
    @abstractmethod
    def stored_nbytes(self) -> int:
        """Bytes that are decoded where all of X is read once."""

    @abstractmethod
    def cuts(self, axis: int, demand: Demand) -> Iterator[Plan]:
        """Ways to cut X along an axis, from the largest strips that pay to the smallest; nothing else is decided."""

    @abstractmethod
    def peak(self, plan: Plan, demand: Demand) -> int:
        """Projected peak memory of one worker, bytes."""

    @abstractmethod
    def least(self, axis: int, demand: Demand) -> int:
        """Projected peak of the smallest strips along an axis, where all else is as small as it can be."""

    @abstractmethod
    def rewritten(self) -> Iterator[tuple[Self, int]]:
        """X stored in ever smaller chunks, each small enough to be read fast, and the axis along which it is cut."""

    @property
    @abstractmethod
    def read_in(self) -> str:
        """What X is read in, in words, with what else makes strips large."""

    @property
    @abstractmethod
    def remedy(self) -> str:
        """How to get X into this grid, in words."""

    def candidates(self, axis: int, demand: Demand, *, cached: bool) -> Iterator[Plan]:
        """Plans to try along an axis: a smaller sample, or the long factor in the run, where no cut fits otherwise."""
        for sample in self._samples(axis, demand):
            for in_run in self._places_of_factor(axis, demand):
                for cut in self.cuts(axis, demand):
                    yield replace(cut, sample=sample, in_run=in_run, cached=cached)

    def _samples(self, axis: int, demand: Demand) -> list[int]:
        """Rows of a sample, from as many as are wanted on."""
        rows = self.sample_rows(axis, demand) if demand.sampled else 0
        return [max(1, rows // 4**i) for i in range(rows.bit_length() // 2 + 1)] if rows else [0]

    def _places_of_factor(self, axis: int, demand: Demand) -> list[bool]:
        """Whether the long factor lives in the run, to try one after the other."""
        share = ceil(self.shape[axis] / demand.workers.count) * demand.rank * self.itemsize
        return list(dict.fromkeys((5 * share > demand.workers.memory, True)))

    def sample_rows(self, axis: int, demand: Demand, *, before: int = 0) -> int:
        """Rows (columns, for axis 1) of a sample: of X and the rank alone, unless workers are too small for it.

        Then it is halved until merging it takes at most half of what a worker may use. Rows of sparse X count as one of
        average bytes. `before` are rows that it stands for beside those of X.
        """
        sizes, workers = demand.sizes, demand.workers
        most = max(sizes.sample_bytes // self._row_bytes(axis), sizes.sample_rows_per_component * demand.rank)
        rows = min(before + self.shape[axis], sizes.sample_rows, most)
        free = (workers.usable - IDLE_WORKER - workers.slack) // 2
        while rows > 1 and self._sample_bytes(axis, rows, workers) > free:
            rows //= 2
        return rows

    def _row_bytes(self, axis: int) -> int:
        return ceil(self.nbytes / self.shape[axis])

    def _sample_bytes(self, axis: int, rows: int, workers: Workers) -> int:
        """Bytes of samples of so many rows that a worker holds: some are merged or wait for that, and every thread
        draws one, which it copies where it leaves rows out.
        """
        return (SAMPLE_SPLIT + WAITING + 2 * workers.threads) * rows * self._row_bytes(axis) * self.drawn_fullness

    def wanted_bytes(self, axis: int, demand: Demand, *, most: int) -> int:
        """Bytes of a strip if memory were no concern: four to a thread where they are large enough, one at least.

        They are not more than `most`, unless partial sums want more rows.
        """
        sizes, threads, sums = demand.sizes, demand.threads, demand.rank * self.shape[1 - axis] * 8
        least = min(sizes.worthwhile_strip, max(self.nbytes // threads, sizes.small_strip))
        return max(1, min(max(self.nbytes // (4 * threads), least), max(most, 16 * sums)))

    def same_in_all(self, plan: Plan, demand: Demand) -> int:
        """The terms of a peak that do not depend on strips: the idle worker and its allocator's slack; samples, whose
        memory is given back before the next pass, but not whole; partial sums as they are added up, and the short
        factor in two tasks.
        """
        samples, threads = self._sample_bytes(plan.axis, plan.sample, demand.workers), demand.workers.threads
        sums = partial_sums_bytes(demand.rank, plan.width)
        weighing = weighing_bytes(demand.rank, plan.width, self.itemsize, threads) if self.omega else 0
        beside = threads * (self.beside.held + self.beside.line * max(plan.heights))
        short = 2 * self.itemsize * demand.rank * plan.width
        return IDLE_WORKER + demand.workers.slack + samples + sums + short + weighing + beside

    def refusal(self, demand: Demand) -> str:
        """Why X does not fit, with the numbers, and what to do."""
        workers, rank = demand.workers, demand.rank
        needed, axis = min((self.least(axis, demand), axis) for axis in self.axes)
        width = self.shape[1 - axis]
        fitting = (better for better, axis in self.rewritten() if better.least(axis, demand) <= workers.usable)
        better = next(fitting, None)
        advice = f"{better.remedy}, or" if better else f"no chunks would help at rank {rank}:"
        return (
            f"X does not fit: with {self.read_in} and {partial_sums_bytes(rank, width) / MIB:.0f} MiB of partial sums "
            f"of {rank} × {width}, the smallest strips need {needed / MIB:.0f} MiB in a worker that may use "
            f"{workers.usable / MIB:.0f} MiB ({USABLE_SHARE} of its limit of {in_words(workers.memory)}); {advice} "
            f"give workers {ceil(needed / USABLE_SHARE / MIB)} MiB"
        )
