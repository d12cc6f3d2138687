"""What tasks carry of X: strips, which know of it what reading them takes and no more."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.extent import times_power
from dnmf.arrays.rows import Rows
from dnmf.stores.missing_chunks import ZarrArray

# Entries of any dtype, as they are stored; and where they are read from.
Dtype = np.dtype[Any]
Numbers = NDArray[Any]
Vector = Numbers | ZarrArray


@dataclass(frozen=True, slots=True)
class Strips(ABC):
    """An array-like whose slices of whole rows are strips of X: read, cast, checked and turned in one go.

    Attributes
    ----------
    shape : (M, N), length along the cut axis, width along the other.
    dtype : float32 or float64, of the strips.
    axis : 0 where rows of these are X's rows, 1 where they are its columns.
    check : whether an entry that is negative, NaN or infinite raises ValueError, which names its row and column.
    exponent : X is multiplied by 2 to it, see `Matrix`.
    """

    shape: tuple[int, int]
    dtype: Dtype
    axis: int
    check: bool
    exponent: int = field(default=0, kw_only=True)
    ndim: ClassVar[int] = 2

    def __getitem__(self, where: tuple[slice, slice]) -> Rows:
        start, stop, _ = where[0].indices(self.shape[0])
        return times_power(self.rows(start, stop), self.exponent)

    def in_x(self, start: int, stop: int) -> tuple[slice, slice]:
        """Where rows start to stop − 1 are in X."""
        rows, columns = slice(start, stop), slice(None)
        return (rows, columns) if self.axis == 0 else (columns, rows)

    @abstractmethod
    def rows(self, start: int, stop: int) -> Rows:
        """Rows start to stop − 1 of X: an array, or a csr_matrix in which the places rise and no entry is 0."""


def read_part(array: Vector, where: slice | tuple[slice, ...], which: str) -> Numbers:
    """A part of an array, as NumPy's; `which` names it in the error.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    try:
        return np.asarray(array[where])
    except (OSError, ValueError, RuntimeError) as error:
        raise unreadable(which, error) from error


def unreadable(which: str, why: object) -> OSError:
    """What to raise where a part of X cannot be read."""
    return OSError(f"{which} of X cannot be read ({why}): a chunk is damaged or gone; write it again")


def bad_entry(row: int, column: int, value: object) -> ValueError:
    """What to raise where an entry cannot be."""
    return ValueError(
        f"X[{row}, {column}] is {value}: every entry must be finite and not negative; mend X and start again"
    )
