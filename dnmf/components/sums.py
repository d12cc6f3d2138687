"""What the last pass over X says of every component: sums that it has formed anyway."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

F8: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ComponentSums:
    """Sums over the rows of Y, with the factors L (k, M) and S (k, N) that a pass ended with, Y ≈ Lᵀ S.

    Y is X, L is Wᵀ and S is V where strips are rows of X; where they are columns, Y is Xᵀ, L is V and S is Wᵀ.

    Attributes
    ----------
    mass : (k,) Σ_i l_ai, the sum of each row of L.
    squares : (k,) Σ_i l_ai².
    norm : Σ y^β, for least squares ‖Y‖².
    gram : (k, k) L Lᵀ, of least squares; else None.
    residual : (k, N) L (Y − Lᵀ S), of least squares; else None. It is known without cancellation where the pass was
        made about S, as a pass that may be the last one is. Where entries are missing or weighted it is that of what is
        there, L (Ω ∘ (Y − Lᵀ S)).
    energy : (k,) Σ_ij ω_ij (l_ai s_aj)², the square of each component's matrix where entries are there; NaN where it is
        not known; None where all are, and it follows from `squares`.
    """

    mass: F8
    squares: F8
    norm: float
    gram: F8 | None = None
    residual: F8 | None = None
    energy: F8 | None = None

    def cross(self, S: NDArray[np.floating]) -> F8 | None:
        """L Y (k, N), with the short factor S (k, N) of this pass; None where the loss has no such sum."""
        if self.gram is None or self.residual is None:
            return None
        return np.asarray(self.residual + self.gram @ S.astype("f8"))
