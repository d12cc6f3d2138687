"""Sparse X, in a store or in memory, as it is stored: row by row or column by column."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import zarr
from scipy import sparse

from dnmf.matrix.matrix import (
    IN_FLIGHT_HERE,
    Dtype,
    Matrix,
    Vector,
    chunks_in_flight,
    matrix_shape,
    part,
    working_dtype,
)
from dnmf.matrix.sparse_rows import SparseStrips, check_pointers, index_dtype
from dnmf.plan.sparse import SparseGrid
from dnmf.plan.strips import rows_or_columns
from dnmf.stores.missing_chunks import ZarrArray

# What AnnData says of a sparse matrix, and the axis along which that is stored.
SPARSE = {"csr_matrix": 0, "csc_matrix": 1}


# The arrays of a sparse matrix: entries, the place of each in its line, and where lines begin and end in these two.
ARRAYS = ("data", "indices", "indptr")


# What people call it that is stored along an axis.
FORMATS = ("CSR", "CSC")


@dataclass(frozen=True, slots=True)
class Sparse(Matrix):
    """What a sparse matrix in a store and one in memory share.

    Attributes
    ----------
    members : data, indices and indptr, as they were when X was opened.
    """

    members: tuple[Vector, Vector, Vector]

    sparse: ClassVar[bool] = True

    def strips(self, axis: int, *, check: bool) -> SparseStrips:
        """X along the axis in which it is stored."""
        if axis not in self.grid.axes:
            line, other = (rows_or_columns(each)[:-1] for each in (1 - axis, axis))
            raise ValueError(
                f"{self.location} is stored {line} by {line} ({FORMATS[1 - axis]}), and whole {other}s are needed: "
                f"write X {other} by {other}, as {FORMATS[axis]}"
            )
        return SparseStrips(
            self._shape_along(axis), self.dtype, axis, check, *self.members, in_flight=self.grid.in_flight
        )

    @property
    def stored_dtype(self) -> Dtype:
        """Of entries as they are stored."""
        return np.dtype(self.members[0].dtype)


@dataclass(frozen=True, slots=True)
class StoredSparse(Sparse):
    """A Zarr group of the arrays data, indices and indptr, of which the last was read."""

    stored: ClassVar[bool] = True

    @classmethod
    def of(cls, group: zarr.Group, location: str) -> Self:
        """X as it is stored.

        Raises
        ------
        ValueError, OSError
            If the arrays do not fit together, or cannot be read.
        """
        if missing := [name for name in ARRAYS if name not in group] + ["shape"][: "shape" not in group.attrs]:
            raise ValueError(f"{location} has no {missing[0]}, which every sparse matrix has: write it again")
        attributes: Any = group.attrs
        members: Any = tuple(group[name] for name in ARRAYS)
        shape, axis = matrix_shape(attributes["shape"]), SPARSE[attributes["encoding-type"]]
        dtype, ends = working_dtype(members[0].dtype), _ends(members, shape[axis], location, shape)
        return cls(group, dtype, _stored_grid(shape, axis, ends, dtype, members), location, members)

    @property
    def arrays(self) -> tuple[ZarrArray, ...]:
        """Those of the group."""
        return tuple(member for member in self.members if isinstance(member, zarr.Array))

    @property
    def nodes(self) -> tuple[ZarrArray | zarr.Group, ...]:
        """The group, and its arrays."""
        return self.array, *self.arrays

    @property
    def _metadata(self) -> object:
        return [dict(self.array.attrs), *(array.metadata.to_dict() for array in self.arrays)]


def _ends(members: tuple[ZarrArray, ...], lines: int, location: str, shape: tuple[int, int]) -> Any:
    """The non-zeros before each line of a stored X, and of all of them. Reads indptr."""
    data, indices, indptr = members
    if (data.shape, (lines + 1,)) != (indices.shape, indptr.shape):
        raise ValueError(
            f"{location} is damaged: data has {data.size} numbers, indices {indices.size} and indptr {indptr.size}, "
            f"where X has shape {shape}; write it again"
        )
    ends = part(indptr, slice(None), "indptr").astype("i8")
    check_pointers(ends, data.size, location, whole=True)
    return ends


def _stored_grid(
    shape: tuple[int, int], axis: int, ends: Any, dtype: Dtype, members: tuple[ZarrArray, ...]
) -> SparseGrid:
    data, indices, indptr = members
    return SparseGrid(
        shape,
        (min(max(data.chunks[0], indices.chunks[0]), max(1, data.size)),),
        data.dtype.itemsize + indices.dtype.itemsize,
        dtype.itemsize,
        axis,
        ends,
        index_dtype(shape[1 - axis]).itemsize,
        fullest=int(np.diff(ends).max()),
        pointers=min(indptr.chunks[0], indptr.size) * indptr.dtype.itemsize,
        in_flight=chunks_in_flight(data),
    )


@dataclass(frozen=True, slots=True)
class SparseInMemory(Sparse):
    """A scipy.sparse matrix or array: CSR and CSC as they are, others as CSR."""

    in_memory: ClassVar[bool] = True

    @classmethod
    def of(cls, X: sparse.sparray | sparse.spmatrix, location: str) -> Self:
        """X as it is."""
        shape, dtype = matrix_shape(X.shape), working_dtype(X.dtype)
        X = X if X.format in ("csr", "csc") else X.tocsr()
        axis, ends, members = int(X.format == "csc"), X.indptr.astype("i8", copy=False), (X.data, X.indices, X.indptr)
        stored, index = X.data.itemsize + X.indices.itemsize, index_dtype(shape[1 - axis]).itemsize
        fullest = int(np.diff(ends).max())
        grid = SparseGrid(
            shape, (1,), stored, dtype.itemsize, axis, ends, index, fullest=fullest, in_flight=IN_FLIGHT_HERE
        )
        return cls(X, dtype, grid, location, members)
