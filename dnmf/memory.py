"""What a worker holds: X as it is stored, workers, samples, and the projected peak memory. Pure functions of integers.

Nothing here reads X or knows Dask or Zarr. Sizes are in bytes, lengths in entries.
"""

from dataclasses import dataclass
from math import ceil, prod

MIB = 2**20

# What a worker holds before it is given anything, and what its allocator may keep of what was given back.
IDLE_WORKER, ALLOCATOR_SLACK = 127 * MIB, 28 * MIB

# Dask spills at 0.6 of a worker's limit (what it manages) and 0.7 (the process): a plan stays below both.
USABLE_SHARE = 0.7

# Arrays as large as a strip's block of the long factor that are alive while it is updated: old and new block,
# numerator, two of the rule; in the first pass also the draw in float64 and its scaling.
RULE_BLOCKS = 8

# Partial sums are added up in a tree of this width.
SPLIT_EVERY = 8

# Rows of a sample at most, and bytes, which more than 8 rows per component may not exceed. Measured on speech with 24
# components: after the second read the error was 1.007 times the final one with 2000 rows, 1.002 times with 8000.
SAMPLE_ROWS, SAMPLE_BYTES, SAMPLE_ROWS_PER_COMPONENT = 8000, 32 * MIB, 8

# Samples of strips are merged in a tree of this width.
SAMPLE_SPLIT = 4


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
class Workers:
    """What computes: `count` workers of `threads` threads, none with less than `memory` bytes.

    `saturation` is Dask's worker-saturation: how many strips per thread are loaded ahead. `stolen` is how many more
    strips a worker may hold because it took a task from another one. `slack` is what its allocator may keep, bytes.
    """

    count: int
    threads: int
    memory: int
    saturation: float = 1.0
    stolen: int = 0
    slack: int = ALLOCATOR_SLACK

    @property
    def usable(self) -> int:
        """Bytes that a worker may hold before Dask spills."""
        return int(self.memory * USABLE_SHARE)


def piece_rows(width: int, *, residual: bool) -> int:
    """How many rows of a strip are multiplied at a time before they are added up in float64.

    More would lose digits, fewer would spend the time on additions; a residual needs float64 copies of the piece, so
    there the least is lower.
    """
    return max(16 if residual else 128, min(512, 2**18 // width))


def sample_rows(grid: Grid, axis: int, *, rank: int, workers: Workers) -> int:
    """Rows (columns, for axis 1) of a sample: of X and the rank alone, unless workers are too small for it.

    Then it is halved until merging it takes at most half of what a worker may use.

    >>> grid = Grid((131_072, 4096), (1024, 4096), (1024, 4096), 4, 4)
    >>> [sample_rows(grid, 0, rank=20, workers=Workers(2, 1, limit * MIB)) for limit in (4096, 512)]
    [2048, 512]
    """
    row = grid.shape[1 - axis] * grid.itemsize
    most = max(SAMPLE_BYTES // row, SAMPLE_ROWS_PER_COMPONENT * rank)
    rows = min(grid.shape[axis], SAMPLE_ROWS, most)
    free = (workers.usable - IDLE_WORKER - workers.slack) // 2
    while rows > 1 and _sample_bytes(rows, row) > free:
        rows //= 2
    return rows


def _sample_bytes(rows: int, row: int) -> int:
    """Bytes of samples of `rows` rows that a worker holds while it merges them: some waiting, one being drawn."""
    return (SAMPLE_SPLIT + 3) * rows * row


def peak_bytes(
    grid: Grid, axis: int, height: int, *, rank: int, workers: Workers, in_run: bool, cached: bool, sample: int = 0
) -> int:
    """Projected peak memory of one worker, bytes, for strips `height` high along `axis`.

    The terms, in order: the idle worker and its allocator's slack; strips loaded and computed with; chunks being
    decoded; samples of `sample` rows (their memory is given back before the next pass, but not whole); pieces of a
    residual; what a rule works with, and the long factor, old and new; partial sums as they are added up, and the short
    factor in two tasks; X.
    """
    length, width = grid.shape[axis], grid.shape[1 - axis]
    strip = height * width * grid.itemsize
    loaded = (ceil(workers.saturation * workers.threads) * grid.copies + workers.stolen) * strip
    chunk = prod(grid.chunk) * grid.stored
    chunks = ceil(height / grid.chunk[axis]) * ceil(width / grid.chunk[1 - axis])
    decoded = workers.threads * min(grid.in_flight, chunks) * 2 * chunk
    share = ceil(ceil(length / height) / workers.count)
    pieces = workers.threads * 2 * 8 * min(piece_rows(width, residual=True), height) * width
    block = rank * height * grid.itemsize
    factor = workers.threads * RULE_BLOCKS * block + (0 if in_run else 2 * share * block)
    sums = (SPLIT_EVERY + 2) * 8 * rank * (width + rank) + 2 * grid.itemsize * rank * width
    return (
        IDLE_WORKER
        + workers.slack
        + loaded
        + decoded
        + _sample_bytes(sample, width * grid.itemsize)
        + pieces
        + factor
        + sums
        + (share * strip if cached else 0)
    )
