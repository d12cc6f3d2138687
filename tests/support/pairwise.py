"""Cases for tests of several factors: pairs of values instead of their full product."""

from collections.abc import Iterable
from itertools import combinations, cycle, product
from typing import Any

import pytest


def pairs(*factors: Iterable[Any]) -> list[tuple[Any, ...]]:
    """So few cases that every two values of two factors meet in one of them.

    >>> pairs("ab", "xy", "12")
    [('a', 'x', '1'), ('a', 'y', '2'), ('b', 'x', '2'), ('b', 'y', '1')]
    """
    values = [list(factor) for factor in factors]
    cases = list(product(*(range(len(each)) for each in values)))
    meetings = {case: {(i, case[i], j, case[j]) for i, j in combinations(range(len(case)), 2)} for case in cases}
    left, chosen = set().union(*meetings.values()), []
    while left:
        best = max(cases, key=lambda case: len(meetings[case] & left))
        chosen.append(best)
        left -= meetings[best]
    return [tuple(each[i] for each, i in zip(values, case, strict=True)) for case in chosen]


def in_turn(first: Iterable[Any], *others: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Every value of the first factor, with those of the others in turn.

    >>> in_turn("abc", "xy")
    [('a', 'x'), ('b', 'y'), ('c', 'x')]
    """
    return list(zip(first, *(cycle(list(other)) for other in others), strict=False))


def few(cases: Iterable[Any], quick: int) -> list[Any]:
    """Cases of a grid, of which so many are in what `pytest` runs by itself; the others are marked `long`.

    A case is a tuple of values, or one value that is none.
    """
    every = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [pytest.param(*case, marks=[pytest.mark.long] if i >= quick else []) for i, case in enumerate(every)]
