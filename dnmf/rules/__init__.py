"""Rules: how a factor is updated from a numerator and a Gram matrix. Pure NumPy; one rule per module.

A rule updates the factor F (k × r, component-major) of a least-squares problem ‖Y − Fᵀ B‖² whose other factor B (k × c)
enters only through the numerator N = B Yᵀ (k × r) and the Gram matrix G = B Bᵀ (k × k). The same rule therefore updates
W (F = Wᵀ, N = V Xᵀ, G = V Vᵀ) and V (F = V, N = Wᵀ X, G = Wᵀ W), and none of them ever sees X.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dnmf.rules.coordinate_descent import coordinate_descent
from dnmf.rules.multiplicative import multiplicative
from dnmf.rules.penalty import NO_PENALTY, Penalty

_Array = NDArray[np.floating]

# A rule moves F by N and G in so many sweeps; what solves makes its own F, from N and G alone.
Rule = Callable[[_Array, _Array, _Array, int], _Array]
Solve = Callable[[_Array, _Array, int], _Array]

# By the name of their solver. A penalty, and an order of the components, are bound to them by `dnmf.rules.solver`.
RULES: dict[str, Callable[..., _Array]] = {"cd": coordinate_descent, "mu": multiplicative}

# Rules that cannot move an entry away from zero, so that first factors must be positive; rules that set one component
# after the other, in any order.
KEEPS_ZEROS, IN_ORDER = frozenset({"mu"}), frozenset({"cd"})

__all__ = [
    "IN_ORDER", "KEEPS_ZEROS", "NO_PENALTY", "RULES", "Penalty", "Rule", "Solve", "coordinate_descent", "multiplicative"
]  # fmt: skip
