"""Arrays in files that other libraries read, slice by slice: a dataset of h5py's, a DataArray that is not loaded.

Each is an array-like that tasks may carry: its pickle is where it is, and no numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from dnmf.matrix.strips import Dtype, Numbers
from dnmf.plan.memory import MIB
from dnmf.stores.paths import absolute

Where = tuple[slice, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Hdf5Array:
    """A dataset, read through the caller's own handle here, and by path in other processes.

    Attributes
    ----------
    path, name : of the file, and of the dataset in it.
    shape, dtype : of the dataset.
    chunks : of the dataset; some whole rows where it has none.
    dataset : the caller's handle, or None in another process.
    """

    path: str
    name: str
    shape: tuple[int, ...]
    dtype: Dtype
    chunks: tuple[int, ...]
    dataset: Any = None

    @classmethod
    def of(cls, X: Any) -> Self:
        """A dataset of an open file."""
        shape = X.shape or ()
        chunks = X.chunks or rows_at_a_time(shape, X.dtype.itemsize)
        return cls(absolute(X.file.filename), X.name, shape, X.dtype, chunks, X)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What the file says of it."""
        return dict(self.dataset.attrs)

    def __getitem__(self, where: Where) -> Numbers:
        dataset = _open(self.path, self.name) if self.dataset is None else self.dataset
        numbers: Numbers = dataset[where]
        return numbers

    def __reduce__(self) -> tuple[type["Hdf5Array"], tuple[Any, ...]]:
        return Hdf5Array, (self.path, self.name, self.shape, self.dtype, self.chunks)

    def is_found(self) -> bool:
        """Whether a dataset of this shape and dtype is at its path, from where this is called."""
        found = _open(self.path, self.name)
        return (found.shape, found.dtype) == (self.shape, self.dtype)


@lru_cache(maxsize=8)
def _open(path: str, name: str) -> Any:
    """A dataset, of a file that stays open."""
    import h5py  # noqa: PLC0415 - an extra, and only for those whose X is of it

    return h5py.File(path, "r")[name]


@dataclass(frozen=True, slots=True, eq=False)
class DataArrayInFile:
    """An xarray DataArray that was opened and not loaded; its own pickle tells where it is."""

    array: Any

    @property
    def attributes(self) -> Mapping[str, Any]:
        """None: what its file says of its numbers, xarray has done already."""
        return {}

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return tuple(self.array.shape)

    @property
    def dtype(self) -> Dtype:
        """Of the array, decoded."""
        dtype: Dtype = self.array.dtype
        return dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        """Those of its file; some whole rows where it has none."""
        stored = self.array.encoding.get("preferred_chunks") or {}
        default = rows_at_a_time(self.shape, self.dtype.itemsize)
        return tuple(int(stored.get(name, side)) for name, side in zip(self.array.dims, default, strict=True))

    def __getitem__(self, where: Where) -> Numbers:
        numbers: Numbers = self.array[where].values
        return numbers


def rows_at_a_time(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """As chunks, where there are none: whole rows, of a MiB or so.

    >>> rows_at_a_time((1000, 512), 8)
    (256, 512)
    """
    if len(shape) != 2:
        return shape
    return max(1, min(shape[0], MIB // max(1, shape[1] * itemsize))), shape[1]
