"""X: what may be factorized, how it is stored, and how one strip of it is read, cast, checked and turned.

Knows Zarr and NumPy; a Dask array is recognized, but its graph is the engine's business.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from dnmf.memory import Grid
from dnmf.paths import absolute

# How many chunks of one read are fetched and decoded at the same time. On local disks more than one only costs: in two
# workers on two cores, reading whole strips one chunk at a time was 1.6 to 1.8 times as fast as at zarr's default of
# ten where chunks were raw or zstd, and as fast with Blosc. Elsewhere more hide the latency of each: zarr's default.
IN_FLIGHT_HERE, IN_FLIGHT_ELSEWHERE = 1, 10

# Every value of these is a float32 exactly; other integers need float64.
EXACT_IN_FLOAT32 = ("b1", "i1", "u1", "i2", "u2", "f2", "f4")


@dataclass(frozen=True, slots=True)
class Matrix:
    """X, opened and not read.

    Attributes
    ----------
    array : the Zarr, Dask or NumPy array.
    kind : "zarr", "dask" or "numpy".
    dtype : float32 or float64, in which X is computed with.
    grid : how X is stored.
    location : where X lives, for people and for the record of a run.
    """

    array: Any
    kind: str
    dtype: np.dtype[Any]
    grid: Grid
    location: str

    @property
    def fingerprint(self) -> str:
        """A digest of X's shape, dtype, chunks and, for Zarr, its codecs; X itself is not read."""
        stored = self.array.metadata.to_dict() if self.kind == "zarr" else None
        facts = [self.grid.shape, str(self.array.dtype), self.grid.chunk, stored]
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def open_matrix(X: object) -> Matrix:
    """Open X without reading it.

    Parameters
    ----------
    X : path of a two-dimensional Zarr array (format 2 or 3, sharded or not, or a member of a group, as in
        "X.zarr/layers/counts"), a `zarr.Array`, a Dask array, or anything that NumPy makes a two-dimensional array of.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        If there is no array, if it is not two-dimensional or has no entries, if its entries are not real numbers.
    """
    if isinstance(X, str | Path):
        return _matrix(_open_path(str(X)), "zarr", absolute(X))
    if isinstance(X, zarr.Array):
        if not isinstance(X.store, LocalStore):
            return _matrix(X, "zarr", str(X.store_path))
        location = absolute(Path(X.store.root, X.path))
        return _matrix(zarr.open_array(location, mode="r"), "zarr", location)
    if hasattr(X, "__dask_graph__"):
        return _matrix(X, "dask", "a Dask array")
    if hasattr(X, "tocsr"):
        raise TypeError("X is a scipy.sparse matrix, which dnmf does not factorize yet: pass X.toarray() if that fits")
    return _matrix(np.asarray(X), "numpy", "an array in memory")


def _open_path(path: str) -> Any:
    """The Zarr array at a path, or an error that says what is there instead."""
    try:
        found = zarr.open(absolute(path), mode="r")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there is no Zarr array at {path}: give the path of one, or make one with `dnmf convert`"
        ) from None
    if isinstance(found, zarr.Group):
        members = ", ".join(sorted(f"{path}/{name}" for name, a in found.arrays() if a.ndim == 2))
        raise ValueError(
            f"{path} is a Zarr group, not an array: name one of its matrices ({members or 'there is none'})"
        )
    return found


def _matrix(array: Any, kind: str, location: str) -> Matrix:
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"X has shape {tuple(array.shape)}: a matrix of at least one row and one column is required")
    dtype = working_dtype(array.dtype)
    shape = (int(array.shape[0]), int(array.shape[1]))
    chunk, shard = _chunks(array, kind)
    # Blocks of a Dask array are merged to a strip: both are alive then.
    copies = 2 if kind == "dask" else 1
    here = kind == "numpy" or (kind == "zarr" and isinstance(array.store, LocalStore))
    in_flight = IN_FLIGHT_HERE if here else IN_FLIGHT_ELSEWHERE
    grid = Grid(shape, chunk, shard, array.dtype.itemsize, dtype.itemsize, copies, in_flight)
    return Matrix(array, kind, dtype, grid, location)


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


def working_dtype(stored: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which entries are computed with: float32 where that is exact, else float64.

    >>> working_dtype(np.dtype("int16")), working_dtype(np.dtype("int64"))
    (dtype('float32'), dtype('float64'))
    """
    if stored.kind not in "biuf":
        raise TypeError(f"X has dtype {stored}: real numbers (bool, integers or floats) are required")
    return np.dtype("f4" if f"{stored.kind}{stored.itemsize}" in EXACT_IN_FLOAT32 else "f8")


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

    def __getitem__(self, where: tuple[slice, slice]) -> NDArray[np.floating]:
        start, stop, _ = where[0].indices(self.shape[0])
        array, dtype = self.matrix.array, self.matrix.dtype
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


def _slice(array: Any, axis: int, start: int, stop: int) -> NDArray[Any]:
    try:
        return np.asarray(array[start:stop] if axis == 0 else array[:, start:stop])
    except (OSError, ValueError, RuntimeError) as error:
        which = f"{('rows', 'columns')[axis]} {start} to {stop - 1}"
        raise OSError(f"{which} of X cannot be read ({error}): a chunk is damaged or gone; write it again") from error


def prepare(x: NDArray[Any], dtype: np.dtype[Any], *, axis: int, first: int, check: bool) -> NDArray[np.floating]:
    """Check whole rows (axis 0) or columns (axis 1) of X from index `first` on, cast them, and turn columns to rows.

    Raises
    ------
    ValueError
        If an entry is negative, NaN or infinite: names its row and column.
    """
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
    raise ValueError(
        f"X[{row}, {column}] is {x[tuple(bad)]}: every entry must be finite and not negative; mend X and start again"
    )


def same_matrix(matrix: Matrix) -> bool:
    """Whether X, as it is described, is found from where this is called: reads the metadata of its store only."""
    try:
        found = zarr.open_array(store=matrix.array.store, path=matrix.array.path, mode="r")
    except (OSError, KeyError, ValueError):
        return False
    return bool(found.metadata == matrix.array.metadata)
