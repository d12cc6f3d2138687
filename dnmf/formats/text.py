"""Text: .csv and MatrixMarket's .mtx, compressed by gzip or not. Both are parsed by `numpy.loadtxt`, line by line."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TextIO

import numpy as np

from dnmf.formats.contents import Contents, Dtype, Numbers, Shape, Source, SparseContents, strip_height
from dnmf.formats.sparse_entries import Entries, fill, gather

# Entries of a MatrixMarket file are parsed this many at a time; rows of a .csv file, a strip.
LINES = 2**18

# MatrixMarket's fields. A pattern is a matrix of ones in float64, as in SciPy.
FIELDS = {"real": "f8", "integer": "i8", "unsigned-integer": "u8", "pattern": "f8"}


@dataclass(frozen=True, slots=True)
class Market:
    """What a MatrixMarket file says of itself.

    Attributes
    ----------
    skip : lines before the first entry.
    shape : (m, n)
    count : entries in the file.
    field : one of FIELDS.
    coordinate : whether every entry comes with its row and column.
    symmetric : whether only one side of the diagonal is in the file.
    """

    skip: int
    shape: Shape
    count: int
    field: str
    coordinate: bool
    symmetric: bool


def read_csv(source: Source) -> Contents:
    """Read a .csv file, twice: how many rows it has is known at its end."""
    path = source.path
    with _open(path) as text:
        filled = ((number, line) for number, line in enumerate(text, 1) if line.strip())
        number, first = next(filled, (0, ""))
        m = bool(first) + sum(1 for _ in filled)
    delimiter = next((mark for mark in "\t;," if mark in first), ",")
    fields = [field.strip(' "\n') for field in first.split(delimiter)]
    header = bool(first) and not any(_is_number(field) for field in fields)
    if header and len(fields) > 1 and not fields[0]:
        rule = "a column of row labels is no part of X; write the file without it (pandas: index=False)"
        raise ValueError(f"{path}, line {number}: the name of the first column is '': {rule}")
    shape, dtype = (m - header, len(fields)), np.dtype("f8")
    record, skip = np.dtype([("value", dtype, shape[1:])]), number if header else 0
    # Not a generator: it would hold a strip while the next one is read.
    strips = map(itemgetter("value"), _records(path, skip, record, strip_height(shape, dtype), delimiter=delimiter))
    return Contents(shape, dtype, strips)


def read_mtx(source: Source) -> Contents | SparseContents:
    """Read a MatrixMarket file as a stream of entries: with coordinates it is sparse."""
    path, scratch = source.path, source.scratch
    market = _market(path)
    dtype = np.dtype(FIELDS[market.field])
    at = [("at", "i8", (2,))] if market.coordinate else []
    value = [] if market.field == "pattern" else [("value", dtype)]
    pieces = _check_count(path, _records(path, market.skip, np.dtype([*at, *value]), LINES), market.count)
    entries = _place(pieces, market.shape, market.symmetric)
    if market.symmetric:
        entries = _mirror(entries)
    if not market.coordinate:
        return Contents(market.shape, dtype, fill(path, entries, market.shape, dtype, scratch))
    most = market.count * (1 + market.symmetric)
    return SparseContents(market.shape, dtype, "csr", most, gather(path, entries, market.shape, dtype, scratch))


def _open(path: Path) -> TextIO:
    """Open a text file, compressed or not. Bytes that are no text show in the error about their line."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace")
    return path.open(encoding="utf-8-sig", errors="replace")


def _is_number(field: str) -> bool:
    """Whether a field of a text file is a number: a first line without any is a header."""
    try:
        float(field)
    except ValueError:
        return False
    return True


def _records(path: Path, skip: int, record: Dtype, rows: int, *, delimiter: str | None = None) -> Iterator[Numbers]:
    """Records of a text file, one a line after the first `skip` lines, so many rows at a time."""
    number = 0

    def filled(text: TextIO) -> Iterator[str]:
        nonlocal number
        for number, line in enumerate(text, 1):
            if number > skip and line.strip():
                yield line

    with _open(path) as text:
        lines = filled(text)
        # loadtxt warns where there is no line left, and takes none after the one that it cannot read.
        for line in lines:
            try:
                yield np.loadtxt(
                    chain([line], lines), record, comments=None, delimiter=delimiter, ndmin=1, max_rows=rows
                )
            except ValueError as error:
                reason = str(error).split(" at row")[0]
                raise ValueError(f"{path}, line {number}: {reason}; correct the line") from error


def _market(path: Path) -> Market:
    """What the first lines of a MatrixMarket file say."""
    # Not by scipy.io.mminfo: it reads a .gz as a stream, and with streams it can abort the process (SciPy 1.17.1).
    with _open(path) as text:
        banner = text.readline().lower().split()
        skip, line = next(((k, line) for k, line in enumerate(text, 2) if line.strip() and line[0] != "%"), (1, ""))
    _check_banner(path, banner)
    coordinate, symmetric = banner[2] == "coordinate", banner[4] == "symmetric"
    sizes = [int(size) for size in line.split() if size.isdecimal()]
    if len(sizes) != 2 + coordinate or (symmetric and sizes[0] != sizes[1]):
        rule = f"{2 + coordinate} sizes are required, rows and columns equal where X is symmetric"
        raise ValueError(f"{path}, line {skip}: {line.strip()[:80]!r} is no size of X; {rule}")
    m, n = sizes[:2]
    count = sizes[2] if coordinate else m * (m + 1) // 2 if symmetric else m * n
    return Market(skip, (m, n), count, banner[3], coordinate, symmetric)


def _check_banner(path: Path, banner: list[str]) -> None:
    """Refuse a first line that is not one of MatrixMarket's, or is of complex or skew matrices."""
    known = {"%%matrixmarket"}, {"matrix"}, {"coordinate", "array"}, FIELDS, {"general", "symmetric"}
    fits = len(banner) == len(known) and all(word in words for word, words in zip(banner, known, strict=True))
    if not fits or banner[2:4] == ["array", "pattern"]:
        rule = f"'%%MatrixMarket matrix coordinate|array {'|'.join(FIELDS)} general|symmetric' is required"
        raise ValueError(f"{path} starts with {' '.join(banner)[:80]!r}: {rule}; write it with scipy.io.mmwrite")


def _check_count(path: Path, pieces: Iterator[Numbers], count: int) -> Iterator[Numbers]:
    """Pieces of records, if the records are as many as announced."""
    seen = 0
    for records in pieces:
        seen += len(records)
        if seen > count:
            break
        yield records
    if seen != count:
        rule = "a complete file is required; write it again"
        raise ValueError(f"{path} announces {count} entries and holds {seen}: {rule}")


def _place(pieces: Iterator[Numbers], shape: Shape, symmetric: bool) -> Entries:
    """Entries of a MatrixMarket file. Without coordinates they come column by column, or from the diagonal down."""
    heights = shape[0] - symmetric * np.arange(shape[1])
    tops = np.cumsum(heights) - heights
    seen = 0
    for records in pieces:
        names = records.dtype.names or ()
        if "at" in names:
            rows, columns = records["at"].T - 1
        else:
            at = np.arange(seen, seen + len(records))
            columns = np.searchsorted(tops, at, side="right") - 1
            rows = at - tops[columns] + symmetric * columns
        yield rows, columns, records["value"] if "value" in names else np.ones(len(records))
        seen += len(records)


def _mirror(entries: Entries) -> Entries:
    """Entries of a symmetric matrix, and those on the other side of the diagonal."""
    for rows, columns, values in entries:
        yield rows, columns, values
        off = rows != columns
        yield columns[off], rows[off], values[off]
