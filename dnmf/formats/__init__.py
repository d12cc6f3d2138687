"""Formats: what shape and dtype a matrix file has, and its entries, some at a time. One family of formats per module.

A reader never holds the matrix in memory, and does not look at what entries mean.
"""

from collections.abc import Callable

from dnmf.formats.arrow import read_arrow
from dnmf.formats.contents import Contents, Source, SparseContents
from dnmf.formats.delimited import read_table
from dnmf.formats.hdf5 import read_h5ad, read_hdf5, read_loom
from dnmf.formats.numpy_files import read_npy, read_npz
from dnmf.formats.text import OPENERS, read_mtx
from dnmf.formats.zarr_stores import read_zarr

Reader = Callable[[Source], Contents | SparseContents]

# By the end of the name of a file.
READERS: dict[str, Reader] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".csv": read_table,
    ".tsv": read_table,
    ".txt": read_table,
    ".gct": read_table,
    ".mtx": read_mtx,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".h5ad": read_h5ad,
    ".loom": read_loom,
    ".mat": read_hdf5,
    ".h5seurat": read_hdf5,
    ".parquet": read_arrow,
    ".feather": read_arrow,
}

# What these are called together, for people; text is read compressed, too.
SUFFIXES = (*READERS, ".zarr", ".zarr.zip")
TABLES = (".csv", ".tsv", ".txt", ".gct")
READERS |= {f"{suffix}{packed}": READERS[suffix] for suffix in (*TABLES, ".mtx") for packed in OPENERS}

# Zarr in an archive, and, whatever they are called, in a folder or behind a URL.
ZIP = ".zarr.zip"
READERS[ZIP] = read_zarr

# A table that may be a folder of files.
FOLDERS = ".parquet"

# Files with these suffixes can hold several arrays, each with a name.
NAMED = (".npz", ".h5", ".hdf5", ".h5ad", ".loom", ".mat", ".h5seurat", ZIP)
