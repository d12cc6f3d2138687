"""What a factorization is asked for, what stays the same while it runs, and where it stands between two passes."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf import runs
from dnmf.correction import Model
from dnmf.engines import Engine
from dnmf.matrices import Matrix
from dnmf.progress import Event, Listener, StripDone
from dnmf.rules import RULES, Rule
from dnmf.sample import Sample
from dnmf.schedulers import Tick
from dnmf.strips import Plan

Factors = tuple[Any, Any]

# First factors that are computed from a sample of X, and all that are made by name.
SAMPLED = ("sample", "nndsvd", "nndsvda", "nndsvdar")
INITS = (*SAMPLED, "random")


@dataclass(frozen=True, slots=True)
class Parameters:
    """What was asked for. See `factorize`."""

    rank: int
    solver: str
    init: str
    max_iter: int
    tol: float
    seed: int
    inner_iter: int | None
    snapshot_every: int | None
    cache: bool
    memory_limit: int | None

    def __post_init__(self) -> None:
        """Raise ValueError for the first parameter that makes no sense."""
        for name in ("rank", "max_iter", "inner_iter", "snapshot_every", "memory_limit"):
            value, optional = getattr(self, name), name not in ("rank", "max_iter")
            if (value is None and not optional) or (value is not None and not _counts(value)):
                raise ValueError(f"{name} is {value!r}: an integer of at least 1 is required")
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed is {self.seed!r}: an integer of at least 0 is required")
        if not isinstance(self.tol, int | float) or not 0 <= self.tol < 1:
            raise ValueError(f"tol is {self.tol!r}: a number from 0 (never stop early) to below 1 is required")
        if self.solver not in RULES:
            raise ValueError(f"solver is {self.solver!r}: one of {', '.join(RULES)} is required")
        if self.init not in (*INITS, "given"):
            raise ValueError(f"init is {self.init!r}: one of {', '.join(INITS)}, or first factors (W, V), is required")


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


@dataclass(frozen=True, slots=True)
class Job:
    """All that stays the same from the first pass to the last.

    `given` are the caller's first factors, `sample` is one that another run kept, where there are any. `keeps` says
    whether generations are written: nobody could open those of a run that lives in this process's memory.
    """

    matrix: Matrix
    parameters: Parameters
    plan: Plan
    engine: Engine
    group: Any
    long: runs.Factor
    short: runs.Factor
    token: str
    given: Factors | None
    sample: Sample | None
    keeps: bool
    listeners: tuple[Listener, ...]

    def tell(self, event: Event) -> None:
        """Emit an event."""
        for listener in self.listeners:
            listener(event)

    def ticker(self, iteration: int) -> Tick:
        """What tells of every strip of a pass that is done; iteration 0 is the pass that samples."""
        total = len(self.plan.heights)
        return lambda done: self.tell(StripDone(iteration, done, total))


@dataclass(frozen=True, slots=True)
class Start:
    """How the first factors came about: seconds, bytes of X read (decoded), rows of the sample and its relative error.

    The error is that of the sample's own factorization; None without one. Without a sample there are 0 rows.
    """

    seconds: float
    bytes_read: int
    rows: int = 0
    relative_error: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """Where the factorization stands between two passes.

    Attributes
    ----------
    iteration : passes so far, that of the sample aside.
    Y, L : X as it is cut and the long factor, as the engine has them; None for L where `rule` makes its own.
    S : (k, N) short factor for the next pass.
    rule : of the long factor in the next pass.
    start : how the first factors came about.
    model : what stands for X between passes, or None.
    plain : (k, N) short factor that the next pass would have had without a model.
    loss : of the last pass; before the first one what is expected, or None.
    gain : the decrease that moving the short factor brings, relative to the loss.
    norm : ‖X‖², NaN before it is known.
    at : the generation that holds the factors of the last pass, or None.
    """

    iteration: int
    Y: Any
    L: Any
    S: NDArray[np.floating]
    rule: Rule
    start: Start
    model: Model | None = None
    plain: Any = None
    loss: float | None = None
    gain: float = math.inf
    norm: float = math.nan
    at: str | None = None
