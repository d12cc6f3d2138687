"""dnmf.engine.direct."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dnmf.arrays.rows import Array
from dnmf.engine import blocks
from dnmf.engine.blocks import Draw, Places, drawn_rows, read, solve, sums, update, write
from dnmf.engine.outcome import Seen
from dnmf.engine.protocol import Begun, Pass
from dnmf.engine.schedulers import Tick
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.strips import Strips
from dnmf.plan.strips import Plan


@dataclass(frozen=True, slots=True)
class Direct:
    """This thread, for X that is one strip and stays in memory: no scheduler, no graph."""

    plan: Plan

    def strips(self, matrix: Matrix, *, name: str) -> Any:
        """All of X, read and checked at once; and that no pass has seen it."""
        return Strips(matrix, self.plan.axis, check=True)[:, :], True

    @property
    def _place(self) -> Any:
        return Places(self.plan.length)[:, :]

    def sample(self, Y: Any, seed: int, beta: float, name: str, tick: Tick) -> tuple[Seen, Any]:
        """Of the one strip."""
        drawn = drawn_rows(Y[0], self._place, seed, self.plan.sample, beta)
        tick(1)
        return drawn, (Y[0], False)

    def drawn(self, rank: int, draw: Draw, *, name: str, dtype: np.dtype[Any]) -> Any:
        """The one block."""
        return blocks.drawn(self._place, draw)

    def stored(self, source: Any, *, name: str) -> Any:
        """The one block, read."""
        return read(self._place, source, self.plan.axis)

    def begin(self, Y: Any, L: Any, what: Pass, tick: Tick) -> Begun:
        """All of the pass."""
        y, reads = Y
        if L is None:
            L = solve(y, what.shared, what.loss.solve, what.sweeps)
        else:
            L = update(y, L, what.shared, what.update, what.sweeps)
        if what.target is not None:
            write(L, self._place, what.target, self.plan.axis)
        return Begun((y, False), L, sums(y, L, what.shared, what.loss.sums, reads))

    def finish(self, begun: Begun, tick: Tick) -> Seen:
        """The sums, which are there."""
        tick(1)
        seen: Seen = begun.awaited
        return seen

    def save(self, L: Any, target: Any, *, name: str) -> None:
        """The one block."""
        write(L, self._place, target, self.plan.axis)

    def collect(self, L: Any) -> Array:
        """The one block."""
        return np.asarray(L)

    def each(self, function: Callable[[Any, Any], Any], shared: Any, items: Sequence[Any]) -> list[Any]:
        """One after the other."""
        return [function(shared, item) for item in items]
