"""How large strips and samples should be where memory does not decide it, and how tests and benchmarks change that."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Self

from dnmf.plan.memory import MIB


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of pieces, strips and samples that are wanted, in bytes but where rows are said.

    A strip costs some 9 ms of scheduling. Below `small_strip` a strip is not worth a thread of its own, below
    `worthwhile_strip` scheduling is over a tenth of reading it. Strips that are read in pieces may be `large_strip`:
    above it scheduling is next to nothing, and a lost strip only costs more. Their blocks of the long factor are at
    most `long_block`. Those that are in memory as a whole may be `whole_strip`, where scheduling is under 2 %.

    A `piece` decides how much memory a thread needs, and little else: of 2.1 GB, raw, a pass took 1.50, 1.53, 1.51,
    1.57 and 1.56 s with pieces of 8, 16, 32, 64 and 256 MiB. The allocator keeps no larger buffers than 32 MiB.

    A sample has `sample_rows` at most, and `sample_bytes`, which more than 8 rows per component may not exceed.
    Measured on speech with 24 components: after the second read the error was 1.007 times the final one with 2000 rows,
    1.002 times with 8000.
    """

    small_strip: int = 24 * MIB
    worthwhile_strip: int = 64 * MIB
    large_strip: int = 4096 * MIB
    whole_strip: int = 512 * MIB
    long_block: int = 64 * MIB
    piece: int = 16 * MIB
    sample_rows: int = 8000
    sample_bytes: int = 32 * MIB
    sample_rows_per_component: int = 8

    @classmethod
    def of_strips(cls, nbytes: int, *, sample_rows: int = 8000) -> Self:
        """Strips of so many bytes and four pieces, whatever X and workers are, as far as chunks and memory allow.

        >>> Sizes.of_strips(4096).large_strip
        4096
        """
        return cls(nbytes, nbytes, nbytes, nbytes, piece=max(1, nbytes // 4), sample_rows=sample_rows)


_SIZES = ContextVar("dnmf.plan.sizes", default=Sizes())  # noqa: B039 - it is frozen


def current() -> Sizes:
    """The sizes that a plan is made with, which is always in the process that asks for it, never in a worker."""
    return _SIZES.get()


@contextmanager
def using(sizes: Sizes) -> Iterator[None]:
    """Make plans with other sizes in a block of code, whoever calls for them: for tests and benchmarks.

    >>> with using(Sizes(small_strip=1)):
    ...     current().small_strip
    1
    """
    before = _SIZES.set(sizes)
    try:
        yield
    finally:
        _SIZES.reset(before)
