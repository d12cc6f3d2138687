"""Whole rows of sparse X as a `scipy.sparse.csr_matrix`: read, cast, put in order and checked. NumPy and SciPy.

Lines are rows of X, or its columns where those are stored one after the other. Three arrays hold all of them: `data`,
the entries; `indices`, the place of each in its line; `indptr`, where lines begin and end in the other two. They are
those of a scipy.sparse matrix or of a store.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import zarr

from dnmf.arrays.rows import Rows
from dnmf.matrix.strips import Dtype, Numbers, Strips, Vector, are_possible, bad_entry, first_bad, read_part, unreadable
from dnmf.plan.memory import index_bytes
from dnmf.plan.strips import rows_or_columns
from dnmf.stores.missing_chunks import lacks_chunks


@dataclass(frozen=True, slots=True)
class SparseStrips(Strips):
    """Strips of sparse X: see `Strips`. The cut axis is the one along which it is stored.

    Attributes
    ----------
    data, indices, indptr : NumPy or Zarr arrays.
    first : number in X of the first line.
    in_flight : chunks of one read.
    """

    data: Vector
    indices: Vector
    indptr: Vector
    first: int = 0
    in_flight: int = 1

    def rows(self, start: int, stop: int) -> Rows:
        """Lines start to stop − 1 as they are stored, (h × N): in each the places rise, and no entry is 0, unless that
        is a value beside others that are missing.

        Where nothing had to be changed it shows the memory of NumPy's arrays: it must not be written to. OSError or
        ValueError say that a chunk is damaged or gone, or that the arrays do not fit together.
        """
        width, lines = self.shape[1], rows_or_columns(self.axis)
        which = f"{lines} {self.first + start} to {self.first + stop - 1}"
        ends = read_part(self.indptr, slice(start, stop + 1), which).astype("i8", copy=False)
        check_pointers(ends, self.data.shape[0], f"{which} of X")
        where = slice(int(ends[0]), int(ends[-1]))
        index = np.dtype(f"i{index_bytes(max(width, where.stop - where.start))}")
        inspect = partial(_check_places, width=width, others=rows_or_columns(1 - self.axis), which=which)
        places = _read_numbers(self.indices, where, index, self.in_flight, which, inspect)
        data = _read_numbers(self.data, where, self.dtype, self.in_flight, which)
        if self.check and data.size and (not data.all() if self.signed else data.min() == 0):
            _check_chunks(self.data, data, which)
        y = self._put_in_order(view(data, places, (ends - where.start).astype(index), width), which)
        if self.check and y.nnz and self.data.dtype.kind in "if" and self.missing != "weights":
            check_sparse(y, self.axis, self.first + start, kind=self.data.dtype.kind, signed=self.signed)
        return y

    def _put_in_order(self, y: Rows, which: str) -> Rows:
        """Sparse rows with rising places, one entry in each, zeros left out; changed unless they are X's own."""
        zeros = self.missing is not None
        with np.errstate(invalid="ignore"):
            positive = zeros or y.nnz == 0 or y.data.min() > 0
        if y.has_canonical_format and (positive or y.data.all()):
            return y
        before = y.nnz
        y = y.copy() if isinstance(self.data, np.ndarray) else y
        y.sum_duplicates()
        if y.nnz < before and lacks_chunks(self.indices):
            raise unreadable(which, "indices has fewer chunks than it should, and zeros instead")
        if not zeros:
            y.eliminate_zeros()
        return y


def check_sparse(y: Rows, axis: int, first: int, *, kind: str = "f", signed: bool = False, name: str = "X") -> None:
    """Raise ValueError at the first entry of sparse lines from number `first` on that cannot be; `kind` is that of the
    numbers as they are stored.
    """
    if y.nnz == 0 or are_possible(y.data, signed=signed):
        return
    at = int(first_bad(y.data, signed=signed)[0])
    line, place, value = first + int(np.searchsorted(y.indptr, at, side="right")) - 1, int(y.indices[at]), y.data[at]
    row, column = (line, place) if axis == 0 else (place, line)
    raise bad_entry(row, column, value if kind == "f" else int(value), name=name, dense=False)


def check_pointers(indptr: Numbers, non_zeros: int, which: str, *, whole: bool = False) -> None:
    """Raise ValueError where `indptr` does not cut so many non-zeros (all of them, if `whole`) into lines."""
    first, last = int(indptr[0]), int(indptr[-1])
    outside = (first, last) != (0, non_zeros) if whole else first < 0 or last > non_zeros
    if outside or (indptr[1:] < indptr[:-1]).any():
        raise ValueError(
            f"indptr of {which} is damaged: it must rise from 0 to {non_zeros}, the length of data, and never fall; "
            f"write X again"
        )


def view(data: Numbers, indices: Numbers, indptr: Numbers, width: int) -> Rows:
    """A csr_matrix of these very arrays: its constructor would copy a small part of large ones."""
    from scipy import sparse  # noqa: PLC0415, it takes a while to load, and dense X needs none of it

    y = sparse.csr_matrix((len(indptr) - 1, width), dtype=data.dtype)
    y.data, y.indices, y.indptr = data, indices, indptr
    return y


def _read_numbers(
    array: Vector,
    where: slice,
    dtype: Dtype,
    in_flight: int,
    which: str,
    inspect: Callable[[Numbers], None] = lambda numbers: None,
) -> Numbers:
    """A part of an array in another dtype; `inspect` sees it as it is stored."""
    if array.dtype == dtype:
        numbers = read_part(array, where, which)
        inspect(numbers)
        return numbers
    # A cast needs both copies: some chunks at a time keep the second one small, and none is read twice.
    step = array.chunks[0] * in_flight if isinstance(array, zarr.Array) else max(1, array.size)
    out = np.empty(where.stop - where.start, dtype)
    for a in range(where.start // step * step, where.stop, step):
        piece = slice(max(a, where.start), min(a + step, where.stop))
        numbers = read_part(array, piece, which)
        inspect(numbers)
        out[piece.start - where.start : piece.stop - where.start] = numbers
    return out


def _check_places(places: Numbers, width: int, others: str, which: str) -> None:
    """Raise ValueError where a place is not in its line: SciPy would read what lies beside its arrays."""
    if places.size and (places.min() < 0 or places.max() >= width):
        bad = int(places[(places < 0) | (places >= width)][0])
        raise ValueError(
            f"indices of {which} of X hold {bad}, and X has {width} {others}: X is damaged; write it again"
        )


def _check_chunks(array: Vector, data: Numbers, which: str) -> None:
    """Raise OSError where entries of 0 are those of a lost chunk. Lost places of 0 are found as they repeat."""
    zeros = data.size - np.count_nonzero(data)
    if isinstance(array, zarr.Array) and 2 * zeros >= min(data.size, array.chunks[0]) and lacks_chunks(array):
        raise unreadable(which, "data has fewer chunks than it should, and zeros instead")
