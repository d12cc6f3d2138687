"""The one list of parameters: what a factorization may be asked for.

Name, default, check, help and spelling of a parameter are said once, where `Parameters` declares it. The command line's
options, the ranges and names of the estimators and the table of the documentation are made of that.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import numpy as np

from dnmf.losses import NAMED, SWEEPS, beta_of, is_number, solvers_of
from dnmf.rules import RULES, Penalty

# W and V, arrays of any kind: the caller's own may be NumPy's, Zarr's or Dask's.
Factors = tuple[Any, Any]

# First factors that are computed from a sample of X, and all that are made by name.
SAMPLED = ("sample", "nndsvd", "nndsvda", "nndsvdar")
INITS = (*SAMPLED, "random")


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers of a type from `least` to `most`, which `open` leaves out."""

    words: str
    of: type[int] | type[float]
    least: int
    most: int | None = None
    open: bool = False

    def holds(self, value: object) -> bool:
        """Whether a value is one of them."""
        if not (is_number(value) and isinstance(value, int | self.of) and value >= self.least):
            return False
        return self.most is None or value < self.most or (value == self.most and not self.open)


@dataclass(frozen=True, slots=True)
class Names:
    """One of some texts, or what `others` holds."""

    words: str
    names: tuple[str, ...]
    others: Callable[[object], bool] = lambda value: False

    def holds(self, value: object) -> bool:
        """Whether a value is one of them."""
        return value in self.names or self.others(value)


COUNT, SEED = Range("an integer of at least 1", int, 1), Range("an integer of at least 0", int, 0)
AMOUNT, SHARE = Range("a finite number of at least 0", float, 0), Range("a number from 0 to 1", float, 0, 1)

# A share of what could still be gained, below which nothing more is done.
TOLERANCE = Range("a number from 0 (never stop early) to below 1", float, 0, 1, open=True)

SOLVER = Names(f"one of {', '.join(RULES)}", tuple(RULES))
LOSS = Names(f"one of {', '.join(NAMED)}, or a number,", tuple(NAMED), is_number)
INIT = Names(f"one of {', '.join(INITS)}, or first factors (W, V),", INITS, lambda value: value == "given")
MISSING_KINDS = Names("one of nan, zeros", ("nan", "zeros"))
PENALTY_SCALE = Names("one of all, observed", ("all", "observed"))
NEGATIVE = Names("one of refuse, allow", ("refuse", "allow"))
TRUTH = Names("True or False", (), lambda value: isinstance(value, bool))


@dataclass(frozen=True, slots=True)
class Declared:
    """What there is to say of a parameter.

    Attributes
    ----------
    check : what it must be; None is possible too where that is the default.
    help : what it is, in a sentence.
    default : as one asks for it; MISSING where it has to be given.
    flags : how the command line spells it; none where it does not have it.
    may_change : whether a run that goes on may have another: it has no part in a pass.
    """

    check: Range | Names
    help: str
    default: object
    flags: tuple[str, ...]
    may_change: bool

    @property
    def required(self) -> bool:
        """Whether it has to be given."""
        return self.default is MISSING

    def holds(self, value: object) -> bool:
        """Whether a value is possible."""
        return self.check.holds(value) or (value is None and self.default is None)


def _is(
    check: Range | Names,
    *flags: str,
    help: str,  # noqa: A002, as click calls it
    default: object = None,
    may_change: bool = False,
    newer: bool = False,
) -> Any:
    """A field of `Parameters`; runs of before there was a `newer` one have its default."""
    declared = {"declared": Declared(check, help, default, flags, may_change)}
    return field(default=default, metadata=declared) if newer else field(metadata=declared)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What was asked for, checked; `of` fills in defaults. See `factorize` for what each of them does."""

    rank: int = _is(COUNT, "--rank", default=MISSING, help="Number of components k; auto or a range to choose it.")
    solver: str = _is(SOLVER, "--solver", default="cd", help="Coordinate descent or multiplicative.")
    beta_loss: float = _is(
        LOSS, "--beta-loss", default="frobenius",
        help=f"{', '.join(NAMED)}, or the β of a β-divergence; all but the first need --solver mu.",
    )  # fmt: skip
    init: str = _is(
        INIT, "--init", default="sample",
        help="First factors; all but random come from a sample of X, which one read of X gives.",
    )  # fmt: skip
    max_iter: int = _is(
        COUNT, "--max-iter", default=200, may_change=True, help="Passes over X at most, that of the sample aside."
    )
    tol: float = _is(
        TOLERANCE, "--tol", default=3e-4, may_change=True,
        help="Stop where one more pass would decrease the loss by less than this share of itself; 0: never.",
    )  # fmt: skip
    seed: int = _is(SEED, "--seed", default=0, help="Of everything random.")
    inner_iter: int | None = _is(
        COUNT, "--inner-iter", help="Updates of a factor per pass; as many as pay if not given."
    )
    alpha_W: float = _is(AMOUNT, "--alpha-w", default=0.0, help="Penalty on W, as scikit-learn's alpha_W.")
    alpha_H: float = _is(AMOUNT, "--alpha-h", default="same", help="Penalty on V; that on W if not given.")
    l1_ratio: float = _is(SHARE, "--l1-ratio", default=0.0, help="Share of the penalties that is on sums, not squares.")
    shuffle: bool = _is(TRUTH, default=False, help="Set components in another order in every pass, with solver cd.")
    snapshot_every: int | None = _is(COUNT, "--snapshot-every", help="Keep the short factor every so many passes.")
    cache: bool = _is(
        TRUTH, "--cache/--no-cache", default=True, may_change=True, help="Keep X in memory where it fits in half of it."
    )
    memory_limit: int | None = _is(COUNT, "--memory-limit", may_change=True, help="Per worker, such as 2GiB.")
    keep_W: bool = _is(TRUTH, newer=True, default=True, help="Write W where it is the long factor.")
    checkpoint_every: int | None = _is(
        COUNT, "--checkpoint-every", may_change=True, newer=True,
        help="Passes from one saved state to the next; if not given, after a pass as soon as it costs 2 % of the time.",
    )  # fmt: skip
    missing: str | None = _is(
        MISSING_KINDS, "--missing", newer=True,
        help="Entries that are not there: nan, those that are NaN; zeros, those that sparse X does not store.",
    )  # fmt: skip
    alpha_scale: str = _is(
        PENALTY_SCALE, "--alpha-scale", newer=True, default="all",
        help="Penalties grow with all entries of a row or column, or with the observed ones, as in ALS-WR.",
    )  # fmt: skip
    fixed: int | None = _is(
        COUNT, "--fixed", newer=True,
        help="Components that are known and stay, the first rows of V: a .npy file, a Zarr array, or the V of a run.",
    )  # fmt: skip
    negative: str = _is(
        NEGATIVE, "--negative", newer=True, default="refuse",
        help="Whether entries of X below zero are data (allow), with solver cd and the Frobenius loss.",
    )  # fmt: skip

    @classmethod
    def of(cls, asked: Mapping[str, object]) -> "Parameters":
        """The parameters among what is asked for, by name, and the defaults of all others.

        Raises
        ------
        ValueError
            For the first one that makes no sense.
        """
        return cls(**values_of(asked))

    def __post_init__(self) -> None:
        """Raise ValueError for the first parameter that makes no sense."""
        check(**{name: getattr(self, name) for name in DECLARED})
        if self.solver not in (able := solvers_of(self.beta_loss)):
            raise ValueError(
                f"solver is {self.solver!r} and beta_loss is {self.beta_loss:g}: solver "
                f"{' or '.join(map(repr, able))} is required for any other loss than 'frobenius'"
            )
        self._check_known()
        is_signed(self.negative, self.beta_loss, self.solver)

    def _check_known(self) -> None:
        """Raise ValueError where known components leave too little, or too much, to what else is asked for."""
        if self.fixed is not None and self.fixed > self.rank:
            raise ValueError(
                f"fixed has {self.fixed} components and rank is {self.rank}: rank counts known and other components, "
                f"so {self.fixed} at least is required"
            )
        if self.all_known and self.init == "given":
            raise ValueError("all components are known, and W follows from them: leave init out")

    @property
    def signed(self) -> bool:
        """Whether entries of X below zero are data."""
        return self.negative == "allow"

    @property
    def all_known(self) -> bool:
        """Whether no component is left to be found."""
        return self.fixed == self.rank

    @property
    def published(self) -> bool:
        """Whether the iterates are those of the published rules: each iteration moves W once, then V once.

        So is the one iteration that is asked for from given factors: else W alone would move, and a caller who makes
        one at a time would get nowhere.
        """
        return self.init == "given" and (self.inner_iter or self.max_iter) == 1

    @property
    def passes(self) -> int:
        """Passes at most: one where there is but W to find; one more than published iterations, see the loop."""
        if self.all_known:
            return 1
        return self.max_iter + 1 if self.published else self.max_iter

    @property
    def sweeps(self) -> int:
        """Of a factor in a pass, where no sample tells how many pay."""
        return 1 if self.published else self.inner_iter or SWEEPS

    def penalties(self, shape: tuple[int, int], axis: int) -> tuple[Penalty, Penalty]:
        """On the long and on the short factor of X (m, n), cut along an axis; scaled as scikit-learn does.

        Those of an X of shape (1, 1) are what each entry of a row or column brings.
        """
        m, n = shape
        of_W, of_V = Penalty.scaled(n, self.alpha_W, self.l1_ratio), Penalty.scaled(m, self.alpha_H, self.l1_ratio)
        return (of_W, of_V) if axis == 0 else (of_V, of_W)


# By name, in the order in which they are shown.
DECLARED: dict[str, Declared] = {each.name: each.metadata["declared"] for each in fields(Parameters)}
MAY_CHANGE = tuple(name for name, declared in DECLARED.items() if declared.may_change)


def values_of(asked: Mapping[str, object]) -> dict[str, Any]:
    """The values of all parameters: what is asked for, as plain numbers, and the defaults of the rest."""
    values = {name: plain(asked.get(name, declared.default)) for name, declared in DECLARED.items()}
    values["beta_loss"] = beta_of(values["beta_loss"])
    if not isinstance(values["init"], str):
        values["init"] = "given"
    if hasattr(values["fixed"], "__len__"):
        values["fixed"] = len(values["fixed"])
    if values["alpha_H"] == "same":
        values["alpha_H"] = values["alpha_W"]
    return values


def check(**values: object) -> None:
    """Raise ValueError for the first of some parameters that makes no sense."""
    for name, value in values.items():
        if not DECLARED[name].holds(value):
            raise ValueError(f"{name} is {value!r}: {DECLARED[name].check.words} is required")


def is_signed(negative: str, beta: float, solver: str = "cd") -> bool:
    """Whether entries of X below zero are data.

    Raises
    ------
    ValueError
        If that makes no sense with a loss or a solver.
    """
    check(negative=negative)
    if negative == "allow" and (solver, beta) != ("cd", 2):
        raise ValueError(
            f"negative is 'allow', solver is {solver!r} and beta_loss is {beta:g}: by X below zero multiplicative "
            f"updates would make factors negative, and divergences other than least squares are not defined there; "
            f"solver 'cd' and beta_loss 'frobenius' are required"
        )
    return negative == "allow"


def plain(value: object) -> Any:
    """A number of Python's own: a run's record is JSON."""
    return value.item() if isinstance(value, np.generic) else value


def options_table() -> str:
    """All parameters as a table in Markdown: the name in Python, the option, the default, what it is."""
    lines = ["| parameter | option | default | meaning |", "|---|---|---|---|"]
    for name, declared in DECLARED.items():
        option = f"`{declared.flags[0]}`" if declared.flags else ""
        default = "" if declared.required or declared.default is None else f"`{declared.default}`"
        lines.append(f"| `{name}` | {option} | {default} | {declared.help} |")
    return "\n".join(lines)
