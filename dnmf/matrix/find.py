"""Where X lives: the array or sparse group behind a path, a Zarr object or AnnData, and how a part of it is read.

Knows Zarr. AnnData and h5py are told by what they look like, and never imported.
"""

from pathlib import Path
from typing import Any

import zarr
from zarr.storage import LocalStore

from dnmf.stores.credentials import without_credentials
from dnmf.stores.paths import absolute
from dnmf.stores.places import answering

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
