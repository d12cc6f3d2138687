"""Engines: what computes a pass. Dask, for X in many strips, or this very thread, where one strip is all there is.

An engine is told what to compute, never why. What it makes of Y and of the long factor is its own business: Dask arrays
of strips, or plain arrays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dnmf import blocks, passes
from dnmf.checksums import Seen
from dnmf.matrices import Matrix, Strips
from dnmf.objectives import Objective
from dnmf.schedulers import Scheduler, Tick
from dnmf.strips import Plan

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass: how the long factor moves, and what becomes of it.

    Attributes
    ----------
    name : unlike that of any other pass.
    S : (k, N) short factor.
    base : (k, N) that the sums are taken about, or None.
    objective : whose sums are wanted.
    update, inner : of the long factor, and its sweeps.
    target : a stored factor that the long one is written to, or None.
    """

    name: str
    S: Array
    base: Array | None
    objective: Objective
    update: blocks.Update
    inner: int
    target: Any


@dataclass(frozen=True, slots=True)
class Begun:
    """A pass that is going on: Y and the long factor for the next one, and what `finish` waits for."""

    Y: Any
    L: Any
    awaited: Any


class Engine(Protocol):
    """What computes a pass."""

    def strips(self, matrix: Matrix, *, name: str) -> Any:
        """X as it is cut: Y."""
        ...

    def sample(self, Y: Any, seed: int, beta: float, name: str, tick: Tick) -> tuple[Seen, Any]:
        """A sample of Y and the checksums of its strips, in one read; and the Y for all passes after this first one."""
        ...

    def drawn(self, rank: int, draw: blocks.Draw, *, name: str, dtype: np.dtype[Any]) -> Any:
        """A first long factor: `draw(first_row, rows)` makes (k, rows) of it."""
        ...

    def stored(self, source: Any, *, name: str) -> Any:
        """A stored long factor."""
        ...

    def begin(self, Y: Any, L: Any, what: Pass, tick: Tick) -> Begun:
        """Start a pass; None for L where the update makes its own."""
        ...

    def finish(self, begun: Begun, tick: Tick) -> Seen:
        """Wait for a pass: its sums, and the checksums of its strips where it read them. Tasks' errors are raised here
        or before.
        """
        ...

    def save(self, L: Any, target: Any, *, name: str) -> None:
        """Write the long factor."""
        ...

    def collect(self, L: Any) -> Array:
        """The long factor (M, k), in this process."""
        ...

    def each(self, function: Callable[[Any, Any], Any], shared: Any, items: Sequence[Any]) -> list[Any]:
        """`function(shared, item)` for each item, side by side."""
        ...


@dataclass(frozen=True, slots=True)
class Expressions:
    """Dask array expressions, computed by a scheduler, for X that is cut by a plan."""

    scheduler: Scheduler
    plan: Plan

    def strips(self, matrix: Matrix, *, name: str) -> Any:
        """Two Dask arrays of strips: the first one checks every entry, and is read once."""
        checked = passes.strips_of(matrix, self.plan, name=f"{name}-checked", check=True)
        return checked, passes.strips_of(matrix, self.plan, name=name, check=False)

    def sample(self, Y: Any, seed: int, beta: float, name: str, tick: Tick) -> tuple[Seen, Any]:
        """In the tree of a pass."""
        checked, plain = Y
        seen, total = passes.sampled(checked, self.plan, seed=seed, beta=beta, name=name)
        begun = self.scheduler.start([checked if self.plan.cached else seen, total], tick)
        drawn = self.scheduler.finish(begun, tick)
        return drawn, (begun[0], begun[0]) if self.plan.cached else (plain, plain)

    def drawn(self, rank: int, draw: blocks.Draw, *, name: str, dtype: np.dtype[Any]) -> Any:
        """Each block in the strip's own task."""
        return passes.drawn(self.plan, rank, draw, name=name, dtype=dtype)

    def stored(self, source: Any, *, name: str) -> Any:
        """Each block read in the strip's own task."""
        return passes.stored(source, self.plan, name=name)

    def begin(self, Y: Any, L: Any, what: Pass, tick: Tick) -> Begun:
        """Persist the update, what is written of it, and the sums, as one graph."""
        name, cut, (X, plain) = what.name, self.plan, Y
        S = self.scheduler.place(what.S, name=f"S-{name}")
        base = None if what.base is None else self.scheduler.place(what.base, name=f"B-{name}")
        shared = what.objective.shared(what.S)
        G = None if shared is None else self.scheduler.place(shared, name=f"SS-{name}")
        L = passes.update(X, L, S, G, rank=len(what.S), update=what.update, inner=what.inner, name=f"L-{name}")
        wanted = {"L": L}
        if what.target is not None and cut.in_run:
            wanted = {"saved": passes.saved(L, what.target, cut, name=f"saved-{name}")}
        elif what.target is not None:
            L = wanted["L"] = passes.written(L, what.target, cut, name=f"written-{name}")
        if cut.cached and X is not plain:
            wanted["Y"] = X
        reads = X is not plain or not cut.cached
        wanted["sums"] = passes.totals(X, L, base, what.objective, name=f"sums-{name}", reads=reads)
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
        flags = passes.saved(L, target, self.plan, name=name)
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


@dataclass(frozen=True, slots=True)
class Direct:
    """This thread, for X that is one strip and stays in memory: no scheduler, no graph."""

    plan: Plan

    def strips(self, matrix: Matrix, *, name: str) -> Any:
        """All of X, read and checked at once; and that no pass has seen it."""
        return Strips(matrix, self.plan.axis, check=True)[:, :], True

    @property
    def _place(self) -> Any:
        return blocks.Places(self.plan.length)[:, :]

    def sample(self, Y: Any, seed: int, beta: float, name: str, tick: Tick) -> tuple[Seen, Any]:
        """Of the one strip."""
        drawn = blocks.drawn_rows(Y[0], self._place, seed, self.plan.sample, beta)
        tick(1)
        return drawn, (Y[0], False)

    def drawn(self, rank: int, draw: blocks.Draw, *, name: str, dtype: np.dtype[Any]) -> Any:
        """The one block."""
        return blocks.drawn(self._place, draw)

    def stored(self, source: Any, *, name: str) -> Any:
        """The one block, read."""
        return blocks.read(self._place, source, self.plan.axis)

    def begin(self, Y: Any, L: Any, what: Pass, tick: Tick) -> Begun:
        """All of the pass."""
        y, reads = Y
        L = blocks.update(y, L, what.S, what.objective.shared(what.S), what.update, what.inner)
        if what.target is not None:
            blocks.write(L, self._place, what.target, self.plan.axis)
        return Begun((y, False), L, blocks.sums(y, L, what.base, what.objective, reads))

    def finish(self, begun: Begun, tick: Tick) -> Seen:
        """The sums, which are there."""
        tick(1)
        seen: Seen = begun.awaited
        return seen

    def save(self, L: Any, target: Any, *, name: str) -> None:
        """The one block."""
        blocks.write(L, self._place, target, self.plan.axis)

    def collect(self, L: Any) -> Array:
        """The one block."""
        return np.asarray(L)

    def each(self, function: Callable[[Any, Any], Any], shared: Any, items: Sequence[Any]) -> list[Any]:
        """One after the other."""
        return [function(shared, item) for item in items]
