"""What a worker holds: X as it is stored, workers, samples, and the projected peak memory. Pure functions of integers.

Nothing here reads X or knows Dask or Zarr. Sizes are in bytes, lengths in entries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

from dnmf.plan.grid import Grid, SparseGrid
from dnmf.plan.pieces import LARGE_PIECE, PIECE_NON_ZEROS, piece_rows

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


def sample_rows(grid: Grid | SparseGrid, axis: int, *, rank: int, workers: Workers) -> int:
    """Rows (columns, for axis 1) of a sample: of X and the rank alone, unless workers are too small for it.

    Then it is halved until merging it takes at most half of what a worker may use. Rows of sparse X count as one of
    average bytes.

    >>> grid = Grid((131_072, 4096), (1024, 4096), (1024, 4096), 4, 4)
    >>> [sample_rows(grid, 0, rank=20, workers=Workers(2, 1, limit * MIB)) for limit in (4096, 512)]
    [2048, 512]
    """
    row = ceil(grid.nbytes / grid.shape[axis])
    most = max(SAMPLE_BYTES // row, SAMPLE_ROWS_PER_COMPONENT * rank)
    rows = min(grid.shape[axis], SAMPLE_ROWS, most)
    free = (workers.usable - IDLE_WORKER - workers.slack) // 2
    while rows > 1 and _sample_bytes(grid, axis, rows) > free:
        rows //= 2
    return rows


def _sample_bytes(grid: Grid | SparseGrid, axis: int, rows: int) -> int:
    """Bytes of samples of `rows` rows that a worker holds while it merges them: some waiting, one being drawn.

    Rows are drawn by their squared norms: those of sparse X are taken to be twice as full as the average.
    """
    row = ceil(grid.nbytes / grid.shape[axis]) * (1 if isinstance(grid, Grid) else 2)
    return (SAMPLE_SPLIT + 3) * rows * row


def partial_sums_bytes(rank: int, width: int) -> int:
    """Bytes of partial sums that a worker holds while it adds them up."""
    return (SPLIT_EVERY + 2) * 8 * rank * (width + rank)


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
    sums = partial_sums_bytes(rank, width) + 2 * grid.itemsize * rank * width
    return (
        IDLE_WORKER
        + workers.slack
        + loaded
        + decoded
        + _sample_bytes(grid, axis, sample)
        + pieces
        + factor
        + sums
        + (share * strip if cached else 0)
    )


def sparse_peak_bytes(
    grid: SparseGrid,
    heights: Sequence[int],
    *,
    rank: int,
    workers: Workers,
    in_run: bool,
    cached: bool,
    sample: int = 0,
) -> int:
    """Projected peak memory of one worker, bytes, for strips of sparse X of these heights. It follows non-zeros.

    The terms are those of `peak_bytes`, in that order, for the largest and the highest strip; no sum of bytes over
    strips is that of average ones, since strips differ.
    """
    axis, threads = grid.axis, workers.threads
    width, item = grid.shape[1 - axis], grid.itemsize
    strips = grid.strips_bytes(heights)
    largest, share = max(strips), ceil(len(strips) / workers.count)
    loaded = (ceil(workers.saturation * threads) * grid.copies + workers.stolen) * largest
    # Entries are read, then their places: twice the bytes of both covers one of them compressed, decoded and cast.
    chunks = min(grid.in_flight, largest // (grid.chunk[0] * (item + grid.index_size)) + 2)
    decoded = threads * 2 * max(chunks * grid.chunk[0] * grid.stored, grid.pointers)
    # A large piece is cut out of a strip and cast to float64, or has two numbers per non-zero; a small one has two per
    # component. Neither ends inside a line.
    full = largest // (item + grid.index_size)
    copied = (item + grid.index_size + 2 * 8) * min(full, max(LARGE_PIECE, grid.fullest))
    pieces = threads * (copied + 2 * 8 * rank * min(full, max(PIECE_NON_ZEROS, grid.fullest)))
    factor = threads * RULE_BLOCKS * rank * max(heights) * item
    kept = 0 if in_run else 2 * rank * item * _most(heights, share)
    sums = partial_sums_bytes(rank, width) + 2 * item * rank * width
    # The product of a strip is made turned, in the dtype of X or in float64, and added up in float64.
    turned = threads * 2 * 8 * rank * width
    return (
        IDLE_WORKER
        + workers.slack
        + loaded
        + decoded
        + _sample_bytes(grid, axis, sample)
        + pieces
        + factor
        + kept
        + sums
        + turned
        + (_most(strips, share) if cached else 0)
    )


def _most(sizes: Sequence[int], share: int) -> int:
    """What a worker holds at most of things of these sizes, as many as are its share."""
    return sum(sorted(sizes, reverse=True)[:share])
