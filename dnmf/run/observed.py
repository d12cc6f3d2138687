"""What of X is observed, as a run keeps it: how many entries are there, and rows and columns without any."""

from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from dnmf import events
from dnmf.matrix.labels import Labels, Names

# Rows and columns without an observation that are named.
MOST_NAMED = 5

Count: TypeAlias = Annotated[int, Meta(ge=0)]
Few: TypeAlias = Annotated[tuple[Count, ...], Meta(max_length=MOST_NAMED, description="a few integers")]


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries of X are there, and how many rows and columns without any, the first few by their numbers."""

    entries: Count
    rows: Count = 0
    columns: Count = 0
    first_rows: Few = ()
    first_columns: Few = ()


def observed_of(rows: NDArray[np.integer[Any]], columns: NDArray[np.integer[Any]]) -> Observed:
    """From how many entries are observed in each row (m,) and in each column (n,).

    >>> observed_of(np.array([2, 0]), np.array([1, 0, 1]))
    Observed(entries=2, rows=1, columns=1, first_rows=(1,), first_columns=(1,))
    """
    empty = [np.flatnonzero(counts == 0) for counts in (rows, columns)]
    first = [tuple(each[:MOST_NAMED].tolist()) for each in empty]
    return Observed(
        entries=int(rows.sum()),
        rows=len(empty[0]),
        columns=len(empty[1]),
        first_rows=first[0],
        first_columns=first[1],
    )


def told(observed: Observed, shape: tuple[int, int], labels: Labels) -> events.Observed:
    """The same as an event of X (m, n): rows and columns by their names, where they have names."""
    return events.Observed(
        entries=observed.entries,
        total=shape[0] * shape[1],
        rows=observed.rows,
        columns=observed.columns,
        first_rows=_named(observed.first_rows, labels.rows),
        first_columns=_named(observed.first_columns, labels.columns),
    )


def _named(numbers: tuple[int, ...], names: Names | None) -> tuple[str, ...]:
    return tuple(str(number if names is None else names[number]) for number in numbers)
