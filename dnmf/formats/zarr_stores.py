"""Zarr itself, dense or sparse, in folders, behind URLs and in .zarr.zip: to be written in other chunks, or turned."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import zarr
from zarr.storage import ZipStore

from dnmf.formats.contents import About, Contents, Numbers, Source, SparseContents, cuts, strip_height
from dnmf.formats.sparse_entries import Take, cut_compressed
from dnmf.stores.missing_chunks import ZarrArray

# What AnnData says of a sparse matrix.
KINDS = {"csr_matrix": "csr", "csc_matrix": "csc"}

# The files that make a folder an array or a group.
MARKS = ("zarr.json", ".zarray", ".zgroup")

# Where xarray keeps names of dimensions in format 2.
DIMENSIONS = "_ARRAY_DIMENSIONS"


def read_zarr(source: Source) -> Contents | SparseContents:
    """Read what `factorize` would: an array, a sparse matrix, AnnData's X; or another of a group by its name."""
    from dnmf.matrix.opening import open_matrix  # noqa: PLC0415 - loads Dask, which no file needs

    matrix = open_matrix(_in_zip(source) if source.path.is_file() else "/".join(filter(None, _place(source))))
    node, names = matrix.array, matrix.labels
    rows, columns = (None if each is None else [each.tolist()] for each in (names.rows, names.columns))
    if not matrix.sparse:
        about = About(rows, columns, attributes=_codes(node))
        return Contents(node.shape, node.dtype, _strips(node, source.scratch), about)
    kind, vectors = KINDS[node.attrs["encoding-type"]], {name: node[name] for name in ("indptr", "indices", "data")}
    sizes = {name: vector.size for name, vector in vectors.items()}
    pieces = cut_compressed(source.path, kind, matrix.grid.shape, sizes, _taking(vectors))
    return SparseContents(matrix.grid.shape, vectors["data"].dtype, kind, sizes["data"], pieces, About(rows, columns))


def _place(source: Source) -> tuple[str, str]:
    return source.where.rstrip("/"), (source.dataset or "").strip("/")


def _in_zip(source: Source) -> Any:
    """The node that is asked for in a zip archive."""
    where, name = _place(source)
    root = zarr.open(ZipStore(source.path, mode="r"), path=_top(source.path), mode="r")
    if not name and isinstance(root, zarr.Group) and "encoding-type" not in root.attrs:
        held = ", ".join(sorted(name for name, member in root.arrays() if member.ndim == 2)) or "there is none"
        rule = f"name one of its matrices with --dataset (dataset=): {held}"
        raise ValueError(f"{where} is a Zarr group, not an array: {rule}")
    if not name:
        return root
    if not isinstance(root, zarr.Group) or name not in root:
        raise ValueError(f"{where} holds no {name}: a name in it is required; leave it out to see which there are")
    return root[name]


def _top(path: Path) -> str:
    """Where Zarr begins in a zip archive: at its top, or in the one folder there, as who packs a folder gets it."""
    with ZipFile(path) as archive:
        names = set(archive.namelist())
    if names & set(MARKS):
        return ""
    tops = sorted(name.partition("/")[0] for name in names if name.partition("/")[2] in MARKS)
    if len(tops) != 1:
        held = f"{len(tops)} of them" if tops else "none"
        raise ValueError(f"{path} holds {held}: one Zarr array or group is required, at its top or in one folder")
    return tops[0]


def _codes(array: ZarrArray) -> dict[str, Any]:
    """What an array says of how its numbers are meant, but for the names of its dimensions."""
    attributes = {name: value for name, value in array.attrs.asdict().items() if name != DIMENSIONS}
    fill = array.fill_value
    if array.metadata.zarr_format == 2 and DIMENSIONS in array.attrs and fill is not None and not isnan(fill):
        # In format 2, xarray has no other place for the number that stands for a missing one.
        attributes.setdefault("_FillValue", np.asarray(fill).item())
    return attributes


def _strips(array: ZarrArray, scratch: Path) -> Iterator[Numbers]:
    """Strips of an array. Chunks that are taller are read once, and lie aside until they are used up."""
    (m, n), (high, wide) = array.shape, array.chunks
    height = strip_height((m, n), array.dtype)
    if high <= height:
        for start, stop in cuts((m, n), array.dtype):
            yield np.asarray(array[start:stop])
        return
    for top in range(0, m, high):
        end = min(top + high, m)
        # Raw, in chunks of a strip's height.
        aside = zarr.create_array(
            scratch / "band", shape=(end - top, n), chunks=(min(height, end - top), min(wide, n)), dtype=array.dtype,
            compressors=None, overwrite=True,
        )  # fmt: skip
        for left in range(0, n, wide):
            aside[:, left : left + wide] = np.asarray(array[top:end, left : left + wide])
        # Up to the next multiple of the height: chunks that are written are whole but at the edges of bands.
        for start in (top, *range(top - top % height + height, end, height)):
            yield np.asarray(aside[start - top : min(start - start % height + height, end) - top])


@contextmanager
def _taking(vectors: dict[str, Any]) -> Iterator[Take]:
    """Vectors of a sparse matrix, to be read from their starts."""
    places = Counter[str]()

    def take(vector: str, count: int) -> Numbers:
        start = places[vector]
        places[vector] += count
        return np.asarray(vectors[vector][start : start + count])

    yield take
