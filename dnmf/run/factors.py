"""W and V as they are stored: shapes, chunks and names, written chunk by chunk and listed when all of it is there."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import zarr
from zarr.storage import MemoryStore

from dnmf.arrays.rows import Array
from dnmf.run.arrays import StoredArray, below, chunks_missing
from dnmf.run.record import Record

if TYPE_CHECKING:
    import dask.array as da

DIMENSIONS = {"W": ("row", "component"), "V": ("component", "column")}


class Sliced(Protocol):
    """What is sliced like an array, and may be larger than memory."""

    def __getitem__(self, where: tuple[slice, slice], /) -> object:
        """A block."""


@dataclass(frozen=True, slots=True)
class Factor:
    """The stored form of a factor: its name ("W" or "V"), shape, chunk shape and dtype."""

    name: str
    shape: tuple[int, int]
    chunks: tuple[int, int]
    dtype: np.dtype[Any]

    @property
    def dimensions(self) -> tuple[str, str]:
        """The names of its dimensions."""
        return DIMENSIONS[self.name]

    @property
    def across(self) -> str:
        """The name of its dimension that is not "component"."""
        return {"W": "row", "V": "column"}[self.name]

    def array(self, group: zarr.Group, at: str) -> StoredArray:
        """A Zarr array for its chunks at `at`, a path below `group`, that is not listed yet: it has no metadata."""
        template = self._create(zarr.create_group(MemoryStore()), self.name)
        path = group.store_path / below(at, self.name)
        return zarr.Array(zarr.AsyncArray(metadata=template.metadata, store_path=path))

    def publish(self, group: zarr.Group, at: str) -> None:
        """List the array whose chunks are all written."""
        self._create(group, below(at, self.name))

    def _create(self, group: zarr.Group, path: str) -> StoredArray:
        # Chunks equal to the fill value are not stored: NaN is the one value that no whole chunk has.
        return group.create_array(
            path,
            shape=self.shape,
            chunks=self.chunks,
            dtype=self.dtype,
            fill_value=np.nan,
            dimension_names=self.dimensions,
        )


def long_factor(record: Record) -> Factor:
    """The factor along the axis that is cut, in chunks that line up with strips."""
    return _factor(record, record.state.axis, record.state.height)


def short_factor(record: Record) -> Factor:
    """The other one, in one chunk."""
    return _factor(record, 1 - record.state.axis, None)


def _factor(record: Record, axis: int, height: int | None) -> Factor:
    (m, n), k, dtype = record.x.shape, record.parameters.rank, np.dtype(record.state.dtype)
    if axis == 0:
        return Factor("W", (m, k), (height or m, k), dtype)
    return Factor("V", (k, n), (k, height or n), dtype)


def stored_long(group: zarr.Group, record: Record) -> StoredArray:
    """The long factor of the generation from which a run goes on, in the chunks that it was written in."""
    assert record.state.next
    return long_factor(record).array(group, record.state.next.removesuffix("next").rstrip("/"))


def write_blocks(target: StoredArray, values: Sliced) -> None:
    """Write a whole factor, chunk by chunk."""
    for i in range(0, target.shape[0], target.chunks[0]):
        for j in range(0, target.shape[1], target.chunks[1]):
            where = (slice(i, i + target.chunks[0]), slice(j, j + target.chunks[1]))
            target[where] = np.asarray(values[where], target.dtype)


def write_factor(factor: Factor, group: zarr.Group, at: str, values: Sliced) -> None:
    """Write a whole factor to the generation at a path, chunk by chunk, and list it there."""
    write_blocks(factor.array(group, at), values)
    factor.publish(group, at)


def whole(block: object, array: StoredArray) -> Array:
    """A block of a factor as it was read, unless part of it is not there: then it holds the fill value, NaN.

    Raises
    ------
    FileNotFoundError
        If a chunk is missing.
    """
    values: Array = np.asarray(block)
    if np.isnan(values).any():
        raise chunks_missing(array)
    return values


def as_stored(array: StoredArray, *, name: str) -> "da.Array":
    """A stored factor as a Dask array of its chunks, in its own orientation: what a result shows."""
    import dask.array as da  # noqa: PLC0415, it takes long to load, and what only looks at a run needs none of it

    stored = da.from_array(array, chunks=array.chunks, name=f"{name}-chunks", inline_array=True)
    return stored.map_blocks(whole, array, name=name, dtype=array.dtype)
