"""dnmf.losses.extrapolation."""

from dataclasses import dataclass

from dnmf.arrays.rows import Array

# The decrease that decides is taken over so many iterations.
STRETCH = 10


# Of the extrapolation, as published.
FIRST_STEP, STEP_GROWTH, BOUND_GROWTH, STEP_CUT = 0.5, 1.05, 1.01, 1.5


@dataclass(frozen=True, slots=True)
class Pace:
    """How far beyond a step the extrapolation goes, and how far it may: both grow while the objective falls."""

    step: float = FIRST_STEP
    bound: float = 1.0

    def grown(self) -> "Pace":
        """After an iteration that was better."""
        return Pace(min(self.bound, STEP_GROWTH * self.step), min(1.0, BOUND_GROWTH * self.bound))

    def cut(self) -> "Pace":
        """After one that was worse."""
        return Pace(self.step / STEP_CUT, self.step)


@dataclass(frozen=True, slots=True)
class Fit:
    """A ≈ Wᵀ H: W (k, s) component-major, H (k, N), the loss, and that with the penalties."""

    W: Array
    H: Array
    loss: float
    objective: float
