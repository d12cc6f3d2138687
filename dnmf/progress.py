"""Events: what a factorization tells while it runs. Bars, plain lines and the history are listeners of these.

The loop emits and never draws. A listener is any callable that takes an event; it runs between tasks, in the thread
that drives the loop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Planned:
    """The cut is chosen and the workers were asked.

    Attributes
    ----------
    shape : (m, n) of X.
    nbytes : bytes of X as it is computed with.
    strips : number of strips.
    strip_bytes : bytes of the highest strip.
    axis : 0 where strips are whole rows, 1 where they are whole columns.
    workers, threads : number of workers, and of threads in each.
    peak, limit : projected peak memory of a worker and its limit, bytes.
    max_iter : passes at most.
    """

    shape: tuple[int, int]
    nbytes: int
    strips: int
    strip_bytes: int
    axis: int
    workers: int
    threads: int
    peak: int
    limit: int
    max_iter: int


@dataclass(frozen=True, slots=True)
class StripDone:
    """One more strip of the running pass is done: `done` of `total` in pass `iteration` (counted from 1)."""

    iteration: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class PassDone:
    """A pass is done and its factors are known.

    Attributes
    ----------
    iteration : passes so far.
    loss : ‖X − W V‖² of these factors.
    relative_error : ‖X − W V‖ / ‖X‖.
    seconds : wall time of the pass.
    bytes_read : bytes of X, decoded, that the pass read from its store; 0 where X was cached.
    short : the short factor, component-major: V (k × n), or Wᵀ (k × m) where strips are columns. Not to be changed.
    """

    iteration: int
    loss: float
    relative_error: float
    seconds: float
    bytes_read: int
    short: Any


@dataclass(frozen=True, slots=True)
class Stopped:
    """The factorization ended; `reason` is a sentence."""

    reason: str


Event = Planned | StripDone | PassDone | Stopped
Listener = Callable[[Event], None]


class History:
    """A listener that keeps one value per pass, and snapshots of the short factor."""

    def __init__(self, every: int | None, axis: int, first: Any) -> None:
        self.passes: dict[str, list[float]] = {"loss": [], "seconds": [], "bytes_read": []}
        self._every, self._axis = every, axis
        self.snapshots = {0: self._oriented(first)} if every else {}

    def __call__(self, event: Event) -> None:
        """Keep a pass."""
        if not isinstance(event, PassDone):
            return
        for name, values in self.passes.items():
            values.append(getattr(event, name))
        if self._every and event.iteration % self._every == 0:
            self.snapshots[event.iteration] = self._oriented(event.short)

    def _oriented(self, short: Any) -> Any:
        return short if self._axis == 0 else short.T
