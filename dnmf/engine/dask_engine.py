"""Dask array expressions, computed by a scheduler, for X in many strips."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dask.array as da
import numpy as np

from dnmf.arrays.rows import Array
from dnmf.engine import passes
from dnmf.engine.blocks import Draw
from dnmf.engine.protocol import Item, Pending, Result, Shared, Source, Tick
from dnmf.engine.read import Read
from dnmf.engine.schedulers import Scheduler
from dnmf.engine.source import strips_of
from dnmf.matrix.matrix import Matrix
from dnmf.plan.strips import Plan
from dnmf.run.arrays import StoredArray


@dataclass(frozen=True, slots=True)
class DaskEngine:
    """Reads of X as it is cut by a plan, as Dask arrays of strips."""

    scheduler: Scheduler
    plan: Plan

    def open(self, matrix: Matrix) -> Source[da.Array]:
        """X as Dask arrays of strips, of which nothing is read."""
        checked, plain = (strips_of(matrix, self.plan, check=check) for check in (True, False))
        return Source(checked, plain, stored=True)

    def read(self, source: Source[da.Array], L: da.Array | None, what: Read, tick: Tick) -> Pending[da.Array]:
        """Persist what becomes of the rows, what is written of them, and the total, as one graph."""
        Y, first, keeps = source.Y, source.later is not None, self.plan.cached
        shared = None if what.shared is None else self.scheduler.place(what.shared)
        wanted = {}
        if what.move is not None:
            L = passes.moved_rows(Y, L, shared, what.move)
            wanted["L"] = L
            if what.move.target is not None and self.plan.in_run:
                wanted["L"] = passes.saved(L, what.move.target, self.plan.axis)
            elif what.move.target is not None:
                wanted["L"] = L = passes.written(L, what.move.target, self.plan.axis)
        if keeps and first:
            wanted["Y"] = Y
        if what.total is not None:
            outcomes = passes.parts(Y, L, shared, what.total, reads=source.stored)
            if not wanted:
                wanted["flags"] = passes.flags(outcomes)
            wanted["total"] = passes.tree(outcomes, what.total)
        running = self.scheduler.start(list(wanted.values()), tick)
        begun = dict(zip(wanted, running.arrays, strict=True))
        if what.move is not None:
            # Read back under a new name, or the scheduler would remember where it came from for ever.
            L = begun["L"] if what.move.target is None else self.load(what.move.target)
        plain = Y if source.later is None else source.later
        return Pending(Source(begun.get("Y", plain), None, stored=not keeps), L, running.wait)

    def draw(self, draw: Draw) -> da.Array:
        """A first long factor, each block drawn in the strip's own task."""
        return passes.drawn(self.plan, draw)

    def load(self, source: StoredArray) -> da.Array:
        """A stored long factor, each block read in the strip's own task."""
        return passes.stored(source, self.plan)

    def save(self, L: da.Array, target: StoredArray) -> None:
        """Write a long factor, each block in its own task."""
        flags = passes.saved(L, target, self.plan.axis)
        self.scheduler.start([flags, flags.all()], _ignore).wait()

    def collect(self, L: da.Array) -> Array:
        """All blocks of a long factor, as one array in this process."""
        return np.asarray(self.scheduler.start([L.rechunk((-1, -1))], _ignore).wait())

    def map(self, function: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]) -> list[Result]:
        """`function(shared, item)` for each item, as tasks of the scheduler."""
        return self.scheduler.map(function, shared, items)


def _ignore(done: int) -> None:
    """Tell nobody how many blocks of a factor are written."""
