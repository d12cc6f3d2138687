"""The grid in which X is stored, whatever it is, and the dtype in which it is computed with. Nothing is read but where
the lines of a stored sparse X end.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import zarr
from scipy import sparse
from zarr.storage import LocalStore

from dnmf.memory import Grid, SparseGrid
from dnmf.sparse_rows import check_pointers, index_dtype
from dnmf.stores import ARRAYS, SPARSE, part

# How many chunks of one read are fetched and decoded at the same time. On local disks more than one only costs: in two
# workers on two cores, reading whole strips one chunk at a time was 1.6 to 1.8 times as fast as at zarr's default of
# ten where chunks were raw or zstd, and as fast with Blosc. Elsewhere more hide the latency of each: zarr's default.
IN_FLIGHT_HERE, IN_FLIGHT_ELSEWHERE = 1, 10

# Every value of these is a float32 exactly; other integers need float64.
EXACT_IN_FLOAT32 = ("b1", "i1", "u1", "i2", "u2", "f2", "f4")

# Share of entries of a sparse Dask array that are taken not to be 0: how many there are is known after a pass only.
NOMINAL_SHARE = 0.1


LaidOut = tuple[Any, str, np.dtype[Any], Grid | SparseGrid]


def laid_out(X: Any, location: str) -> LaidOut:
    """X as its strips are read from, its kind (see `dnmf.matrices`), the dtype to compute in, and its grid."""
    if isinstance(X, zarr.Group):
        return _stored_sparse(X, location)
    if isinstance(X, zarr.Array):
        return _dense(X, "zarr")
    if hasattr(X, "__dask_graph__"):
        # Dask tells only here what its blocks will be.
        return _lazy_sparse(X) if sparse.issparse(getattr(X, "_meta", None)) else _dense(X, "dask")
    if sparse.issparse(X):
        return _sparse_in_memory(X)
    return _dense(np.asarray(X), "numpy")


def _shape(sides: Iterable[Any]) -> tuple[int, int]:
    """The shape of X, if it is one of a matrix."""
    shape = tuple(int(side) for side in sides)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"X has shape {shape}: a matrix of at least one row and one column is required")
    return shape[0], shape[1]


def _in_flight(array: Any) -> int:
    """How many chunks of an array or group are read at the same time."""
    here = not hasattr(array, "store") or isinstance(array.store, LocalStore)
    return IN_FLIGHT_HERE if here else IN_FLIGHT_ELSEWHERE


def _dense(array: Any, kind: str) -> LaidOut:
    shape, dtype = _shape(array.shape), working_dtype(array.dtype)
    chunk, shard = _chunks(array, kind)
    # Blocks of a Dask array are merged to a strip: both are alive then.
    copies = 2 if kind == "dask" else 1
    in_flight = IN_FLIGHT_ELSEWHERE if kind == "dask" else _in_flight(array)
    return array, kind, dtype, Grid(shape, chunk, shard, array.dtype.itemsize, dtype.itemsize, copies, in_flight)


def _chunks(array: Any, kind: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Chunk and shard shape of an array; NumPy arrays can be cut anywhere, Dask arrays at some cost too."""
    m, n = array.shape
    if kind == "numpy":
        return (1, 1), (1, 1)
    if kind == "dask":
        chunk = (max(array.chunks[0]), max(array.chunks[1]))
        return chunk, chunk
    inner = (min(m, array.chunks[0]), min(n, array.chunks[1]))
    outer = array.shards or inner
    return inner, (min(m, outer[0]), min(n, outer[1]))


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


def _lazy_sparse(X: Any) -> LaidOut:
    """A Dask array of scipy.sparse blocks, cut along the axis along which there are more of them."""
    shape, dtype, axis = _shape(X.shape), working_dtype(X.dtype), int(X.numblocks[1] > X.numblocks[0])
    line, unit = max(1, round(NOMINAL_SHARE * shape[1 - axis])), max(X.chunks[axis])
    ends, index = range(0, line * shape[axis] + 1, line), index_dtype(shape[1 - axis]).itemsize
    # Blocks are merged to a strip: both are alive then.
    return X, "dask", dtype, SparseGrid(
        shape, axis, ends, (unit * line,), X.dtype.itemsize + 4, dtype.itemsize, index, line, unit=unit, copies=2
    )  # fmt: skip


def working_dtype(stored: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which entries are computed with: float32 where that is exact, else float64.

    >>> working_dtype(np.dtype("int16")), working_dtype(np.dtype("int64"))
    (dtype('float32'), dtype('float64'))
    """
    if stored.kind not in "biuf":
        raise TypeError(f"X has dtype {stored}: real numbers (bool, integers or floats) are required")
    return np.dtype("f4" if f"{stored.kind}{stored.itemsize}" in EXACT_IN_FLOAT32 else "f8")
