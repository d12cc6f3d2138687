"""dnmf.run.factors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from dnmf.run.history import KEPT
from dnmf.run.reading import gone

# An array of a run: Zarr's, of any dtype.
StoredArray = zarr.Array[Any]

DIMENSIONS = {
    "W": ("row", "component"),
    "V": ("component", "column"),
    **dict.fromkeys(KEPT, ("pass",)),
}


@dataclass(frozen=True, slots=True)
class Factor:
    """The stored form of a factor: its name ("W" or "V"), shape, chunk shape and dtype."""

    name: str
    shape: tuple[int, int]
    chunks: tuple[int, int]
    dtype: np.dtype[Any]

    def array(self, group: zarr.Group, at: str) -> Any:
        """A Zarr array for its chunks at `at`, a path below `group`, that is not listed yet: it has no metadata."""
        template = self._create(zarr.create_group(MemoryStore()), self.name)
        path = group.store_path / at / self.name if at else group.store_path / self.name
        return zarr.Array(zarr.AsyncArray(metadata=template.metadata, store_path=path))

    def publish(self, group: zarr.Group, at: str) -> None:
        """List the array whose chunks are all written."""
        self._create(group, f"{at}/{self.name}" if at else self.name)

    def _create(self, group: zarr.Group, path: str) -> Any:
        # Chunks equal to the fill value are not stored: NaN is the one value that no whole chunk has.
        return group.create_array(
            path,
            shape=self.shape,
            chunks=self.chunks,
            dtype=self.dtype,
            fill_value=np.nan,
            dimension_names=DIMENSIONS[self.name],
        )


def whole(block: Any, array: Any) -> NDArray[np.floating]:
    """A block of a factor as it was read, unless part of it is not there: then it holds the fill value, NaN.

    Raises
    ------
    FileNotFoundError
        If a chunk is missing.
    """
    values: NDArray[np.floating] = np.asarray(block)
    if np.isnan(values).any():
        raise gone(array)
    return values


def write_rows(factor: Factor, group: zarr.Group, at: str, values: Any) -> None:
    """Write a whole factor, chunk by chunk, from anything that is sliced like an array; then list it."""
    target = factor.array(group, at)
    for i in range(0, factor.shape[0], factor.chunks[0]):
        for j in range(0, factor.shape[1], factor.chunks[1]):
            where = (slice(i, i + factor.chunks[0]), slice(j, j + factor.chunks[1]))
            target[where] = np.asarray(values[where], factor.dtype)
    factor.publish(group, at)


def write_history(group: zarr.Group, at: str, history: Mapping[str, Sequence[float]]) -> None:
    """Write the history, one value per pass: float64, int64 for `sweeps` and `bytes_read`."""
    for name, values in history.items():
        data = np.asarray(values, "i8" if name in ("sweeps", "bytes_read") else "f8")
        write_array(group, f"{at}/{name}" if at else name, data, DIMENSIONS[name])


def write_snapshots(group: zarr.Group, at: str, factor: str, taken: Mapping[int, NDArray[np.floating]]) -> None:
    """Write snapshots of a factor, by pass (0 is the first factor): `snapshots` and `snapshot_pass`."""
    prefix = f"{at}/" if at else ""
    write_array(group, f"{prefix}snapshots", np.stack(list(taken.values())), ("snapshot", *DIMENSIONS[factor]))
    write_array(group, f"{prefix}snapshot_pass", np.asarray(list(taken), "i8"), ("snapshot",))


def write_array(group: zarr.Group, path: str, data: NDArray[Any], dimensions: Sequence[str]) -> None:
    """Write a small array, in one chunk (one for each of its first index where it has three)."""
    fill: Any = {"f": np.nan, "i": -1, "u": np.iinfo("u8").max}[data.dtype.kind]
    chunks = tuple(max(1, n) for n in data.shape) if data.ndim < 3 else (1, *data.shape[1:])
    array = group.create_array(
        path, shape=data.shape, chunks=chunks, dtype=data.dtype, fill_value=fill, dimension_names=dimensions
    )
    array[...] = data
