"""Matrix files become Zarr, dense or sparse, in chunks that are read fast, strip by strip: X is never whole in memory.

A reader (`dnmf.formats`) says what a file holds and yields its entries, some at a time; the writers here store them
aside and rename what they wrote when it is complete. What entries mean is not looked at: a negative one is refused
where X is factorized.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from dnmf.formats import FOLDERS, NAMED, READERS, SUFFIXES, TABLES, ZIP, Reader
from dnmf.formats.contents import About, Contents, Dtype, Numbers, Source, SparseContents
from dnmf.formats.labels import write_labels
from dnmf.formats.text import market_in
from dnmf.formats.turned import turned
from dnmf.plan.memory import MIB, index_bytes
from dnmf.plan.parts import well_chunked
from dnmf.stores.identity import nested
from dnmf.stores.missing_chunks import ZarrArray
from dnmf.stores.paths import absolute, here, is_url, refuse_bucket
from dnmf.stores.places import check_replaceable, followed, occupied, place, upload

# A chunk of entries, or of their places, whichever is larger. A chunk in which a strip ends is decoded twice, and each
# costs its own time: of 512 KiB to 8 MiB, 2 and 4 MiB were read fastest in strips of 2 million entries.
SPARSE_CHUNK = 2 * MIB

# Pointers in a chunk.
POINTERS = 2**20

# The attribute of X in Zarr that says what was concluded from its file.
TAKEN = "taken"


def convert(
    source: str | Path,
    target: str | Path,
    *,
    dataset: str | None = None,
    header: bool | None = None,
    transpose: bool = False,
    missing: str | None = None,
    overwrite: bool = False,
) -> ZarrArray | zarr.Group:
    """Turn a matrix file, or Zarr in other chunks, into Zarr that is read fast, without ever holding it in memory.

    What is sparse stays sparse, in the layout of AnnData: scipy.sparse's .npz (csr, csc or coo), .mtx with coordinates,
    and the sparse matrices that AnnData, 10x Genomics, loom, Seurat and MATLAB write to HDF5. Its entries come out
    sorted, one in a place. Names of rows and columns are written beside the entries, as `labels/rows` and
    `labels/columns` below what is returned; what was concluded from the file is in its attribute `taken`.

    Parameters
    ----------
    source : a .npy, .npz (NumPy's or scipy.sparse's), .csv, .tsv, .txt or .mtx file (these four also .gz, .bz2 or .xz),
        .h5ad, .loom, .h5, .hdf5, .mat (of MATLAB 7.3), .parquet
        or .feather file; a folder of 10x Genomics' matrix.mtx, or of .parquet; path or URL of X in Zarr, or .zarr.zip.
    target : path or URL of what is written. What is not stored row by row may be unpacked beside it, and is removed
        again. For a URL all of it is written to the folder of temporary files first, then uploaded.
    dataset : name of the array in a .npz, .h5 or .mat file or in Zarr that holds several matrices, or of another one
        than X in AnnData, such as layers/counts.
    header : whether the first line of a .csv, .tsv or .txt file has names of columns; None concludes it from how the
        line looks beside others, with a warning where only numbers tell.
    transpose : write Xᵀ: rows become columns. A dense X lies on disk once more meanwhile.
    missing : "nan": where a table (.csv, .tsv, .txt, .parquet, .feather) has nothing, NA or the like in the place of a
        number, NaN is written; None refuses it. `factorize(…, missing="nan")` knows that nothing is known there. NaN in
        other files is written as it is.
    overwrite : whether a Zarr array or group at `target` is replaced. Nothing else ever is.

    Returns
    -------
    Read-only, in the file's dtype (.csv: float64; .mtx: int64 where it says integer): a zarr.Array (m, n); or, where X
    is sparse, a zarr.Group of the arrays data, indices and indptr, with attributes encoding-type (csr_matrix or
    csc_matrix) and shape.

    Raises
    ------
    FileNotFoundError, FileExistsError
        If there is no such file, no folder for the target, or a target that may not be replaced.
    ValueError
        If the file is of no known kind, or what it holds is not one matrix of real numbers.
    ImportError
        If the file is HDF5 and h5py is missing.

    Examples
    --------
    >>> import numpy as np
    >>> with TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/x.npy", np.eye(3, dtype="f4"))
    ...     convert(f"{folder}/x.npy", f"{folder}/x.zarr").shape
    (3, 3)
    """
    if missing not in (None, "nan"):
        raise ValueError(
            f"missing is {missing!r}: 'nan', to have NaN where a table has no number, or None are possible"
        )
    source, to = _source(source), followed(target)
    read = _reader(source, dataset, header)
    beside = _check_target(to, overwrite)
    if nested(absolute(source), to):
        raise ValueError(f"the target {target} and the source {source} are inside one another: choose another target")
    with _prepared(to, beside) as scratch:
        try:
            contents = read(Source(source, dataset, scratch, header, missing is not None))
            _check_matrix(source, contents)
            _write(scratch / "new", turned(contents, scratch / "aside") if transpose else contents)
        except EOFError:
            raise ValueError(f"{source} ends before its data do: a whole file is required; copy it again") from None
    return zarr.open(place(to), mode="r")


def write_matrix(contents: Contents | SparseContents, target: str | Path, *, overwrite: bool) -> ZarrArray | zarr.Group:
    """Write a matrix that is no file's as `convert` writes one; what it returns, and what it refuses, is the same."""
    to = followed(target)
    with _prepared(to, _check_target(to, overwrite)) as scratch:
        _write(scratch / "new", contents)
    return zarr.open(place(to), mode="r")


@contextmanager
def _prepared(target: str, beside: Path | None) -> Iterator[Path]:
    """A folder in which a block writes `new`, which then is put to its target."""
    with TemporaryDirectory(prefix=f".{target.rpartition('/')[2]}.", dir=beside) as folder:
        scratch = Path(folder)
        yield scratch
        if is_url(target):
            upload(scratch / "new", target)
        else:
            _publish(scratch / "new", Path(target), scratch / "old")


def describe(matrix: ZarrArray | zarr.Group) -> str:
    """Shape, dtype, how it is stored, and what was taken for what, of what `convert` returns."""
    attributes: Any = matrix.attrs
    taken = "".join(f"; {each}" for each in attributes.get(TAKEN, ()))
    if isinstance(matrix, zarr.Array):
        (m, n), (height, width) = matrix.shape, matrix.chunks
        return f"{m} × {n} {matrix.dtype}, chunks of {height} × {width}{taken}"
    data: Any = matrix["data"]
    (m, n), kind = attributes["shape"], attributes["encoding-type"].removesuffix("_matrix")
    return f"{m} × {n} {data.dtype}, {data.size} non-zeros in {kind}{taken}"


def _source(source: str | Path) -> str:
    """The path or URL of what is read: the matrix in a folder that 10x Genomics wrote."""
    if is_url(source):
        return absolute(source)
    return str(market_in(here(source)) or here(source))


def _reader(source: str, dataset: str | None, header: bool | None) -> Reader:
    """The reader of a file, if it is of a kind that has what is asked for."""
    suffix = _suffix(source)
    if dataset is not None and suffix not in NAMED:
        raise ValueError(
            f"dataset={dataset!r} is for .npz, .h5 and .h5ad files: {source} holds one matrix; leave it out"
        )
    if header is not None and not suffix.startswith(TABLES):
        flag = "--header" if header else "--no-header"
        raise ValueError(f"{flag} (header={header}) is for {', '.join(TABLES)}: {source} has no lines; leave it out")
    return READERS[suffix]


def _suffix(source: str) -> str:
    """What kind a file is of, by its suffix; of Zarr, by what there is."""
    name = source.lower().rstrip("/")
    suffix = next((known for known in (ZIP, *READERS) if name.endswith(known)), None)
    if is_url(source) or (Path(source).is_dir() and suffix != FOLDERS):
        return ZIP
    if suffix is None:
        raise ValueError(f"{source} has no known suffix: {', '.join(SUFFIXES)} are read; save X as one of these")
    if suffix not in (ZIP, FOLDERS) and not Path(source).is_file():
        raise FileNotFoundError(f"{source} is not a file: a matrix file is required; check the path")
    return suffix


def _check_target(target: str, overwrite: bool) -> Path | None:
    """Refuse what cannot be written or must not be replaced; the folder to prepare it in, None for temporary files'."""
    path = None if is_url(target) else Path(target)
    if path is None:
        refuse_bucket(target, "X.zarr")
    elif not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is not a folder: {path.name} is written into one; create it first")
    if path.exists() if path else occupied(target):
        if not overwrite:
            raise FileExistsError(
                f"{target} exists: a new path is required; choose another, or say --overwrite (overwrite=True)"
            )
        check_replaceable(target)
    return path and path.parent


def _check_matrix(source: str, contents: Contents | SparseContents) -> None:
    """Refuse what is not a matrix of real numbers."""
    shape, dtype = contents.shape, contents.dtype
    if len(shape) != 2:
        raise ValueError(f"{source} holds an array of shape {shape}: two axes are required; reshape it first")
    if 0 in shape:
        raise ValueError(f"{source} holds an empty matrix of shape {shape}: entries are required; check its origin")
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        rule = "booleans, integers or floats of at most 64 bits are required"
        raise ValueError(f"{source} holds entries of dtype {dtype}: {rule}; cast them and save again")


def _write(path: Path, contents: Contents | SparseContents) -> None:
    """Store a matrix as new Zarr, in native byte order, and the names of its rows and columns. Writes to disk."""
    if isinstance(contents, Contents):
        _write_dense(path, contents)
    else:
        _write_sparse(path, contents)
    write_labels(str(path), contents.about, contents.shape)


def _attributes(about: About) -> dict[str, Any]:
    """What is said of X in Zarr that is not its entries."""
    return {**about.attributes, **({TAKEN: list(about.taken)} if about.taken else {})}


def _write_dense(path: Path, contents: Contents) -> None:
    """Store strips as a new Zarr array. Writes to disk."""
    (m, n), dtype = contents.shape, contents.dtype.newbyteorder("=")
    chunks = well_chunked((m, n), dtype.itemsize)
    array = zarr.create_array(
        path,
        shape=(m, n),
        chunks=chunks,
        dtype=dtype,
        compressors=_codec(dtype),
        attributes=_attributes(contents.about),
    )
    start = 0
    for strip in contents.strips:
        array[start : start + len(strip)] = strip.astype(dtype, copy=False)
        start += len(strip)
        del strip  # or it would live on while the next one is read


def _write_sparse(path: Path, contents: SparseContents) -> None:
    """Store pieces as a new Zarr group, which AnnData opens. Writes to disk."""
    shape, dtype = list(contents.shape), contents.dtype.newbyteorder("=")
    lines, width = shape if contents.kind == "csr" else shape[::-1]
    index = np.dtype(f"i{index_bytes(width - 1)}")
    chunk = SPARSE_CHUNK // max(dtype.itemsize, index.itemsize)
    facts = {"encoding-type": f"{contents.kind}_matrix", "encoding-version": "0.1.0", "shape": shape}
    facts |= _attributes(contents.about)
    group = zarr.create_group(path, attributes=facts)
    with (
        _appended(group, "data", dtype, contents.most, chunk) as put_values,
        _appended(group, "indices", index, contents.most, chunk) as put_indices,
        _appended(group, "indptr", np.dtype("i8"), lines + 1, POINTERS) as put_pointers,
    ):
        end = 0
        put_pointers(np.array([0]))
        for lengths, indices, values in contents.pieces:
            put_values(values)
            put_indices(indices)
            put_pointers(end + np.cumsum(lengths))
            end += len(values)


@contextmanager
def _appended(group: zarr.Group, name: str, dtype: Dtype, most: int, chunk: int) -> Iterator[Callable[[Numbers], None]]:
    """A function that appends to a new array, of `most` numbers at most. Writes to disk, each chunk once."""
    chunk = max(1, min(chunk, most))
    # Zeros may be values, where what is not stored is missing: a chunk of them is not to look as if it were lost.
    how: Any = {"config": {"write_empty_chunks": True}}
    array = group.create_array(name, shape=(most,), chunks=(chunk,), dtype=dtype, compressors=_codec(dtype), **how)
    start, waiting = 0, np.empty(0, dtype)

    def put(numbers: Numbers) -> None:
        nonlocal start, waiting
        waiting = np.concatenate([waiting, numbers], dtype=dtype, casting="unsafe")
        whole = len(waiting) // chunk * chunk
        array[start : start + whole] = waiting[:whole]
        start, waiting = start + whole, waiting[whole:].copy()

    yield put
    array[start : start + len(waiting)] = waiting
    array.resize((start + len(waiting),))


def _codec(dtype: Dtype) -> BloscCodec:
    """How chunks are compressed."""
    # Real numbers are read 1.4 to 1.8 times as fast as with Zarr's default zstd, at 0.94 of its size. X of 99 % zeros
    # is read somewhat slower and takes 2 to 3 times the bytes, which is still only 1 to 6 % of X.
    return BloscCodec(cname="lz4", shuffle="shuffle", typesize=dtype.itemsize)


def _publish(new: Path, target: Path, old: Path) -> None:
    """Rename what is complete to its target; what was there goes aside, and back if that fails. Renames on disk."""
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
