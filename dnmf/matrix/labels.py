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

    def check(self, shape: tuple[int, int], location: str) -> None:
        """Refuse names that are not as many as X at a location (m, n) has rows or columns.

        Raises
        ------
        ValueError
            Names both numbers.
        """
        for axis, names, count in zip(("rows", "columns"), (self.rows, self.columns), shape, strict=True):
            if names is not None and len(names) != count:
                raise ValueError(
                    f"{location} has {count} {axis} and beside it are {len(names)} names of {axis}: one for each is "
                    f"required; write X and its names again, together"
                )

    def columns_in(self, known: Names | None) -> NDArray[np.intp] | None:
        """Where each column of X is among known ones: V[:, places] has the columns of V as X has them.

        None where there is nothing to do: either has no names, or the names are the same in the same order. Names that
        are the numbers 0, 1, 2, … in any order, such as pandas' own, are those of columns that have no names.

        Raises
        ------
        ValueError
            If X has other columns than the known ones, or if names repeat and are in another order.

        Examples
        --------
        >>> Labels.of(None, ["b", "c", "a"]).columns_in(Labels.of(None, ["a", "b", "c"]).columns).tolist()
        [1, 2, 0]
        """
        columns, known = _named_or_counted(self.columns, known), _named_or_counted(known, self.columns)
        if columns is None or known is None or np.array_equal(columns, known):
            return None
        places = {name: i for i, name in enumerate(known)}
        if new := [name for name in columns if name not in places]:
            raise ValueError(
                f"{len(new)} of {len(columns)} columns of X are none of the model's, the first is {new[0]!r}: the "
                f"columns that the model was fitted to are required, in any order; select them by name"
            )
        mine = set(columns)
        if lost := [name for name in known if name not in mine]:
            raise ValueError(
                f"X lacks {len(lost)} of {len(known)} columns of the model, the first is {lost[0]!r}: the columns that "
                f"the model was fitted to are required, in any order; select them by name"
            )
        if len(places) < len(known) or len(mine) < len(columns):
            raise ValueError(
                f"names of columns repeat ({_repeated(columns, known)!r}) and are in another order than those of "
                f"the model, so they cannot be matched: make them unique, or bring them into the model's order"
            )
        return np.fromiter((places[name] for name in columns), np.intp, len(columns))


def check_beside(x: Labels, weights: Labels) -> None:
    """Refuse weights whose rows or columns have other names than X's, or the same ones in another order.

    Names that are the numbers 0, 1, 2, … in this order are none, unless the others are the same in another order.

    Raises
    ------
    ValueError
        Names the first that differs.
    """
    for lines, names, others in (("rows", x.rows, weights.rows), ("columns", x.columns, weights.columns)):
        if names is None or others is None or np.array_equal(names, others):
            continue
        counted = _texts(range(len(names)))
        if set(names) != set(others) and any(np.array_equal(counted, each) for each in (names, others)):
            continue
        at = next(i for i, (name, other) in enumerate(zip(names, others, strict=False)) if name != other)
        raise ValueError(
            f"{lines} of the weights have other names than those of X, or another order: number {at} is "
            f"{others[at]!r} there and {names[at]!r} in X; select those of X, in its order, by name"
        )


def _texts(names: Iterable[Any]) -> Names:
    return np.array([_text(name) for name in names], dtype=object)


def _text(name: Any) -> str:
    """A name as a text that can be written: without what has no place in UTF-8, and without null characters."""
    text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    return text if text.isascii() and text.isprintable() else text.encode(errors="replace").decode().replace("\0", "")


def _named_or_counted(names: Names | None, others: Names | None) -> Names | None:
    """Names, or those of columns that have none, where others are such numbers."""
    return _counted(others) if names is None else names


def _counted(names: Names | None) -> Names | None:
    """0, 1, 2, … as texts, where names are these in another order; None where they are others."""
    if names is None or not (len(names) and names[0].isdecimal()):
        return None
    counted = _texts(range(len(names)))
    return counted if set(counted) == set(names) else None


def _repeated(*groups: Names) -> str:
    """A name that is there more than once."""
    return next(name for names in groups for name, count in Counter(names).items() if count > 1)
