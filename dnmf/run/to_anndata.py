"""Results into the AnnData that X came from: W as `obsm`, V as `varm`, what components are as `uns` of its store."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import ZarrUserWarning

from dnmf.arrays.rows import Array
from dnmf.components.words import Components
from dnmf.matrix.labels import Labels, Names
from dnmf.run.components import describe
from dnmf.run.result import Factorization
from dnmf.stores.identity import nested
from dnmf.stores.paths import absolute
from dnmf.stores.places import place

# Rows of W that are copied at a time, where its chunks say nothing.
ROWS = 65_536

# What AnnData says of a group, of an array of numbers, and of one of texts.
DICT: dict[str, Any] = {"encoding-type": "dict", "encoding-version": "0.1.0"}
ARRAY: dict[str, Any] = {"encoding-type": "array", "encoding-version": "0.2.0"}
TEXTS: dict[str, Any] = {"encoding-type": "string-array", "encoding-version": "0.2.0"}


def write_back(
    result: Factorization,
    store: str | Path,
    *,
    obsm: str = "X_nmf",
    varm: str = "NMF",
    uns: str = "nmf",
    overwrite: bool = False,
) -> None:
    """Write W to `obsm[obsm]`, Vᵀ to `varm[varm]`, and what components are to `uns[uns]`. Writes to AnnData in Zarr.

    `uns[uns]` is a dict of arrays in the order of the columns of W: `share`, `mass`, `alone`, `sparseness_V`,
    `sparseness_W` (k,), `features` (k, 10), the names of the variables that are most specific to each, "" where there
    are fewer, and `specificity` (k, 10), how specific, NaN there: see `Factorization.components_table`.

    Parameters
    ----------
    result : a factorization of this AnnData's X, or of a layer, or of other rows with the same columns.
    store : path of the AnnData.
    obsm, varm, uns : names there.
    overwrite : replace what has these names.

    Raises
    ------
    ValueError, FileNotFoundError, FileExistsError
        If there is no AnnData, if it has other rows or columns than the factors, or members of these names. Columns
        that have names are matched by them, in any order; rows must have the same names in the same order.
    """
    group = open_anndata(store, obsm=obsm, varm=varm, uns=uns, overwrite=overwrite)
    _check_not_x(store, (f"obsm/{obsm}", f"varm/{varm}", f"uns/{uns}"), result.about.x.path)
    if result.W is None:
        raise ValueError("the factorization has no W (keep_W was False): factorize X again, and keep it")
    targets = [("obsm", "obs", obsm, result.W), ("varm", "var", varm, result.V.T)]
    for _, table, name, values in targets:
        length = len(_index(group, table))
        if length != len(values):
            raise ValueError(
                f"{store} has {length} rows in {table}, and {name} would have {len(values)}: factors of its X"
            )
    there, known = Labels.of(*(_index(group, table) for table in ("obs", "var"))), result.labels
    _check_rows(there.rows, known.rows, store)
    if (places := there.columns_in(known.columns)) is not None:
        targets[1] = ("varm", "var", varm, result.V.T[places])
    told = describe(result)
    if told.names is None:
        told = replace(told, names=there.columns)
    for member, _, name, values in targets:
        _write(group, member, name, values, overwrite=overwrite)
    _write_told(group, uns, told, overwrite=overwrite)
    if group.metadata.consolidated_metadata is not None:
        _list(group)


def _list(group: zarr.Group) -> None:
    """List what was written where AnnData lists all members."""
    with warnings.catch_warnings():
        # AnnData's store has consolidated metadata already, whatever the specification says of them.
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(group.store, path=group.path, zarr_format=group.metadata.zarr_format)


def open_anndata(
    store: str | Path, *, obsm: str = "X_nmf", varm: str = "NMF", uns: str = "nmf", overwrite: bool
) -> zarr.Group:
    """AnnData in Zarr, to write results of these names to.

    Raises
    ------
    ValueError, FileNotFoundError, FileExistsError
        If there is no AnnData, or one that has such results already.
    """
    try:
        group = zarr.open_group(place(store), mode="r+")
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no Zarr group at {store}: give the path of AnnData in Zarr") from None
    if group.attrs.get("encoding-type") != "anndata":
        raise ValueError(f"{store} is not AnnData in Zarr: give the path of one, or read W and V from the run")
    for name in (f"obsm/{obsm}", f"varm/{varm}", f"uns/{uns}"):
        if name in group and not overwrite:
            raise FileExistsError(f"{store} has {name}: choose another name, or overwrite it (overwrite=True)")
        if name in group and "dnmf" in group[name].attrs:
            raise FileExistsError(f"{name} of {store} is a run of dnmf, so it is not overwritten: choose another name")
    return group


def _check_not_x(store: str | Path, members: tuple[str, ...], x: str) -> None:
    """Refuse to write where X of the factorization is."""
    for member in members:
        if nested(f"{absolute(store)}/{member}", x):
            raise ValueError(f"{member} of {store} is the X of this factorization: choose another name")


def check_apart(store: str | Path, out: str | Path) -> None:
    """Refuse a run at `out` that results in the AnnData would replace, or be written into."""
    for member in ("obsm/X_nmf", "varm/NMF", "uns/nmf"):
        if nested(absolute(out), f"{absolute(store)}/{member}"):
            raise ValueError(
                f"the output {out} is where results are written back to, {member} of {store}: choose another"
            )


def _index(group: zarr.Group, table: str) -> NDArray[Any]:
    """The index of `obs` or `var`: the names of its rows."""
    index: Any = group[f"{table}/{group[table].attrs['_index']}"]
    # Texts of which some may be missing are a group.
    values: Any = index["values"] if isinstance(index, zarr.Group) else index
    return np.asarray(values[:])


def _check_rows(there: Names | None, known: Names | None, store: str | Path) -> None:
    """Refuse AnnData whose rows are named, and others than those of the run."""
    if there is None or known is None or np.array_equal(there, known):
        return
    first = int(np.flatnonzero(there != known)[0])
    raise ValueError(
        f"row {first} of {store} is {there[first]!r} and was {known[first]!r} in the run: the same rows in the same "
        f"order are required; write to the AnnData that was factorized"
    )


def _write(group: zarr.Group, place: str, name: str, values: da.Array | Array, *, overwrite: bool) -> None:
    """Write rows by component to a member of a table, as many rows at a time as a chunk has."""
    if place not in group:
        group.create_group(place, attributes=DICT)
    length, rank = values.shape
    height = values.chunks[0][0] if isinstance(values, da.Array) else min(length, ROWS)
    array = group.require_group(place).create_array(
        name,
        shape=(length, rank),
        chunks=(height, rank),
        dtype=values.dtype,
        overwrite=overwrite,
        attributes=ARRAY,
    )
    for start in range(0, length, height):
        array[start : start + height] = np.asarray(values[start : start + height])


def _write_told(group: zarr.Group, name: str, told: Components, *, overwrite: bool) -> None:
    """Write what components are, in the order of the run, as a dict of arrays."""
    if "uns" not in group:
        group.create_group("uns", attributes=DICT)
    there = group.require_group("uns").create_group(name, overwrite=overwrite, attributes=DICT)
    order = np.argsort(told.number)
    for each in ("share", "mass", "alone", "sparseness_V", "sparseness_W"):
        _create(there, each, getattr(told, each)[order], ARRAY)
    most = max(map(len, told.features))
    names, scores = np.full((len(told), most), "", object), np.full((len(told), most), np.nan)
    for row, a in enumerate(order):
        names[row, : len(told.features[a])] = told.named_features[a]
        scores[row, : len(told.features[a])] = told.scores[a]
    _create(there, told.by, scores, ARRAY)
    with warnings.catch_warnings():
        # Zarr warns of texts, which its specification does not have.
        warnings.simplefilter("ignore")
        _create(there, "features", names.astype(np.dtypes.StringDType()), TEXTS)


def _create(group: zarr.Group, name: str, values: NDArray[Any], attributes: dict[str, Any]) -> None:
    dtype: Any = "string" if values.dtype.kind == "T" else values.dtype
    array = group.create_array(name, shape=values.shape, dtype=dtype, attributes=attributes)
    array[...] = values
