"""What tasks carry of X: strips, which know of it what reading them takes and no more, and come piece by piece."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.extent import times_power
from dnmf.arrays.rows import Rows, aligned, nbytes_of
from dnmf.stores.missing_chunks import ZarrArray

# Entries of any dtype, as they are stored; and where they are read from.
Dtype = np.dtype[Any]
Numbers = NDArray[Any]
Vector = Numbers | ZarrArray

Item = TypeVar("Item")


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
    signed : whether entries below zero are data.
    """

    shape: tuple[int, int]
    dtype: Dtype
    axis: int
    check: bool
    exponent: int = field(default=0, kw_only=True)
    signed: bool = field(default=False, kw_only=True)
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


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole rows of a strip that are in memory at a time: `rows` (h, N), of which the first is row `first` of Y."""

    rows: Rows
    first: int


class Strip(Protocol):
    """Consecutive whole rows of Y, piece by piece."""

    @property
    def start(self) -> int:
        """Number of the first of them in Y."""

    @property
    def height(self) -> int:
        """Rows in all."""

    @property
    def dtype(self) -> Dtype:
        """Of the rows."""

    def __iter__(self) -> Iterator[Piece]:
        """The pieces, in order."""


@dataclass(frozen=True, slots=True)
class StoredStrip:
    """Rows start to stop − 1 of strips, read `piece` rows at a time whenever they are gone through.

    `ahead` says whether one piece is read while the one before is computed with.
    """

    strips: Strips
    start: int
    stop: int
    piece: int
    ahead: bool

    @property
    def height(self) -> int:
        """Rows."""
        return self.stop - self.start

    @property
    def dtype(self) -> Dtype:
        """Of the rows."""
        return self.strips.dtype

    def __iter__(self) -> Iterator[Piece]:
        """The pieces; none is kept that was given, but for one that is read ahead."""
        pieces = map(self._read, range(self.start, self.stop, self.piece))
        return one_ahead(pieces) if self.ahead else pieces

    def _read(self, first: int) -> Piece:
        return Piece(self.strips[first : min(first + self.piece, self.stop), :], first)


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each of which is made by another thread while the one before is used."""
    none: Any = object()
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(next, items, none)
        while (item := coming.result()) is not none:
            coming = reader.submit(next, items, none)
            yield item


@dataclass(frozen=True, slots=True)
class HeldStrip:
    """A strip that is in memory, in the pieces in which it was read."""

    pieces: tuple[Piece, ...]

    @property
    def start(self) -> int:
        """Number of the first row in Y."""
        return self.pieces[0].first

    @property
    def height(self) -> int:
        """Rows."""
        return sum(piece.rows.shape[0] for piece in self.pieces)

    @property
    def dtype(self) -> Dtype:
        """Of the rows."""
        return np.dtype(self.pieces[0].rows.dtype)

    def __iter__(self) -> Iterator[Piece]:
        """The pieces, aligned whichever process they came from."""
        return (Piece(aligned(piece.rows), piece.first) for piece in self.pieces)

    def __sizeof__(self) -> int:
        """Bytes of the rows: by it Dask knows what a worker holds."""
        return sum(nbytes_of(piece.rows) for piece in self.pieces)


def hold(strip: Strip) -> HeldStrip:
    """A strip, read at once."""
    return HeldStrip(tuple(strip))


@dataclass(frozen=True, slots=True)
class Cut:
    """An array-like whose slices of whole rows are strips that come in pieces of so many rows; 0 for whole ones.

    `ahead` is that of `StoredStrip`.
    """

    strips: Strips
    piece: int
    ahead: bool = False
    ndim: ClassVar[int] = 2

    @property
    def shape(self) -> tuple[int, int]:
        """Of X as it is cut."""
        return self.strips.shape

    @property
    def dtype(self) -> Dtype:
        """Of the strips."""
        return self.strips.dtype

    def __getitem__(self, where: tuple[slice, ...]) -> StoredStrip:
        start, stop, _ = where[0].indices(self.shape[0])
        return StoredStrip(self.strips, start, stop, self.piece or stop - start, self.ahead)


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


def bad_entry(row: int, column: int, value: Any) -> ValueError:
    """What to raise where an entry cannot be."""
    below = -math.inf < float(value) < 0
    allow = ', or, for least squares, allow it with --negative allow (negative="allow")' if below else ""
    return ValueError(
        f"X[{row}, {column}] is {value}: every entry must be finite and not negative; mend X and start again{allow}"
    )


def are_possible(x: Numbers, *, signed: bool) -> bool:
    """Whether all of some entries, one at least, are finite and, where they are not `signed`, not negative."""
    with np.errstate(invalid="ignore"):
        return bool((x.min() > -np.inf if signed else x.min() >= 0) and x.max() < np.inf)


def first_bad(x: Numbers, *, signed: bool) -> NDArray[np.intp]:
    """The place of the first entry that is not possible."""
    with np.errstate(invalid="ignore"):
        low = x > -np.inf if signed else x >= 0
        return np.asarray(np.argwhere(~(low & (x < np.inf)))[0])
