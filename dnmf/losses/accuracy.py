"""dnmf.losses.accuracy."""

import math
from typing import Any

import numpy as np


def is_noisy(decrease: float, norm: float, dtype: np.dtype[Any]) -> bool:
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
