"""What a factorization is asked for: names and numbers, checked."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dnmf.losses import SWEEPS, is_number, solvers_of
from dnmf.rules import RULES, Penalty

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
    alpha_W: float  # noqa: N815, scikit-learn's name
    alpha_H: float  # noqa: N815
    l1_ratio: float
    shuffle: bool
    snapshot_every: int | None
    cache: bool
    memory_limit: int | None
    keep_W: bool = True  # noqa: N815
    checkpoint_every: int | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for the first parameter that makes no sense."""
        for name in ("rank", "max_iter", "inner_iter", "snapshot_every", "memory_limit", "checkpoint_every"):
            _check_count(name, getattr(self, name), optional=name not in ("rank", "max_iter"))
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed is {self.seed!r}: an integer of at least 0 is required")
        if not is_number(self.tol) or not 0 <= self.tol < 1:
            raise ValueError(f"tol is {self.tol!r}: a number from 0 (never stop early) to below 1 is required")
        if self.init not in (*INITS, "given"):
            raise ValueError(f"init is {self.init!r}: one of {', '.join(INITS)}, or first factors (W, V), is required")
        self._check_loss()

    def _check_loss(self) -> None:
        if self.solver not in RULES:
            raise ValueError(f"solver is {self.solver!r}: one of {', '.join(RULES)} is required")
        if self.solver not in solvers_of(self.beta_loss):
            raise ValueError(
                f"solver is {self.solver!r} and beta_loss is {self.beta_loss:g}: solver "
                f"{' or '.join(map(repr, solvers_of(self.beta_loss)))} is required for any other loss than "
                f"'frobenius'"
            )
        for name, value in (("alpha_W", self.alpha_W), ("alpha_H", self.alpha_H)):
            if not is_number(value) or value < 0:
                raise ValueError(f"{name} is {value!r}: a finite number of at least 0 is required")
        if not is_number(self.l1_ratio) or not 0 <= self.l1_ratio <= 1:
            raise ValueError(f"l1_ratio is {self.l1_ratio!r}: a number from 0 to 1 is required")

    @property
    def published(self) -> bool:
        """Whether the iterates are those of the published rules: each iteration moves W once, then V once."""
        return self.init == "given" and self.inner_iter == 1

    @property
    def passes(self) -> int:
        """Passes at most: one more than iterations where those are the published ones, see `factorization.loop`."""
        return self.max_iter + 1 if self.published else self.max_iter

    @property
    def sweeps(self) -> int:
        """Of a factor in a pass, where no sample tells how many pay."""
        return self.inner_iter or SWEEPS

    def penalties(self, shape: tuple[int, int], axis: int) -> tuple[Penalty, Penalty]:
        """On the long and on the short factor of X (m, n), cut along an axis; scaled as scikit-learn does."""
        m, n = shape
        of_W, of_V = (
            Penalty(size * alpha * self.l1_ratio, size * alpha * (1 - self.l1_ratio))
            for size, alpha in ((n, self.alpha_W), (m, self.alpha_H))
        )
        return (of_W, of_V) if axis == 0 else (of_V, of_W)


def plain(value: object) -> Any:
    """A number of Python's own: a run's record is JSON."""
    return value.item() if isinstance(value, np.generic) else value


def _check_count(name: str, value: object, *, optional: bool) -> None:
    if value is None and optional:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} is {value!r}: an integer of at least 1 is required")
