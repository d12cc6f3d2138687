"""X: what may be factorized, how it is stored, and how one strip of it is read, cast, checked and turned.

A Dask array is recognized, but its graph is the engine's business.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from dnmf.grids import laid_out
from dnmf.memory import Grid, SparseGrid
from dnmf.products import is_sparse
from dnmf.sparse_rows import Lines, bad_entry, read
from dnmf.stores import ARRAYS, find, part


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


@dataclass(frozen=True, slots=True)
class Strips:
    """An array-like whose slices of whole rows are strips of X: read, cast, checked and turned in one go.

    Its rows are X's rows (axis 0) or X's columns (axis 1); its slices have the dtype in which X is computed with.
    """

    matrix: Matrix
    axis: int
    check: bool

    @property
    def shape(self) -> tuple[int, int]:
        """(M, N): length along the cut axis, width along the other."""
        m, n = self.matrix.grid.shape
        return (m, n) if self.axis == 0 else (n, m)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the strips."""
        return self.matrix.dtype

    @property
    def ndim(self) -> int:
        """Always 2."""
        return 2

    def __getitem__(self, where: tuple[slice, slice]) -> Any:
        start, stop, _ = where[0].indices(self.shape[0])
        array, dtype = self.matrix.array, self.matrix.dtype
        if self.matrix.sparse:
            return read(_lines(self.matrix), start, stop, dtype, check=self.check)
        if array.dtype == dtype:
            return prepare(_slice(array, self.axis, start, stop), dtype, axis=self.axis, first=start, check=self.check)
        # A cast needs both copies: one chunk's height at a time keeps the second one small.
        step = self.matrix.grid.chunk[self.axis] if self.matrix.kind == "zarr" else stop - start
        strip = np.empty((stop - start, self.shape[1]), dtype)
        for a in range(start, stop, step):
            b = min(a + step, stop)
            piece = _slice(array, self.axis, a, b)
            strip[a - start : b - start] = prepare(piece, dtype, axis=self.axis, first=a, check=self.check)
        return strip


def _lines(matrix: Matrix) -> Lines:
    """All lines of a sparse X that is stored or in memory."""
    grid, (data, indices, indptr) = matrix.grid, matrix.members
    assert isinstance(grid, SparseGrid)
    return Lines(data, indices, indptr, grid.axis, grid.shape[1 - grid.axis], in_flight=grid.in_flight)


def _slice(array: Any, axis: int, start: int, stop: int) -> NDArray[Any]:
    where = slice(start, stop) if axis == 0 else (slice(None), slice(start, stop))
    return part(array, where, f"{('rows', 'columns')[axis]} {start} to {stop - 1}")


def prepare(x: Any, dtype: np.dtype[Any], *, axis: int, first: int, check: bool) -> Any:
    """Check whole rows (axis 0) or columns (axis 1) of X from index `first` on, cast them, and turn columns to rows.

    They are an array, or a scipy.sparse matrix, which becomes a csr_matrix and is not written to.

    Raises
    ------
    ValueError
        If an entry is negative, NaN or infinite: names its row and column.
    """
    if is_sparse(x):
        y = (x if axis == 0 else x.T).tocsr()
        return read(Lines(y.data, y.indices, y.indptr, axis, y.shape[1], first), 0, y.shape[0], dtype, check=check)
    x = np.asarray(x)
    if check and x.dtype.kind in "if":
        _check(x, axis, first)
    x = x.astype(dtype, copy=False)
    return x if axis == 0 else x.T


def _check(x: NDArray[Any], axis: int, first: int) -> None:
    with np.errstate(invalid="ignore"):
        if x.min() >= 0 and x.max() < np.inf:
            return
        bad = np.argwhere(~((x >= 0) & (x < np.inf)))[0]
    row, column = (int(i) for i in bad + ([first, 0] if axis == 0 else [0, first]))
    raise bad_entry(row, column, x[tuple(bad)])


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
