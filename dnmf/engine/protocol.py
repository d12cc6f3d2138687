"""What an engine is: it computes reads of X, and keeps X as it is cut and long factors, whatever these are to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from dnmf.arrays.rows import Array
from dnmf.engine.blocks import Draw
from dnmf.engine.read import Outcome, Read
from dnmf.matrix.matrix import Matrix
from dnmf.run.arrays import StoredArray

# X as it is cut, and factors as they are cut: whatever an engine makes of them.
Strips = TypeVar("Strips")

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")

# Told how many strips of a read are done.
Tick = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Source(Generic[Strips]):
    """X as it is cut.

    Attributes
    ----------
    Y : for the next read.
    later : for all reads after that one, which checks every entry; None where they are the same.
    stored : whether the next read reads X's store; not where X was read and stays in memory.
    """

    Y: Strips
    later: Strips | None
    stored: bool


@dataclass(frozen=True, slots=True)
class Pending(Generic[Strips]):
    """A read that is going on: X and the long factor for the next one, and what waits for this one's outcome.

    Errors of tasks are raised where the read is begun or where it is waited for.
    """

    source: Source[Strips]
    L: Strips | None
    wait: Callable[[], Outcome]


class Engine(Protocol[Strips]):
    """What computes reads of X."""

    def open(self, matrix: Matrix) -> Source[Strips]:
        """X as it is cut."""
        ...

    def read(self, source: Source[Strips], L: Strips | None, what: Read, tick: Tick) -> Pending[Strips]:
        """Begin a read; without a long factor, `what` makes its own, or needs none."""
        ...

    def draw(self, draw: Draw) -> Strips:
        """A first long factor."""
        ...

    def load(self, source: StoredArray) -> Strips:
        """A stored long factor."""
        ...

    def save(self, L: Strips, target: StoredArray) -> Strips:
        """Write a long factor, each block from where it is; the same, without memory of where it came from."""
        ...

    def collect(self, L: Strips) -> Array:
        """A long factor (M, k), in this process."""
        ...

    def map(self, function: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]) -> list[Result]:
        """`function(shared, item)` for each item, side by side."""
        ...
