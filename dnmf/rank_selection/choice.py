"""Which rank the held-out errors speak for, and that in words.

Errors of the same rows are compared in pairs: of ranks whose error is not above the least one by more than a standard
error of the mean difference, the smallest is picked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# An error this small relative to what there is to predict is as good as none.
NEGLIGIBLE = 1e-6

# Components of two halves whose cosine is below this are not the same; a sample should have so many rows a component.
ALIKE, ROWS_EACH = 0.8, 10


@dataclass(frozen=True, slots=True)
class Comparison:
    """Held-out errors of some ranks, ascending, as shares of what there is to predict.

    Attributes
    ----------
    ranks : (r,) components.
    held_out : (r,) errors.
    standard_error : (r,) of their differences to the least one.
    """

    ranks: tuple[int, ...]
    held_out: NDArray[np.float64]
    standard_error: NDArray[np.float64]

    @property
    def least(self) -> int:
        """The rank with the least error."""
        return self.ranks[int(np.argmin(self.held_out))]

    @property
    def pick(self) -> int:
        """The smallest rank within one standard error of the least."""
        margin = self.standard_error + NEGLIGIBLE
        return self.ranks[int(np.flatnonzero(self.held_out - self.held_out.min() <= margin)[0])]

    @property
    def falls_to_the_end(self) -> bool:
        """Whether the error is least at the largest rank, so that no minimum lies in the range."""
        return self.least == self.ranks[-1] and self.pick == self.least and len(self.ranks) > 1


def compare(ranks: Sequence[int], errors: NDArray[np.float64], scale: float) -> Comparison:
    """Compare ranks by the errors of the same rows.

    Parameters
    ----------
    ranks : (r,) ascending.
    errors : (r, s), of every row.
    scale : what there is to predict, in the same unit, of all rows together.
    """
    scale = scale or 1.0
    totals = errors.sum(axis=1)
    pairs = errors - errors[int(np.argmin(totals))]
    spread = pairs.std(axis=1, ddof=1) if errors.shape[1] > 1 else np.zeros(len(ranks))
    return Comparison(tuple(ranks), totals / scale, np.sqrt(errors.shape[1]) * spread / scale)


def sentence(found: Comparison, agreement: Mapping[int, NDArray[np.float64]], *, rows: int, lines: str = "rows") -> str:
    """What the comparison says, and how far it can be trusted.

    Parameters
    ----------
    found : the comparison.
    agreement : for each rank, how well each component of one half is found in the other.
    rows : of the smaller half.
    lines : what these are of X: rows or columns.
    """
    parts = [*_errors(found), _agreement(found, agreement)]
    if rows < ROWS_EACH * found.ranks[-1]:
        parts.append(
            f"half of the sample has {rows} {lines}, fewer than {ROWS_EACH} a component above rank "
            f"{rows // ROWS_EACH}: there it tells little"
        )
    return "; ".join(parts) + ". No pick is proof."


def _errors(found: Comparison) -> list[str]:
    ranks, least, pick = found.ranks, found.least, found.pick
    if len(ranks) == 1:
        return [f"Only rank {pick} was asked for, so there is nothing to compare"]
    if found.falls_to_the_end:
        return [
            f"Held-out error still falls at {least}, the largest rank of all: no minimum lies in the range, ask for "
            f"more"
        ]
    said = [f"Held-out error is least at {least}"]
    if least == ranks[-1]:
        said = [f"Held-out error is least at {least}, the largest rank of all, so that no minimum lies in the range"]
    if pick != least:
        said.append(f"{pick} is the smallest within one standard error")
    if pick == ranks[0]:
        said.append("smaller ranks were not asked for")
    return said


def _agreement(found: Comparison, agreement: Mapping[int, NDArray[np.float64]]) -> str:
    """How alike the halves' components are at the pick, and at the least error where that is another rank."""
    at = [found.pick, *([found.least] if found.least != found.pick else [])]
    return ", ".join(_agreement_at(rank, agreement[rank]) for rank in at)


def _agreement_at(rank: int, alike: NDArray[np.float64]) -> str:
    worst, lost = float(alike.min()), int((alike < ALIKE).sum())
    if not lost:
        return f"at {rank} every component is found by both halves (worst {worst:.2f})"
    verb = "is" if lost == 1 else "are"
    return f"at {rank}, {lost} of {rank} components {verb} not found by both halves (worst {worst:.2f})"
