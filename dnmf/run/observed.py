"""What of X is observed, as a run keeps it: how many entries are there, and rows and columns without any."""

from typing import Annotated, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta

from dnmf import events
from dnmf.arrays import observed as arrays
from dnmf.arrays.observed import MOST_NAMED
from dnmf.matrix.labels import Labels, Names

Count: TypeAlias = Annotated[int, Meta(ge=0)]
Few: TypeAlias = Annotated[tuple[Count, ...], Meta(max_length=MOST_NAMED, description="a few integers")]


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries of X are there, and how many rows and columns without any, the first few by their numbers."""

    entries: Count
    rows: Count = 0
    columns: Count = 0
    first_rows: Few = ()
    first_columns: Few = ()


def observed_of(found: arrays.Observed, axis: int) -> Observed:
    """What a read has found, of Y that is X (axis 0) or Xᵀ.

    >>> observed_of(arrays.Observed(2, np.array([1, 0, 1]), empty=1, first=(7,)), 0)
    Observed(entries=2, rows=1, columns=1, first_rows=(7,), first_columns=(1,))
    """
    across = np.flatnonzero(found.columns == 0)
    long, short = (found.empty, found.first), (len(across), tuple(across[:MOST_NAMED].tolist()))
    (rows, first_rows), (columns, first_columns) = (long, short) if axis == 0 else (short, long)
    return Observed(
        entries=found.entries, rows=rows, columns=columns, first_rows=first_rows, first_columns=first_columns
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
