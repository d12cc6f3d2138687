"""Entries of a sparse matrix, in any order, become dense strips. Where they come from is not known here."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np

from dnmf.formats.contents import Array, Dtype, Shape, cuts

# Rows, columns and values of some entries, counted from 0.
Entries = Iterator[tuple[Array, Array, Array]]


def gathered(path: Path, entries: Entries, shape: Shape, dtype: Dtype, scratch: Path) -> Iterator[Array]:
    """Strips of a matrix (m, n) whose entries come in any order; what meets adds up. Writes a file to `scratch`.

    Every piece of entries is sorted and appended to one file, in which a strip then is one run of records per piece.
    `path` is named where an entry is outside of the matrix.
    """
    strips, n = cuts(shape, dtype), shape[1]
    record = np.dtype([("at", "i8"), ("value", dtype)])
    edges = np.array([start for start, _ in strips] + [shape[0]]) * n
    runs, written = [], 0
    with TemporaryFile(dir=scratch) as file:
        for rows, columns, values in entries:
            at = _positions(path, rows, columns, shape)
            order = np.argsort(at, kind="stable")
            records = np.empty(len(at), record)
            records["at"], records["value"] = at[order], values[order]
            records.tofile(file)
            runs.append(written + np.searchsorted(records["at"], edges))
            written += len(at)
        for k, (start, stop) in enumerate(strips):
            parts = (_part(file, record, run[k : k + 2]) for run in runs)
            yield _added(parts, start * n, np.zeros((stop - start, n), dtype))


def _positions(path: Path, rows: Array, columns: Array, shape: Shape) -> Array:
    """Positions of entries in the matrix, counted row by row, if all of them are inside."""
    outside = (rows < 0) | (rows >= shape[0]) | (columns < 0) | (columns >= shape[1])
    if outside.any():
        where = f"row {rows[outside][0] + 1}, column {columns[outside][0] + 1} (counted from 1)"
        raise ValueError(f"{path} has an entry in {where}: X is {shape[0]} × {shape[1]}; correct the file")
    return rows.astype("i8") * shape[1] + columns


def _part(file: IO[bytes], record: Dtype, run: Array) -> Array:
    """The records from one number to another. Moves `file`."""
    file.seek(int(run[0]) * record.itemsize)
    return np.fromfile(file, record, int(run[1] - run[0]))


def _added(parts: Iterable[Array], first: int, strip: Array) -> Array:
    """A strip to which records are added; `first` is the position of its first entry. Writes to `strip`."""
    for part in parts:
        # The copy is contiguous: adding strided values is thirty times as slow.
        np.add.at(strip.reshape(-1), part["at"] - first, part["value"].copy())
    return strip
