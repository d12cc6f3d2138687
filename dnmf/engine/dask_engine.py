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
        Y, wanted = source.Y, dict[str, da.Array]()
        shared = None if what.shared is None else self.scheduler.place(what.shared)
        target = None if what.move is None else what.move.target
        folded = passes.folded(Y, L, shared, what, reads=source.stored)
        if what.move is not None:
            L = passes.moved_rows(folded, Y, what.move.rank)
            # Where it lives in the run none of its blocks stays in memory.
            wanted["L"] = L if target is None else passes.saved(L, target, self.plan.axis)
        if self.plan.cached and source.later is not None:
            wanted["Y"] = Y
        outcomes = passes.outcomes(folded)
        # What comes first tells of strips that are done, what comes last is waited for.
        arrays = [*(wanted.values() or [passes.flags(outcomes)]), passes.tree(outcomes, what.total)]
        running = self.scheduler.start(arrays, tick)
        begun = dict(zip(wanted, running.arrays, strict=False))
        # Read back under a new name, or the scheduler would remember where it came from for ever.
        L = begun.get("L", L) if target is None else self.load(target)
        later = begun.get("Y", Y if source.later is None else source.later)
        return Pending(Source(later, None, stored=not self.plan.cached), L, running.wait)

    def draw(self, draw: Draw) -> da.Array:
        """A first long factor, each block drawn in the strip's own task."""
        return passes.drawn(self.plan, draw)

    def load(self, source: StoredArray) -> da.Array:
        """A stored long factor, each block read in the strip's own task."""
        return passes.stored(source, self.plan)

    def save(self, L: da.Array, target: StoredArray) -> da.Array:
        """Write a long factor, each block in its own task."""
        flags = passes.saved(L, target, self.plan.axis)
        self.scheduler.start([flags, flags.all()], _ignore).wait()
        return self.load(target)

    def collect(self, L: da.Array) -> Array:
        """All blocks of a long factor, as one array in this process."""
        return np.asarray(self.scheduler.start([L.rechunk((-1, -1))], _ignore).wait())

    def map(self, function: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]) -> list[Result]:
        """`function(shared, item)` for each item, as tasks of the scheduler."""
        return self.scheduler.map(function, shared, items)


def _ignore(done: int) -> None:
    """Tell nobody how many blocks of a factor are written."""
