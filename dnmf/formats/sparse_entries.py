"""Entries of a sparse matrix become pieces of its rows or columns: sorted, and what meets in one place added up.

Where entries come from is not known here. In memory are as many entries as a piece has, never all.
"""

import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from math import ceil
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np

from dnmf.formats.contents import Dtype, Numbers, Piece, Shape, cuts

# Entries of a piece at most, unless one row (csc: column) has more. Pointers, too, are read this many at a time.
ENTRIES = 2**20

# Counters of entries at most. Where there are more rows, some share one, and are cut together.
COUNTERS = 2**20

# Rows, columns and values of some entries, counted from 0.
Entries = Iterator[tuple[Numbers, Numbers, Numbers]]

# Gives the next so many numbers of a vector, by its name.
Take = Callable[[str, int], Numbers]

# Cuts rows, of which some at a time were counted, given how many entries those have, and how many rows some are.
Spans = Callable[[Numbers, int], Iterator[tuple[int, int]]]


def cut_compressed(
    path: Path, kind: str, shape: Shape, sizes: Mapping[str, int], vectors: AbstractContextManager[Take]
) -> Iterator[Piece]:
    """Pieces of a matrix (m, n) in csr or csc: the vectors indptr, indices and data, of these sizes.

    `path` is named where they are no such matrix.
    """
    csr = kind == "csr"
    count, width = shape if csr else shape[::-1]
    if sizes["indptr"] != count + 1 or sizes["indices"] != sizes["data"]:
        held = ", ".join(f"{sizes[name]} {name}" for name in ("indptr", "indices", "data"))
        rule = f"{count + 1} indptr and as many indices as data are required"
        raise ValueError(f"{path} holds {held} for a {kind} matrix of {shape[0]} × {shape[1]}: {rule}; write it again")
    with vectors as take:
        for top, lengths in _lengths(path, take, count, sizes["data"]):
            for start, stop in _spans(lengths):
                size = int(lengths[start:stop].sum())
                lines = np.repeat(np.arange(start, stop), lengths[start:stop])
                indices, values = take("indices", size), take("data", size)
                rows, columns = (lines + top, indices) if csr else (indices, lines + top)
                _check_inside(path, rows, columns, shape)
                yield _canonicalize(
                    (lines - start) * width + indices.astype("i8", copy=False), values, stop - start, width
                )


def _lengths(path: Path, take: Take, count: int, entries: int) -> Iterator[tuple[int, Numbers]]:
    """How many entries rows (csc: columns) have, some at a time, and the number of the first of them."""
    end = int(take("indptr", 1)[0])
    sound = end == 0
    for top in range(0, count, ENTRIES):
        ends = take("indptr", min(ENTRIES, count - top)).astype("i8")
        lengths = np.diff(ends, prepend=end)
        end = int(ends[-1])
        sound = sound and bool((lengths >= 0).all()) and end <= entries
        if not sound:
            rule = f"from 0 up to {entries} at most, its number of entries, and never down is required"
            raise ValueError(
                f"{path} has a wrong indptr within its first {top + len(ends) + 1}: {rule}; write it again"
            )
        yield top, lengths


def gather(path: Path, entries: Entries, shape: Shape, dtype: Dtype, scratch: Path) -> Iterator[Piece]:
    """Pieces in csr of a matrix (m, n) whose entries come in any order. Writes a file to `scratch`.

    `path` is named where an entry is outside of the matrix.
    """

    def spans(counts: Numbers, height: int) -> Iterator[tuple[int, int]]:
        # A row weighs as much as an entry, or one piece could be all rows of an almost empty matrix.
        return ((start * height, min(stop * height, shape[0])) for start, stop in _spans(counts + height))

    for start, stop, parts in _sort(path, entries, shape, dtype, scratch, spans):
        records = np.concatenate([np.empty(0, _record(dtype)), *parts])
        yield _canonicalize(records["at"] - start * shape[1], records["value"], stop - start, shape[1])


def fill(path: Path, entries: Entries, shape: Shape, dtype: Dtype, scratch: Path) -> Iterator[Numbers]:
    """Strips of a dense matrix (m, n) whose entries come in any order, each once. Writes a file to `scratch`."""
    for start, stop, parts in _sort(path, entries, shape, dtype, scratch, lambda *_: iter(cuts(shape, dtype))):
        strip = np.zeros((stop - start, shape[1]), dtype)
        for part in parts:
            strip.reshape(-1)[part["at"] - start * shape[1]] = part["value"]
        yield strip
        del strip  # or it would live on while the next one is filled


def _sort(
    path: Path, entries: Entries, shape: Shape, dtype: Dtype, scratch: Path, spans: Spans
) -> Iterator[tuple[int, int, Iterator[Numbers]]]:
    """First and last + 1 of some rows, and parts of their records; such parts are sorted. Writes a file to `scratch`.

    Some entries at a time are sorted and appended to one file, as a run. Of every run, the next records are a part.
    """
    m, n = shape
    height = ceil(m / COUNTERS)
    counts = np.zeros(ceil(m / height), "i8")
    record, edges = _record(dtype), [0]
    with TemporaryFile(dir=scratch) as file:
        for rows, columns, values in entries:
            _check_inside(path, rows, columns, shape)
            at = rows.astype("i8", copy=False) * n + columns
            order = np.argsort(at, kind="stable")
            records = np.empty(len(at), record)
            records["at"], records["value"] = at[order], values[order]
            records.tofile(file)
            counts += np.bincount(at // (n * height), minlength=len(counts))
            edges.append(edges[-1] + len(at))
        starts = edges[:-1]
        for start, stop in spans(counts, height):
            stops = [_below(file, record, run, stop * n) for run in zip(starts, edges[1:], strict=True)]
            yield start, stop, (_read_part(file, record, run) for run in zip(starts, stops, strict=True))
            starts = stops


def _record(dtype: Dtype) -> Dtype:
    """An entry on disk: its position, counted row by row, and its value."""
    return np.dtype([("at", "i8"), ("value", dtype)])


def _check_inside(path: Path, rows: Numbers, columns: Numbers, shape: Shape) -> None:
    """Refuse entries that are not in the matrix."""
    outside = (rows < 0) | (rows >= shape[0]) | (columns < 0) | (columns >= shape[1])
    if outside.any():
        where = f"row {rows[outside][0] + 1}, column {columns[outside][0] + 1} (counted from 1)"
        raise ValueError(f"{path} has an entry in {where}: X is {shape[0]} × {shape[1]}; correct the file")


def _spans(counts: Numbers) -> Iterator[tuple[int, int]]:
    """First and last + 1 number of consecutive counts that make up `ENTRIES` at most, one count at least."""
    ends = np.cumsum(counts)
    start = before = 0
    while start < len(ends):
        stop = max(start + 1, int(np.searchsorted(ends, before + ENTRIES, side="right")))
        yield start, stop
        start, before = stop, int(ends[stop - 1])


def _below(file: IO[bytes], record: Dtype, run: tuple[int, int], edge: int) -> int:
    """Number of the first record of a run that is at or behind an edge. Moves `file`."""
    first, last = run

    def place(number: int) -> int:
        file.seek(number * record.itemsize)
        return int.from_bytes(file.read(8), sys.byteorder, signed=True)

    return bisect_left(range(last), edge, first, key=place)


def _read_part(file: IO[bytes], record: Dtype, run: tuple[int, int]) -> Numbers:
    """The records from one number to another. Moves `file`."""
    first, last = run
    file.seek(first * record.itemsize)
    return np.fromfile(file, record, last - first)


def _canonicalize(at: Numbers, values: Numbers, count: int, width: int) -> Piece:
    """A piece of `count` rows (csc: columns) out of entries, given where they are, counted row by row."""
    steps = np.diff(at)
    if (steps < 0).any():
        order = np.argsort(at, kind="stable")
        at, values = at[order], values[order]
        steps = np.diff(at)
    if (steps == 0).any():
        first = np.flatnonzero(np.concatenate([[True], steps != 0]))
        at, values = at[first], np.add.reduceat(values, first)
    lines = at // width
    return np.bincount(lines, minlength=count), at - lines * width, values
