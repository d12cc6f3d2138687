"""Formats: what shape and dtype a matrix file has, and its entries, some at a time. One family of formats per module.

A reader never holds the matrix in memory, and does not look at what entries mean.
"""

from collections.abc import Callable

from dnmf.formats.contents import Contents, Source, SparseContents
from dnmf.formats.hdf5 import read_h5ad, read_hdf5
from dnmf.formats.numpy_files import read_npy, read_npz
from dnmf.formats.text import read_csv, read_mtx

Reader = Callable[[Source], Contents | SparseContents]

READERS: dict[str, Reader] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".csv": read_csv,
    ".csv.gz": read_csv,
    ".mtx": read_mtx,
    ".mtx.gz": read_mtx,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".h5ad": read_h5ad,
}

# Files with these suffixes can hold several arrays, each with a name.
NAMED = (".npz", ".h5", ".hdf5", ".h5ad")
