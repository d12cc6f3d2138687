"""What every reader is given and returns, how it cuts strips, and which of several arrays it takes. Opens no file."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf.plan.memory import MIB
from dnmf.plan.parts import well_chunked

Numbers = NDArray[Any]
Dtype = np.dtype[Any]
Shape = tuple[int, ...]

# Of some consecutive rows (csc: columns): how many entries each has; then of every entry its column (row) and value.
Piece = tuple[Numbers, Numbers, Numbers]

# Names of rows or columns, in order, some at a time.
Names = Iterable[Sequence[str]]

# A strip is as many whole chunks high as fit in here, one at least. Zarr's copies included, twice that is in memory.
STRIP = 64 * MIB


@dataclass(frozen=True, slots=True)
class Source:
    """What a reader is given.

    Attributes
    ----------
    where : the path or URL, as it was given.
    dataset : name of the array that is wanted, None where nobody asked for one.
    scratch : a folder for scratch files, which outlives the strips.
    header : whether the first line of a table in text has names of columns, None where nobody said.
    missing : whether there may be nothing where a number should be: it becomes NaN.
    """

    where: str
    dataset: str | None
    scratch: Path
    header: bool | None = None
    missing: bool = False

    @property
    def path(self) -> Path:
        """Of a file."""
        return Path(self.where)


@dataclass(frozen=True, slots=True)
class About:
    """What a file says of its matrix, beside the entries.

    Attributes
    ----------
    rows, columns : names, as many as there are rows and columns; None where the file has none.
    taken : what was taken for what, in words, where a reader had to choose; one idea each.
    attributes : what says how entries are meant, such as scale_factor, by names and values as JSON has them.
    """

    rows: Names | None = None
    columns: Names | None = None
    taken: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file with a dense matrix holds, before its entries are read.

    Attributes
    ----------
    shape : (m, n), or what else the file says: nothing is checked yet.
    dtype : of an entry, in the file's byte order.
    strips : the rows, in order, `strip_height` of them at a time; each (rows, n). Reading starts with the first one.
    about : what else it says.
    """

    shape: Shape
    dtype: Dtype
    strips: Iterator[Numbers]
    about: About = About()


@dataclass(frozen=True, slots=True)
class SparseContents:
    """What a file with a sparse matrix holds, before its entries are read.

    Attributes
    ----------
    shape, dtype, about : as of `Contents`.
    kind : "csr" or "csc": whether rows or columns are stored one after the other.
    most : entries that are stored at most; those that meet in one place become one.
    pieces : all rows (csc: columns), in order; in each the places are sorted and differ. Reading starts with the first.
    """

    shape: Shape
    dtype: Dtype
    kind: str
    most: int
    pieces: Iterator[Piece]
    about: About = About()


def names_apart(names: Sequence[str], ids: Sequence[str]) -> list[str]:
    """Names, those that are there more than once with their ids.

    >>> names_apart(["a", "b", "a"], ["1", "2", "3"])
    ['a (1)', 'b', 'a (3)']
    """
    count = Counter(names)
    return [name if count[name] == 1 else f"{name} ({id_})" for name, id_ in zip(names, ids, strict=True)]


def strip_height(shape: Shape, dtype: Dtype) -> int:
    """Rows of a strip of a matrix (m, n): whole chunks, so that each chunk is written once."""
    m, n = shape
    chunk, _ = well_chunked((m, n), dtype.itemsize)
    return chunk * max(1, STRIP // (chunk * n * dtype.itemsize))


def cuts(shape: Shape, dtype: Dtype) -> list[tuple[int, int]]:
    """First and last + 1 row of every strip of a matrix (m, n)."""
    m, height = shape[0], strip_height(shape, dtype)
    return [(start, min(start + height, m)) for start in range(0, m, height)]


def choose(source: Source, shapes: dict[str, Shape]) -> str:
    """The array asked for by name, or the only one with two axes."""
    dataset, matrices = source.dataset, {name: shape for name, shape in shapes.items() if len(shape) == 2}
    if dataset is None and len(matrices) == 1:
        return next(iter(matrices))
    if dataset in shapes:
        return dataset
    wrong = f"{len(matrices)} arrays with two axes" if dataset is None else f"no array {dataset!r}"
    held = ", ".join(f"{name!r} {shape}" for name, shape in (matrices or shapes).items())
    raise ValueError(f"{source.path} holds {wrong}: one is required; name it with dataset=, out of: {held or 'none'}")
