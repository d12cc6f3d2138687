"""Which ranks are compared: as they are asked for, and as they are possible."""

from collections.abc import Iterable

# Where no ranks are asked for: 2 to this.
USUAL = 30


def ranks_of(asked: object) -> tuple[int, ...]:
    """Ranks, ascending, of a range, a list of them, or a text such as 2:30, in which both ends are meant.

    Raises
    ------
    ValueError
        If they are no positive integers.

    Examples
    --------
    >>> ranks_of("2:5"), ranks_of(range(3, 5)), ranks_of([8, 4])
    ((2, 3, 4, 5), (3, 4), (4, 8))
    """
    try:
        found = _of_text(asked) if isinstance(asked, str) else [_whole(each) for each in _items(asked)]
    except (TypeError, ValueError):
        found = []
    if not found or min(found) < 1:
        raise ValueError(f"ranks are {asked!r}: some positive integers are required, as in 2:30 or range(2, 31)")
    return tuple(sorted(set(found)))


def _items(asked: object) -> Iterable[object]:
    if not isinstance(asked, Iterable):
        raise TypeError
    return asked


def _of_text(text: str) -> list[int]:
    """2:30, 4,8,12, or both together."""
    found: list[int] = []
    for part in text.split(","):
        first, colon, last = part.partition(":")
        found += range(int(first), int(last) + 1) if colon else [int(first)]
    return found


def _whole(value: object) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError
    return int(value.__index__())


def possible(asked: tuple[int, ...] | None, most: int) -> tuple[int, ...]:
    """The ranks that a sample allows, of those that are asked for; all up to `USUAL` where none are.

    Raises
    ------
    ValueError
        If one that is asked for is not possible.
    """
    if most < 1:
        raise ValueError("X has too few rows or columns to hold some of them out: four rows and two columns are needed")
    if asked is None:
        return tuple(range(min(2, most), min(USUAL, most) + 1))
    if asked[-1] > most:
        raise ValueError(
            f"ranks up to {asked[-1]} are asked for, and the rows and columns of the sample that are not held out "
            f"allow {most} at most: ask for smaller ones"
        )
    return asked
