"""What the parameters of the estimators may be. The sentences of the errors are scikit-learn's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from os import PathLike
from typing import Any

import numpy as np

from dnmf.losses import NAMED
from dnmf.rules import RULES

INITS = ("random", "nndsvd", "nndsvda", "nndsvdar", "custom")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: what an error calls it, and whether a value is one."""

    name: str
    holds: Callable[[Any], bool]


def _number(of: type, least: float, most: float | None = None) -> Kind:
    """Numbers from `least` to `most`, both included; NaN is none."""
    low, high = (str(least), str(most)) if of is Integral else (str(float(least)), str(most and float(most)))
    until = "inf)" if most is None else f"{high}]"
    name = f"{'an int' if of is Integral else 'a float'} in the range [{low}, {until}"
    top = np.inf if most is None else most
    return Kind(name, lambda value: isinstance(value, of) and bool(least <= value <= top))  # type: ignore[operator]


def _among(*names: str) -> Kind:
    listed = ", ".join(repr(name) for name in names)
    return Kind(f"a str among {{{listed}}}", lambda value: isinstance(value, str) and value in names)


def _instance(of: type, name: str) -> Kind:
    return Kind(f"an instance of '{name}'", lambda value: isinstance(value, of))


NONE = Kind("None", lambda value: value is None)


TRUTH = (_instance(bool, "bool"), _instance(np.bool_, "numpy.bool"))


COUNT = _number(Integral, 1)


AMOUNT = _number(Real, 0)


SHARE = _number(Real, 0, 1)


PATH = Kind("a path", lambda value: isinstance(value, str | PathLike))


PARAMETERS: Mapping[str, tuple[Kind, ...]] = {
    "n_components": (COUNT, NONE, _among("auto")),
    "init": (_among(*INITS), NONE),
    "solver": (_among(*RULES),),
    "beta_loss": (_among(*NAMED), Kind("an instance of 'float'", lambda value: isinstance(value, Real))),
    "tol": (AMOUNT,),
    "max_iter": (COUNT,),
    "random_state": (
        _number(Integral, 0, 2**32 - 1),
        _instance(np.random.RandomState, "numpy.random.mtrand.RandomState"),
        NONE,
    ),
    "alpha_W": (AMOUNT,),
    "alpha_H": (AMOUNT, _among("same")),
    "l1_ratio": (SHARE,),
    "verbose": (_number(Integral, 0), *TRUTH),
    "shuffle": TRUTH,
    "inner_iter": (COUNT, NONE),
    "out": (PATH, NONE),
    "memory_limit": (COUNT, NONE),
    "max_no_improvement": (COUNT, NONE),
    "batch_size": (COUNT,),
    "forget_factor": (SHARE,),
    "fresh_restarts": TRUTH,
    "fresh_restarts_max_iter": (COUNT,),
    "transform_max_iter": (COUNT, NONE),
}


def check_parameters(caller: str, parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that are none of what they may be; those of a subclass's own are its business.

    Raises
    ------
    ValueError
        Naming the first one, what it may be, and what it is.
    """
    for name, value in parameters.items():
        kinds = PARAMETERS.get(name)
        if kinds is None or any(kind.holds(value) for kind in kinds):
            continue
        *others, last = (kind.name for kind in kinds)
        allowed = f"{', '.join(others)} or {last}" if others else last
        raise ValueError(f"The {name!r} parameter of {caller} must be {allowed}. Got {value!r} instead.")
