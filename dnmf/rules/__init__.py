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

Array = NDArray[np.floating]
Rule = Callable[[Array, Array, Array, int], Array]

# A penalty, and for cd an order of components, are bound to a rule by whoever chooses it.
RULES: dict[str, Callable[..., Array]] = {"cd": coordinate_descent, "mu": multiplicative}

# Rules that cannot move an entry away from zero: first factors must be positive.
KEEPS_ZEROS = frozenset({"mu"})

__all__ = ["KEEPS_ZEROS", "NO_PENALTY", "RULES", "Penalty", "Rule", "coordinate_descent", "multiplicative"]
