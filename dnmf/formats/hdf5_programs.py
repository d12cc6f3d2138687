"""How programs mark matrices in HDF5, and names: AnnData, also before 0.7, 10x Genomics, loom, Seurat, MATLAB 7.3.

Nothing of h5py is imported: a file, its groups and datasets are used as they come.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dnmf.formats.contents import About, Shape, names_apart

# What AnnData calls a group that is a sparse matrix.
ANNDATA = {"csr_matrix": "csr", "csc_matrix": "csc"}

# The vectors of a sparse matrix as most name them, and as MATLAB does.
VECTORS = {"indptr": "indptr", "indices": "indices", "data": "data"}
MATLAB = {"indptr": "jc", "indices": "ir", "data": "data"}

# Of a dataset: what says how its entries are meant.
CODES = (
    "scale_factor", "add_offset", "_Unsigned", "_FillValue", "missing_value", "valid_range", "valid_min", "valid_max",
)  # fmt: skip

# What no two rows have alike, where names may be: by 10x Genomics and in loom.
TENX_IDS, LOOM_IDS = ("features/id", "genes"), ("row_attrs/Accession",)

# Names that are read at a time.
SOME = 2**16

# Opens a file, again for each that reads of it while others do.
Opening = Callable[[Path], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Sparse:
    """A group that is a sparse matrix.

    Attributes
    ----------
    kind : "csr" or "csc".
    shape : (m, n), as its program has it.
    vectors : the names of indptr, indices and data in the group.
    """

    kind: str
    shape: Shape
    vectors: Mapping[str, str]


def matrix_shape(name: str, item: Any) -> Shape | None:
    """The shape of a dataset or of a group that is a sparse matrix, as its program has it; None for what is neither."""
    if hasattr(item, "dtype") and hasattr(item, "shape"):
        class_ = _text(item.attrs.get("MATLAB_class", ""))
        if class_ in ("char", "cell") or name.startswith("#"):
            return None
        shape = item.shape or ()
        return shape[::-1] if class_ else shape
    sparse = sparse_in(item) if hasattr(item, "keys") else None
    return sparse.shape if sparse else None


def sparse_in(group: Any) -> Sparse | None:
    """The sparse matrix that a group is, by the marks of its program; None where it is none."""
    if hasattr(group, "dtype"):
        return None
    marks = group.attrs
    if "MATLAB_sparse" in marks and "jc" in group:
        return Sparse("csc", (_number(marks["MATLAB_sparse"]), group["jc"].size - 1), MATLAB)
    if not all(vector in group for vector in VECTORS):
        return None
    if kind := ANNDATA.get(_text(marks.get("encoding-type", ""))):
        return Sparse(kind, _sides(marks.get("shape", ())), VECTORS)
    if "h5sparse_format" in marks:
        return Sparse(_text(marks["h5sparse_format"]), _sides(marks["h5sparse_shape"]), VECTORS)
    if "dims" in marks:
        # Seurat's: columns of cells.
        return Sparse("csc", _sides(marks["dims"]), VECTORS)
    return _by_shape(group)


def _by_shape(group: Any) -> Sparse | None:
    """A group with its shape in a dataset, as 10x Genomics writes columns, and others either."""
    shape = group.get("shape")
    if shape is None or shape.size != 2:
        return None
    m, n = _sides(shape[()])
    said = _text(group["format"][()]) if "format" in group else _text(group.attrs.get("format", ""))
    fits = [kind for kind, count in (("csc", n), ("csr", m)) if group["indptr"].size == count + 1]
    return Sparse(said if said in ("csr", "csc") else (fits or ["csc"])[0], (m, n), VECTORS)


# Where names are in a file: the path of a dataset; a field of it, where it is a table; what tells equal ones apart.
Place = tuple[str, str | None, str | None]

# Places of the names of rows and columns, and what rows and columns are, in words.
Named = tuple[Place | None, Place | None, str]


def about(path: Path, opening: Opening, file: Any, name: str) -> About:
    """What a file says of the matrix of a name, beside its entries."""
    group = file[name]
    codes = {code: _plain(group.attrs[code]) for code in CODES if code in group.attrs}
    *places, taken = _named(file, name)
    rows, columns = (None if at is None else _Texts(path, opening, *at) for at in places)
    return About(rows, columns, (taken,) if taken else (), codes)


def _named(file: Any, name: str) -> Named:
    """Where the names of a matrix are, by the program that wrote it."""
    group = file[name]
    if hasattr(group, "keys") and "barcodes" in group:
        features = _place(group, name, ("features/name", "gene_names", *TENX_IDS), TENX_IDS)
        return features, _place(group, name, ("barcodes",)), _turnable("10x Genomics", "features", "barcodes")
    if "row_attrs" in file and "col_attrs" in file:
        rows = _place(file, "", ("row_attrs/Gene", *LOOM_IDS, "row_attrs/var_names"), LOOM_IDS)
        columns = _place(file, "", ("col_attrs/CellID", "col_attrs/obs_names"))
        return rows, columns, _turnable("loom", "genes", "cells")
    if "cell.names" in file and name.startswith("assays/"):
        features = _place(file, "", (f"{name.rpartition('/')[0]}/features",))
        return features, ("cell.names", None, None), _turnable("Seurat", "features", "cells")
    obs, var = _anndata_tables(name)
    if obs in file and var in file:
        return _index(file, obs), _index(file, var), ""
    return None, None, "MATLAB 7.3" if "MATLAB_class" in group.attrs or "MATLAB_sparse" in group.attrs else ""


def _anndata_tables(name: str) -> tuple[str, str]:
    """Where AnnData keeps the tables of rows and of columns of a matrix of a name: X, raw/X or layers/…"""
    if not name.endswith("X"):
        root = name.partition("layers/")[0]
        return f"{root}obs", f"{root}var"
    root = name.removesuffix("X").removesuffix("raw/")
    return f"{root}obs", f"{root}raw/var" if name.endswith("raw/X") else f"{root}var"


def _turnable(program: str, rows: str, columns: str) -> str:
    """What rows and columns are of a program that others read the other way round."""
    return f"{program}: rows are {rows}, columns are {columns}; --transpose turns them"


def _place(group: Any, above: str, members: Sequence[str], ids: Sequence[str] = ()) -> Place | None:
    """The first of some members that there is, and the first that tells equal names in it apart."""
    found, apart = (
        f"{above}/{first}".lstrip("/") if (first := _first(group, names)) else None for names in (members, ids)
    )
    return None if found is None else (found, None, apart)


def _first(group: Any, members: Sequence[str]) -> str | None:
    """The first of some members that there is."""
    return next((member for member in members if member in group), None)


def _index(file: Any, table: str) -> Place | None:
    """The index of one of AnnData's tables: a dataset of its group, or a field where the table is one dataset."""
    found = file[table]
    if hasattr(found, "dtype"):
        field = _first(found.dtype.names or (), ("_index", "index"))
        return (table, field, None) if field else None
    index = f"{table}/{_text(found.attrs.get('_index', '_index'))}"
    if index in file and hasattr(file[index], "keys"):
        index = f"{index}/values"
    return (index, None, None) if index in file else None


@dataclass(frozen=True, slots=True)
class _Texts:
    """Names in a file, some at a time; those that several have, with what tells them apart."""

    path: Path
    opening: Opening
    place: str
    field: str | None
    ids: str | None

    def __iter__(self) -> Iterator[list[str]]:
        with self.opening(self.path) as file:
            texts, ids = file[self.place], file[self.ids] if self.ids and self.ids != self.place else None
            if ids is not None:
                yield names_apart(_texts(texts[()]), _texts(ids[()]))
                return
            for start in range(0, texts.shape[0], SOME):
                some = texts[start : start + SOME]
                yield _texts(some if self.field is None else some[self.field])


def _texts(values: Any) -> list[str]:
    return [each.decode(errors="replace") if isinstance(each, bytes) else str(each) for each in values]


def _text(value: Any) -> str:
    """A text of an attribute: not all who write HDF5 write it as Python does."""
    array = np.asarray(value).reshape(-1)
    return _texts(array[:1].tolist())[0] if array.size else ""


def _number(value: Any) -> int:
    return int(np.asarray(value).reshape(-1)[0])


def _sides(value: Any) -> Shape:
    return tuple(int(length) for length in np.asarray(value).reshape(-1))


def _plain(value: Any) -> Any:
    """A number or a text as JSON has it."""
    array = np.asarray(value).reshape(-1)
    if array.dtype.kind in "SUO":
        return _text(value)
    return array[0].item() if array.size == 1 else array.tolist()
