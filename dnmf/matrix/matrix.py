"""X: what may be factorized, how it is stored, and how one strip of it is read, cast, checked and turned.

A Dask array is recognized, but its graph is the engine's business.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from scipy import sparse

from dnmf.matrix.dense import _dense
from dnmf.matrix.find import ARRAYS, find
from dnmf.matrix.layout import LaidOut
from dnmf.matrix.lazy import _lazy_sparse
from dnmf.matrix.sparse import _sparse_in_memory, _stored_sparse
from dnmf.plan.grid import Grid, SparseGrid


@dataclass(frozen=True, slots=True)
class Matrix:
    """X, opened and not read, but for where the lines of a sparse one end.

    Attributes
    ----------
    array : the Zarr, Dask or NumPy array; the Zarr group or the scipy.sparse matrix (CSR or CSC) that is sparse.
    kind : "zarr", "dask" or "numpy"; "sparse" for that group, "scipy" for that matrix.
    dtype : float32 or float64, in which X is computed with.
    grid : how X is stored.
    location : where X lives, for people and for the record of a run.
    members : data, indices and indptr of a sparse one that is stored or in memory, as they were when it was opened.
    """

    array: Any
    kind: str
    dtype: np.dtype[Any]
    grid: Grid | SparseGrid
    location: str
    members: tuple[Any, ...] = ()

    @property
    def in_memory(self) -> bool:
        """Whether all of X is in this process already."""
        return self.kind in ("numpy", "scipy")

    @property
    def stored(self) -> bool:
        """Whether X is in a store."""
        return self.kind in ("zarr", "sparse")

    @property
    def sparse(self) -> bool:
        """Whether strips are sparse."""
        return isinstance(self.grid, SparseGrid)

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        """Of entries as they are stored."""
        return np.dtype((self.members[0] if self.kind == "sparse" else self.array).dtype)

    @property
    def fingerprint(self) -> str:
        """A digest of X's shape, dtype, chunks and, for Zarr, its codecs; X itself is not read."""
        stored: Any = None
        if self.kind == "zarr":
            stored = self.array.metadata.to_dict()
        elif self.kind == "sparse":
            stored = [dict(self.array.attrs), *(member.metadata.to_dict() for member in self.members)]
        facts = [self.grid.shape, str(self.stored_dtype), self.grid.chunk, stored]
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def open_matrix(X: object, *, layer: str | None = None) -> Matrix:
    """Open X without reading it.

    Parameters
    ----------
    X : path of a two-dimensional Zarr array (format 2 or 3, sharded or not, or a member of a group, as in
        "X.zarr/layers/counts"), of a sparse matrix in a Zarr group as AnnData and `dnmf convert` write it, or of
        AnnData in Zarr; a `zarr.Array` or `zarr.Group` of these; a scipy.sparse matrix or array; a Dask array, of NumPy
        or scipy.sparse blocks; an AnnData object; or anything that NumPy makes a two-dimensional array of.
    layer : of AnnData, one of its layers instead of its X.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        If there is no matrix, if it is not two-dimensional or has no entries, if its entries are not real numbers.
    """
    found, location = find(X, layer)
    array, kind, dtype, grid = laid_out(found, location)
    return Matrix(array, kind, dtype, grid, location, _members(array, kind))


def _members(array: Any, kind: str) -> tuple[Any, ...]:
    if kind not in ("sparse", "scipy"):
        return ()
    return tuple(array[name] if kind == "sparse" else getattr(array, name) for name in ARRAYS)


def same_matrix(matrix: Matrix) -> bool:
    """Whether X, as it is described, is found from where this is called: reads the metadata of its store only."""
    store, path = matrix.array.store, matrix.array.path
    try:
        if matrix.kind == "zarr":
            return bool(zarr.open_array(store=store, path=path, mode="r").metadata == matrix.array.metadata)
        found = zarr.open_group(store=store, path=path, mode="r", use_consolidated=False)
        same = (
            new.metadata == old.metadata for new, old in zip(_members(found, "sparse"), matrix.members, strict=True)
        )
        return dict(found.attrs) == dict(matrix.array.attrs) and all(same)
    except (OSError, KeyError, ValueError):
        return False


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
