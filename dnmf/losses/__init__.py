"""Objectives: what is minimized, as the loop and the strips need it. One kind per module; none sees Dask or Zarr.

An objective is a loss and the penalties on both factors. It says how a strip moves its rows of the long factor L
(k × M), what it adds to the sums of a pass, and what follows from the sums of all strips: the loss, the next short
factor S (k × N), and by how much it is better. It is a small value that travels with every task.

The loss is twice the β-divergence: ‖Y − Lᵀ S‖² for β = 2. The objective is twice scikit-learn's.
"""

import math
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnmf.losses.divergence.loss import Divergence
    from dnmf.losses.least_squares.loss import Squared

    Objective = Squared | Divergence


# The losses that have a name, by their β.
NAMED = {"frobenius": 2.0, "kullback-leibler": 1.0, "itakura-saito": 0.0}


__all__ = ["NAMED", "Divergence", "Objective", "Squared"]


def loss_by_number(loss: float | str) -> float:
    """β of a loss that is given by name or by β."""
    beta = NAMED.get(loss, loss) if isinstance(loss, str) else loss
    if not _is_number(beta):
        raise ValueError(f"beta_loss is {loss!r}: one of {', '.join(map(repr, NAMED))}, or a number, is required")
    return float(beta)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def __getattr__(name: str) -> Any:
    """Import the kinds when they are used: names of losses, for the command line's help, load no SciPy."""
    match name:
        case "Squared":
            return import_module("dnmf.losses.least_squares.loss").Squared
        case "Divergence":
            return import_module("dnmf.losses.divergence.loss").Divergence
        case "Objective":
            return import_module(__name__).Squared | import_module(__name__).Divergence
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
