"""How X is cut: the axis, the heights of strips, and what they cost. Lengths are in entries, sizes in bytes."""

from dataclasses import dataclass
from math import ceil


def rows_or_columns(axis: int) -> str:
    """What strips consist of that are cut along an axis.

    >>> rows_or_columns(1)
    'columns'
    """
    return ("rows", "columns")[axis]


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
    peak : projected peak memory of one worker, bytes; 0 where it has not been projected yet.
    in_run : whether the long factor lives in the run instead of the workers' memory: where its share is over a fifth of
        that, or nothing fits otherwise.
    cached : whether X stays in the workers' memory after the first pass.
    sample : rows of the sample from which first factors are computed, 0 for none.
    largest : bytes of the largest strip, as it is computed with.
    counts : how many units each strip has, in order, where X is sparse; empty where each has one.
    piece : rows (or columns) of a strip that are in memory at a time; 0 where that is all of it.
    """

    axis: int
    height: int
    length: int
    width: int
    peak: int = 0
    in_run: bool = False
    cached: bool = False
    sample: int = 0
    largest: int = 0
    counts: tuple[int, ...] = ()
    piece: int = 0

    @property
    def heights(self) -> tuple[int, ...]:
        """Height of every strip, in order."""
        counts = self.counts or (1,) * ceil(self.length / self.height)
        full = [count * self.height for count in counts[:-1]]
        return *full, self.length - sum(full)

    def reads_as(self, other: "Plan") -> bool:
        """Whether X is read in the same strips and pieces, and so its checksums are the same."""
        return (self.heights, self.piece) == (other.heights, other.piece)

    def lines(self, strip: int) -> str:
        """The rows or columns of a strip, in words."""
        heights = self.heights
        first = sum(heights[:strip])
        return f"{rows_or_columns(self.axis)} {first} to {first + heights[strip] - 1}"
