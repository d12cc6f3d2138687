"""Which chunks of a Zarr array are not in its store. None of them is read."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import zarr
from zarr.storage import LocalStore

# Of any dtype, in any store.
ZarrArray = zarr.Array[Any]


@dataclass(frozen=True, slots=True)
class Missing:
    """Chunks that are not there (shards, where X has them): how many, of how many, and the key of one.

    The key is None where none is missing, or where only a store that is not on a disk here knows it.
    """

    count: int
    total: int
    key: str | None


def missing(array: ZarrArray) -> Missing | None:
    """Which chunks of an array are not there; None where its store cannot list what it has."""
    shape = tuple(math.ceil(n / c) for n, c in zip(array.shape, array.shards or array.chunks, strict=True))
    total = math.prod(shape)
    if isinstance(array.store, LocalStore):
        folder = Path(array.store.root, array.path)
        there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
        gone = [key for key in _keys(array, shape) if key not in there]
        return Missing(len(gone), total, str(folder / gone[0]) if gone else None)
    if not array.store.supports_listing:
        return None
    if forget := getattr(getattr(array.store, "fs", None), "invalidate_cache", None):
        # A caller's own file system may remember what it listed before X was written.
        forget()
    per_shard = math.prod(s // c for s, c in zip(array.shards or array.chunks, array.chunks, strict=True))
    return Missing(total - array.nchunks_initialized // per_shard, total, None)


def _keys(array: ZarrArray, shape: tuple[int, ...]) -> Iterator[str]:
    """The keys of all chunks, in order."""
    return (array.metadata.encode_chunk_key(place) for place in product(*map(range, shape)))


def lacks_chunks(array: object) -> bool:
    """Whether a stored array lacks chunks: they were lost, or are not written because all of their numbers are 0.

    Where a store cannot list, as a web server cannot, nothing is known, and it is False; so it is for other arrays.
    """
    found = missing(array) if isinstance(array, zarr.Array) else None
    return found is not None and found.count > 0
