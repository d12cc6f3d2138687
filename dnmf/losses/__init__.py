"""Losses: what is minimized, as the loop and the strips need it. One folder per kind; none sees Dask or Zarr.

A loss comes with the penalties on both factors. It says how a strip moves its rows of the long factor L (k × M), what
the strip adds to the sums of a pass, and what follows from the sums of all strips: the loss, the next short factor S
(k × N), and by how much it is better. What losses promise is in `protocol`, which of them is meant is said in `choose`;
here are their names alone, and nothing that takes long to import.

The loss is twice the β-divergence: ‖Y − Lᵀ S‖² for β = 2. The objective, penalties included, is twice scikit-learn's.
"""

import math

from dnmf.rules import RULES

# The losses that have a name, by their β.
NAMED = {"frobenius": 2.0, "kullback-leibler": 1.0, "itakura-saito": 0.0}

# Sweeps of a factor in a pass, where nothing else is asked for and no sample tells how many pay.
SWEEPS = 10


def beta_of(loss: float | str) -> float:
    """β of a loss that is given by name or by β."""
    beta = NAMED.get(loss, loss) if isinstance(loss, str) else loss
    if isinstance(beta, str) or not is_number(beta):
        raise ValueError(f"beta_loss is {loss!r}: one of {', '.join(map(repr, NAMED))}, or a number, is required")
    return float(beta)


def is_number(value: object) -> bool:
    """Whether a value is a finite number; a truth value is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def solvers_of(beta: float) -> tuple[str, ...]:
    """Names of the solvers that minimize the loss of a β, the usual one first."""
    return tuple(RULES) if beta == 2 else ("mu",)
