"""X is found, wherever it is: the array or sparse group behind a path, a Zarr object or AnnData; and opened, unread.

AnnData and h5py are told by what they look like, and never imported. What X may be of other libraries is in `foreign`.
"""

import warnings
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from zarr.storage import LocalStore

from dnmf.arrays.rows import is_sparse
from dnmf.matrix.dense import DenseInMemory, StoredDense, StreamedDense, filled
from dnmf.matrix.foreign import Found, is_a, take
from dnmf.matrix.matrix import Matrix, working_dtype
from dnmf.matrix.missing import SAY_SO, Missing, check_possible, named_missing
from dnmf.matrix.names import names_in_store, names_of_anndata
from dnmf.matrix.sparse import SPARSE, SparseInMemory, StoredSparse
from dnmf.matrix.strips import Numbers
from dnmf.matrix.weights import weighed
from dnmf.stores.credentials import plain_address, refuse_credentials
from dnmf.stores.missing_chunks import Missing as Lacking
from dnmf.stores.missing_chunks import ZarrArray
from dnmf.stores.missing_chunks import missing as lacking
from dnmf.stores.paths import absolute
from dnmf.stores.places import answering


def open_matrix(X: object, *, layer: str | None = None, missing: str | None = None, weights: object = None) -> Matrix:
    """Open X without reading it.

    Parameters
    ----------
    X : path of a two-dimensional Zarr array (format 2 or 3, sharded or not, or a member of a group, as in
        "X.zarr/layers/counts"), of a sparse matrix in a Zarr group as AnnData and `dnmf convert` write it, or of
        AnnData in Zarr; a `zarr.Array` or `zarr.Group` of these; a scipy.sparse matrix or array; a Dask array, of NumPy
        or scipy.sparse blocks; an AnnData object, or its `raw`; an xarray DataArray, or Dataset with one matrix; a
        DataFrame of pandas, polars or Dask; an h5py dataset; anything that NumPy makes a two-dimensional array of; or
        what this function returned, which is given back.
    layer : of AnnData, one of its layers instead of its X.
    missing : which entries are missing: "nan", those that are NaN, masked, or a code for no number; "zeros", those that
        sparse X does not store; None, none: NaN and the like are refused.
    weights : of the entries, finite and not negative: what X may be, of the same shape. An entry whose weight is 0 is
        missing, whatever it is. An array of truth values is a mask: True says that an entry is observed.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        If there is no matrix, if it is not two-dimensional or has no entries, if its entries are not real numbers, if
        some are masked and that is not what is missing, or their codes cannot be read.
    """
    kind = named_missing(missing)
    opened = _open_one(X, layer, "weights" if weights is not None else kind)
    kind = kind or opened.missing
    check_possible(kind, opened.location, sparse=opened.together[0].sparse)
    if weights is not None:
        try:
            beside = _open_one(weights, None, "weights")
        except (FileNotFoundError, ValueError, TypeError) as error:
            raise type(error)(f"the weights cannot be used: {error}") from error
        return weighed(opened.together[0], beside, kind)
    return opened if kind is None or kind == opened.missing else opened.told(kind)


def _open_one(X: object, layer: str | None, missing: Missing | None) -> Matrix:
    """X, or weights, with nothing beside it."""
    if isinstance(X, Matrix):
        _refuse_layer(layer, X.location)
        return X
    found = find(X, layer)
    return replace(_opened(found.array, found.location, missing), named=found.named)


def _opened(found: Any, location: str, missing: Missing | None) -> Matrix:
    """X of the kind that was found."""
    if isinstance(found, zarr.Group):
        return StoredSparse.of(found, location)
    if isinstance(found, zarr.Array):
        return StoredDense.of(found, location)
    if hasattr(found, "__dask_graph__"):
        from dnmf.matrix.lazy import LazyDense, LazySparse  # noqa: PLC0415, it loads Dask, which made X

        # Dask tells only here what its blocks will be.
        lazy = LazySparse if is_sparse(getattr(found, "_meta", None)) else LazyDense
        return lazy.of(found, location)
    if is_sparse(found):
        return SparseInMemory.of(found, location)
    if np.ma.is_masked(found):
        found = _unmasked(found, missing)
    if isinstance(found, np.ndarray):
        return DenseInMemory.of(found, location)
    return StreamedDense.of(found, location)


def _unmasked(X: Any, missing: Missing | None) -> Numbers:
    """A masked array in memory with NaN in the place of what is masked, if that may be missing."""
    if missing is not None:
        return filled(X, working_dtype(X.dtype))
    masked = np.argwhere(np.ma.getmaskarray(X))
    place = ", ".join(map(str, masked[0].tolist()))
    raise ValueError(
        f"X is a masked array with {len(masked)} of {X.size} entries masked, the first is X[{place}]: every entry must "
        f"be a number; fill them where you know them, X.filled(0), leave their rows or columns out, or, {SAY_SO}"
    )


def tell_missing(matrix: Matrix) -> None:
    """Warn of dense X that lacks chunks, which are read as the fill value: they may have been lost, or never written.

    Where sparse X lacks some that matter, reading it fails.

    Raises
    ------
    FileNotFoundError
        If it lacks all of them.
    """
    for each in matrix.together:
        for array in () if each.sparse else each.arrays:
            found = lacking(array)
            if found is not None and found.count:
                _tell_missing(array, found, each.location)


def _tell_missing(array: ZarrArray, found: Lacking, location: str) -> None:
    which, noun = f" (the first is {found.key})" if found.key else "", "shards" if array.shards else "chunks"
    if found.count == found.total:
        raise FileNotFoundError(
            f"{location} lacks all of its {found.total} {noun}{which}: nothing was written to it, or it was lost; "
            f"write X again"
        )
    warnings.warn(
        f"{location} lacks {found.count} of {found.total} {noun}{which}: they are missing or were never written, and "
        f"are read as {array.fill_value}; --strict (strict=True) refuses them",
        stacklevel=4,
    )


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
    for location, array in ((each.location, array) for each in matrix.together for array in each.arrays):
        found = lacking(array)
        if found is None:
            raise FileNotFoundError(f"whether {location} is complete cannot be known: its server lists nothing")
        if found.count:
            which, noun = f" ({found.key})" if found.key else "", "shards" if array.shards else "chunks"
            raise FileNotFoundError(
                f"{location} lacks {found.count} of {found.total} {noun}{which}, and strict forbids that: write "
                f"them again, or, if they hold nothing but the fill value {array.fill_value}, leave out --strict "
                f"(strict=True)"
            )


def find(X: Any, layer: str | None) -> Found:
    """What X is, where it is, and what gives its labels."""
    if is_a(X, "dask.delayed", "Delayed") or is_a(X, "mudata", "MuData"):
        # Neither is AnnData, though it has the attributes.
        return take(X)
    if is_anndata(X):
        return replace(find(_choose_member(X, layer), None), named=partial(names_of_anndata, X))
    if isinstance(X, str | PathLike):
        path = X if isinstance(X, str | Path) else str(X)
        return _find_in_store(_open(str(path)), absolute(path), str(path), layer)
    group = getattr(X, "group", None)
    X = group if isinstance(group, zarr.Group) else X
    if isinstance(X, zarr.Array | zarr.Group):
        refuse_credentials(X.store)
        if isinstance(X.store, LocalStore):
            location = absolute(Path(X.store.root, X.path))
            return _find_in_store(_open(location), location, location, layer)
        known = plain_address(X.store)
        location = str(X.store_path) if known is None else absolute(f"{known}/{X.path}")
        return _find_in_store(_reopen(X), location, location, layer)
    _refuse_hdf5(group)
    if _is_raw(X):
        _refuse_layer(layer, "the raw data of AnnData")
        return replace(find(X.X, None), named=partial(names_of_anndata, X))
    found = take(X)
    _refuse_layer(layer, found.location)
    return found


def is_anndata(X: object) -> bool:
    """Whether it is an AnnData object, of any of its classes."""
    return all(hasattr(X, name) for name in ("X", "layers", "obs_names"))


def _is_raw(X: object) -> bool:
    """Whether it is what AnnData keeps as `raw`."""
    return all(hasattr(X, name) for name in ("X", "obs_names", "var_names"))


def _choose_member(X: Any, layer: str | None) -> object:
    """X of an AnnData object, or one of its layers."""
    if layer is None and X.X is None:
        raise ValueError(f"the AnnData object has no X: name one of its layers ({_list_names(X.layers)}) with layer=")
    if layer is not None and layer not in X.layers:
        raise ValueError(f"the AnnData object has no layer {layer!r}: it has {_list_names(X.layers)}")
    return X.X if layer is None else X.layers[layer]


def _refuse_hdf5(group: object) -> None:
    """Raise TypeError for a sparse matrix that AnnData reads from HDF5."""
    if type(group).__module__.partition(".")[0] == "h5py":
        raise TypeError(
            "X is a sparse matrix in an HDF5 file, which is not read strip by strip: make Zarr of it, `dnmf convert "
            "X.h5ad X.zarr`"
        )


def _list_names(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"


def _refuse_layer(layer: str | None, location: str) -> None:
    if layer is not None:
        raise ValueError(f"layer={layer!r} is for AnnData, and X is {location}: leave it out")


def _reopen(X: ZarrArray | zarr.Group) -> ZarrArray | zarr.Group:
    """The same array or group as it is now: what is consolidated may be older than what it tells of."""
    mode: Literal["r", "r+"] = "r" if X.read_only else "r+"
    return zarr.open(X.store, path=X.path, mode=mode, use_consolidated=False)


def _open(location: str) -> ZarrArray | zarr.Group:
    """The Zarr array or group at a path or URL: what is consolidated there may be older than what it tells of."""
    try:
        return zarr.open(answering(location), mode="r", use_consolidated=False)
    except FileNotFoundError:
        remedy = "give the path of one, or make one with `dnmf convert`"
        if Path(location).is_file():
            remedy = f"that is a file; make Zarr of it, `dnmf convert {location} X.zarr`"
        raise FileNotFoundError(f"there is no Zarr array at {location}: {remedy}") from None


def _find_in_store(found: ZarrArray | zarr.Group, location: str, shown: str, layer: str | None) -> Found:
    """The matrix that a Zarr array or group is or, for AnnData, holds."""
    if isinstance(found, zarr.Array):
        _refuse_layer(layer, shown)
        return Found(found, location, partial(names_in_store, found, location))
    encoding = found.attrs.get("encoding-type")
    if encoding == "anndata":
        name = "X" if layer is None else f"layers/{layer}"
        if name not in found:
            layers = _list_names(_listed(found["layers"])) if "layers" in found else "none"
            raise ValueError(f"{shown} is AnnData without {name}: its layers are {layers}")
        return _find_in_store(found[name], f"{location}/{name}", f"{shown}/{name}", None)
    _refuse_layer(layer, shown)
    if encoding in SPARSE:
        return Found(found, location, partial(names_in_store, found, location))
    members = _matrices(found, shown) or "there is none"
    raise ValueError(f"{shown} is a Zarr group, not an array: name one of its matrices ({members})")


def _matrices(group: zarr.Group, shown: str) -> str:
    """The matrices in a group, as people name them."""
    return ", ".join(sorted(f"{shown}/{name}" for name, member in _listed(group).members() if _is_matrix(member)))


def _listed(group: Any) -> Any:
    """A group whose members can be listed: where its server lists nothing, those that are consolidated there."""
    if group.store.supports_listing:
        return group
    return zarr.open_group(group.store, path=group.path, mode="r")


def _is_matrix(member: ZarrArray | zarr.Group) -> bool:
    return member.ndim == 2 if isinstance(member, zarr.Array) else member.attrs.get("encoding-type") in SPARSE
