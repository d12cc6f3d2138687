"""What the parameters of the estimators may be. The sentences of the errors are scikit-learn's."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Integral, Real
from os import PathLike
from typing import Any

import numpy as np

from dnmf.parameters import AMOUNT, COUNT, DECLARED, SAMPLED, SEED, SHARE, TRUTH, Declared, Range

# A kind of value: what an error calls it, and whether a value is one.
Kind = tuple[str, Callable[[Any], bool]]


def _number(check: Range) -> Kind:
    """Numbers from the least to the most, both included; NaN is none."""
    of, name = (Integral, "an int") if check.of is int else (Real, "a float")
    least, most = check.of(check.least), math.inf if check.most is None else check.of(check.most)

    def holds(value: float) -> bool:
        return isinstance(value, of) and least <= value <= most

    return f"{name} in the range [{least}, {most}{')' if check.most is None else ']'}", holds


def _among(*names: str) -> Kind:
    return f"a str among {{{', '.join(map(repr, names))}}}", lambda value: isinstance(value, str) and value in names


def _instance(of: type, name: str) -> Kind:
    return f"an instance of '{name}'", lambda value: isinstance(value, of)


NONE: Kind = ("None", lambda value: value is None)
EITHER = (_instance(bool, "bool"), _instance(np.bool_, "numpy.bool"))


def _declared(declared: Declared) -> tuple[Kind, ...]:
    """What a parameter may be that is scikit-learn's as it is declared."""
    check = declared.check
    if check is TRUTH:
        return EITHER
    kind = _number(check) if isinstance(check, Range) else _among(*check.names)
    return (kind, NONE) if declared.default is None else (kind,)


# What differs from what is declared, or is the estimators' own.
OTHERS: Mapping[str, tuple[Kind, ...]] = {
    "n_components": (_number(COUNT), NONE, _among("auto")),
    # By a sample, dnmf's own, is None here.
    "init": (_among("random", *(name for name in SAMPLED if name != "sample"), "custom"), NONE),
    "beta_loss": (*_declared(DECLARED["beta_loss"]), _instance(Real, "float")),
    "tol": (_number(AMOUNT),),
    "random_state": (
        _number(replace(SEED, most=2**32 - 1)),
        _instance(np.random.RandomState, "numpy.random.mtrand.RandomState"),
        NONE,
    ),
    "alpha_H": (*_declared(DECLARED["alpha_H"]), _among("same")),
    "verbose": (_number(SEED), *EITHER),
    "out": (("a path", lambda value: isinstance(value, str | PathLike)), NONE),
    "max_no_improvement": (_number(COUNT), NONE),
    "batch_size": (_number(COUNT),),
    "forget_factor": (_number(SHARE),),
    "fresh_restarts": EITHER,
    "fresh_restarts_max_iter": (_number(COUNT),),
    "transform_max_iter": (_number(COUNT), NONE),
}  # fmt: skip

PARAMETERS: Mapping[str, tuple[Kind, ...]] = {
    **{name: _declared(declared) for name, declared in DECLARED.items()},
    **OTHERS,
}


def check_parameters(caller: str, parameters: Mapping[str, object]) -> None:
    """Refuse parameters that are none of what they may be; those of a subclass's own are its business.

    Raises
    ------
    ValueError
        Naming the first one, what it may be, and what it is.
    """
    for name, value in parameters.items():
        kinds = PARAMETERS.get(name)
        if kinds is None or any(holds(value) for _, holds in kinds):
            continue
        *others, last = (words for words, _ in kinds)
        allowed = f"{', '.join(others)} or {last}" if others else last
        raise ValueError(f"The {name!r} parameter of {caller} must be {allowed}. Got {value!r} instead.")
