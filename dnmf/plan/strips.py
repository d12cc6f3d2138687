"""dnmf.plan.strips."""

from dataclasses import dataclass
from math import ceil

from dnmf.plan.grid import Grid, SparseGrid
from dnmf.plan.memory import MIB, Workers, sample_rows


@dataclass(frozen=True, slots=True)
class Cut:
    """Strips of sparse X: rows of a unit, and how many units each strip has, in order. The last unit may be lower."""

    unit: int
    counts: tuple[int, ...]

    def heights(self, length: int) -> tuple[int, ...]:
        """Rows of every strip."""
        full = [count * self.unit for count in self.counts[:-1]]
        return *full, length - sum(full)


# A strip costs some 9 ms of scheduling. Below SMALL a strip is not worth a thread of its own, below WORTHWHILE
# scheduling is over a tenth of reading it, above LARGE it is under 2 % and a lost strip only costs more.
SMALL_STRIP, WORTHWHILE_STRIP, LARGE_STRIP = 24 * MIB, 64 * MIB, 512 * MIB


@dataclass(frozen=True, slots=True)
class Plan:
    """How X is cut and what that costs.

    Attributes
    ----------
    axis : 0 where strips are whole rows of X, 1 where they are whole columns.
    height : rows (or columns) of a unit, the last one may be lower: strips are whole units, and the long factor is
        stored in chunks of this height. A strip of dense X is one unit.
    length : rows (or columns) of X along the cut axis.
    width : entries of X along the other axis.
    peak : projected peak memory of one worker, bytes.
    in_run : whether the long factor lives in the run instead of the workers' memory: where its share is over a fifth of
        that, or nothing fits otherwise.
    cached : whether X stays in the workers' memory after the first pass.
    sample : rows of the sample from which first factors are computed, 0 for none.
    largest : bytes of the largest strip, as it is computed with.
    counts : how many units each strip has, in order, where X is sparse; empty where each has one.
    """

    axis: int
    height: int
    length: int
    width: int
    peak: int
    in_run: bool
    cached: bool
    sample: int = 0
    largest: int = 0
    counts: tuple[int, ...] = ()

    @property
    def heights(self) -> tuple[int, ...]:
        """Height of every strip, in order."""
        counts = self.counts or (1,) * ceil(self.length / self.height)
        return Cut(self.height, counts).heights(self.length)

    def lines(self, strip: int) -> str:
        """The rows or columns of a strip, in words."""
        heights = self.heights
        first = sum(heights[:strip])
        return f"{('rows', 'columns')[self.axis]} {first} to {first + heights[strip] - 1}"


def _samples(grid: Grid | SparseGrid, axis: int, rank: int, workers: Workers, *, sampled: bool) -> list[int]:
    """Rows of a sample to try: smaller ones where nothing fits otherwise."""
    rows = sample_rows(grid, axis, rank=rank, workers=workers) if sampled else 0
    return [max(1, rows // 4**i) for i in range(rows.bit_length() // 2 + 1)] if rows else [0]


def _places(grid: Grid | SparseGrid, axis: int, rank: int, workers: Workers) -> list[bool]:
    """Whether the long factor lives in the run, to try one after the other."""
    share = ceil(grid.shape[axis] / workers.count) * rank * grid.itemsize
    return list(dict.fromkeys((5 * share > workers.memory, True)))


def _wanted_bytes(grid: Grid | SparseGrid, sums: int, threads: int) -> int:
    """Bytes of a strip if memory were no concern: four to a thread where they are large enough, one at least."""
    balanced = max(grid.nbytes // (4 * threads), min(WORTHWHILE_STRIP, max(grid.nbytes // threads, SMALL_STRIP)))
    return max(1, min(balanced, max(LARGE_STRIP, 16 * sums)))
