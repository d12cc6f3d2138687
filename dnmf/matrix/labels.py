"""Labels: the names of X's rows and columns, where what it came from has them; and columns that are matched by them.

Where names are found is each kind of X's own business: see `dnmf.matrix.names`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

# Texts, in an array of objects: NumPy's own texts are all as long as the longest one.
Names = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Labels:
    """Names of rows and columns.

    Attributes
    ----------
    rows : (m,) texts, or None where rows have no names.
    columns : (n,) texts, or None where columns have no names.
    """

    rows: Names | None = None
    columns: Names | None = None

    @classmethod
    def of(cls, rows: Iterable[Any] | None, columns: Iterable[Any] | None) -> Self:
        """Labels of anything: what is no text becomes one, as `str` writes it.

        >>> Labels.of(None, [1.5, "b"]).columns.tolist()
        ['1.5', 'b']
        """
        return cls(*(None if names is None else _texts(names) for names in (rows, columns)))

    def columns_in(self, known: Names | None) -> NDArray[np.intp] | None:
        """Where each column of X is among known ones: V[:, places] has the columns of V as X has them.

        None where there is nothing to do: either has no names, or the names are the same in the same order.

        Raises
        ------
        ValueError
            If X has other columns than the known ones, or if names repeat and are in another order.

        Examples
        --------
        >>> Labels.of(None, ["b", "c", "a"]).columns_in(Labels.of(None, ["a", "b", "c"]).columns).tolist()
        [1, 2, 0]
        """
        if self.columns is None or known is None or np.array_equal(self.columns, known):
            return None
        places = {name: i for i, name in enumerate(known)}
        if new := [name for name in self.columns if name not in places]:
            raise ValueError(
                f"{len(new)} of {len(self.columns)} columns of X are none of the model's, the first is {new[0]!r}: the "
                f"columns that the model was fitted to are required, in any order; select them by name"
            )
        mine = set(self.columns)
        if lost := [name for name in known if name not in mine]:
            raise ValueError(
                f"X lacks {len(lost)} of {len(known)} columns of the model, the first is {lost[0]!r}: the columns that "
                f"the model was fitted to are required, in any order; select them by name"
            )
        if len(places) < len(known) or len(mine) < len(self.columns):
            raise ValueError(
                f"names of columns repeat ({_repeated(self.columns, known)!r}) and are in another order than those of "
                f"the model, so they cannot be matched: make them unique, or bring them into the model's order"
            )
        return np.fromiter((places[name] for name in self.columns), np.intp, len(self.columns))


def _texts(names: Iterable[Any]) -> Names:
    texts = [name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in names]
    return np.array(texts, dtype=object)


def _repeated(*groups: Names) -> str:
    """A name that is there more than once."""
    return next(name for names in groups for name, count in Counter(names).items() if count > 1)
