"""Where the names of X's rows and columns are found: in AnnData, in xarray's coordinates, in tables; stored or not.

Every function gives `Labels`; None in them is told of what has none. Nothing of X is read, and no library imported.
"""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import zarr

from dnmf.matrix.labels import Labels, Names
from dnmf.stores.missing_chunks import ZarrArray
from dnmf.stores.places import place

# Below X that `dnmf convert` wrote: the group of two arrays of names, `rows` and `columns`.
LABELS = "labels"

# Coordinates that are numbers of something else, such as days since a date: as texts they would name nothing.
CODED = ("scale_factor", "add_offset", "calendar")


def names_of_anndata(X: Any) -> Labels:
    """Of AnnData's observations and variables; of its `raw` too."""
    return Labels.of(X.obs_names, X.var_names)


def names_of_data_array(X: Any) -> Labels:
    """Of an xarray DataArray's two dimensions, where these have coordinates."""
    return Labels.of(*(X.coords[name].values if name in X.coords else None for name in X.dims))


def names_of_frame(X: Any) -> Labels:
    """Of a pandas DataFrame, where its index is more than a count."""
    return Labels.of(*(None if _counts(index) else index for index in (X.index, X.columns)))


def names_of_columns(columns: Any) -> Labels:
    """Of a table whose rows have none."""
    return Labels.of(None, None if _counts(columns) else columns)


def _counts(index: Any) -> bool:
    """Whether an index of pandas is 0, 1, 2, …, which it is where nobody gave one; not a selection of these."""
    return type(index).__name__ == "RangeIndex" and (index.start, index.step) == (0, 1)


def names_beside(node: ZarrArray | zarr.Group) -> Labels:
    """Of X that `dnmf convert` wrote: texts below X.

    Raises
    ------
    FileNotFoundError
        If there are none.
    """
    path = f"{node.path}/{LABELS}".lstrip("/")
    holder = zarr.open_group(node.store, path=path, mode="r", use_consolidated=False)
    return Labels.of(*(_read(holder[axis]) if axis in holder else None for axis in ("rows", "columns")))


def names_in_store(node: ZarrArray | zarr.Group, location: str) -> Labels:
    """Of a matrix in a store: those beside it; AnnData's, if it is X, a layer or raw/X; or coordinates of xarray's."""
    with warnings.catch_warnings(), suppress(FileNotFoundError, KeyError, ValueError, TypeError):
        # Zarr warns of texts, which its specification does not have.
        warnings.simplefilter("ignore")
        with suppress(FileNotFoundError):
            return names_beside(node)
        above = list(_above(node, location))
        for member, holder in above:
            if holder.attrs.get("encoding-type") == "anndata":
                return _of_stored_anndata(holder, member)
        if above and isinstance(node, zarr.Array):
            return _of_coordinates(node, above[0][1])
    return Labels()


def _above(node: ZarrArray | zarr.Group, location: str) -> Iterator[tuple[str, zarr.Group]]:
    """The two groups above a node, the nearest first, and what the node is called in each."""
    inside, parts, member = bool(node.path), (node.path or location).split("/"), ""
    for _ in range(2):
        if len(parts) < 1 + (not inside):
            return
        member = f"{parts.pop()}/{member}".rstrip("/")
        path = "/".join(parts)
        where: dict[str, Any] = {"store": node.store, "path": path} if inside else {"store": place(path)}
        with suppress(FileNotFoundError):
            yield member, zarr.open_group(**where, mode="r", use_consolidated=False)


def _of_stored_anndata(holder: zarr.Group, member: str) -> Labels:
    if member != "X" and not member.startswith("layers/") and member != "raw/X":
        return Labels()
    tables = "obs", "raw/var" if member == "raw/X" else "var"
    rows, columns = (_read(holder[table][holder[table].attrs["_index"]]) for table in tables)  # type: ignore[index]
    return Labels.of(rows, columns)


def _of_coordinates(array: ZarrArray, holder: zarr.Group) -> Labels:
    dimensions: Any = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS") or ()
    found = [_coordinate(holder, name, length) for name, length in zip(dimensions, array.shape, strict=False)]
    return Labels.of(*found) if len(found) == 2 else Labels()


def _coordinate(holder: zarr.Group, name: str | None, length: int) -> Names | None:
    if name is None or name not in holder:
        return None
    found = holder[name]
    coded = any(key in found.attrs for key in CODED) or " since " in str(found.attrs.get("units", ""))
    return None if coded or getattr(found, "shape", None) != (length,) else _read(found)


def _read(column: Any) -> Names | None:
    """A column of a table that AnnData, or a coordinate that xarray wrote."""
    if isinstance(column, zarr.Array):
        return np.asarray(column[:], dtype=object)
    if "values" in column:
        return _read(column["values"])
    if "codes" in column and (categories := _read(column["categories"])) is not None:
        return np.asarray(categories[np.asarray(column["codes"][:])])
    return None
