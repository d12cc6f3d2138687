"""This thread alone, for X that is one strip and stays in memory: no scheduler, no graph."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dnmf.arrays.rows import Array
from dnmf.engine import blocks
from dnmf.engine.blocks import Draw, Place, Places
from dnmf.engine.protocol import Item, Pending, Result, Shared, Source, Tick
from dnmf.engine.read import Outcome, Read
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.strips import Cut, hold
from dnmf.plan.strips import Plan
from dnmf.run.arrays import StoredArray


@dataclass(frozen=True, slots=True)
class Direct:
    """Reads of X in this thread; the plan has one strip."""

    plan: Plan

    @property
    def _place(self) -> Place:
        return Places(self.plan.length)[:, :]

    def open(self, matrix: Matrix) -> Source[Any]:
        """All of X, read and checked at once; the first read counts for it."""
        return Source(hold(Cut(matrix.strips(self.plan.axis, check=True), self.plan.piece)[:, :]), None, stored=True)

    def read(self, source: Source[Any], L: Array | None, what: Read, tick: Tick) -> Pending[Any]:
        """Compute the whole read at once."""
        folded = blocks.fold(source.Y, what.shared, L, what=what, reads=source.stored)
        if folded.L is not None:
            L = folded.L
        if what.move is not None and what.move.target is not None and L is not None:
            self.save(L, what.move.target)

        def wait() -> Outcome:
            tick(1)
            return folded.outcome

        return Pending(Source(source.Y, None, stored=False), L, wait)

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
