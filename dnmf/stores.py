"""Where X lives: the array or sparse group behind a path, a Zarr object or AnnData, and how a part of it is read.

Knows Zarr. AnnData and h5py are told by what they look like, and never imported.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from dnmf.locations import answering, without_credentials
from dnmf.paths import absolute

# What AnnData says of a sparse matrix, and the axis along which that is stored.
SPARSE = {"csr_matrix": 0, "csc_matrix": 1}

# The arrays of a sparse matrix: entries, the place of each in its line, and where lines begin and end in these two.
ARRAYS = ("data", "indices", "indptr")


def find(X: object, layer: str | None) -> tuple[Any, str]:
    """What X is: a `zarr.Array`, a `zarr.Group` of a sparse matrix, or an array of another library; and where it is.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        If there is nothing, something else, or no such layer.
    """
    if _is_anndata(X):
        member = _member(X, layer)
        _refuse_hdf5(member)
        return find(member, None)
    if isinstance(X, str | Path):
        return _in_store(_opened(str(X)), absolute(X), str(X), layer)
    group = getattr(X, "group", None)
    X = group if isinstance(group, zarr.Group) else X
    if isinstance(X, zarr.Array | zarr.Group):
        array, store = _reopened(X), X.store
        if isinstance(store, LocalStore):
            location = absolute(Path(store.root, X.path))
            return _in_store(_opened(location), location, location, layer)
        return _in_store(array, str(array.store_path), str(array.store_path), layer)
    _refuse_hdf5(group)
    location = "a Dask array" if hasattr(X, "__dask_graph__") else "an array in memory"
    _refuse_layer(layer, location)
    return X, location


def _is_anndata(X: object) -> bool:
    return all(hasattr(X, name) for name in ("X", "layers", "obs_names"))


def _member(X: Any, layer: str | None) -> Any:
    """X of an AnnData object, or one of its layers."""
    if layer is None and X.X is None:
        raise ValueError(f"the AnnData object has no X: name one of its layers ({_listed(X.layers)}) with layer=")
    if layer is not None and layer not in X.layers:
        raise ValueError(f"the AnnData object has no layer {layer!r}: it has {_listed(X.layers)}")
    return X.X if layer is None else X.layers[layer]


def _refuse_hdf5(thing: object) -> None:
    """Raise TypeError for what h5py reads from a file, itself or under AnnData's own class."""
    for each in (thing, getattr(thing, "group", None)):
        if type(each).__module__.partition(".")[0] == "h5py":
            raise TypeError(
                "X is in an HDF5 file, which is not read strip by strip: make Zarr of it, `dnmf convert X.h5ad X.zarr`"
            )


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"


def _refuse_layer(layer: str | None, location: str) -> None:
    if layer is not None:
        raise ValueError(f"layer={layer!r} is for AnnData, and X is {location}: leave it out")


def _reopened(X: Any) -> Any:
    """The same array or group, from a store that carries no credentials to workers."""
    store = without_credentials(X.store)
    return X if store is X.store else zarr.open(store, path=X.path, mode="r")


def _opened(location: str) -> Any:
    """The Zarr array or group at a path or URL."""
    try:
        return zarr.open(answering(location), mode="r")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there is no Zarr array at {location}: give the path of one, or make one with `dnmf convert`"
        ) from None


def _in_store(found: Any, location: str, shown: str, layer: str | None) -> tuple[Any, str]:
    """The matrix that a Zarr array or group is or, for AnnData, holds."""
    encoding = None if isinstance(found, zarr.Array) else found.attrs.get("encoding-type")
    if encoding == "anndata":
        name = "X" if layer is None else f"layers/{layer}"
        if name not in found:
            layers = _listed(found["layers"]) if "layers" in found else "none"
            raise ValueError(f"{shown} is AnnData without {name}: its layers are {layers}")
        return _in_store(found[name], f"{location}/{name}", f"{shown}/{name}", None)
    _refuse_layer(layer, shown)
    if isinstance(found, zarr.Array):
        return found, location
    if encoding in SPARSE:
        # What is consolidated in a group above may be older than the group itself.
        return zarr.open_group(found.store, path=found.path, mode="r", use_consolidated=False), location
    members = sorted(f"{shown}/{name}" for name, member in found.members() if _is_matrix(member))
    raise ValueError(
        f"{shown} is a Zarr group, not an array: name one of its matrices ({', '.join(members) or 'there is none'})"
    )


def _is_matrix(member: zarr.Array[Any] | zarr.Group) -> bool:
    return member.ndim == 2 if isinstance(member, zarr.Array) else member.attrs.get("encoding-type") in SPARSE


def part(array: Any, where: slice | tuple[slice, ...], which: str) -> NDArray[Any]:
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


@dataclass(frozen=True, slots=True)
class Missing:
    """Chunks that there are not (shards, where X has them): how many, of how many, and the key of one.

    The key is None where none is missing, or where only a store that is not on a disk here knows it.
    """

    count: int
    total: int
    key: str | None


def missing(array: Any) -> Missing | None:
    """Which chunks of an array there are not; None where its store cannot list what it has."""
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


def _keys(array: Any, shape: tuple[int, ...]) -> Iterator[str]:
    return (array.metadata.encode_chunk_key(place) for place in product(*map(range, shape)))


def lacks_chunks(array: Any) -> bool:
    """Whether a stored array lacks chunks: they were lost, or are not written because all of their numbers are 0.

    Where a store cannot list, as a web server cannot, nothing is known, and it is False.
    """
    found = missing(array) if isinstance(array, zarr.Array) else None
    return found is not None and found.count > 0
