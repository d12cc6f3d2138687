"""What every kind of X has in common: a grid, a dtype, a place and strips. Kinds are in `dense`, `sparse`, `lazy`."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import zarr
from zarr.storage import LocalStore

from dnmf.matrix.in_file import Hdf5Array
from dnmf.matrix.labels import Labels
from dnmf.matrix.missing import Missing
from dnmf.matrix.strips import Dtype, Strips
from dnmf.plan.grid import Grid
from dnmf.stores.missing_chunks import ZarrArray

# What a worker can look for.
Node = ZarrArray | zarr.Group | Hdf5Array

# How many chunks of one read are fetched and decoded at the same time. On local disks more than one only costs: in two
# workers on two cores, reading whole strips one chunk at a time was 1.6 to 1.8 times as fast as at zarr's default of
# ten where chunks were raw or zstd, and as fast with Blosc. Elsewhere more hide the latency of each: zarr's default.
IN_FLIGHT_HERE, IN_FLIGHT_ELSEWHERE = 1, 10

# Every value of these is a float32 exactly; other integers need float64.
EXACT_IN_FLOAT32 = ("b1", "i1", "u1", "i2", "u2", "f2", "f4")


@dataclass(frozen=True, slots=True)
class Matrix(ABC):
    """X, opened and not read, but for where the lines of a sparse one end. It stays with the client.

    Attributes
    ----------
    array : the Zarr, Dask or NumPy array; the Zarr group or the scipy.sparse matrix (CSR or CSC) that is sparse.
    dtype : float32 or float64, in which X is computed with.
    grid : how X is stored.
    location : where X lives, for people and for the record of a run.
    named : gives the names of rows and columns, when they are asked for.
    exponent : what is read is X times 2 to it, where its own entries are too large or too small to compute with.
    missing : what of it is missing, where some may be.
    in_memory : whether all of X is in this process already.
    stored : whether X is in a store.
    lazy : whether X is a Dask array, whose graph is the engine's business.
    sparse : whether strips are sparse.
    """

    array: Any
    dtype: Dtype
    grid: Grid
    location: str
    named: Callable[[], Labels] = field(default=Labels, kw_only=True, compare=False, repr=False)
    exponent: int = field(default=0, kw_only=True)
    missing: Missing | None = field(default=None, kw_only=True)
    in_memory: ClassVar[bool] = False
    stored: ClassVar[bool] = False
    lazy: ClassVar[bool] = False
    sparse: ClassVar[bool] = False

    @abstractmethod
    def strips(self, axis: int, *, check: bool) -> Strips:
        """X as it is read along an axis; ValueError if it is sparse and stored along the other one."""

    def scaled(self, exponent: int) -> Self:
        """X, read as X times 2 to an exponent."""
        return replace(self, exponent=exponent)

    def told(self, missing: Missing) -> Self:
        """X of which some is missing: a weight is a truth value, a byte for each entry."""
        return replace(self, missing=missing, grid=replace(self.grid, omega=1))

    def by_rows(self) -> "Matrix":
        """The same, to be cut along its rows, where that costs no more than memory."""
        return self

    @property
    def together(self) -> "tuple[Matrix, ...]":
        """What is read where X is: itself, and its weights, if it has any."""
        return (self,)

    @property
    def weights(self) -> "Matrix | None":
        """The array of weights beside it, if there is one."""
        return None

    @property
    def weighted(self) -> bool:
        """Whether entries come with weights: strips are `Weighted`."""
        return self.missing is not None

    @property
    def arrays(self) -> tuple[ZarrArray, ...]:
        """The Zarr arrays that X is stored in: one, three where it is sparse, none where it is in no store."""
        return ()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The arrays and groups from which `finds` tells whether a worker finds X."""
        return self.arrays

    @property
    def parts(self) -> tuple[tuple[str, int, int], ...]:
        """Where its rows are, where that is not all that is at its location: path, first row, one beyond the last."""
        return ()

    @property
    def numbers(self) -> Any:
        """X as an array-like whose slices are its numbers, as they are computed with but for their dtype."""
        return self.array

    @property
    def labels(self) -> Labels:
        """The names of rows and columns, read from where X is at each call.

        Raises
        ------
        ValueError
            If there are not as many as rows or columns.
        """
        labels = self.named()
        labels.check(self.grid.shape, self.location)
        return labels

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
        """A digest of X's shape, dtype, chunks and, for Zarr, its codecs; X itself is not read.

        It is another one where some of X is missing, for that is another X.
        """
        facts = [self.grid.shape, str(self.stored_dtype), self.grid.chunk, self._metadata]
        facts += [self.missing] if self.missing else []
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def _metadata(self) -> object:
        """What a store says of X."""
        return None

    def _along(self, axis: int) -> tuple[int, int]:
        """The shape of strips."""
        return self.grid.shape if axis == 0 else self.grid.shape[::-1]


def finds(nodes: Iterable[Node]) -> bool:
    """Whether arrays and groups are found as they were, from where this is called: reads their metadata only."""
    try:
        return all(_is_found(node) for node in nodes)
    except (OSError, KeyError, ValueError, ImportError):
        return False


def _is_found(node: Node) -> bool:
    if isinstance(node, Hdf5Array):
        return node.is_found()
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
