"""A sample, cut in two halves at random, several times; and its columns, cut into folds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.products import left
from dnmf.arrays.rows import Rows
from dnmf.arrays.sample import Sample, StandIn, count_rows, stand_in_for
from dnmf.arrays.weighted import Weighted

# Ways in which rows are cut in two: one of so many of them is enough; of fewer, up to so many ways are averaged, as the
# halves of 96 rows told another rank for every cut. Folds of the columns.
ENOUGH_ROWS, MOST_SPLITS, FOLDS = 2000, 5, 5

# Rows that a sample must have.
LEAST_ROWS = 4

# Streams of random numbers beside those of a factorization.
SPLIT_STREAM, FOLD_STREAM = 11, 5


@dataclass(frozen=True, slots=True)
class Halves:
    """What ranks are compared on.

    Attributes
    ----------
    whole : the sample (s, N), as a matrix that stands for Y.
    splits : for each way to cut it, the two halves.
    first : (splits, s), whether a row is in the first half.
    folds : (N,) the fold of each column.
    shares : (N,) what part of all that the sample stands for is in each column.
    """

    whole: StandIn
    splits: tuple[tuple[StandIn, StandIn], ...]
    first: NDArray[np.bool_]
    folds: NDArray[np.intp]
    shares: NDArray[np.float64]

    @property
    def rows(self) -> int:
        """Rows of the smaller half."""
        return len(self.whole.counts) // 2


def halve(sample: Sample, size: int, *, rank: int, seed: int) -> Halves:
    """Cut a sample of `size` rows for ranks up to `rank`.

    Raises
    ------
    ValueError
        If there are too few rows that are not zero.
    """
    rows, counts = count_rows(sample, size)
    if len(counts) < LEAST_ROWS:
        raise ValueError(
            f"the sample of X has {len(counts)} rows or columns that are not zero, and {LEAST_ROWS} are required to "
            f"hold some of them out"
        )
    splits = min(MOST_SPLITS, max(1, ENOUGH_ROWS // len(counts)))
    first = np.array([_half(len(counts), [seed, SPLIT_STREAM, split]) for split in range(splits)])

    def part(at: NDArray[np.bool_]) -> StandIn:
        # One sketch serves all ranks.
        return stand_in_for(rows[at], counts[at], whole=False, rank=rank, seed=seed)

    return Halves(
        whole=stand_in_for(rows, counts, whole=False, rank=rank, seed=seed),
        splits=tuple((part(half), part(~half)) for half in first),
        first=first,
        folds=cut_columns(rows.shape[1], seed),
        shares=column_shares(rows, counts),
    )


def cut_columns(count: int, seed: int) -> NDArray[np.intp]:
    """The fold (N,) of each of so many columns."""
    return np.asarray(np.random.default_rng([seed, FOLD_STREAM]).permutation(count) % FOLDS)


def column_shares(rows: Rows, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """What part of all is in each column (N,), of rows that count so often; by its mean where entries are missing."""
    if isinstance(rows, Weighted):
        above, below = (left(counts[None, :], part)[0] for part in (rows.counted, rows.omega))
        totals = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    else:
        totals = left(counts[None, :], rows)[0]
    totals = np.maximum(totals, 0)
    return np.asarray(totals / max(float(totals.sum()), np.finfo("f8").tiny))


def _half(count: int, seed: list[int]) -> NDArray[np.bool_]:
    """Which of so many rows are in the first half."""
    return np.asarray(np.random.default_rng(seed).permutation(count) % 2 == 0)
