"""Text, compressed or not, that `numpy.loadtxt` parses line by line; and MatrixMarket's .mtx."""

import bz2
import gzip
import lzma
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from dnmf.formats.contents import About, Contents, Dtype, Numbers, Shape, Source, SparseContents, names_apart
from dnmf.formats.sparse_entries import Entries, fill, gather

# What opens a compressed file, by the end of its name.
OPENERS: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}

# The matrix in a folder of 10x Genomics; GEO writes the name of a sample before it.
MATRIX = "matrix.mtx"

# Bytes from which is concluded how a text is encoded.
START = 2**16

# Entries of a MatrixMarket file are parsed this many at a time.
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


def read_mtx(source: Source) -> Contents | SparseContents:
    """Read a MatrixMarket file as a stream of entries: with coordinates it is sparse."""
    path, scratch = source.path, source.scratch
    market = _market(path)
    dtype = np.dtype(FIELDS[market.field])
    at = [("at", "i8", (2,))] if market.coordinate else []
    value = [] if market.field == "pattern" else [("value", dtype)]
    pieces = _check_count(
        path, records(path, partial(numbered, skip=market.skip), np.dtype([*at, *value]), LINES), market.count
    )
    entries = _place(pieces, market.shape, market.symmetric)
    if market.symmetric:
        entries = _mirror(entries)
    about = _beside(path)
    if not market.coordinate:
        return Contents(market.shape, dtype, fill(path, entries, market.shape, dtype, scratch), about)
    most = market.count * (1 + market.symmetric)
    return SparseContents(market.shape, dtype, "csr", most, gather(path, entries, market.shape, dtype, scratch), about)


def market_in(folder: Path) -> Path | None:
    """The matrix in a folder as 10x Genomics writes it, None where there is none.

    Raises
    ------
    ValueError
        If there are several.
    """
    found = sorted(each for name in _packed(MATRIX) for each in folder.glob(f"*{name}"))
    if plain := [each for each in found if each.name.lower().startswith(MATRIX)]:
        return plain[0]
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise ValueError(f"{folder} holds {len(found)} matrices ({names}): one is required; give the path of one")
    return found[0] if found else None


def _packed(name: str) -> tuple[str, ...]:
    """A name, and as it is with each kind of compression."""
    return tuple(f"{name}{packed}" for packed in ("", *OPENERS))


def _first(folder: Path, *names: str) -> Path | None:
    """The first file of one of some names, compressed or not."""
    paths = (folder / each for name in names for each in _packed(name))
    return next((path for path in paths if path.is_file()), None)


def _beside(path: Path) -> About:
    """Names of rows and columns in the files that 10x Genomics writes beside a matrix.mtx.

    What GEO writes before the names of all three, such as GSM1_, they have in common.
    """
    before, found, _ = path.name.partition(MATRIX)
    tables = [f"{before}{name}" for name in ("features.tsv", "genes.tsv")]
    features, barcodes = _first(path.parent, *tables), _first(path.parent, f"{before}barcodes.tsv")
    if not found or features is None or barcodes is None:
        return About()
    table = list(_fields(features))
    rows = names_apart([row[min(1, len(row) - 1)] for row in table], [row[0] for row in table])
    columns = [row[0] for row in _fields(barcodes)]
    return About([rows], [columns], (f"names of rows from {features.name}, of columns from {barcodes.name}",))


def _fields(path: Path) -> Iterator[list[str]]:
    """The fields of the lines of a file beside a matrix."""
    with open_text(path) as text:
        yield from (line.rstrip("\n").split("\t") for _, line in numbered(text))


def open_text(path: Path) -> TextIO:
    """Open a text file, compressed or not. Bytes that are no text show in the error about their line."""
    opened = OPENERS.get(path.suffix.lower(), Path.open)
    with opened(path, "rb") as file:
        encoding = _encoding(file.read(START))
    text: TextIO = opened(path, "rt", encoding=encoding, errors="replace")
    return text


def _encoding(start: bytes) -> str:
    """How a text is encoded that starts like this: in UTF-16, which says so, in UTF-8, or as Windows did before."""
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    try:
        getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def numbered(text: TextIO, skip: int = 0) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, after the first `skip` ones, with their numbers."""
    return ((number, line) for number, line in enumerate(text, 1) if number > skip and line.strip())


def records(
    path: Path,
    lines: Callable[[TextIO], Iterator[tuple[int, str]]],
    record: Dtype,
    rows: int,
    *,
    delimiter: str | None = None,
    quotes: str | None = None,
    hint: str = "",
) -> Iterator[Numbers]:
    """Records of a text file, so many rows at a time; `lines` gives those of its lines that hold one each.

    `hint` is what else there is to say where a line cannot be read.
    """
    number = 0

    def counted(text: TextIO) -> Iterator[str]:
        nonlocal number
        for at, line in lines(text):
            number = at
            yield line

    with open_text(path) as text:
        given = counted(text)
        # loadtxt warns where there is no line left, and takes none after the one that it cannot read.
        for line in given:
            try:
                yield np.loadtxt(
                    chain([line], given), record, comments=None, delimiter=delimiter, quotechar=quotes, ndmin=1,
                    max_rows=rows,
                )  # fmt: skip
            except ValueError as error:
                reason = str(error).split(" at row")[0]
                raise ValueError(f"{path}, line {number}: {reason}; correct the line{hint}") from error


def _market(path: Path) -> Market:
    """What the first lines of a MatrixMarket file say."""
    # Not by scipy.io.mminfo: it reads a .gz as a stream, and with streams it can abort the process (SciPy 1.17.1).
    with open_text(path) as text:
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
