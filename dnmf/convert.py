"""Matrix files become Zarr arrays in chunks that are read fast, strip by strip: X is never whole in memory.

A reader per format says what shape and dtype a file holds and yields it strip by strip; one writer stores the strips.
What the entries mean is not looked at: a negative one is refused where X is factorized.
"""

import gzip
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any, TextIO, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from dnmf.strips import MIB, well_chunked

Array = NDArray[Any]
Dtype = np.dtype[Any]
Shape = tuple[int, ...]
Header = tuple[Shape, bool, Dtype, int]
Matrix = tuple[Shape, Dtype, Iterator[Array]]
Reader = Callable[[Path, str | None, Path], Matrix]

# A strip is as many whole chunks high as fit in here, one at least. Zarr's copies included, twice that is in memory.
STRIP = 64 * MIB

# Text is parsed, and members of sparse archives are read, this many bytes and this many entries at a time.
TEXT, ENTRIES = 4 * MIB, 2**20

# MatrixMarket's fields. A pattern is a matrix of ones in float64, as in SciPy.
FIELDS = {"real": "f8", "integer": "i8", "unsigned-integer": "u8", "pattern": "f8"}


def convert(
    source: str | Path, target: str | Path, *, dataset: str | None = None, overwrite: bool = False
) -> zarr.Array[Any]:
    """Turn a matrix file into a Zarr array that is read fast, without ever holding it in memory.

    Parameters
    ----------
    source : a .npy, .npz (NumPy's, or scipy.sparse in csr or csc), .csv or .mtx (both also .gz), .h5 or .hdf5 file.
    target : path of the array. Text and sparse entries are unpacked beside it, and removed again.
    dataset : name of the array in a .npz or .h5 file that holds several matrices.
    overwrite : whether a Zarr array or group at `target` is replaced. Nothing else ever is.

    Returns
    -------
    zarr.Array, (m, n), read-only: dense, in the file's dtype (.csv: float64; .mtx: int64 where it says integer).

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
    >>> with TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/x.npy", np.eye(3, dtype="f4"))
    ...     convert(f"{folder}/x.npy", f"{folder}/x.zarr").shape
    (3, 3)
    """
    source, target = Path(source), Path(target)
    read = _reader(source, dataset)
    _check_target(target, overwrite)
    with TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        scratch = Path(folder)
        shape, dtype, strips = read(source, dataset, scratch)
        _check_matrix(source, shape, dtype)
        _write(scratch / "new", shape, dtype, strips)
        _publish(scratch / "new", target, scratch / "old")
    return zarr.open_array(target, mode="r")


def _reader(source: Path, dataset: str | None) -> Reader:
    """The reader of a file, by its suffix."""
    suffix = next((known for known in READERS if source.name.lower().endswith(known)), None)
    if suffix is None:
        raise ValueError(f"{source} has no known suffix: {', '.join(READERS)} are read; save X as one of these")
    if not source.is_file():
        raise FileNotFoundError(f"{source} is not a file: a matrix file is required; check the path")
    if dataset is not None and READERS[suffix] not in (_npz, _hdf5):
        raise ValueError(f"dataset={dataset!r} is for .npz and .h5 files: {source} holds one matrix; leave it out")
    return READERS[suffix]


def _check_target(target: Path, overwrite: bool) -> None:
    """Refuse a target that cannot be written or must not be replaced."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target.parent} is not a folder: {target.name} is written into one; create it first")
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists: a new path is required; choose another or pass overwrite=True")
    if target.exists() and not any((target / key).is_file() for key in ("zarr.json", ".zarray", ".zgroup")):
        raise FileExistsError(f"{target} is not a Zarr array or group: only these are overwritten; choose another path")


def _check_matrix(source: Path, shape: Shape, dtype: Dtype) -> None:
    """Refuse what is not a matrix of real numbers."""
    if len(shape) != 2:
        raise ValueError(f"{source} holds an array of shape {shape}: two axes are required; reshape it first")
    if 0 in shape:
        raise ValueError(f"{source} holds an empty matrix of shape {shape}: entries are required; check its origin")
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        rule = "booleans, integers or floats of at most 64 bits are required"
        raise ValueError(f"{source} holds entries of dtype {dtype}: {rule}; cast them and save again")


def _cuts(shape: Shape, dtype: Dtype) -> list[tuple[int, int]]:
    """First and last + 1 row of every strip. They are whole chunks high, so that each chunk is written once."""
    m, n = shape
    chunk, _ = well_chunked((m, n), dtype.itemsize)
    height = chunk * max(1, STRIP // (chunk * n * dtype.itemsize))
    return [(start, min(start + height, m)) for start in range(0, m, height)]


def _write(path: Path, shape: Shape, dtype: Dtype, strips: Iterable[Array]) -> None:
    """Store strips as a new Zarr array. Writes to disk."""
    m, n = shape
    array = zarr.create_array(path, shape=shape, chunks=well_chunked((m, n), dtype.itemsize), dtype=dtype)
    start = 0
    for strip in strips:
        array[start : start + len(strip)] = strip
        start += len(strip)
        del strip  # or it would live on while the next one is read


def _publish(new: Path, target: Path, old: Path) -> None:
    """Rename a complete array to its target; what was there goes aside, and back if that fails. Renames on disk."""
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise


@contextmanager
def _open(path: Path, member: str | None) -> Iterator[IO[bytes]]:
    """Open a file, or a member of a zip archive, for reading bytes."""
    if member is None:
        with path.open("rb") as file:
            yield file
    else:
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            yield file


def _header(path: Path, member: str | None) -> Header:
    """Shape, whether columns come first, dtype, and where the entries start in a .npy file or member."""
    with _open(path, member) as file:
        try:
            old = np.lib.format.read_magic(file) == (1, 0)
            read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
        except ValueError as error:
            raise ValueError(f"{path} holds no NumPy array ({error}); write it with numpy.save or savez") from error
        return shape, fortran, dtype, file.tell()


def _take(path: Path, file: IO[bytes], dtype: Dtype, shape: Shape) -> Array:
    """The next entries of a file, in native byte order. Moves `file`."""
    taken = np.empty(shape, dtype)
    room = taken.reshape(-1).view(np.uint8).data
    # In pieces: a zip member copies all that is asked of it.
    while room and (got := cast(Any, file).readinto(room[:MIB])):
        room = room[got:]
    if room:
        raise ValueError(f"{path} ends {len(room)} bytes early: a complete file is required; copy or write it again")
    return taken.astype(dtype.newbyteorder("="), copy=False)


def _dense(path: Path, member: str | None, header: Header) -> Iterator[Array]:
    """Strips of a .npy file or member. It is read, not mapped: the pages of a map count as memory of the process."""
    shape, fortran, dtype, first = header
    with _open(path, member) as file:
        file.read(first)
        for start, stop in _cuts(shape, dtype):
            if fortran:
                yield _across(path, file, header, start, stop)
            else:
                yield _take(path, file, dtype, (stop - start, shape[1]))


def _across(path: Path, file: IO[bytes], header: Header, start: int, stop: int) -> Array:
    """A strip of a .npy file stored by columns: a read per column. Moves `file`."""
    (m, n), _, dtype, first = header
    columns = np.empty((n, stop - start), dtype.newbyteorder("="))
    for j, column in enumerate(columns):
        file.seek(first + (j * m + start) * dtype.itemsize)
        column[:] = _take(path, file, dtype, column.shape)
    return columns.T


def _npy(path: Path, _dataset: str | None, _scratch: Path, *, member: str | None = None) -> Matrix:
    """Read a .npy file, or such a member of an archive."""
    header = _header(path, member)
    return header[0], header[2].newbyteorder("="), _dense(path, member, header)


def _npz(path: Path, dataset: str | None, scratch: Path) -> Matrix:
    """Read a .npz archive as a stream. Unpacks a member stored by columns into `scratch`: a stream has no way back."""
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no zip archive: a .npz file is one; write it with numpy.savez or scipy's save_npz")
    with zipfile.ZipFile(path) as archive:
        headers = {name.removesuffix(".npy"): _header(path, name) for name in archive.namelist()}
        if dataset is None and {"format", "shape", "data"} <= headers.keys():
            return _sparse(path, scratch)
        name = _chosen(path, dataset, {name: header[0] for name, header in headers.items()})
        if headers[name][1]:
            return _npy(Path(archive.extract(f"{name}.npy", scratch / "unpacked")), None, scratch)
    return _npy(path, None, scratch, member=f"{name}.npy")


def _chosen(path: Path, dataset: str | None, shapes: dict[str, Shape]) -> str:
    """The array asked for by name, or the only one with two axes."""
    matrices = [name for name, shape in shapes.items() if len(shape) == 2]
    if dataset is None and len(matrices) == 1:
        return matrices[0]
    if dataset in shapes:
        return dataset
    wrong = f"{len(matrices)} arrays with two axes" if dataset is None else f"no array {dataset!r}"
    held = ", ".join(f"{name!r} {shape}" for name, shape in shapes.items())
    raise ValueError(f"{path} holds {wrong}: one is required; name it with dataset=, out of: {held or 'none'}")


def _sparse(path: Path, scratch: Path) -> Matrix:
    """Read a scipy.sparse archive as a stream of entries. Only one pointer per row (csc: column) is held in memory."""
    with np.load(path) as archive:
        kind, shape = archive["format"].astype(str).item(), tuple(int(length) for length in archive["shape"])
        if kind not in ("csr", "csc"):
            raise ValueError(f"{path} is sparse in format {kind}: csr or csc is required; save X.tocsr() instead")
        pointers = archive["indptr"].astype("i8")
    (count,), _, stored, first = _header(path, "data.npy")
    *_, index, first_index = _header(path, "indices.npy")

    def entries() -> Iterator[tuple[Array, Array]]:
        with _open(path, "indices.npy") as indices, _open(path, "data.npy") as data:
            indices.read(first_index)
            data.read(first)
            for at in range(0, count, ENTRIES):
                size = min(ENTRIES, count - at)
                major = np.searchsorted(pointers, np.arange(at, at + size), side="right") - 1
                minor, values = _take(path, indices, index, (size,)), _take(path, data, stored, (size,))
                rows, columns = (major, minor) if kind == "csr" else (minor, major)
                yield _flat(path, rows, columns, shape), values

    dtype = stored.newbyteorder("=")
    return shape, dtype, _gathered(entries(), shape, dtype, scratch)


def _flat(path: Path, rows: Array, columns: Array, shape: Shape) -> Array:
    """Positions of entries in X, counted row by row, if all of them are inside."""
    outside = (rows < 0) | (rows >= shape[0]) | (columns < 0) | (columns >= shape[1])
    if outside.any():
        where = f"row {rows[outside][0] + 1}, column {columns[outside][0] + 1} (counted from 1)"
        raise ValueError(f"{path} has an entry in {where}: X is {shape[0]} × {shape[1]}; correct the file")
    return rows.astype("i8") * shape[1] + columns


def _gathered(entries: Iterable[tuple[Array, Array]], shape: Shape, dtype: Dtype, scratch: Path) -> Iterator[Array]:
    """Strips of a matrix whose (positions, values) come in any order; what meets adds up. Writes a file to `scratch`.

    Every piece of entries is sorted and appended to one file, in which a strip then is one run of records per piece.
    """
    cuts, n = _cuts(shape, dtype), shape[1]
    record = np.dtype([("at", "i8"), ("value", dtype)])
    edges = np.array([start for start, _ in cuts] + [shape[0]]) * n
    runs, written = [], 0
    with TemporaryFile(dir=scratch) as file:
        for at, values in entries:
            order = np.argsort(at, kind="stable")
            records = np.empty(len(at), record)
            records["at"], records["value"] = at[order], values[order]
            records.tofile(file)
            runs.append(written + np.searchsorted(records["at"], edges))
            written += len(at)
        for k, (start, stop) in enumerate(cuts):
            parts = (_part(file, record, run[k : k + 2]) for run in runs)
            yield _added(parts, start * n, np.zeros((stop - start, n), dtype))


def _part(file: IO[bytes], record: Dtype, run: Array) -> Array:
    """The records from one number to another. Moves `file`."""
    file.seek(int(run[0]) * record.itemsize)
    return np.fromfile(file, record, int(run[1] - run[0]))


def _added(parts: Iterable[Array], first: int, strip: Array) -> Array:
    """A strip to which records are added; `first` is the position of its first entry. Writes to `strip`."""
    for part in parts:
        # The copy is contiguous: adding strided values is thirty times as slow.
        np.add.at(strip.reshape(-1), part["at"] - first, part["value"].copy())
    return strip


def _text(path: Path) -> TextIO:
    """Open a text file, compressed or not. Bytes that are no text show in the error about their line."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace")
    return path.open(encoding="utf-8-sig", errors="replace")


def _records(path: Path, skip: int, record: Dtype, delimiter: str | None) -> Iterator[Array]:
    """Records of a text file, one a line after the first `skip` lines, some MiB of text at a time."""
    with _text(path) as file:
        for _ in islice(file, skip):
            pass
        while lines := file.readlines(TEXT):
            yield _parsed(path, lines, skip + 1, record, delimiter)
            skip += len(lines)


def _parsed(path: Path, lines: list[str], number: int, record: Dtype, delimiter: str | None) -> Array:
    """Records of lines counted from `number`; where one is not a record, they are tried one by one to name it."""
    filled = [line for line in lines if line.strip()]
    if not filled:
        return np.empty(0, record)
    try:
        return np.loadtxt(filled, record, comments=None, delimiter=delimiter, ndmin=1)
    except ValueError as error:
        if len(lines) == 1:
            reason = str(error).split(" at row")[0]
            raise ValueError(f"{path}, line {number}: {reason}; correct the line") from error
        for at, line in enumerate(lines, number):
            _parsed(path, [line], at, record, delimiter)
        raise


def _csv(path: Path, _dataset: str | None, scratch: Path) -> Matrix:
    """Read a .csv file. Unpacks it into `scratch`: how many rows it has is known at its end."""
    with _text(path) as text:
        number, first = next(((k, line) for k, line in enumerate(text, 1) if line.strip()), (0, ""))
    delimiter = next((mark for mark in "\t;," if mark in first), ",")
    fields = [field.strip(' "\n') for field in first.split(delimiter)]
    header = not any(_is_number(field) for field in fields)
    if header and len(fields) > 1 and not fields[0]:
        rule = "a column of row labels is no part of X; write the file without it (pandas: index=False)"
        raise ValueError(f"{path}, line {number}: the name of the first column is '': {rule}")
    record = np.dtype([("value", "f8", (len(fields),))])
    unpacked, m = scratch / "unpacked", 0
    with unpacked.open("wb") as file:
        for records in _records(path, number if header else 0, record, delimiter):
            records.tofile(file)
            m += len(records)
    shape, dtype = (m, len(fields)), np.dtype("f8")
    return shape, dtype, _dense(unpacked, None, (shape, False, dtype, 0))


def _is_number(field: str) -> bool:
    """Whether a field of a text file is a number: a first line without any is a header."""
    try:
        float(field)
    except ValueError:
        return False
    return True


def _mtx(path: Path, _dataset: str | None, scratch: Path) -> Matrix:
    """Read a MatrixMarket file as a stream of entries."""
    with _text(path) as text:
        banner = text.readline().lower().split()
        skip, line = next(((k, line) for k, line in enumerate(text, 2) if line.strip() and line[0] != "%"), (1, ""))
    known = {"%%matrixmarket"}, {"matrix"}, {"coordinate", "array"}, FIELDS, {"general", "symmetric"}
    fits = len(banner) == len(known) and all(word in words for word, words in zip(banner, known, strict=True))
    if not fits or banner[2:4] == ["array", "pattern"]:
        rule = f"'%%MatrixMarket matrix coordinate|array {'|'.join(FIELDS)} general|symmetric' is required"
        raise ValueError(f"{path} starts with {' '.join(banner)[:80]!r}: {rule}; write it with scipy.io.mmwrite")
    layout, field, symmetry = banner[2:]
    coordinate, symmetric = layout == "coordinate", symmetry == "symmetric"
    sizes = [int(size) for size in line.split() if size.isdecimal()]
    if len(sizes) != 2 + coordinate or (symmetric and sizes[0] != sizes[1]):
        rule = f"{2 + coordinate} sizes are required, rows and columns equal where X is symmetric"
        raise ValueError(f"{path}, line {skip}: {line.strip()[:80]!r} is no size of X; {rule}")
    m, n = sizes[:2]
    at = [("at", "i8", (2,))] if coordinate else []
    value = [] if field == "pattern" else [("value", FIELDS[field])]
    count = sizes[2] if coordinate else m * (m + 1) // 2 if symmetric else m * n
    entries = _market(path, skip, np.dtype([*at, *value]), (m, n), symmetric, count)
    return (m, n), np.dtype(FIELDS[field]), _gathered(entries, (m, n), np.dtype(FIELDS[field]), scratch)


def _market(
    path: Path, skip: int, record: Dtype, shape: Shape, symmetric: bool, count: int
) -> Iterator[tuple[Array, Array]]:
    """Positions and values of the entries of a MatrixMarket file, those on the other side of the diagonal too."""
    # Without coordinates entries come column by column; of a symmetric matrix from the diagonal down.
    heights = shape[0] - symmetric * np.arange(shape[1])
    tops = np.cumsum(heights) - heights
    seen = 0
    for records in _records(path, skip, record, None):
        at = np.arange(seen, seen + len(records))
        seen += len(records)
        if seen > count:
            break
        columns = np.searchsorted(tops, at, side="right") - 1
        rows = at - tops[columns] + symmetric * columns
        if "at" in (record.names or ()):
            rows, columns = records["at"].T - 1
        values = records["value"] if "value" in (record.names or ()) else np.ones(len(records))
        yield _flat(path, rows, columns, shape), values
        mirrored = symmetric & (rows != columns)
        yield _flat(path, columns[mirrored], rows[mirrored], shape), values[mirrored]
    if seen != count:
        raise ValueError(
            f"{path} announces {count} entries and holds {seen}: a complete file is required; write it again"
        )


def _hdf5(path: Path, dataset: str | None, _scratch: Path) -> Matrix:
    """Read a dataset of an HDF5 file."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f'{path} is an HDF5 file and h5py is missing: pip install "dnmf[hdf5]"') from error
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path} is no HDF5 file: its suffix says that it is; rename it or write it with h5py")
    shapes: dict[str, Shape] = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            shapes[name] = item.shape or ()

    def strips() -> Iterator[Array]:
        with h5py.File(path) as file:
            for start, stop in _cuts(shapes[name], dtype):
                yield file[name][start:stop].astype(dtype, copy=False)

    with h5py.File(path) as file:
        file.visititems(note)
        name = _chosen(path, dataset and dataset.strip("/"), shapes)
        dtype = file[name].dtype.newbyteorder("=")
    return shapes[name], dtype, strips()


READERS: dict[str, Reader] = {
    ".npy": _npy,
    ".npz": _npz,
    ".csv": _csv,
    ".csv.gz": _csv,
    ".mtx": _mtx,
    ".mtx.gz": _mtx,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
}
