"""This thread alone, for X that is one strip and stays in memory: no scheduler, no graph."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dnmf.arrays.rows import Array, Rows
from dnmf.engine import blocks
from dnmf.engine.blocks import Draw, Place, Places
from dnmf.engine.protocol import Item, Pending, Result, Shared, Source, Tick
from dnmf.engine.read import Outcome, Read
from dnmf.matrix.matrix import Matrix
from dnmf.plan.strips import Plan
from dnmf.run.arrays import StoredArray


@dataclass(frozen=True, slots=True)
class Direct:
    """Reads of X in this thread; the plan has one strip."""

    plan: Plan

    @property
    def _place(self) -> Place:
        return Places(self.plan.length)[:, :]

    def open(self, matrix: Matrix) -> Source[Rows]:
        """All of X, read and checked at once; the first read counts for it."""
        return Source(matrix.strips(self.plan.axis, check=True)[:, :], None, stored=True)

    def read(self, source: Source[Rows], L: Array | None, what: Read, tick: Tick) -> Pending[Rows]:
        """Compute the whole read at once."""
        y = source.Y
        if what.move is not None:
            L = blocks.move_rows(y, what.shared, L, move=what.move)
            if what.move.target is not None:
                self.save(L, what.move.target)
        outcome = blocks.add_up(y, self._place, what.shared, L, total=what.total, reads=source.stored)

        def wait() -> Outcome:
            tick(1)
            return outcome

        return Pending(Source(y, None, stored=False), L, wait)

    def draw(self, draw: Draw) -> Array:
        """A first long factor, drawn at once."""
        return blocks.draw_rows(self._place, draw)

    def load(self, source: StoredArray) -> Array:
        """A stored long factor, read at once."""
        return blocks.read(self._place, source, self.plan.axis)

    def save(self, L: Array, target: StoredArray) -> Array:
        """Write a long factor at once."""
        return blocks.write(L, self._place, target, self.plan.axis)

    def collect(self, L: Array) -> Array:
        """The long factor, which is in this process already."""
        return np.asarray(L)

    def map(self, function: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]) -> list[Result]:
        """`function(shared, item)` for each item, one after the other."""
        return [function(shared, item) for item in items]
