"""Engines: what computes a pass. Dask, for X in many strips, or this very thread, where one strip is all there is.

An engine is told what to compute, never why. What it makes of Y and of the long factor is its own business: Dask arrays
of strips, or plain arrays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dnmf.arrays.rows import Array
from dnmf.engine.blocks import Draw, Update
from dnmf.engine.outcome import Seen
from dnmf.engine.schedulers import Tick
from dnmf.losses.protocol import AnyLoss, Shared
from dnmf.matrix.matrix import Matrix


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass: how the long factor moves, and what becomes of it.

    Attributes
    ----------
    name : unlike that of any other pass.
    shared : what every strip needs of the short factor.
    loss : whose sums are wanted; it solves the long factor where there is none yet.
    update, sweeps : of the long factor where there is one: a method of the loss; and how many.
    target : a stored factor that the long one is written to, or None.
    """

    name: str
    shared: Shared
    loss: AnyLoss
    update: Update
    sweeps: int
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

    def drawn(self, rank: int, draw: Draw, *, name: str, dtype: np.dtype[Any]) -> Any:
        """A first long factor: `draw(first_row, rows)` makes (k, rows) of it."""
        ...

    def stored(self, source: Any, *, name: str) -> Any:
        """A stored long factor."""
        ...

    def begin(self, Y: Any, L: Any, what: Pass, tick: Tick) -> Begun:
        """Start a pass; None for L where the loss makes a first one."""
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
