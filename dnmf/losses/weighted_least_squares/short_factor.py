"""How the short factor moves where entries are missing: decided once, before the first pass.

    sample       steps on the sample, by its own Gram matrix of every column: where the sample has enough of each
    exact        every column by its own Gram matrix of all rows, where these are small enough to be sums of a pass
    expectation  one Gram matrix for all columns, which bounds them: missing entries count as what the model says

Measured (6000 × 300, k = 10): with ten observations of a column and component in the sample its steps diverged, with
twenty they needed two passes where 30 % were missing, and three where 90 % were.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.grams import unpack
from dnmf.arrays.rows import Array
from dnmf.arrays.weighted import Weighted
from dnmf.plan.memory import MIB
from dnmf.plan.weighing import MOST_PAIR_SUMS, pair_bytes, pair_sums_bytes

# Observations of a column in the sample, for each component, from which its curvature is known; and the share of all
# observations that may be in columns of fewer.
ENOUGH, POOR_SHARE = 20, 0.05

# The client may hold as much of the Gram matrices of all columns, where they are the sample's.
SAMPLE_BYTES = 8 * MOST_PAIR_SUMS

# Bytes of Gram matrices that are unpacked at a time.
UNPACKED_BYTES = 2**23


@dataclass(frozen=True, slots=True)
class ShortFactor:
    """How the short factor moves, and why, as a sentence."""

    kind: Literal["sample", "exact", "expectation"]
    why: str

    @property
    def exact(self) -> bool:
        """Whether sums of a pass hold the Gram matrix of every column."""
        return self.kind == "exact"

    @property
    def sentence(self) -> str:
        """How it moves, and why.

        >>> ShortFactor("exact", "Gram matrices of 9 columns are 0.1 MiB of sums").sentence
        'the short factor moves by exact columns: Gram matrices of 9 columns are 0.1 MiB of sums'
        """
        how = {"sample": "steps on the sample", "exact": "exact columns", "expectation": "expectation"}
        return f"the short factor moves by {how[self.kind]}: {self.why}"


def without_sample(width: int, rank: int) -> ShortFactor:
    """How it moves where nothing but passes is known."""
    size = pair_bytes(rank, width)
    if pair_sums_bytes(rank, width):
        return ShortFactor("exact", f"Gram matrices of {width} columns are {size / MIB:.1f} MiB of sums")
    return ShortFactor("expectation", f"Gram matrices of {width} columns would be {size / MIB:.0f} MiB of sums")


def decide(y: Weighted, rank: int, *, whole: bool) -> ShortFactor:
    """How it moves, from the rows of a sample (s, N) that may be all of Y."""
    if whole:
        return ShortFactor("sample", "the sample is all of X")
    counts, enough = column_counts(y), ENOUGH * rank
    poor = int(counts[counts < enough].sum())
    if poor <= POOR_SHARE * counts.sum() and pair_bytes(rank, y.shape[1]) <= SAMPLE_BYTES:
        return ShortFactor("sample", f"columns have {enough} observations or more in the sample")
    other = without_sample(y.shape[1], rank)
    few = int((counts < enough).sum())
    return ShortFactor(other.kind, f"{few} columns have fewer than {enough} observations in the sample; {other.why}")


def column_counts(y: Weighted) -> NDArray[np.intp]:
    """How many entries of each column are there, (N,)."""
    if y.sparse:
        return np.bincount(y.values.indices, minlength=y.shape[1])
    return np.asarray(np.count_nonzero(y.weights, axis=0))


def column_grams(pairs: Array) -> Iterator[tuple[slice, Array]]:
    """Columns of the short factor, some at a time, with their Gram matrices (k, k, columns), from pairs (·, N)."""
    rank = int(np.sqrt(2 * len(pairs)))
    at_a_time = max(16, UNPACKED_BYTES // (rank * rank * pairs.itemsize))
    for start in range(0, pairs.shape[1], at_a_time):
        cut = slice(start, min(start + at_a_time, pairs.shape[1]))
        yield cut, unpack(pairs[:, cut], rank)
