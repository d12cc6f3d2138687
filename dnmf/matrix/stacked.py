"""Stored X of rows of stored matrices, one below the other: an array that grew, from where it was; several as one.

Nothing is copied: a strip is read from where its rows are. A chunk in which one strip ends and the next begins is read
for both, which is so throughout a matrix whose first row here is not the first row of one of its chunks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, ClassVar

import numpy as np

from dnmf.arrays.rows import Rows, stack
from dnmf.matrix.labels import Labels
from dnmf.matrix.matrix import Matrix, Node
from dnmf.matrix.opening import open_matrix
from dnmf.matrix.sparse import FORMATS
from dnmf.matrix.strips import Dtype, Numbers, Strips
from dnmf.plan.dense import DenseGrid
from dnmf.plan.grid import Grid
from dnmf.stores.missing_chunks import ZarrArray

# Where rows are: the path of a matrix, the first of them in it, and one beyond the last.
Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Range:
    """Rows start to stop − 1 of a stored matrix."""

    matrix: Matrix
    start: int
    stop: int

    @property
    def place(self) -> Place:
        """Where they are."""
        return self.matrix.location, self.start, self.stop

    @property
    def is_all(self) -> bool:
        """Whether they are all rows of their matrix."""
        return (self.start, self.stop) == (0, self.matrix.grid.shape[0])


@dataclass(frozen=True, slots=True)
class StackedStrips(Strips):
    """Strips of rows that are in several matrices: see `Strips`. `parts`: the strips of each, its first row and one
    beyond its last.
    """

    parts: tuple[tuple[Strips, int, int], ...]

    def rows(self, start: int, stop: int) -> Rows:
        found = [strips.rows(first, last) for strips, first, last in self._within(start, stop)]
        return found[0] if len(found) == 1 else stack(found, [np.arange(part.shape[0]) for part in found])

    @property
    def own(self) -> bool:
        return all(strips.own for strips, _, _ in self.parts)

    def _within(self, start: int, stop: int) -> Iterator[tuple[Strips, int, int]]:
        """Which rows of which matrix rows start to stop − 1 are."""
        edges = accumulate((last - first for _, first, last in self.parts), initial=0)
        for (strips, first, _), (above, below) in zip(self.parts, pairwise(edges), strict=True):
            if (a := max(start, above)) < (b := min(stop, below)):
                yield strips, first + a - above, first + b - above


@dataclass(frozen=True, slots=True)
class StackedNumbers:
    """What is drawn of such X: single rows and columns of its numbers."""

    ranges: tuple[Range, ...]
    shape: tuple[int, int]

    def __getitem__(self, where: Any) -> Numbers:
        if isinstance(where, tuple):
            _, column = where
            found = [np.asarray(each.matrix.numbers[each.start : each.stop, column]) for each in self.ranges]
            return np.concatenate(found)
        row = where
        for each in self.ranges:
            if row < each.stop - each.start:
                return np.asarray(each.matrix.numbers[each.start + row])
            row -= each.stop - each.start
        raise IndexError(f"there is no row {where} of {self.shape[0]}")


@dataclass(frozen=True, slots=True)
class Stacked(Matrix):
    """Dense rows of stored matrices, one below the other."""

    ranges: tuple[Range, ...]
    stored: ClassVar[bool] = True

    def strips(self, axis: int, *, check: bool) -> StackedStrips:
        if axis != 0:
            raise ValueError(f"{self.location}: rows of several matrices are read as strips of rows alone")
        parts = tuple((each.matrix.strips(0, check=check), each.start, each.stop) for each in self.ranges)
        return StackedStrips(self.grid.shape, self.dtype, 0, check, parts, exponent=self.exponent, missing=self.missing)

    @property
    def arrays(self) -> tuple[ZarrArray, ...]:
        return tuple(array for each in self.ranges for array in each.matrix.arrays)

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(node for each in self.ranges for node in each.matrix.nodes)

    @property
    def numbers(self) -> StackedNumbers:
        return StackedNumbers(self.ranges, self.grid.shape)

    @property
    def parts(self) -> tuple[Place, ...]:
        return tuple(each.place for each in self.ranges)

    @property
    def stored_dtype(self) -> Dtype:
        return np.result_type(*(each.matrix.stored_dtype for each in self.ranges))

    @property
    def _metadata(self) -> object:
        return [(each.matrix.fingerprint, each.start, each.stop) for each in self.ranges]


@dataclass(frozen=True, slots=True)
class StackedSparse(Stacked):
    """The same of sparse matrices that are stored row by row."""

    sparse: ClassVar[bool] = True


def open_stacked(places: Sequence[Place], *, missing: str | None = None) -> Matrix:
    """Open X of rows that are in these places; `missing` is that of `open_matrix`.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        If they are not there, or make no one matrix.
    """
    opened = {path: open_matrix(path, missing=missing) for path, _, _ in places}
    return stacked([Range(opened[path], start, stop) for path, start, stop in places])


def stacked(ranges: Sequence[Range]) -> Matrix:
    """X of some rows of stored matrices, one below the other; the matrix itself where these are all of its rows.

    Raises
    ------
    ValueError
        If they make no one matrix: columns, dtypes or kinds differ, rows are not there, have weights, or are stored by
        columns.
    """
    joined = _joined(ranges)
    for each in joined:
        _check(each, joined[0].matrix)
    if len(joined) == 1 and joined[0].is_all:
        return joined[0].matrix
    if weighed := next((each.matrix for each in joined if each.matrix.weights is not None), None):
        raise ValueError(
            f"{weighed.location} has weights beside it, and is read as a whole alone: factorize all rows together, "
            f"from one X and one array of weights"
        )
    first, kind = joined[0].matrix, StackedSparse if joined[0].matrix.sparse else Stacked
    location = " and ".join(dict.fromkeys(each.matrix.location for each in joined))
    named = partial(_labels, joined)
    return kind(None, first.dtype, _grid(joined), location, joined, named=named, missing=first.missing)


def _joined(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """The same rows, in as few ranges as possible."""
    found: list[Range] = []
    for each in ranges:
        before = found[-1] if found else None
        if before and (before.matrix.location, before.stop) == (each.matrix.location, each.start):
            found[-1] = replace(before, stop=each.stop)
        else:
            found.append(each)
    return tuple(found)


def _check(one: Range, first: Matrix) -> None:
    """Refuse rows that do not go with those of the first matrix."""
    matrix, (rows, columns) = one.matrix, one.matrix.grid.shape
    if one.stop > rows:
        raise ValueError(f"{matrix.location} has {rows} rows, and {one.stop} are required: it is not what it was")
    if columns != first.grid.shape[1]:
        raise ValueError(
            f"{matrix.location} has {columns} columns and {first.location} has {first.grid.shape[1]}: as many are "
            f"required"
        )
    if (matrix.sparse, matrix.dtype) != (first.sparse, first.dtype):
        kinds = [f"{'sparse' if each.sparse else 'dense'}, for {each.dtype}" for each in (matrix, first)]
        raise ValueError(
            f"{matrix.location} is {kinds[0]}, and {first.location} is {kinds[1]}: write one of them as the other is"
        )
    if matrix.missing != first.missing:
        raise ValueError(
            f"missing is {matrix.missing!r} for {matrix.location} and {first.missing!r} for {first.location}: say the "
            f"same of both"
        )
    if 0 not in matrix.grid.axes:
        raise ValueError(
            f"{matrix.location} is stored column by column ({FORMATS[1]}), and whole rows are needed: write it row by "
            f"row, as {FORMATS[0]}"
        )


def _grid(ranges: Sequence[Range]) -> Grid:
    """How they are stored: as most of their rows are."""
    grids = [each.matrix.grid for each in ranges]
    most = max(ranges, key=lambda each: each.stop - each.start).matrix.grid
    rows, n = sum(each.stop - each.start for each in ranges), most.shape[1]
    stored, in_flight = max(grid.stored for grid in grids), max(grid.in_flight for grid in grids)
    most = replace(most, shape=(rows, n), stored=stored, in_flight=in_flight)
    if isinstance(most, DenseGrid):
        chunk, shard = ((min(height, rows), width) for height, width in (most.chunk, most.shard))
        return replace(most, chunk=chunk, shard=shard)
    sparse: list[Any] = grids
    counts = [np.diff(grid.ends[each.start : each.stop + 1]) for grid, each in zip(sparse, ranges, strict=True)]
    ends: Any = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    pointers, chunk = (max(getattr(grid, name) for grid in sparse) for name in ("pointers", "chunk"))
    return replace(
        sparse[0],
        shape=(rows, n),
        stored=stored,
        in_flight=in_flight,
        ends=ends,
        fullest=int(np.diff(ends).max()),
        pointers=pointers,
        chunk=chunk,
    )


def _labels(ranges: Sequence[Range]) -> Labels:
    """The names of rows, where all have some; those of columns, where any has some."""
    labels = [each.matrix.labels for each in ranges]
    rows = [
        found.rows[each.start : each.stop] for found, each in zip(labels, ranges, strict=True) if found.rows is not None
    ]
    columns = next((found.columns for found in labels if found.columns is not None), None)
    return Labels(np.concatenate(rows) if len(rows) == len(ranges) else None, columns)
