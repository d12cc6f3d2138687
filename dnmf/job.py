"""What a factorization is asked for, what stays the same while it runs, and where it stands between two passes."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf import runs
from dnmf.blocks import Update
from dnmf.engines import Engine
from dnmf.matrices import Matrix
from dnmf.objectives import NAMED, Divergence, Objective, Squared
from dnmf.progress import Event, Listener, StripDone
from dnmf.rules import RULES, Penalty
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
    beta_loss: float
    init: str
    max_iter: int
    tol: float
    seed: int
    inner_iter: int | None
    alpha_W: float
    alpha_H: float
    l1_ratio: float
    shuffle: bool
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
        if self.solver == "cd" and self.beta_loss != 2:
            raise ValueError(
                f"solver is 'cd' and beta_loss is {self.beta_loss:g}: solver 'mu' is required for any other loss than "
                f"'frobenius'"
            )
        for name in ("alpha_W", "alpha_H"):
            if not _is_number(value := getattr(self, name)) or value < 0:
                raise ValueError(f"{name} is {value!r}: a finite number of at least 0 is required")
        if not _is_number(self.l1_ratio) or not 0 <= self.l1_ratio <= 1:
            raise ValueError(f"l1_ratio is {self.l1_ratio!r}: a number from 0 to 1 is required")
        if self.init not in (*INITS, "given"):
            raise ValueError(f"init is {self.init!r}: one of {', '.join(INITS)}, or first factors (W, V), is required")

    @property
    def published(self) -> bool:
        """Whether the iterates are those of the published rules: each iteration moves W once, then V once."""
        return self.init == "given" and self.inner_iter == 1

    @property
    def passes(self) -> int:
        """Passes at most. One more than iterations where those are the published ones, see `dnmf.loop`."""
        return self.max_iter + 1 if self.published else self.max_iter

    def objective(self, shape: tuple[int, int], axis: int, *, sparse: bool) -> Objective:
        """What is minimized for X of a shape (m, n), cut along an axis; penalties are scaled as scikit-learn does."""
        m, n = shape
        of_W, of_V = (
            Penalty(size * alpha * self.l1_ratio, size * alpha * (1 - self.l1_ratio))
            for size, alpha in ((n, self.alpha_W), (m, self.alpha_H))
        )
        long, short = (of_W, of_V) if axis == 0 else (of_V, of_W)
        if self.beta_loss == 2:
            return Squared(self.solver, long, short, sparse)
        return Divergence(self.beta_loss, long, short)


def loss_by_number(loss: float | str) -> float:
    """β of a loss that is given by name or by β."""
    beta = NAMED.get(loss, loss) if isinstance(loss, str) else loss
    if not _is_number(beta):
        raise ValueError(f"beta_loss is {loss!r}: one of {', '.join(map(repr, NAMED))}, or a number, is required")
    return float(beta)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


@dataclass(frozen=True, slots=True)
class Saves:
    """What is written, and by whom.

    Attributes
    ----------
    generations : while it goes on: nobody could open those of a run that lives in this process's memory.
    chunks : whether what computes reaches the run, so that each block of the long factor is written where it is.
    W : whether W is wanted.
    """

    generations: bool
    chunks: bool
    W: bool


@dataclass(frozen=True, slots=True)
class Job:
    """All that stays the same from the first pass to the last.

    `given` are the caller's first factors, `sample` is one that another run kept, where there are any.
    """

    matrix: Matrix
    parameters: Parameters
    plan: Plan
    objective: Objective
    engine: Engine
    group: Any
    long: runs.Factor
    short: runs.Factor
    token: str
    given: Factors | None
    sample: Sample | None
    saves: Saves
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
    Y, L : X as it is cut and the long factor, as the engine has them; None for L where `update` makes its own.
    S : (k, N) short factor for the next pass.
    update : of the long factor in the next pass: a method of the objective.
    start : how the first factors came about.
    model : what stands for X between passes, or None.
    plain : (k, N) short factor that the next pass would have had without a model.
    loss : of the last pass; before the first one what is expected, or None.
    total : the objective of the last pass.
    gain : the decrease that moving the short factor brings, relative to the objective.
    norm : ‖X‖², Σ x^β for other losses; NaN before it is known.
    at : the generation that holds the factors of the last pass, or None.
    """

    iteration: int
    Y: Any
    L: Any
    S: NDArray[np.floating]
    update: Update
    start: Start
    model: Any = None
    plain: Any = None
    loss: float | None = None
    total: float = math.nan
    gain: float = math.inf
    norm: float = math.nan
    at: str | None = None
