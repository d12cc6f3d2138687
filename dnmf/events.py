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
    """One more strip of the running pass is done: `done` of `total` in pass `iteration`; 0 is the one that samples."""

    iteration: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Sampled:
    """X was read for a sample of `rows` rows, in `seconds`; `bytes_read` (decoded) is 0 where a run had kept it."""

    rows: int
    seconds: float
    bytes_read: int


@dataclass(frozen=True, slots=True)
class Started:
    """First factors are there, `seconds` after the start; `relative_error` is that of the sample, or None."""

    seconds: float
    relative_error: float | None


@dataclass(frozen=True, slots=True)
class PassDone:
    """A pass is done and its factors are known.

    Attributes
    ----------
    iteration : passes so far.
    loss : ‖X − W V‖² of these factors; twice the β-divergence for other losses.
    objective : the loss and the penalties.
    relative_error : ‖X − W V‖ / ‖X‖; for other losses √(loss / Σ x^β).
    gradient : norm of the projected gradient of the objective with respect to the short factor; 0 where it is
        stationary.
    gain : share of the objective (and of ‖X‖²/10⁴) that the next move of the short factor takes.
    sweeps : updates of the long factor in this pass.
    seconds : wall time of the pass.
    bytes_read : bytes of X, decoded, that the pass read from its store; 0 where X was cached.
    short : the short factor, component-major: V (k × n), or Wᵀ (k × m) where strips are columns. Not to be changed.
    """

    iteration: int
    loss: float
    objective: float
    relative_error: float
    gradient: float
    gain: float
    sweeps: int
    seconds: float
    bytes_read: int
    short: Any


@dataclass(frozen=True, slots=True)
class Stopped:
    """The factorization ended; `reason` is a sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class Saved:
    """The run holds all that pass `iteration` left; 0: its first factors."""

    iteration: int


Event = Planned | StripDone | Sampled | Started | PassDone | Saved | Stopped


Listener = Callable[[Event], None]


class Cancelled(Exception):  # noqa: N818, it is no error
    """Raised by a listener to stop a run, which can be resumed."""


class Paused(Exception):  # noqa: N818
    """Raised by a listener to leave a run as it is: another process goes on with it."""


class Terminated(BaseException):
    """Raised where this process was asked to end. As with KeyboardInterrupt, nothing but that may be done about it."""
