"""What there is to say of the components of a factorization: one value, in the order of their shares."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnmf.components.features import By
from dnmf.components.sums import F8
from dnmf.components.table import Table


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Components in the order of their shares, the largest first. What is not known is NaN.

    Attributes
    ----------
    number : (k,) which component of the run each is: 1 is the first row of V, as in figures.
    share : (k,) by how much of ‖X‖² the loss grows without it, of least squares; see `dnmf.components.shares`.
    mass : (k,) its share of the sum of X, or of that of W V where the former is not known.
    alone : (k,) how much of ‖X‖² it explains on its own.
    sparseness_V, sparseness_W : (k,) of its row of V and of its column of W, 0 to 1.
    agreement : (k,) its cosine with its partner in another factorization.
    by : what its features are ranked by.
    features : for each, the columns of X with the largest scores, the first one first; 0 is the first column.
    scores, weights : for each, the scores of these, and their shares of the component's row of V.
    names : (n,) names of all columns of X; None where they have none.
    notes : sentences on what is not known, and what to do.
    mass_of : what it is the sum of that `mass` is a share of: "X" or "W V".
    """

    number: NDArray[np.intp]
    share: F8
    mass: F8
    alone: F8
    sparseness_V: F8
    sparseness_W: F8
    agreement: F8
    by: By
    features: tuple[NDArray[np.intp], ...]
    scores: tuple[F8, ...]
    weights: tuple[F8, ...]
    names: NDArray[np.object_] | None = None
    notes: tuple[str, ...] = ()
    mass_of: str = "X"

    def __len__(self) -> int:
        return len(self.number)

    @property
    def table(self) -> Table:
        """One row for each component, with the names of its features, or their numbers where they have none."""
        columns = {
            name: getattr(self, name).tolist()
            for name in ("share", "mass", "alone", "sparseness_V", "sparseness_W", "agreement")
        }
        return Table({"component": self.number.tolist(), **columns, "features": self.named_features})

    @property
    def named_features(self) -> list[tuple[str, ...]]:
        """The names of each component's features; the numbers of the columns where these have no names."""
        return [tuple(self.name(column) for column in features.tolist()) for features in self.features]

    def name(self, column: int) -> str:
        """The name of a column of X, or its number."""
        return str(column) if self.names is None else str(self.names[column])
