"""Penalties on the entries of a factor, as scikit-learn's alpha_W, alpha_H and l1_ratio define them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Penalty:
    """l1 · Σ F + l2 / 2 · Σ F² is added to half of the loss.

    Attributes
    ----------
    l1 : on the sum of the entries: a number, or one for each column of the factor (r,).
    l2 : on the sum of their squares.
    """

    l1: float | NDArray[np.floating] = 0.0
    l2: float = 0.0

    @classmethod
    def scaled(cls, size: int, alpha: float, l1_ratio: float) -> "Penalty":
        """That of scikit-learn's alpha and l1_ratio, where the other factor has so many rows or columns."""
        return cls(size * alpha * l1_ratio, size * alpha * (1 - l1_ratio))

    def __bool__(self) -> bool:
        """Whether anything is penalized."""
        # Asked at every step: NumPy would take longer to look at a number than some steps take.
        return self.l2 != 0 or bool(self.l1.any() if isinstance(self.l1, np.ndarray) else self.l1)

    def value(self, total: float, square: float) -> float:
        """What it adds to a loss (not halved), from the sum of the entries and that of their squares."""
        return 2 * float(self.l1) * total + self.l2 * square

    def of(self, F: NDArray[np.floating], times: NDArray[np.floating] | None = None) -> float:
        """What it adds to a loss (not halved) for a factor (k, r), each column of which counts so many times (r,)."""
        F8 = F.astype("f8")
        if times is not None:
            return self.value(float((F8 @ times).sum()), float(((F8 * F8) @ times).sum()))
        return 2 * float((F8 * self.l1).sum()) + self.l2 * float(np.vdot(F8, F8))

    def gradient(self, F: NDArray[np.floating], times: NDArray[np.floating] | None = None) -> NDArray[np.floating]:
        """Its derivative where a factor is F (k, r): l1 + l2 F, for each column so many times (r,)."""
        gradient = np.asarray(self.l1 + self.l2 * F)
        return gradient if times is None else gradient * times

    def weighted(self, weights: NDArray[np.floating]) -> "Penalty":
        """The penalty on a factor whose columns were multiplied by weights (r,): its square grows with it."""
        return Penalty(self.l1 * weights, self.l2) if np.any(self.l1) else self


NO_PENALTY = Penalty()
