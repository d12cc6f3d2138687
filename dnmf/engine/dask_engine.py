"""dnmf.engine.dask_engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dnmf.arrays.rows import Array
from dnmf.engine import passes
from dnmf.engine.blocks import Draw
from dnmf.engine.outcome import Seen
from dnmf.engine.passes import sampled, saved, solve, stored, totals, update, written
from dnmf.engine.protocol import Begun, Pass
from dnmf.engine.schedulers import Scheduler, Tick
from dnmf.engine.source import strips_of
from dnmf.matrix.matrix import Matrix
from dnmf.plan.strips import Plan


@dataclass(frozen=True, slots=True)
class Expressions:
    """Dask array expressions, computed by a scheduler, for X that is cut by a plan."""

    scheduler: Scheduler
    plan: Plan

    def strips(self, matrix: Matrix, *, name: str) -> Any:
        """Two Dask arrays of strips: the first one checks every entry, and is read once."""
        checked = strips_of(matrix, self.plan, name=f"{name}-checked", check=True)
        return checked, strips_of(matrix, self.plan, name=name, check=False)

    def sample(self, Y: Any, seed: int, beta: float, name: str, tick: Tick) -> tuple[Seen, Any]:
        """In the tree of a pass."""
        checked, plain = Y
        seen, total = sampled(checked, self.plan, seed=seed, beta=beta, name=name)
        begun = self.scheduler.start([checked if self.plan.cached else seen, total], tick)
        drawn = self.scheduler.finish(begun, tick)
        return drawn, (begun[0], begun[0]) if self.plan.cached else (plain, plain)

    def drawn(self, rank: int, draw: Draw, *, name: str, dtype: np.dtype[Any]) -> Any:
        """Each block in the strip's own task."""
        return passes.drawn(self.plan, rank, draw, name=name, dtype=dtype)

    def stored(self, source: Any, *, name: str) -> Any:
        """Each block read in the strip's own task."""
        return stored(source, self.plan, name=name)

    def begin(self, Y: Any, L: Any, what: Pass, tick: Tick) -> Begun:
        """Persist the update, what is written of it, and the sums, as one graph."""
        name, cut, (X, plain) = what.name, self.plan, Y
        rank, shared = len(what.shared.S), self.scheduler.place(what.shared, name=f"S-{name}")
        if L is None:
            L = solve(X, shared, rank=rank, loss=what.loss, sweeps=what.sweeps, name=f"L-{name}")
        else:
            L = update(X, L, shared, rank=rank, update=what.update, sweeps=what.sweeps, name=f"L-{name}")
        wanted = {"L": L}
        if what.target is not None and cut.in_run:
            wanted = {"saved": saved(L, what.target, cut, name=f"saved-{name}")}
        elif what.target is not None:
            L = wanted["L"] = written(L, what.target, cut, name=f"written-{name}")
        if cut.cached and X is not plain:
            wanted["Y"] = X
        reads = X is not plain or not cut.cached
        wanted["sums"] = totals(X, L, shared, what.loss, name=f"sums-{name}", reads=reads)
        begun = dict(zip(wanted, self.scheduler.start(list(wanted.values()), tick), strict=True))
        # Read back under a new name, or the scheduler would remember where it came from for ever.
        L = begun["L"] if what.target is None else self.stored(what.target, name=f"L-{name}-stored")
        Y = begun.get("Y", plain)
        return Begun((Y, Y), L, list(begun.values()))

    def finish(self, begun: Begun, tick: Tick) -> Seen:
        """Wait for the scheduler."""
        seen: Seen = self.scheduler.finish(begun.awaited, tick)
        return seen

    def save(self, L: Any, target: Any, *, name: str) -> None:
        """Each block in its own task."""
        flags = saved(L, target, self.plan, name=name)
        self.scheduler.finish(self.scheduler.start([flags, flags.all()], _no_tick), _no_tick)

    def collect(self, L: Any) -> Array:
        """All blocks, as one."""
        whole = L.rechunk((-1, -1))
        return np.asarray(self.scheduler.finish(self.scheduler.start([whole], _no_tick), _no_tick))

    def each(self, function: Callable[[Any, Any], Any], shared: Any, items: Sequence[Any]) -> list[Any]:
        """As tasks of the scheduler."""
        return self.scheduler.each(function, shared, items)


def _no_tick(done: int) -> None:
    """For what is no pass."""
