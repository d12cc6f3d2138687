"""Which rows or columns of X are chosen: by numbers, ranges, names or truth values, as people write them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf.matrix.labels import Names

Numbers = NDArray[np.intp]


def chosen(asked: Any, names: Names | None, count: int, what: str) -> Numbers:
    """The numbers of rows or columns that are asked for, in their order.

    Parameters
    ----------
    asked : as `predict` takes them.
    names : of all of them, or None.
    count : how many there are.
    what : "rows" or "columns", for errors.

    Raises
    ------
    ValueError, TypeError
        If there are none of these numbers or names.

    Examples
    --------
    >>> chosen("3,0:2", None, 5, "rows").tolist(), chosen(["b"], np.array(["a", "b"], object), 2, "rows").tolist()
    ([3, 0, 1], [1])
    """
    if asked is None:
        return np.arange(count)
    known = {} if names is None else {str(name): i for i, name in reversed(list(enumerate(names)))}
    found: Sequence[int]
    if isinstance(asked, slice):
        found = range(count)[asked]
    elif isinstance(asked, str):
        found = [place for part in _parts(asked, known) for place in _of_text(part, known, count, what)]
    else:
        found = _of_items(asked, known, count, what)
    return _checked(np.array(found, np.intp), asked, count, what)


def _checked(found: Numbers, asked: Any, count: int, what: str) -> Numbers:
    """Numbers from 0, if there are some, and so many rows or columns."""
    if len(wrong := found[(found < -count) | (found >= count)]):
        raise ValueError(f"{what} are {wrong[0]}, and X has {count} {what}: numbers from 0 to {count - 1} are required")
    if not len(found):
        none = (
            "given by truth values, all of them False" if isinstance(asked, np.ndarray) and asked.size else f"{asked!r}"
        )
        raise ValueError(f"{what} are {none}, which is none of {count}: one at least is required")
    return found % count


def _parts(text: str, known: dict[str, int]) -> list[str]:
    """A name may have commas in it."""
    return [text] if text in known else text.split(",")


def _of_text(part: str, known: dict[str, int], count: int, what: str) -> Sequence[int]:
    """A name, a number, or a range."""
    if part in known:
        return [known[part]]
    try:
        first, *rest = [int(each) if each.strip() else None for each in part.split(":")]
    except ValueError:
        raise _none_such(part, known, what) from None
    if rest and len(rest) <= 2:
        return range(*slice(first, *rest).indices(count))
    if rest or first is None:
        raise _none_such(part, known, what)
    return [first]


def _of_items(asked: Any, known: dict[str, int], count: int, what: str) -> Sequence[int]:
    """Numbers, names, or a truth value for each."""
    each = np.asarray(asked)
    kind = each.dtype.kind
    if each.shape == (0,):
        return []
    if kind == "b" and each.shape == (count,):
        return [int(place) for place in np.flatnonzero(each)]
    if kind in "iu" and each.ndim <= 1:
        return [int(place) for place in each.ravel()]
    if each.ndim != 1 or kind not in "UOT":
        raise TypeError(f"{what} are {asked!r}: numbers, names, a slice, or {count} truth values are required")
    return _of_names([str(name) for name in each], known, what)


def _of_names(names: Sequence[str], known: dict[str, int], what: str) -> list[int]:
    for name in names:
        if name not in known:
            raise _none_such(name, known, what)
    return [known[name] for name in names]


def _none_such(part: str, known: dict[str, int], what: str) -> ValueError:
    has = "whose names are others" if known else "which have no names"
    return ValueError(f"{what} are {part!r}, {has}: numbers from 0, ranges such as 0:10, or names are required")
