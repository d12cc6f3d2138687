"""HDF5: any dataset with two axes, and the sparse matrices of other programs, wherever in the file they are.

How programs mark what they write is known in `hdf5_programs`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from dnmf.formats.contents import Contents, Dtype, Numbers, Shape, Source, SparseContents, choose, cuts
from dnmf.formats.hdf5_programs import Sparse, about, matrix_shape, sparse_in
from dnmf.formats.sparse_entries import Take, cut_compressed
from dnmf.formats.turned import turned

# Filters of HDF5 that hdf5plugin brings, by their registered numbers.
PLUGINS = {
    307: "bzip2", 32000: "LZF", 32001: "Blosc", 32004: "LZ4", 32008: "Bitshuffle", 32013: "ZFP", 32015: "Zstandard",
    32017: "SZ", 32018: "FCIDECOMP", 32024: "SZ3", 32026: "Blosc2", 32028: "SPERR",
}  # fmt: skip


def read_h5ad(source: Source) -> Contents | SparseContents:
    """Read AnnData's X, or another matrix by its name, such as layers/counts."""
    return read_hdf5(replace(source, dataset=source.dataset or "X"))


def read_loom(source: Source) -> Contents | SparseContents:
    """Read a loom file's matrix, or another one by its name, such as layers/spliced."""
    return read_hdf5(replace(source, dataset=source.dataset or "matrix"))


def read_hdf5(source: Source) -> Contents | SparseContents:
    """Read a dataset of an HDF5 file, or a group that is a sparse matrix."""
    path, wanted = source.path, source.dataset and source.dataset.strip("/")
    shapes: dict[str, Shape] = {}

    def note(name: str, item: Any) -> None:
        shape = matrix_shape(name, item)
        if shape is not None:
            shapes[name] = shape

    with _file(path) as file:
        file.visititems(note)
        name = choose(replace(source, dataset=wanted), shapes)
        shape, found = shapes[name], file[name]
        said = about(path, _file, file, name)
        if sparse := sparse_in(found):
            return replace(_sparse(path, found, sparse), about=said)
        _check_filters(path, found)
        if shape != found.shape:
            # MATLAB has columns first.
            stored = Contents(found.shape, found.dtype, _strips(path, name, found.shape, found.dtype), said)
            return turned(stored, source.scratch / "columns first")
        return Contents(shape, found.dtype, _strips(path, name, shape, found.dtype), said)


def _sparse(path: Path, group: Any, sparse: Sparse) -> SparseContents:
    """The sparse matrix that a group is."""
    members = {name: group[member] for name, member in sparse.vectors.items() if member in group}
    for member in members.values():
        _check_filters(path, member)
    # MATLAB writes no vectors of a matrix of zeros.
    sizes = {name: members[name].size if name in members else 0 for name in sparse.vectors}
    dtype = members["data"].dtype if "data" in members else np.dtype("f8")
    name = group.name.strip("/")
    vectors = _vectors(path, {each: f"{name}/{sparse.vectors[each]}" for each in members})
    pieces = cut_compressed(path, sparse.kind, sparse.shape, sizes, vectors)
    return SparseContents(sparse.shape, dtype, sparse.kind, sizes["data"], pieces)


@contextmanager
def _file(path: Path) -> Iterator[Any]:
    """Open a file for reading, if it is one and the library is there, which is an extra."""
    try:
        import h5py  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ImportError(f'{path} is an HDF5 file and h5py is missing: pip install "dnmf[hdf5]"') from error
    if not h5py.is_hdf5(path):
        raise ValueError(_no_hdf5(path))
    try:
        file = h5py.File(path)
    except OSError as error:
        rule = "a whole file, closed by whoever wrote it, is required; copy or write it again"
        raise ValueError(f"{path} cannot be opened as HDF5 ({error}): {rule}") from error
    with file:
        yield file


def _no_hdf5(path: Path) -> str:
    """What to say of a file that is none of HDF5's."""
    if path.suffix.lower() == ".mat":
        return f"{path} is older than MATLAB 7.3, which is HDF5: save it with -v7.3, or X of scipy.io.loadmat as .npz"
    return f"{path} is no HDF5 file: its suffix says that it is; rename it or write it with h5py"


def _check_filters(path: Path, dataset: Any) -> None:
    """Refuse a dataset that is compressed in a way that HDF5 does not know here."""
    import h5py  # noqa: PLC0415 - an extra

    filters = dataset.id.get_create_plist()
    for number in range(filters.get_nfilters()):
        code, _, _, name = filters.get_filter(number)
        if h5py.h5z.filter_avail(code):
            continue
        with suppress(ImportError):
            import_module("hdf5plugin")
        if h5py.h5z.filter_avail(code):
            continue
        known = PLUGINS.get(code) or (name.decode(errors="replace") or "unknown")
        remedy = "pip install hdf5plugin" if code in PLUGINS else "install its plugin, or write X again without it"
        raise ImportError(
            f"{path}: {dataset.name} is compressed with HDF5's filter {code} ({known}), which is missing here: {remedy}"
        )


def _strips(path: Path, name: str, shape: Shape, dtype: Dtype) -> Iterator[Numbers]:
    """Strips of a dataset."""
    with _file(path) as file:
        for start, stop in cuts(shape, dtype):
            yield file[name][start:stop]


@contextmanager
def _vectors(path: Path, members: Mapping[str, str]) -> Iterator[Take]:
    """Open the vectors of a sparse matrix, to be read from their starts."""
    places = Counter[str]()

    with _file(path) as file:

        def take(vector: str, count: int) -> Numbers:
            start = places[vector]
            places[vector] += count
            if vector not in members:
                return np.zeros(count, "i8")
            return np.asarray(file[members[vector]][start : start + count])

        yield take
