"""What a loss promises, and the values that go with it: what is shared by strips, sums of a pass, the sample between.

Y stands for X as it is cut (Xᵀ where strips are whole columns), L for the long and S for the short factor, both
component-major: Y ≈ Lᵀ S, with Y (M × N), L (k × M), S (k × N). A new loss is one folder that has five values:

    loss        travels with every task, small: how rows of L move, what a strip adds
    shared      what every strip needs of S
    sums        what a strip adds to a pass: a frozen value of arrays and numbers, added up by `add`
    evaluation  what follows from the sums of all strips
    surrogate   the sample, which stands for Y between passes
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from dnmf.arrays.rows import Array, Rows, Value, ValueT
from dnmf.arrays.sample import StandIn
from dnmf.components.sums import ComponentSums
from dnmf.losses.extrapolation import Fit
from dnmf.rules import Penalty

# Below this loss relative to the norm of Y, what is formed of float32 entries is formed in float64: it would lose its
# sixth digit.
CLOSE = 1e-4

# Steps on a sample between two passes at most; and where one of them makes an entry this many times as large as any
# before, the sample has too few rows: without a limit that grows doubly exponentially.
STEPS, FARTHEST = 10, 1e3


@dataclass(frozen=True, slots=True)
class Known:
    """What is known before a pass.

    Attributes
    ----------
    loss : of the last pass, or what is expected; None where nothing is.
    norm : of Y, Σ y^β, or NaN.
    exact : whether the loss after the pass must be good to six digits.
    decided : what the sample decided, see `Surrogate.decide`; None where there is no sample.
    """

    loss: float | None
    norm: float
    exact: bool
    decided: object = None

    def is_below(self, share: float) -> bool:
        """Whether the loss is below a share of the norm, or not known."""
        return self.loss is None or self.loss < share * self.norm


class Shared(Value, Protocol):
    """What every strip needs of the short factor in a pass, and what was known before it."""

    @property
    def S(self) -> Array:  # noqa: N802, the name of the factor
        """Short factor (k, N)."""

    @property
    def decided(self) -> str | None:
        """How the short factor moves, as a sentence, where that was to be decided; else None."""


class Evaluation(Protocol):
    """What the sums of a pass say about the short factor S that it was made with, and about the next one."""

    @property
    def norm(self) -> float:
        """Σ y^β over Y."""

    @property
    def loss(self) -> float:
        """Twice the divergence of Y from Lᵀ S, not below 0."""

    @property
    def penalties(self) -> float:
        """What the penalties add to the loss."""

    @property
    def exact(self) -> bool:
        """Whether the loss is good to six digits."""

    def step(self) -> Array:
        """The short factor (k, N) moved by its rule, in S's dtype."""

    @property
    def moves(self) -> int:
        """How many moves of the short factor a pass is worth at most, where one is known without a further read."""

    def gain(self, moved: Array) -> float:
        """By how much the move that `step` made decreases the objective, at least."""

    def gradient_norm(self) -> float:
        """Norm of the projected gradient of the objective with respect to S."""

    @property
    def of_components(self) -> ComponentSums:
        """What the sums say of every component of L and S."""


SharedT = TypeVar("SharedT", bound=Shared)
SharedIn = TypeVar("SharedIn", bound=Shared, contravariant=True)
EvaluationIn = TypeVar("EvaluationIn", bound=Evaluation, contravariant=True)


class Trial(Protocol):
    """What starts are compared on by a loss itself."""

    def begin(self, H: Array, iterations: int) -> Fit:
        """From a short factor (k, N), so many iterations on."""

    def go_on(self, fit: Fit, iterations: int) -> Fit:
        """So many further."""


class Surrogate(Protocol[SharedIn, EvaluationIn]):
    """The sample that stands for Y between passes, with its rows of the long factor."""

    @property
    def rows(self) -> Array | None:
        """The sample's long factor (k, s); None before the first pass."""

    @property
    def whole(self) -> bool:
        """Whether it is all of Y, so that the first pass may be the last one."""

    @property
    def penalties(self) -> tuple[Penalty, Penalty]:
        """The penalties on the long and on the short factor under which starts are compared."""

    @property
    def trial(self) -> Trial | None:
        """What starts are tried on after least squares; None where those are enough, or no more can be afforded."""

    def with_rows(self, rows: Array | None) -> Self:
        """This sample, with another long factor."""

    def decide(self, rank: int) -> object:
        """What a loss must know of the sample to prepare a pass with so many components; None for most losses."""

    def follow(self, shared: SharedIn, sweeps: int | None) -> tuple[Self, int]:
        """The sample after the next pass, and how many sweeps that pass makes: `sweeps`, or as many as pay."""

    def correct(self, evaluation: EvaluationIn, steps: int) -> Array | None:
        """The short factor for the next pass, by so many steps on the sample; None where it is too poor for that.

        Its rows were solved in the pass as all rows of Y were.
        """

    def factorize(self, fit: Fit, *, iterations: int, tol: float) -> tuple[Array, float]:
        """The short factor from the best start, followed to its end, and its loss relative to the sample's norm."""


AnySurrogate = Surrogate[Any, Any]


@dataclass(frozen=True, slots=True)
class FromColumns:
    """How rows of the long factor are solved from sums over strips of columns, where a loss allows that.

    `sums`: what a strip y (h, M) adds with its block (k, h) of the short factor. `settle`: as `Loss.settle`, from all
    sums in place of rows.
    """

    sums: Callable[[Rows, Array], Any]
    settle: Callable[..., Array]


class Loss(Protocol[SharedT]):
    """What is minimized, with the penalties on both factors: a small frozen value."""

    @property
    def beta(self) -> float:
        """Of the divergence."""

    @property
    def long(self) -> Penalty:
        """The penalty on the long factor."""

    @property
    def keeps_zeros(self) -> bool:
        """Whether an entry of a factor that is zero stays zero."""

    @property
    def known(self) -> int:
        """How many components of the short factor, the first ones, are known and stay what they are."""

    @property
    def signed(self) -> bool:
        """Whether Y may have entries below 0."""

    @property
    def penalized(self) -> bool:
        """Whether there are penalties."""

    @property
    def from_columns(self) -> FromColumns | None:
        """How rows are solved where they are never in memory as a whole; None where the loss needs them so."""

    def prepare(self, S: Array, known: Known) -> SharedT:
        """What every strip needs of a short factor (k, N) in the next pass."""

    def update(self, y: Rows, shared: SharedT, L: Array, sweeps: int) -> Array:
        """A piece's block (k, h) of the long factor, moved."""

    def scale_and_update(self, y: Rows, shared: SharedT, L: Array, sweeps: int) -> Array:
        """A random block, whose rows get the scale of their rows of Y before they move."""

    def solve(self, y: Rows, shared: SharedT, sweeps: int) -> Array:
        """A block that is made from scratch, by least squares, and moved."""

    def settle(self, y: Rows, S: Array, *, tol: float, iterations: int) -> Array:
        """The block that belongs to S, every row of it solved to its end, whatever its neighbours are."""

    def sums(self, y: Rows, shared: SharedT, L: Array) -> Value:
        """What a piece adds to a pass, with its block (k, h) of the long factor."""

    def evaluate(self, sums: Any, shared: SharedT) -> Evaluation:
        """What follows from the sums of all strips of a pass."""

    def surrogate(self, drawn: StandIn) -> AnySurrogate:
        """What stands for Y between passes."""


AnyLoss = Loss[Any]


def add(parts: Sequence[ValueT]) -> ValueT:
    """Sums of several strips, field by field, in the order given; none of the parts is changed."""
    first, *others = parts
    values = {field.name: getattr(first, field.name) for field in fields(first)}
    copies = {name: value.copy() for name, value in values.items() if isinstance(value, np.ndarray)}
    return add_up([replace(first, **copies), *others])


def add_up(parts: Iterable[ValueT]) -> ValueT:
    """As `add`, of parts that come one after the other; the arrays of the first one take up all others."""
    coming = iter(parts)
    first = next(coming)
    totals = {field.name: getattr(first, field.name) for field in fields(first)}
    for part in coming:
        for name in totals:
            totals[name] += getattr(part, name)
        del part  # the next one needs the room
    return replace(first, **totals)


def is_noisy(decrease: float, norm: float, dtype: np.dtype[np.floating]) -> bool:
    """Whether a free loss could not tell a decrease of this size."""
    return decrease < 20 * float(np.finfo(dtype).eps) * norm


def relative_error(loss: float, norm: float) -> float:
    """‖Y − Lᵀ S‖ / ‖Y‖ from the two squares; 0 where Y is 0."""
    return math.sqrt(loss / norm) if norm > 0 else 0.0


def check_finite(loss: float) -> None:
    """Raise ArithmeticError where a loss is NaN or infinite, which no X within its range gives."""
    if not math.isfinite(loss):
        raise ArithmeticError(
            f"the loss became {loss}, though X was finite: X or the run has changed while it was read; start again"
        )
