"""Sparse X, in a store or in memory, as it is stored: row by row or column by column."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import zarr

from dnmf.matrix.matrix import IN_FLIGHT_HERE, Matrix, Node, chunks_in_flight, matrix_shape, working_dtype
from dnmf.matrix.sparse_rows import SparseStrips, check_pointers
from dnmf.matrix.strips import Dtype, Vector, read_part
from dnmf.plan.sparse import SparseGrid
from dnmf.plan.strips import rows_or_columns
from dnmf.stores.missing_chunks import ZarrArray

if TYPE_CHECKING:
    from scipy import sparse

# What AnnData says of a sparse matrix, and the axis along which that is stored.
SPARSE = {"csr_matrix": 0, "csc_matrix": 1}

# The arrays of a sparse matrix: entries, the place of each in its line, and where lines begin and end in these two.
ARRAYS = ("data", "indices", "indptr")

# What people call it that is stored along an axis.
FORMATS = ("CSR", "CSC")


@dataclass(frozen=True, slots=True)
class Sparse(Matrix):
    """What a sparse matrix in a store and one in memory share. `members`: data, indices and indptr, as when opened."""

    members: tuple[Vector, Vector, Vector]
    sparse: ClassVar[bool] = True

    def strips(self, axis: int, *, check: bool) -> SparseStrips:
        if axis not in self.grid.axes:
            line, other = (rows_or_columns(each)[:-1] for each in (1 - axis, axis))
            raise ValueError(
                f"{self.location} is stored {line} by {line} ({FORMATS[1 - axis]}), and whole {other}s are needed: "
                f"write X {other} by {other}, as {FORMATS[axis]}"
            )
        return SparseStrips(
            self._along(axis), self.dtype, axis, check, *self.members,
            in_flight=self.grid.in_flight, exponent=self.exponent, missing=self.missing, signed=self.signed,
        )  # fmt: skip

    @property
    def stored_dtype(self) -> Dtype:
        return np.dtype(self.members[0].dtype)


@dataclass(frozen=True, slots=True)
class StoredSparse(Sparse):
    """A Zarr group of the arrays data, indices and indptr, of which the last was read."""

    stored: ClassVar[bool] = True

    @classmethod
    def of(cls, group: zarr.Group, location: str) -> Self:
        """X as it is stored, unless its arrays do not fit together (ValueError) or cannot be read (OSError)."""
        if missing := [name for name in ARRAYS if name not in group] + ["shape"][: "shape" not in group.attrs]:
            raise ValueError(f"{location} has no {missing[0]}, which every sparse matrix has: write it again")
        attributes: Any = group.attrs
        members: Any = tuple(group[name] for name in ARRAYS)
        shape, axis = matrix_shape(attributes["shape"]), SPARSE[attributes["encoding-type"]]
        data, indices, indptr = members
        if (data.shape, (shape[axis] + 1,)) != (indices.shape, indptr.shape):
            raise ValueError(
                f"{location} is damaged: data has {data.size} numbers, indices {indices.size} and indptr "
                f"{indptr.size}, where X has shape {shape}; write it again"
            )
        dtype = working_dtype(data.dtype)
        ends: Any = read_part(indptr, slice(None), "indptr").astype("i8")
        check_pointers(ends, data.size, location, whole=True)
        chunk = min(max(data.chunks[0], indices.chunks[0]), max(1, data.size))
        stored, fullest = data.dtype.itemsize + indices.dtype.itemsize, int(np.diff(ends).max())
        pointers, in_flight = min(indptr.chunks[0], indptr.size) * indptr.dtype.itemsize, chunks_in_flight(group)
        grid = SparseGrid(
            shape, (chunk,), stored, dtype.itemsize, axis, ends, fullest, pointers=pointers, in_flight=in_flight
        )
        return cls(group, dtype, grid, location, members)

    @property
    def arrays(self) -> tuple[ZarrArray, ...]:
        return tuple(member for member in self.members if isinstance(member, zarr.Array))

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.array, *self.arrays

    @property
    def _metadata(self) -> object:
        return [dict(self.array.attrs), *(array.metadata.to_dict() for array in self.arrays)]


@dataclass(frozen=True, slots=True)
class SparseInMemory(Sparse):
    """A scipy.sparse matrix or array: CSR and CSC as they are, others as CSR."""

    in_memory: ClassVar[bool] = True

    def by_rows(self) -> Self:
        return self.along(0)

    def along(self, axis: int) -> Self:
        """The same as CSR (axis 0) or CSC (axis 1), which may be a copy."""
        if axis in self.grid.axes:
            return self
        turned = self.of(self.array.tocsc() if axis else self.array.tocsr(), self.location)
        return replace(
            turned, dtype=self.dtype, grid=replace(turned.grid, omega=self.grid.omega), named=self.named,
            missing=self.missing, signed=self.signed,
        )  # fmt: skip

    @classmethod
    def of(cls, X: "sparse.sparray | sparse.spmatrix", location: str) -> Self:
        """X as it is."""
        shape, dtype = matrix_shape(X.shape), working_dtype(X.dtype)
        X = X if X.format in ("csr", "csc") else X.tocsr()
        axis, ends, members = int(X.format == "csc"), X.indptr.astype("i8", copy=False), (X.data, X.indices, X.indptr)
        stored, fullest = X.data.itemsize + X.indices.itemsize, int(np.diff(ends).max())
        grid = SparseGrid(shape, (1,), stored, dtype.itemsize, axis, ends, fullest, in_flight=IN_FLIGHT_HERE)
        return cls(X, dtype, grid, location, members)
