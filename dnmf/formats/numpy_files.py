"""NumPy's files: .npy, and .npz with dense arrays or one of scipy.sparse's matrices.

They are read, not mapped: the pages of a map count as memory of the process.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from math import prod
from pathlib import Path
from typing import IO, cast

import numpy as np

from dnmf.formats.contents import Contents, Dtype, Numbers, Shape, Source, SparseContents, choose, cuts
from dnmf.formats.sparse_entries import ENTRIES, Entries, Take, cut_compressed, gather
from dnmf.plan.memory import MIB

# The vectors in a sparse archive, by its format.
VECTORS = {
    "csr": {"indptr", "indices", "data"},
    "csc": {"indptr", "indices", "data"},
    "coo": {"row", "col", "data"},
}

# A file, or a member of a zip archive.
File = Path | zipfile.Path

# Shape, whether columns come first, and dtype.
Header = tuple[Shape, bool, Dtype]


def read_npy(source: Source) -> Contents:
    """Read a .npy file."""
    return _dense(source.path)


def read_npz(source: Source) -> Contents | SparseContents:
    """Read a .npz archive as a stream. Unpacks a member stored by columns into `scratch`: a stream has no way back."""
    path, scratch = source.path, source.scratch
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no zip archive: a .npz file is one; write it with numpy.savez or scipy's save_npz")
    with zipfile.ZipFile(path) as archive:
        headers = {member.removesuffix(".npy"): _header(zipfile.Path(path, member)) for member in archive.namelist()}
        if source.dataset is None and {"format", "shape", "data"} <= headers.keys():
            return _sparse(path, headers, scratch)
        name = choose(source, {name: shape for name, (shape, _, _) in headers.items()})
        _, by_columns, _ = headers[name]
        if by_columns:
            return _dense(Path(archive.extract(f"{name}.npy", scratch / "unpacked")))
    return _dense(zipfile.Path(path, f"{name}.npy"))


@contextmanager
def _open(member: File) -> Iterator[tuple[IO[bytes], Header]]:
    """Open a .npy file or member for reading its entries: the header is read."""
    with member.open("rb") as file:
        try:
            old = np.lib.format.read_magic(file) == (1, 0)
            read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
            header = read(file)
        except ValueError as error:
            raise ValueError(f"{member} holds no NumPy array ({error}); write it with numpy.save or savez") from error
        yield file, header


def _header(member: File) -> Header:
    """The header of a .npy file or member."""
    with _open(member) as (_, header):
        return header


def _dense(member: File) -> Contents:
    """A .npy file, or a member of an archive that is stored by rows."""
    shape, _, dtype = _header(member)
    return Contents(shape, dtype, _strips(member))


def _strips(member: File) -> Iterator[Numbers]:
    """Strips of a .npy file or member."""
    with _open(member) as (file, (shape, by_columns, dtype)):
        first, n = file.tell(), shape[1]
        for start, stop in cuts(shape, dtype):
            if by_columns:
                places = [first + (j * shape[0] + start) * dtype.itemsize for j in range(n)]
                yield _fill_across(member, file, places, np.empty((n, stop - start), dtype))
            else:
                yield _fill(member, file, np.empty((stop - start, n), dtype))


def _fill_across(member: File, file: IO[bytes], places: list[int], columns: Numbers) -> Numbers:
    """A strip of which each column starts at another byte of a file. Moves `file`, writes to `columns`."""
    for place, column in zip(places, columns, strict=True):
        file.seek(place)
        _fill(member, file, column)
    return columns.T


def _fill(member: File, file: IO[bytes], array: Numbers) -> Numbers:
    """An array, filled with the next entries of a file. Moves `file`, writes to `array`."""
    room = array.reshape(-1).view(np.uint8).data
    # In pieces: a zip member copies all that is asked of it.
    while room and (got := cast(io.BufferedIOBase, file).readinto(room[:MIB])):
        room = room[got:]
    if room:
        raise ValueError(f"{member} ends {len(room)} bytes early: a complete file is required; copy or write it again")
    return array


def _sparse(path: Path, headers: dict[str, Header], scratch: Path) -> SparseContents:
    """Read a scipy.sparse archive as a stream of entries; what is stored entry by entry becomes csr."""
    with np.load(path) as archive:
        kind, shape = archive["format"].astype(str).item(), tuple(int(length) for length in archive["shape"])
    if kind not in VECTORS or not VECTORS[kind] <= headers.keys():
        raise ValueError(f"{path} is sparse in format {kind}: csr, csc or coo is required; save X.tocsr() instead")
    sizes = {name: prod(headers[name][0]) for name in VECTORS[kind]}
    _, _, dtype = headers["data"]
    vectors = _vectors(path, VECTORS[kind])
    if kind == "coo":
        pieces = gather(path, _entries(vectors, sizes["data"]), shape, dtype, scratch)
        return SparseContents(shape, dtype, "csr", sizes["data"], pieces)
    return SparseContents(shape, dtype, kind, sizes["data"], cut_compressed(path, kind, shape, sizes, vectors))


def _entries(vectors: AbstractContextManager[Take], count: int) -> Entries:
    """Rows, columns and values of a matrix that is stored entry by entry."""
    with vectors as take:
        for start in range(0, count, ENTRIES):
            some = min(ENTRIES, count - start)
            yield take("row", some), take("col", some), take("data", some)


@contextmanager
def _vectors(path: Path, names: Iterable[str]) -> Iterator[Take]:
    """Open members of an archive, to be read from their starts."""
    with ExitStack() as stack:
        members = {name: zipfile.Path(path, f"{name}.npy") for name in names}
        files = {name: stack.enter_context(_open(member)) for name, member in members.items()}

        def take(name: str, count: int) -> Numbers:
            file, (_, _, dtype) = files[name]
            return _fill(members[name], file, np.empty(count, dtype))

        yield take
