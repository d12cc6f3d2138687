"""What tasks carry of X: strips, which know of it what reading them takes and no more, and come piece by piece."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.extent import times_power
from dnmf.arrays.rows import Rows, aligned, nbytes_of
from dnmf.matrix.missing import ALLOW, SAY_SO, Missing, without_missing
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
    missing : what is missing, where some of it may be: rows are `Weighted` then.
    signed : whether entries below zero are data.
    """

    shape: tuple[int, int]
    dtype: Dtype
    axis: int
    check: bool
    exponent: int = field(default=0, kw_only=True)
    missing: Missing | None = field(default=None, kw_only=True)
    signed: bool = field(default=False, kw_only=True)
    ndim: ClassVar[int] = 2

    def __getitem__(self, where: tuple[slice, slice]) -> Rows:
        start, stop, _ = where[0].indices(self.shape[0])
        rows = without_missing(self.rows(start, stop), self.missing, own=self.own)
        return times_power(rows, self.exponent)

    @property
    def own(self) -> bool:
        """Whether rows are read into memory that nobody else sees."""
        return False

    def within(self, start: int, stop: int) -> "Strips":
        """The same, to be asked for pieces of rows start to stop − 1 one after the other, and for nothing else."""
        return self

    def in_x(self, start: int, stop: int) -> tuple[slice, slice]:
        """Where rows start to stop − 1 are in X."""
        rows, columns = slice(start, stop), slice(None)
        return (rows, columns) if self.axis == 0 else (columns, rows)

    @abstractmethod
    def rows(self, start: int, stop: int) -> Rows:
        """Rows start to stop − 1 of X: an array, or a csr_matrix in which the places rise and no entry is 0.

        NaN is in them where a number is missing that is stored; zeros that are stored, where others are missing.
        """


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
        strips = self.strips.within(self.start, self.stop)
        pieces = (self._read(strips, first) for first in range(self.start, self.stop, self.piece))
        return one_ahead(pieces) if self.ahead else pieces

    def _read(self, strips: Strips, first: int) -> Piece:
        return Piece(strips[first : min(first + self.piece, self.stop), :], first)


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


def bad_entry(row: int, column: int, value: Any, *, name: str = "X", dense: bool = True) -> ValueError:
    """What to raise where an entry of X, or of its weights, cannot be."""
    advice, number = "", float(value)
    if name == "X" and dense and np.isnan(number):
        advice = f", or, {SAY_SO}"
    elif name == "X" and -np.inf < number < 0:
        advice = f", or, {ALLOW}"
    return ValueError(
        f"{name}[{row}, {column}] is {value}: every entry must be finite and not negative; mend "
        f"{'X' if name == 'X' else 'them'} and start again{advice}"
    )


def are_possible(x: Numbers, *, signed: bool, nan: bool = False) -> bool:
    """Whether all of some entries, one at least, are finite and, where they are not `signed`, not negative.

    With `nan`, they may be NaN too.
    """
    with np.errstate(invalid="ignore"):
        least, most = x.min(), x.max()
        if nan and np.isnan(least):
            # These two pass over NaN; where all is NaN it is what they give.
            least, most = np.fmin.reduce(x, axis=None), np.fmax.reduce(x, axis=None)
            return not (least == -np.inf or (least < 0 and not signed) or most == np.inf)
        return bool((least > -np.inf if signed else least >= 0) and most < np.inf)


def first_bad(x: Numbers, *, signed: bool, nan: bool = False) -> NDArray[np.intp]:
    """The place of the first entry that is not possible."""
    with np.errstate(invalid="ignore"):
        fine = (x > -np.inf if signed else x >= 0) & (x < np.inf)
        return np.asarray(np.argwhere(~(fine | np.isnan(x)) if nan else ~fine)[0])
