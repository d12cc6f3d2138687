"""What every kind of X has in common: a grid, a dtype, a place, and strips that are read from it.

The kinds are in `dense`, `sparse` and `lazy`. What stays with the client is a `Matrix`; what tasks carry are its
`Strips`, which know of X what reading takes and no more.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from dnmf.arrays.rows import Rows
from dnmf.plan.grid import Grid
from dnmf.stores.missing_chunks import ZarrArray

# Of entries of any kind, as they are stored.
Dtype = np.dtype[Any]


Numbers = NDArray[Any]


Vector = Numbers | ZarrArray


# How many chunks of one read are fetched and decoded at the same time. On local disks more than one only costs: in two
# workers on two cores, reading whole strips one chunk at a time was 1.6 to 1.8 times as fast as at zarr's default of
# ten where chunks were raw or zstd, and as fast with Blosc. Elsewhere more hide the latency of each: zarr's default.
IN_FLIGHT_HERE, IN_FLIGHT_ELSEWHERE = 1, 10


# Every value of these is a float32 exactly; other integers need float64.
EXACT_IN_FLOAT32 = ("b1", "i1", "u1", "i2", "u2", "f2", "f4")


@dataclass(frozen=True, slots=True)
class Strips(ABC):
    """An array-like whose slices of whole rows are strips of X: read, cast, checked and turned in one go.

    Attributes
    ----------
    shape : (M, N), length along the cut axis, width along the other.
    dtype : float32 or float64, of the strips.
    axis : 0 where rows of these are X's rows, 1 where they are its columns.
    check : whether an entry that is negative, NaN or infinite raises ValueError, which names its row and column.
    """

    shape: tuple[int, int]
    dtype: Dtype
    axis: int
    check: bool

    ndim: ClassVar[int] = 2

    def __getitem__(self, where: tuple[slice, slice]) -> Rows:
        start, stop, _ = where[0].indices(self.shape[0])
        return self.rows(start, stop)

    @abstractmethod
    def rows(self, start: int, stop: int) -> Rows:
        """Rows start to stop − 1: an array, or a csr_matrix in which the places rise and no entry is 0."""


@dataclass(frozen=True, slots=True)
class Matrix(ABC):
    """X, opened and not read, but for where the lines of a sparse one end.

    Attributes
    ----------
    array : the Zarr, Dask or NumPy array; the Zarr group or the scipy.sparse matrix (CSR or CSC) that is sparse.
    dtype : float32 or float64, in which X is computed with.
    grid : how X is stored.
    location : where X lives, for people and for the record of a run.
    in_memory : whether all of X is in this process already.
    stored : whether X is in a store.
    lazy : whether X is a Dask array, whose graph is the engine's business.
    sparse : whether strips are sparse.
    """

    array: Any
    dtype: Dtype
    grid: Grid
    location: str

    in_memory: ClassVar[bool] = False
    stored: ClassVar[bool] = False
    lazy: ClassVar[bool] = False
    sparse: ClassVar[bool] = False

    @abstractmethod
    def strips(self, axis: int, *, check: bool) -> Strips:
        """X as it is read along an axis.

        Raises
        ------
        ValueError
            If X is sparse and stored along the other one.
        """

    @property
    def arrays(self) -> tuple[ZarrArray, ...]:
        """The Zarr arrays that X is stored in: one, three where it is sparse, none where it is in no store."""
        return ()

    @property
    def nodes(self) -> tuple[ZarrArray | zarr.Group, ...]:
        """The Zarr arrays and groups from which `finds` tells whether a worker finds X."""
        return self.arrays

    @property
    def stored_dtype(self) -> Dtype:
        """Of entries as they are stored."""
        return np.dtype(self.array.dtype)

    @property
    def repeats(self) -> bool:
        """Whether X is the same to the last bit each time it is read; a Dask array may come out rounded otherwise."""
        return not self.lazy

    @property
    def fingerprint(self) -> str:
        """A digest of X's shape, dtype, chunks and, for Zarr, its codecs; X itself is not read."""
        facts = [self.grid.shape, str(self.stored_dtype), self.grid.chunk, self._metadata]
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def _metadata(self) -> object:
        """What a store says of X."""
        return None

    def _shape_along(self, axis: int) -> tuple[int, int]:
        return self.grid.shape if axis == 0 else self.grid.shape[::-1]


def finds(nodes: Iterable[ZarrArray | zarr.Group]) -> bool:
    """Whether Zarr arrays and groups are found as they were, from where this is called: reads their metadata only."""
    try:
        return all(_same(node) for node in nodes)
    except (OSError, KeyError, ValueError):
        return False


def _same(node: ZarrArray | zarr.Group) -> bool:
    if isinstance(node, zarr.Array):
        return bool(zarr.open_array(store=node.store, path=node.path, mode="r").metadata == node.metadata)
    found = zarr.open_group(store=node.store, path=node.path, mode="r", use_consolidated=False)
    return dict(found.attrs) == dict(node.attrs)


def matrix_shape(sides: Iterable[int]) -> tuple[int, int]:
    """The shape of X, if it is one of a matrix."""
    shape = tuple(int(side) for side in sides)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"X has shape {shape}: a matrix of at least one row and one column is required")
    return shape[0], shape[1]


def working_dtype(stored: Dtype) -> Dtype:
    """The dtype in which entries are computed with: float32 where that is exact, else float64.

    >>> working_dtype(np.dtype("int16")), working_dtype(np.dtype("int64"))
    (dtype('float32'), dtype('float64'))
    """
    if stored.kind not in "biuf":
        raise TypeError(f"X has dtype {stored}: real numbers (bool, integers or floats) are required")
    return np.dtype("f4" if f"{stored.kind}{stored.itemsize}" in EXACT_IN_FLOAT32 else "f8")


def chunks_in_flight(node: ZarrArray | zarr.Group) -> int:
    """How many chunks of an array or group are read at the same time."""
    return IN_FLIGHT_HERE if isinstance(node.store, LocalStore) else IN_FLIGHT_ELSEWHERE


def part(array: Vector, where: slice | tuple[slice, ...], which: str) -> Numbers:
    """A part of an array, as NumPy's; `which` names it in the error.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    try:
        return np.asarray(array[where])
    except (OSError, ValueError, RuntimeError) as error:
        raise unreadable(which, error) from error


def unreadable(which: str, why: object) -> OSError:
    """What to raise where a part of X cannot be read."""
    return OSError(f"{which} of X cannot be read ({why}): a chunk is damaged or gone; write it again")


def bad_entry(row: int, column: int, value: object) -> ValueError:
    """What to raise where an entry cannot be."""
    return ValueError(
        f"X[{row}, {column}] is {value}: every entry must be finite and not negative; mend X and start again"
    )
