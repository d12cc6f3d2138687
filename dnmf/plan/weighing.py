"""What entries that have weights cost beside others, in bytes."""

from dnmf.plan.memory import MIB, SPLIT_EVERY
from dnmf.plan.parts import PART_NON_ZEROS

# Of sums over products of pairs of components that a pass adds up at most; of such products in memory at a time; and of
# Gram matrices of rows at a time: as pairs (4 MiB) and as matrices (8), and in float64 where they are solved (12).
MOST_PAIR_SUMS, PAIRS_AT_A_TIME, GRAMS_AT_A_TIME = 64 * MIB, 16 * MIB, 24 * MIB


def pair_bytes(rank: int, width: int) -> int:
    """Bytes of the sums of products of pairs of components of so many columns, in float64.

    >>> pair_bytes(20, 17_000)
    28560000
    """
    return 4 * width * rank * (rank + 1)


def pair_sums_bytes(rank: int, width: int) -> int:
    """The same, if a pass may add them up: else 0.

    >>> pair_sums_bytes(20, 17_000), pair_sums_bytes(20, 10**6)
    (28560000, 0)
    """
    size = pair_bytes(rank, width)
    return size if size <= MOST_PAIR_SUMS else 0


def weighing_bytes(rank: int, width: int, itemsize: int, threads: int) -> int:
    """Bytes that a worker needs where entries have weights: Gram matrices of rows as they are formed, and the sums of
    those of columns, where they are added up. Entries that are few in their row have two numbers per component.
    """
    pairs, products = pair_sums_bytes(rank, width), itemsize * width * rank * (rank + 1) // 2
    formed = min(PAIRS_AT_A_TIME, products) + GRAMS_AT_A_TIME + 2 * itemsize * rank * PART_NON_ZEROS
    return threads * (formed + pairs + pairs * itemsize // 8) + (SPLIT_EVERY + 2) * pairs
