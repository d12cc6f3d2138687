"""X is found, wherever it is: the array or sparse group behind a path, a Zarr object or AnnData; and opened, unread.

AnnData and h5py are told by what they look like, and never imported.
"""

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from scipy import sparse
from zarr.storage import LocalStore

from dnmf.matrix.dense import DenseInMemory, StoredDense
from dnmf.matrix.lazy import LazyDense, LazySparse
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.sparse import SPARSE, SparseInMemory, StoredSparse
from dnmf.stores.missing_chunks import ZarrArray, missing
from dnmf.stores.paths import absolute
from dnmf.stores.places import answering
from dnmf.stores.url_store import without_credentials


def open_matrix(X: object, *, layer: str | None = None) -> Matrix:
    """Open X without reading it.

    Parameters
    ----------
    X : path of a two-dimensional Zarr array (format 2 or 3, sharded or not, or a member of a group, as in
        "X.zarr/layers/counts"), of a sparse matrix in a Zarr group as AnnData and `dnmf convert` write it, or of
        AnnData in Zarr; a `zarr.Array` or `zarr.Group` of these; a scipy.sparse matrix or array; a Dask array, of NumPy
        or scipy.sparse blocks; an AnnData object; anything that NumPy makes a two-dimensional array of; or what this
        function returned, which is given back.
    layer : of AnnData, one of its layers instead of its X.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        If there is no matrix, if it is not two-dimensional or has no entries, if its entries are not real numbers.
    """
    if isinstance(X, Matrix):
        _refuse_layer(layer, X.location)
        return X
    found, location = find(X, layer)
    if isinstance(found, zarr.Group):
        return StoredSparse.of(found, location)
    if isinstance(found, zarr.Array):
        return StoredDense.of(found, location)
    if hasattr(found, "__dask_graph__"):
        # Dask tells only here what its blocks will be.
        lazy = LazySparse if sparse.issparse(getattr(found, "_meta", None)) else LazyDense
        return lazy.of(found, location)
    if sparse.issparse(found):
        return SparseInMemory.of(found, location)
    return DenseInMemory.of(np.asarray(found), location)


def check_complete(matrix: Matrix) -> None:
    """Refuse X that lacks chunks. By Zarr's rules one that is not there holds the fill value, whether it was never
    written or lost.

    Raises
    ------
    FileNotFoundError
        If one is missing, or if that cannot be known.
    ValueError
        If X is not in a store.
    """
    if not matrix.stored:
        raise ValueError(f"strict is for X in a store, and X is {matrix.location}: leave it out")
    for array in matrix.arrays:
        found = missing(array)
        if found is None:
            raise FileNotFoundError(f"whether {matrix.location} is complete cannot be known: its server lists nothing")
        if found.count:
            which, noun = f" ({found.key})" if found.key else "", "shards" if array.shards else "chunks"
            raise FileNotFoundError(
                f"{matrix.location} lacks {found.count} of {found.total} {noun}{which}, and strict forbids that: write "
                f"them again, or, if they hold nothing but the fill value {array.fill_value}, leave out --strict "
                f"(strict=True)"
            )


def find(X: object, layer: str | None) -> tuple[Any, str]:
    """What X is: a `zarr.Array`, a `zarr.Group` of a sparse matrix, or an array of another library; and where it is."""
    if is_anndata(X):
        member = _choose_member(X, layer)
        _refuse_hdf5(member)
        return find(member, None)
    if isinstance(X, str | Path):
        return _find_in_store(_open(str(X)), absolute(X), str(X), layer)
    group = getattr(X, "group", None)
    X = group if isinstance(group, zarr.Group) else X
    if isinstance(X, zarr.Array | zarr.Group):
        array, store = _reopen(X), X.store
        if isinstance(store, LocalStore):
            location = absolute(Path(store.root, X.path))
            return _find_in_store(_open(location), location, location, layer)
        return _find_in_store(array, str(array.store_path), str(array.store_path), layer)
    _refuse_hdf5(group)
    location = "a Dask array" if hasattr(X, "__dask_graph__") else "an array in memory"
    _refuse_layer(layer, location)
    return X, location


def is_anndata(X: object) -> bool:
    """Whether it is an AnnData object, of any of its classes."""
    return all(hasattr(X, name) for name in ("X", "layers", "obs_names"))


def _choose_member(X: Any, layer: str | None) -> object:
    """X of an AnnData object, or one of its layers."""
    if layer is None and X.X is None:
        raise ValueError(f"the AnnData object has no X: name one of its layers ({_list_names(X.layers)}) with layer=")
    if layer is not None and layer not in X.layers:
        raise ValueError(f"the AnnData object has no layer {layer!r}: it has {_list_names(X.layers)}")
    return X.X if layer is None else X.layers[layer]


def _refuse_hdf5(thing: object) -> None:
    """Raise TypeError for what h5py reads from a file, itself or under AnnData's own class."""
    for each in (thing, getattr(thing, "group", None)):
        if type(each).__module__.partition(".")[0] == "h5py":
            raise TypeError(
                "X is in an HDF5 file, which is not read strip by strip: make Zarr of it, `dnmf convert X.h5ad X.zarr`"
            )


def _list_names(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"


def _refuse_layer(layer: str | None, location: str) -> None:
    if layer is not None:
        raise ValueError(f"layer={layer!r} is for AnnData, and X is {location}: leave it out")


def _reopen(X: ZarrArray | zarr.Group) -> ZarrArray | zarr.Group:
    """The same array or group, from a store that carries no credentials to workers."""
    store = without_credentials(X.store)
    return X if store is X.store else zarr.open(store, path=X.path, mode="r")


def _open(location: str) -> ZarrArray | zarr.Group:
    """The Zarr array or group at a path or URL."""
    try:
        return zarr.open(answering(location), mode="r")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there is no Zarr array at {location}: give the path of one, or make one with `dnmf convert`"
        ) from None


def _find_in_store(
    found: ZarrArray | zarr.Group, location: str, shown: str, layer: str | None
) -> tuple[ZarrArray | zarr.Group, str]:
    """The matrix that a Zarr array or group is or, for AnnData, holds."""
    if isinstance(found, zarr.Array):
        _refuse_layer(layer, shown)
        return found, location
    encoding = found.attrs.get("encoding-type")
    if encoding == "anndata":
        name = "X" if layer is None else f"layers/{layer}"
        if name not in found:
            layers = _list_names(found["layers"]) if "layers" in found else "none"
            raise ValueError(f"{shown} is AnnData without {name}: its layers are {layers}")
        return _find_in_store(found[name], f"{location}/{name}", f"{shown}/{name}", None)
    _refuse_layer(layer, shown)
    if encoding in SPARSE:
        # What is consolidated in a group above may be older than the group itself.
        return zarr.open_group(found.store, path=found.path, mode="r", use_consolidated=False), location
    members = sorted(f"{shown}/{name}" for name, member in found.members() if _is_matrix(member))
    raise ValueError(
        f"{shown} is a Zarr group, not an array: name one of its matrices ({', '.join(members) or 'there is none'})"
    )


def _is_matrix(member: ZarrArray | zarr.Group) -> bool:
    return member.ndim == 2 if isinstance(member, zarr.Array) else member.attrs.get("encoding-type") in SPARSE
