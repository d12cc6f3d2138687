"""HDF5: any dataset with two axes, wherever in the file it is, and AnnData's sparse matrices."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dnmf.formats.contents import Contents, Dtype, Numbers, Shape, Source, SparseContents, choose, cuts
from dnmf.formats.sparse_entries import Take, cut_compressed

# What AnnData calls a group that is a sparse matrix, and the vectors in it.
SPARSE = {"csr_matrix": "csr", "csc_matrix": "csc"}
VECTORS = ("indptr", "indices", "data")


def read_h5ad(source: Source) -> Contents | SparseContents:
    """Read AnnData's X, or another matrix by its name, such as layers/counts."""
    return read_hdf5(replace(source, dataset=source.dataset or "X"))


def read_hdf5(source: Source) -> Contents | SparseContents:
    """Read a dataset of an HDF5 file, or a group that is a sparse matrix."""
    path, wanted = source.path, source.dataset and source.dataset.strip("/")
    h5py = _h5py(path)
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path} is no HDF5 file: its suffix says that it is; rename it or write it with h5py")
    shapes: dict[str, Shape] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            shapes[name] = item.shape or ()
        elif isinstance(item, h5py.Group) and _kind(item):
            shapes[name] = tuple(int(length) for length in item.attrs.get("shape", ()))

    with h5py.File(path) as file:
        file.visititems(note)
        name = choose(replace(source, dataset=wanted), shapes)
        shape, found = shapes[name], file[name]
        if isinstance(found, h5py.Dataset):
            return Contents(shape, found.dtype, _strips(path, name, shape, found.dtype))
        kind, sizes = _kind(found), {vector: found[vector].size for vector in VECTORS}
        pieces = cut_compressed(path, kind, shape, sizes, _vectors(path, name))
        return SparseContents(shape, found["data"].dtype, kind, sizes["data"], pieces)


def _h5py(path: Path) -> Any:
    """The library, which is an extra."""
    try:
        import h5py  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ImportError(f'{path} is an HDF5 file and h5py is missing: pip install "dnmf[hdf5]"') from error
    return h5py


def _kind(group: Any) -> str:
    """How a group holds a sparse matrix: csr or csc; nothing where it is none."""
    if not all(vector in group for vector in VECTORS):
        return ""
    # Not all who write HDF5 write the texts of attributes as Python does.
    return SPARSE.get(np.asarray(group.attrs.get("encoding-type", "")).astype(str).item(), "")


def _strips(path: Path, name: str, shape: Shape, dtype: Dtype) -> Iterator[Numbers]:
    """Strips of a dataset."""
    with _h5py(path).File(path) as file:
        for start, stop in cuts(shape, dtype):
            yield file[name][start:stop]


@contextmanager
def _vectors(path: Path, name: str) -> Iterator[Take]:
    """Open the vectors of a sparse matrix, to be read from their starts."""
    places = Counter[str]()

    with _h5py(path).File(path) as file:

        def take(vector: str, count: int) -> Numbers:
            start = places[vector]
            places[vector] += count
            return np.asarray(file[name][vector][start : start + count])

        yield take
