"""What workers are, and what they hold whatever X is. Sizes are in bytes."""

from dataclasses import dataclass
from math import ceil

MIB = 2**20

# What a worker holds before it is given anything, and what its allocator may keep of what was given back.
IDLE_WORKER, ALLOCATOR_SLACK = 127 * MIB, 28 * MIB

# Dask spills at 0.6 of a worker's limit (what it manages) and 0.7 (the process): a plan stays below both.
USABLE_SHARE = 0.7

# The least limit of a worker in which anything fits, and one that no machine has, in whole MiB.
LEAST_LIMIT, MOST_LIMIT = ceil((IDLE_WORKER + ALLOCATOR_SLACK) / USABLE_SHARE / MIB) * MIB, 2**50

# Arrays as large as the block of the long factor of what is in memory at a time (a piece, or a whole strip) that are
# alive while it is updated: old and new block, numerator, two of the rule; in the first pass also its scaling.
RULE_BLOCKS = 8

# Partial sums are added up in a tree of this width, samples of strips are merged in one of that.
SPLIT_EVERY, SAMPLE_SPLIT = 8, 2


@dataclass(frozen=True, slots=True)
class Workers:
    """What computes: `count` workers of `threads` threads, none with less than `memory` bytes.

    `saturation` is Dask's worker-saturation: how many whole strips per thread are loaded ahead. `stolen` is how many
    more a worker may hold because it took a task from another one. `slack` is what its allocator may keep, bytes.
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


def index_bytes(largest: int) -> int:
    """Bytes of a place or pointer of sparse X: those of int32 where the largest fits."""
    return 4 if largest < 2**31 else 8


def partial_sums_bytes(rank: int, width: int) -> int:
    """Bytes of partial sums that a worker holds while it adds them up."""
    return (SPLIT_EVERY + 2) * 8 * rank * (width + rank)


def in_words(size: int) -> str:
    """Bytes in words.

    >>> in_words(3 * MIB), in_words(500)
    ('3 MiB', '500 bytes')
    """
    return f"{size / MIB:.0f} MiB" if size >= MIB else f"{size} bytes"
