"""Events: what a factorization tells while it runs. Bars, plain lines and the history are listeners of these.

The loop emits and never draws. A listener is any callable that takes an event; it runs between tasks, in the thread
that drives the loop. `log` always listens: the logger `dnmf` tells the same, to whoever asks for it, as in
`logging.basicConfig(level="INFO")`. An event as a text is one line.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger("dnmf")
logger.addHandler(logging.NullHandler())

MIB = 2**20


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

    def __str__(self) -> str:
        """The plan in one line.

        >>> str(Planned((4, 2), 32, 1, 32, 0, 2, 1, 160 * MIB, 512 * MIB, 10))
        'X 4 × 2, 0.0 MB in 1 strip of rows, 0.0 MiB; 2 workers of 1 thread: 160 of 512 MiB each'
        """
        return (
            f"X {self.shape[0]} × {self.shape[1]}, {self.nbytes / 1e6:.1f} MB in {_count(self.strips, 'strip')} of "
            f"{('rows', 'columns')[self.axis]}, {self.strip_bytes / MIB:.1f} MiB; {_count(self.workers, 'worker')} of "
            f"{_count(self.threads, 'thread')}: {self.peak / MIB:.0f} of {self.limit / MIB:.0f} MiB each"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class StripDone:
    """One more strip of the running pass is done: `done` of `total` in pass `iteration`; 0 is the one that samples."""

    iteration: int
    done: int
    total: int

    def __str__(self) -> str:
        return f"{f'pass {self.iteration}' if self.iteration else 'sample'}: strip {self.done} of {self.total}"


@dataclass(frozen=True, slots=True)
class Sampled:
    """X was read for a sample of `rows` rows, in `seconds`; `bytes_read` (decoded) is 0 where a run had kept it."""

    rows: int
    seconds: float
    bytes_read: int

    def __str__(self) -> str:
        """The sample in one line.

        >>> str(Sampled(8000, 2.5, 10**9))
        'sample of 8000, 2.50 s  400 MB/s'
        >>> str(Sampled(8000, 0.0, 0))
        'sample of 8000, which was there'
        """
        if not self.bytes_read:
            return f"sample of {self.rows}, which was there"
        return f"sample of {self.rows}, {self.seconds:.2f} s  {self.bytes_read / self.seconds / 1e6:.0f} MB/s"


@dataclass(frozen=True, slots=True)
class Observed:
    """X was read once, and some of its entries are missing.

    Attributes
    ----------
    entries, total : how many entries are observed, of how many.
    rows, columns : how many rows and columns have none: W and V are 0 there.
    first_rows, first_columns : the first few of them, by name where they have names, else by number.
    """

    entries: int
    total: int
    rows: int = 0
    columns: int = 0
    first_rows: tuple[str, ...] = ()
    first_columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        """What is there, in one line.

        >>> str(Observed(95, 100))
        '95 of 100 entries are observed, 95 %'
        >>> str(Observed(4, 100, 7, 1, ("2", "3", "5"), ("b",)))
        '4 of 100 entries are observed, 4 %; nothing is known of 7 rows (2, 3, 5, …) and 1 column (b): they get zeros'
        """
        told = f"{self.entries} of {self.total} entries are observed, {100 * self.entries / self.total:.3g} %"
        empty = [
            f"{_count(number, noun)} ({', '.join(first)}{', …' if number > len(first) else ''})"
            for number, noun, first in (
                (self.rows, "row", self.first_rows),
                (self.columns, "column", self.first_columns),
            )
            if number
        ]
        return f"{told}; nothing is known of {' and '.join(empty)}: they get zeros" if empty else told


@dataclass(frozen=True, slots=True)
class Decided:
    """How the short factor moves where entries are missing or weighted was decided, once; `sentence` says how."""

    sentence: str

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True)
class RankTried:
    """One more rank was tried on the sample: `done` of `total`; `seconds` since the first one began."""

    rank: int
    done: int
    total: int
    seconds: float

    def __str__(self) -> str:
        return f"rank {self.rank} tried, {self.done} of {self.total}, {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Ranked:
    """Ranks were compared; `pick` is the rank that is picked, `sentence` says why."""

    pick: int
    sentence: str

    def __str__(self) -> str:
        return f"rank {self.pick}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Started:
    """First factors are there, `seconds` after the start; `relative_error` is that of the sample, or None."""

    seconds: float
    relative_error: float | None

    def __str__(self) -> str:
        """The first factors in one line.

        >>> str(Started(3.25, 0.25))
        'first factors, relative error 0.250000 on the sample, 3.25 s since the start'
        """
        error = "" if self.relative_error is None else f" relative error {self.relative_error:.6f} on the sample,"
        return f"first factors,{error} {self.seconds:.2f} s since the start"


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
    short: "NDArray[np.floating]"

    def __str__(self) -> str:
        return (
            f"pass {self.iteration:4d}  loss {self.loss:.6e}  relative error {self.relative_error:.6f}  "
            f"{self.seconds:.2f} s"
        )


@dataclass(frozen=True, slots=True)
class Stopped:
    """The factorization ended; `reason` is a sentence."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Saved:
    """The run holds all that pass `iteration` left; 0: its first factors."""

    iteration: int

    def __str__(self) -> str:
        return f"saved {f'pass {self.iteration}' if self.iteration else 'the first factors'}"


Event = Planned | StripDone | Sampled | Observed | RankTried | Ranked | Started | Decided | PassDone | Saved | Stopped
Listener = Callable[[Event], None]


def log(event: Event) -> None:
    """A listener that writes to the logger `dnmf`: for debugging strips, ranks and what is saved, else all."""
    logger.log(logging.DEBUG if isinstance(event, StripDone | RankTried | Saved) else logging.INFO, "%s", event)


class Cancelled(Exception):  # noqa: N818, it is no error
    """Raised by a listener to stop a run, which can be resumed."""


class Paused(Exception):  # noqa: N818
    """Raised by a listener to leave a run as it is: another process goes on with it."""


class Terminated(BaseException):
    """Raised where this process was asked to end. As with KeyboardInterrupt, nothing but that may be done about it."""
