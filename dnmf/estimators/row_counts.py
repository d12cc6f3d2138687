"""Rows that count so many times, as scikit-learn's sample_weight means it: as if they were there as often.

A β-divergence grows with the power β of what is compared, d(c x, c m) = c^β d(x, m): a row that counts s times is the
row times s^(1/β), whose row of W is then s^(1/β) times as long. So least squares of √s X are those of X with repeated
rows, at no cost. Where β is 0 no such factor does that, and every entry of the row has the weight s.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.rows import Array, is_sparse
from dnmf.estimators.scikit_learn import ArrayLike


@dataclass(frozen=True, slots=True)
class RowCounts:
    """How often each row counts.

    Attributes
    ----------
    counts : (m,) numbers of at least 0, some above.
    beta : of the loss.
    """

    counts: NDArray[np.float64]
    beta: float

    @classmethod
    def of(cls, sample_weight: ArrayLike, m: int, beta: float) -> "RowCounts":
        """What a caller gives for X with m rows.

        Raises
        ------
        ValueError
            If it is not one finite number of at least 0 for each row, or 0 for all of them.
        """
        counts = np.asarray(sample_weight, np.float64)
        if counts.shape != (m,):
            raise ValueError(f"sample_weight has shape {counts.shape} and X has {m} rows: shape ({m},) is required")
        if not (np.isfinite(counts).all() and counts.min() >= 0):
            raise ValueError("sample_weight has negative, NaN or infinite entries: finite weights ≥ 0 are required")
        if not counts.any():
            raise ValueError("sample_weight has nothing but zeros: one weight above 0 at least is required")
        return cls(counts, beta)

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Which rows count at all, (m,)."""
        return self.counts > 0

    @property
    def factors(self) -> NDArray[np.float64]:
        """What a row that counts is multiplied by."""
        counts = self.counts[self.kept]
        return np.ones(len(counts)) if self.beta == 0 else counts ** (1 / self.beta)

    def weights(self, n: int) -> NDArray[np.float64] | None:
        """(rows that count, n) weights of their entries, a view; None where factors say it all."""
        return np.broadcast_to(self.counts[self.kept][:, None], (int(self.kept.sum()), n)) if self.beta == 0 else None

    @property
    def growth(self) -> float:
        """By how much there would be more rows if each were there as often as it counts."""
        return float(self.counts.sum() / self.kept.sum())

    def check_penalty(self, alpha_W: float, l1_ratio: float) -> None:
        """Refuse a penalty on W that rows do not bear as often as they count."""
        if alpha_W and not (self.beta == 2 and l1_ratio == 0):
            raise ValueError(
                f"sample_weight is given and alpha_W is {alpha_W:g}: with that a penalty on W is possible for the "
                f"Frobenius loss with l1_ratio=0 alone; leave it out (alpha_H may stay), or repeat the rows"
            )

    def of_rows(self, X: ArrayLike) -> ArrayLike:
        """The rows that count, of X (m, n) or W (m, k), as they are factorized."""
        rows, factors = X[self.kept], self.factors.astype(X.dtype if X.dtype.kind == "f" else np.float64)
        return rows.multiply(factors[:, None]).tocsr() if is_sparse(rows) else rows * factors[:, None]

    def back(self, W: Array, solved: Array) -> Array:
        """W (m, k) of all rows, from that of the rows that count, as they were factorized; others are `solved`."""
        found = solved.copy()
        found[self.kept] = W / self.factors.astype(W.dtype)[:, None]
        return found
