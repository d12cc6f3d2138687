"""dnmf.matrix.sparse."""

from typing import Any

import numpy as np

from dnmf.matrix.find import ARRAYS, SPARSE
from dnmf.matrix.layout import IN_FLIGHT_HERE, LaidOut, _in_flight, _shape, working_dtype
from dnmf.matrix.reading import part
from dnmf.matrix.sparse_rows import check_pointers, index_dtype
from dnmf.plan.grid import SparseGrid


def _stored_sparse(group: Any, location: str) -> LaidOut:
    """A sparse matrix in a Zarr group: data, indices and indptr, of which the last is read."""
    if missing := [name for name in ARRAYS if name not in group] + ["shape"][: "shape" not in group.attrs]:
        raise ValueError(f"{location} has no {missing[0]}, which every sparse matrix has: write it again")
    shape, axis = _shape(group.attrs["shape"]), SPARSE[group.attrs["encoding-type"]]
    data, indices, indptr = (group[name] for name in ARRAYS)
    if (data.shape, (shape[axis] + 1,)) != (indices.shape, indptr.shape):
        raise ValueError(
            f"{location} is damaged: data has {data.size} numbers, indices {indices.size} and indptr {indptr.size}, "
            f"where X has shape {shape}; write it again"
        )
    dtype = working_dtype(data.dtype)
    ends: Any = part(indptr, slice(None), "indptr").astype("i8")
    check_pointers(ends, data.size, location, whole=True)
    grid = SparseGrid(
        shape,
        axis,
        ends,
        (min(max(data.chunks[0], indices.chunks[0]), max(1, data.size)),),
        data.dtype.itemsize + indices.dtype.itemsize,
        dtype.itemsize,
        index_dtype(shape[1 - axis]).itemsize,
        fullest=int(np.diff(ends).max()),
        pointers=min(indptr.chunks[0], indptr.size) * indptr.dtype.itemsize,
        in_flight=_in_flight(group),
    )
    return group, "sparse", dtype, grid


def _sparse_in_memory(X: Any) -> LaidOut:
    """A scipy.sparse matrix or array: CSR and CSC as they are."""
    shape, dtype = _shape(X.shape), working_dtype(X.dtype)
    X = X if X.format in ("csr", "csc") else X.tocsr()
    axis, ends, stored = int(X.format == "csc"), X.indptr.astype("i8", copy=False), X.data.itemsize + X.indices.itemsize
    index, fullest = index_dtype(shape[1 - axis]).itemsize, int(np.diff(ends).max())
    return X, "scipy", dtype, SparseGrid(
        shape, axis, ends, (1,), stored, dtype.itemsize, index, fullest, in_flight=IN_FLIGHT_HERE
    )  # fmt: skip
