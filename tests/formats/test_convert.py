"""Every format comes out as NumPy and SciPy read it, however it is cut; errors name the remedy and leave nothing."""

import gzip
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anndata
import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pairwise import few
from zarr.codecs import BloscCodec

import dnmf.formats
import dnmf.formats.convert
from dnmf.formats.convert import convert, describe
from dnmf.matrix.opening import open_matrix
from dnmf.plan.parts import well_chunked

Array = NDArray[Any]
Sparse = scipy.sparse.csr_array | scipy.sparse.csc_array
Held = Array | Sparse

tiny_chunks = partial(well_chunked, target=64, buffer=256)
shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=30)
finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture(scope="module", autouse=True)
def _tiny_strips() -> Iterator[None]:
    """Pieces of some bytes, so that small matrices have many strips, and strips many pieces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dnmf.formats.convert, "well_chunked", tiny_chunks)
        patch.setattr(dnmf.formats.contents, "well_chunked", tiny_chunks)
        patch.setattr(dnmf.formats.contents, "STRIP", 128)
        patch.setattr(dnmf.formats.numpy_files, "MIB", 50)
        patch.setattr(dnmf.formats.numpy_files, "ENTRIES", 7)
        patch.setattr(dnmf.formats.sparse_entries, "ENTRIES", 7)
        patch.setattr(dnmf.formats.sparse_entries, "COUNTERS", 5)
        patch.setattr(dnmf.formats.convert, "SPARSE_CHUNK", 40)
        patch.setattr(dnmf.formats.convert, "POINTERS", 4)
        patch.setattr(dnmf.formats.text, "LINES", 7)
        yield


def matrices(*dtypes: str) -> st.SearchStrategy[Array]:
    """Small matrices without NaN, of one of the dtypes."""
    return st.sampled_from(dtypes).flatmap(
        lambda dtype: arrays(dtype, shapes, elements={"allow_nan": False} if "f" in dtype else None)
    )


def converted(write: Callable[[Path], object], name: str, **options: Any) -> Held:
    """What a file that `write` makes becomes, in memory; nothing but file and target is left in the folder."""
    with TemporaryDirectory() as folder:
        source, target = Path(folder) / name, Path(folder) / "x.zarr"
        write(source)
        made = convert(source, target, **options)
        assert sorted(path.name for path in Path(folder).iterdir()) == sorted([name, "x.zarr"])
        if isinstance(made, zarr.Array):
            assert made.chunks == tiny_chunks(made.shape, made.dtype.itemsize)
        return opened(made)


def opened(made: Any) -> Held:
    """What `convert` returned, in memory."""
    return made[:] if isinstance(made, zarr.Array) else opened_sparse(made)


def opened_sparse(group: Any) -> Sparse:
    """A sparse matrix in Zarr, if it is one as AnnData writes it, canonical, and in chunks as they should be."""
    kind, (m, n) = group.attrs["encoding-type"], group.attrs["shape"]
    assert group.attrs["encoding-version"] == "0.1.0"
    assert sorted({name for name, _ in group.members()} - {"labels"}) == ["data", "indices", "indptr"]
    data, indices, indptr = group["data"], group["indices"], group["indptr"]
    assert (indices.dtype, indptr.dtype) == (np.dtype("i4"), np.dtype("i8"))
    assert data.chunks == indices.chunks
    assert data.chunks[0] * max(data.dtype.itemsize, 4) <= 40
    assert indptr.chunks[0] <= 4
    assert indptr.size == 1 + (m if kind == "csr_matrix" else n)
    assert indptr[0] == 0
    assert indptr[-1] == data.size == indices.size
    make = {"csr_matrix": scipy.sparse.csr_array, "csc_matrix": scipy.sparse.csc_array}[kind]
    sparse = make((data[:], indices[:], indptr[:]), shape=(m, n))
    assert sparse.has_canonical_format
    return sparse


def assert_holds(held: Any, expected: Any) -> None:
    """The same entries in the same dtype, in native byte order; in the same format, if what is expected is sparse."""
    assert isinstance(held, np.ndarray) == isinstance(expected, np.ndarray)
    assert held.dtype == expected.dtype.newbyteorder("=")
    if not isinstance(held, np.ndarray):
        assert held.format == expected.format
        held, expected = held.toarray(), expected.toarray()
    np.testing.assert_array_equal(held, expected)


@given(x=matrices("?", "i1", "u2", ">i4", "i8", "f2", ">f4", "f8"), order=st.sampled_from("CF"))
def test_npy(x: Array, order: Any) -> None:
    assert_holds(converted(lambda path: np.save(path, np.asarray(x, order=order)), "x.npy"), x)


@given(
    x=matrices("?", "u1", ">i8", "f4"),
    order=st.sampled_from("CF"),
    save=st.sampled_from([np.savez, np.savez_compressed]),
)
def test_npz(x: Array, order: Any, save: Callable[..., None]) -> None:
    x = np.asarray(x, order=order)
    assert_holds(converted(lambda path: save(path, x=x, labels=np.arange(3)), "x.npz"), x)
    both = converted(lambda path: save(path, x=x, y=x + x.dtype.type(1)), "x.npz", dataset="y")
    assert_holds(both, x + x.dtype.type(1))


@given(
    x=matrices("?", "i2", "f4", ">f8"),
    kind=st.sampled_from(["csr", "csc", "coo"]),
    compressed=st.booleans(),
)
def test_sparse_npz_stays_sparse(x: Array, kind: Any, compressed: bool) -> None:
    sparse = scipy.sparse.coo_array(x.astype(x.dtype.newbyteorder("="))).asformat(kind)
    held = converted(lambda path: scipy.sparse.save_npz(path, sparse, compressed=compressed), "x.npz")
    assert_holds(held, sparse.tocsr() if kind == "coo" else sparse)


@pytest.mark.parametrize("dtype", ["?", "i1", "f4", "f8"])
@pytest.mark.parametrize("kind", [scipy.sparse.csr_array, scipy.sparse.csc_array])
def test_entries_that_meet_in_any_order_add_up(kind: Any, dtype: str) -> None:
    vectors = (np.array([1, 2, 4, 8, 1]).astype(dtype), [3, 0, 3, 1, 1], [0, 3, 3, 5, 5])
    sparse = kind(vectors, shape=(4, 4))
    expected = sparse.copy()
    expected.sum_duplicates()
    held = converted(lambda path: scipy.sparse.save_npz(path, sparse), "x.npz")
    assert_holds(held, expected)
    assert held.nnz == expected.nnz == 3


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_a_long_row_empty_rows_and_zeros_that_are_stored(kind: Any) -> None:
    x = np.zeros((40, 30))
    x[17], x[:, 4], x[39, 29] = 1, 2, 3
    sparse = scipy.sparse.coo_array(x).asformat(kind)
    sparse.data[::3] = 0
    held = converted(lambda path: scipy.sparse.save_npz(path, sparse), "x.npz")
    assert_holds(held, sparse.tocsr() if kind == "coo" else sparse)
    assert held.nnz == sparse.nnz


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_a_matrix_of_zeros_alone(kind: Any) -> None:
    sparse = scipy.sparse.coo_array((30, 20), dtype="f4").asformat(kind)
    held = converted(lambda path: scipy.sparse.save_npz(path, sparse), "x.npz")
    assert_holds(held, sparse.tocsr() if kind == "coo" else sparse)
    assert held.nnz == 0


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
@pytest.mark.parametrize("density", [0, 0.02, 0.9])
def test_no_piece_has_many_rows_or_entries(tmp_path: Path, kind: Any, density: float) -> None:
    sparse = scipy.sparse.random_array((10, 10), density=density, rng=0).asformat(kind)
    scipy.sparse.save_npz(tmp_path / "x.npz", sparse)
    pieces = list(dnmf.formats.READERS[".npz"](dnmf.formats.Source(str(tmp_path / "x.npz"), None, tmp_path)).pieces)
    together = 2 if kind == "coo" else 1  # five counters count ten rows
    assert sum(len(lengths) for lengths, _, _ in pieces) == 10
    for lengths, _, values in pieces:
        assert len(lengths) <= 7
        assert len(values) <= 7 or len(lengths) == together


def test_places_beyond_int32_are_int64(tmp_path: Path) -> None:
    for width, dtype in [(2**31, "i4"), (2**31 + 1, "i8")]:
        sparse = scipy.sparse.csr_array(([5], np.array([width - 1]), [0, 1]), shape=(1, width))
        scipy.sparse.save_npz(tmp_path / "x.npz", sparse)
        group: Any = convert(tmp_path / "x.npz", tmp_path / "x.zarr", overwrite=True)
        assert group["indices"].dtype == np.dtype(dtype)
        assert group["indices"][0] == width - 1


@given(
    x=arrays("f8", shapes, elements=finite),
    delimiter=st.sampled_from(",;\t"),
    names=st.sampled_from(["", '"a"', "Größe"]),
    newline=st.sampled_from(["\n", "\r\n", "\n\n"]),
    name=st.sampled_from(["x.csv", "X.CSV", "x.csv.gz"]),
)
def test_csv(x: Array, delimiter: str, names: str, newline: str, name: str) -> None:
    rows = [delimiter.join([names] * x.shape[1])] if names else []
    rows += [delimiter.join(repr(float(value)) for value in row) for row in x]
    content = ("\ufeff" + newline.join(rows)).encode()
    held = converted(lambda path: path.write_bytes(packed(path, content)), name, header=bool(names))
    assert_holds(held, x)


def packed(path: Path, content: bytes) -> bytes:
    """Content as a file of this name holds it."""
    return gzip.compress(content) if path.suffix == ".gz" else content


@pytest.mark.long
@given(x=matrices("i8", "u8", "f8"), seed=st.integers(0, 9), name=st.sampled_from(["x.mtx", "x.mtx.gz"]))
def test_mtx_coordinates_in_any_order_add_up(x: Array, seed: int, name: str) -> None:
    field = {"i": "integer", "u": "unsigned-integer", "f": "real"}[x.dtype.kind]
    cells = [(i, j) for i, j in np.ndindex(x.shape) if x[i, j]]
    entries = [f"{i + 1} {j + 1} {x[i, j]!s}" for i, j in cells] + [f"{i + 1} {j + 1} 1" for i, j in cells[:5]]
    np.random.default_rng(seed).shuffle(entries)
    size = f"{x.shape[0]} {x.shape[1]} {len(entries)}"
    lines = [f"%%MatrixMarket matrix coordinate {field} general", "% made up", "", size, *entries]
    expected = x.copy()
    with np.errstate(over="ignore"):
        for cell in cells[:5]:
            expected[cell] += x.dtype.type(1)
    held = converted(lambda path: path.write_bytes(packed(path, "\n".join(lines).encode())), name)
    assert_holds(held, scipy.sparse.csr_array(expected))
    assert held.nnz == len(cells)


@pytest.mark.long
@given(x=matrices("i8", "f8"), symmetry=st.sampled_from(["general", "symmetric"]), sparse=st.booleans())
def test_mtx_as_scipy_writes_it(x: Array, symmetry: Any, sparse: bool) -> None:
    if symmetry == "symmetric":
        side = min(x.shape)
        x = np.tril(x[:side, :side]) + np.tril(x[:side, :side], -1).T
    if sparse and not x.any():
        x = x.astype("f8")  # SciPy writes real where there is no entry
    held = scipy.sparse.coo_array(x) if sparse else x
    written = converted(lambda path: scipy.io.mmwrite(path, held, precision=17, symmetry=symmetry), "x.mtx")
    assert_holds(written, scipy.sparse.csr_array(x) if sparse else x)


@pytest.mark.parametrize("symmetry", ["general", "symmetric"])
def test_mtx_pattern_is_read_as_scipy_reads_it(tmp_path: Path, symmetry: str) -> None:
    source = tmp_path / "x.mtx"
    source.write_text(f"%%MatrixMarket matrix coordinate pattern {symmetry}\n3 3 3\n1 1\n3 1\n3 2\n")
    assert_holds(opened(convert(source, tmp_path / "x")), scipy.io.mmread(source).tocsr())


@pytest.mark.parametrize("before", ["", "GSM1_"])
def test_a_folder_of_10x_genomics_has_its_names_in_files_beside(tmp_path: Path, before: str) -> None:
    folder, x = tmp_path / "filtered", np.array([[0, 2], [1, 0], [0, 4]])
    folder.mkdir()
    scipy.io.mmwrite(folder / f"{before}matrix.mtx", scipy.sparse.coo_array(x))
    (folder / f"{before}features.tsv.gz").write_bytes(gzip.compress(b"E1\tb\tGene\nE2\ta\tGene\nE3\ta\tGene\n"))
    (folder / f"{before}barcodes.tsv").write_text("w\nx\n")
    made: Any = convert(folder, tmp_path / "x.zarr")
    assert_holds(opened(made), scipy.sparse.csr_array(x))
    assert [str(name) for name in made["labels/rows"][:]] == ["b", "a (E2)", "a (E3)"]
    assert [str(name) for name in made["labels/columns"][:]] == ["w", "x"]


@given(x=matrices("?", "u2", ">f4", "f8"))
def test_hdf5(x: Array) -> None:
    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file["group/x"] = x
            file["labels"] = ["a", "b"]

    assert_holds(converted(write, "x.h5"), x)
    assert_holds(converted(write, "x.hdf5", dataset="/group/x"), x)


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize("dtype", few(["?", "f4"], 1))
def test_what_anndata_writes_is_what_anndata_reads(kind: Any, dtype: str) -> None:
    x = np.random.default_rng(0).poisson(0.3, (31, 12)).astype(dtype)
    sparse, counts = scipy.sparse.coo_array(x).asformat(kind), scipy.sparse.csc_array(x + x.dtype.type(1))

    def write(path: Path) -> None:
        anndata.AnnData(sparse, layers={"counts": counts, "dense": x}).write_h5ad(path)

    assert_holds(converted(write, "x.h5ad"), sparse)
    assert_holds(converted(write, "x.h5ad", dataset="layers/counts"), counts)
    assert_holds(converted(write, "x.h5", dataset="/layers/counts"), counts)
    assert_holds(converted(write, "x.h5ad", dataset="layers/dense"), x)
    with TemporaryDirectory() as folder:
        write(Path(folder, "x.h5ad"))
        convert(Path(folder, "x.h5ad"), Path(folder, "x.zarr"))
        theirs = anndata.io.sparse_dataset(zarr.open_group(Path(folder, "x.zarr"), mode="r"))
        assert theirs.shape == x.shape
        assert_holds(theirs.to_memory().asformat(kind), sparse)
        np.testing.assert_array_equal(theirs[: len(x) // 2].toarray(), x[: len(x) // 2])


def test_dense_x_of_anndata_stays_dense(tmp_path: Path) -> None:
    x = np.arange(12, dtype="f4").reshape(4, 3)
    assert_holds(converted(lambda path: anndata.AnnData(x).write_h5ad(path), "x.h5ad"), x)


def test_attributes_of_other_writers_of_hdf5_are_read_too() -> None:
    sparse = scipy.sparse.random_array((9, 8), density=0.4, rng=0, format="csr")

    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file["a type"] = np.dtype("f8")
            group = file.create_group("X")
            group.update({"data": sparse.data.astype(">f4"), "indices": sparse.indices, "indptr": sparse.indptr})
            group.attrs.update({"encoding-type": np.array([b"csr_matrix"]), "shape": np.array([9.0, 8.0])})

    assert_holds(converted(write, "x.h5ad"), sparse.astype("f4"))


@given(m=st.integers(1, 300), n=st.integers(1, 100), dtype=st.sampled_from(["?", "f4", "f8"]))
def test_strips_are_whole_chunks_high_and_cover_the_rows(m: int, n: int, dtype: str) -> None:
    itemsize = np.dtype(dtype).itemsize
    height, _ = tiny_chunks((m, n), itemsize)
    cuts = dnmf.formats.contents.cuts((m, n), np.dtype(dtype))
    assert [row for start, stop in cuts for row in range(start, stop)] == list(range(m))
    assert all(start % height == 0 for start, _ in cuts)
    assert max(stop - start for start, stop in cuts) <= max(height, 128 // (n * itemsize))


def save_h5(path: Path, **held: Any) -> None:
    """An HDF5 file of these datasets."""
    with h5py.File(path, "w") as file:
        file.update(held)


def save_truncated(path: Path) -> None:
    """A .npy file whose last 10 bytes are missing."""
    np.save(path, np.ones((5, 4)))
    path.write_bytes(path.read_bytes()[:-10])


def save_astray(path: Path, make: Any = scipy.sparse.csr_array) -> None:
    """A sparse archive with a column (csc: row) that is not there."""
    sparse = make(np.eye(9))
    sparse.indices[8] = 20
    scipy.sparse.save_npz(path, sparse)


def save_csr(path: Path, **other: Any) -> None:
    """A sparse archive, or AnnData's file, of some vectors that are as given here."""
    sparse = scipy.sparse.csr_array(np.eye(3))
    held = {"data": sparse.data, "indices": sparse.indices, "indptr": sparse.indptr, **other}
    if path.suffix == ".npz":
        np.savez(path, format=b"csr", shape=(3, 3), **held)
        return
    with h5py.File(path, "w") as file:
        group = file.create_group("X")
        group.update(held)
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [3, 3]})


def save_without_x(path: Path) -> None:
    """AnnData's file without X."""
    anndata.AnnData(shape=(2, 3), layers={"counts": scipy.sparse.csr_array(np.eye(2, 3))}).write_h5ad(path)


def text(content: str) -> Callable[[Path], object]:
    """Writes a text file."""
    return lambda path: path.write_text(content)


MARKET = "%%MatrixMarket matrix "
CASES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "suffix": ("x.xlsx", text("1"), r"x\.xlsx has no known suffix: \.npy, \.npz, .*\.zarr\.zip are read; save X as"),
    "complex": (
        "x.npy",
        lambda path: np.save(path, np.ones((2, 2), "c16")),
        "holds entries of dtype complex128: booleans, integers or floats of at most 64 bits are required; cast them",
    ),
    "strings": ("x.npy", lambda path: np.save(path, np.array([["a"]])), "holds entries of dtype <U1: booleans"),
    "objects": ("x.npy", lambda path: np.save(path, np.array([[None]])), "holds entries of dtype object: booleans"),
    "vector": (
        "x.npy",
        lambda path: np.save(path, np.ones(3)),
        r"holds an array of shape \(3,\): two axes are required; reshape it first",
    ),
    "empty": (
        "x.npy",
        lambda path: np.save(path, np.ones((0, 3))),
        r"holds an empty matrix of shape \(0, 3\): entries are required; check its origin",
    ),
    "no npy": ("x.npy", text("1,2,3,4,5"), r"x\.npy holds no NumPy array \(.*\); write it with numpy\.save"),
    "truncated": (
        "x.npy",
        save_truncated,
        r"x\.npy ends 10 bytes early: a complete file is required; copy or write it again",
    ),
    "no zip": ("x.npz", text("1"), "is no zip archive: a .npz file is one; write it with numpy.savez or"),
    "two": (
        "x.npz",
        lambda path: np.savez(path, a=np.ones((2, 3)), b=np.ones((4, 5))),
        r"holds 2 arrays with two axes: one is required; name it with dataset=, out of: 'a' \(2, 3\), 'b' \(4, 5\)",
    ),
    "none": ("x.npz", lambda path: np.savez(path), "holds 0 arrays with two axes: .* out of: none"),
    "dia": (
        "x.npz",
        lambda path: scipy.sparse.save_npz(path, scipy.sparse.dia_array(np.eye(2))),
        r"is sparse in format dia: csr, csc or coo is required; save X\.tocsr\(\) instead",
    ),
    "sparse vector": (
        "x.npz",
        lambda path: scipy.sparse.save_npz(path, scipy.sparse.csr_array(np.ones(3))),
        r"holds an array of shape \(3,\): two axes are required; reshape it first",
    ),
    "astray in csc": (
        "x.npz",
        partial(save_astray, make=scipy.sparse.csc_array),
        r"has an entry in row 21, column 9 \(counted from 1\): X is 9 × 9; correct the file",
    ),
    "astray in coo": (
        "x.npz",
        lambda path: np.savez(path, format=b"coo", shape=(3, 3), row=[0, 3], col=[1, 1], data=[1.0, 2.0]),
        r"has an entry in row 4, column 2 \(counted from 1\): X is 3 × 3; correct the file",
    ),
    "falling": (
        "x.npz",
        partial(save_csr, indptr=[0, 2, 1, 3]),
        r"has a wrong indptr within its first 4: from 0 up to 3 at most, its number of entries, and never down is req",
    ),
    "late": ("x.h5ad", partial(save_csr, indptr=[1, 1, 2, 3]), "has a wrong indptr within its first 4: from 0 up to 3"),
    "beyond": ("x.h5ad", partial(save_csr, indptr=[0, 1, 2, 4]), "has a wrong indptr within its first 4: .*; write it"),
    "few pointers": (
        "x.h5ad",
        partial(save_csr, indptr=[0, 3]),
        "holds 2 indptr, 3 indices, 3 data for a csr matrix of 3 × 3: 4 indptr and as many indices as data are requir",
    ),
    "few indices": (
        "x.npz",
        partial(save_csr, indices=[0, 1]),
        "holds 4 indptr, 2 indices, 3 data for a csr matrix of 3 × 3: .* are required; write it again",
    ),
    "no X": (
        "x.h5ad",
        save_without_x,
        r"holds no array 'X': one is required; name it with dataset=, out of: 'layers/counts' \(2, 3\)$",
    ),
    "astray": (
        "x.npz",
        save_astray,
        r"has an entry in row 9, column 21 \(counted from 1\): X is 9 × 9; correct the file",
    ),
    "value": (
        "x.csv",
        text("a,b\n1,2\n\n3,4\n5,x7\n6,7\n"),
        r"x\.csv, line 5: could not convert string 'x7' to float64; correct the line",
    ),
    "gap": ("x.csv", text("1,2\n1,\n"), "x.csv, line 2: could not convert string '' to float64; correct the line"),
    "ragged": (
        "x.csv",
        text("1,2\n3,4,5\n"),
        "x.csv, line 2: the dtype passed requires 2 columns but 3 were found; cor",
    ),
    "only header": ("x.csv", text("a;b\n"), r"holds an empty matrix of shape \(0, 2\)"),
    "nothing": ("x.csv", text(""), r"holds an empty matrix of shape \(0, 1\)"),
    "banner": (
        "x.mtx",
        text(MARKET + "coordinate complex general\n1 1 1\n1 1 1 0\n"),
        "starts with '%%matrixmarket matrix coordinate complex general': '%%MatrixMarket matrix coordinate|array real",
    ),
    "no size": (
        "x.mtx",
        text(MARKET + "coordinate real general\n%\n1 1\n"),
        "x.mtx, line 3: '1 1' is no size of X; 3 sizes are required, rows and columns equal where X is symmetric",
    ),
    "not square": (
        "x.mtx",
        text(MARKET + "array real symmetric\n1 2\n1\n2\n"),
        "line 2: '1 2' is no size of X; 2 sizes",
    ),
    "too few": (
        "x.mtx",
        text(MARKET + "array real general\n2 2\n1\n2\n3\n"),
        "announces 4 entries and holds 3: a complete file is required; write it again",
    ),
    "too many": (
        "x.mtx",
        text(MARKET + "array integer general\n1 1\n1\n2\n"),
        "announces 1 entries and holds 2: a com",
    ),
    "outside": (
        "x.mtx",
        text(MARKET + "coordinate pattern general\n2 2 1\n0 1\n"),
        r"has an entry in row 0, column 1 \(counted from 1\): X is 2 × 2; correct the file",
    ),
    "not whole": (
        "x.mtx",
        text(MARKET + "coordinate integer general\n2 2 2\n1 1 1\n2 2 1.5\n"),
        "x.mtx, line 4: could not convert string '1.5' to int64; correct the line",
    ),
    "no hdf5": ("x.h5", text("1"), "is no HDF5 file: its suffix says that it is; rename it or write it with h5py"),
    "two datasets": (
        "x.h5",
        lambda path: save_h5(path, a=np.ones((2, 3)), b=np.ones((4, 5))),
        r"holds 2 arrays with two axes: one is required; name it with dataset=, out of: 'a' \(2, 3\), 'b' \(4, 5\)",
    ),
    "text dataset": ("x.h5", lambda path: save_h5(path, a=[["a"]]), "holds entries of dtype object: booleans"),
}


@pytest.mark.parametrize("case", CASES)
def test_errors_say_what_to_do_and_leave_nothing(tmp_path: Path, case: str) -> None:
    name, write, message = CASES[case]
    write(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / name, tmp_path / "x.zarr")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_dataset_must_exist_and_make_sense(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    np.savez(tmp_path / "x.npz", a=np.ones((2, 3)))
    save_h5(tmp_path / "x.h5", a=np.ones((2, 3)))
    for name in ("x.npz", "x.h5"):
        with pytest.raises(ValueError, match=r"holds no array 'b': .* out of: 'a' \(2, 3\)"):
            convert(tmp_path / name, tmp_path / "x.zarr", dataset="b")
    rule = r"dataset='b' is for \.npz, \.h5 and \.h5ad files: .*x\.npy holds one matrix; leave it out"
    with pytest.raises(ValueError, match=rule):
        convert(tmp_path / "x.npy", tmp_path / "x.zarr", dataset="b")


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("obs", r"holds no array 'obs': one is required; name it with dataset=, out of: 'X' \(2, 3\)$"),
        ("obs/_index", r"holds an array of shape \(2,\): two axes are required; reshape it first"),
        ("X/data", r"holds an array of shape \(2,\): two axes are required; reshape it first"),
    ],
)
def test_what_is_named_in_anndata_must_be_a_matrix(tmp_path: Path, dataset: str, message: str) -> None:
    anndata.AnnData(scipy.sparse.csr_array(np.eye(2, 3))).write_h5ad(tmp_path / "x.h5ad")
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / "x.h5ad", tmp_path / "x.zarr", dataset=dataset)


def test_hdf5_needs_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    for name in ("x.h5", "x.h5ad"):
        (tmp_path / name).touch()
        with pytest.raises(
            ImportError, match=r'x\.h5.* is an HDF5 file and h5py is missing: pip install "dnmf\[hdf5\]'
        ):
            convert(tmp_path / name, tmp_path / "x.zarr")


def test_paths_must_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"x\.npy is not a file: a matrix file is required; check the path"):
        convert(tmp_path / "x.npy", tmp_path / "x.zarr")
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    with pytest.raises(FileNotFoundError, match=r"a is not a folder: x\.zarr is written into one; create it first"):
        convert(tmp_path / "x.npy", tmp_path / "a" / "x.zarr")


def test_only_zarr_is_overwritten_and_only_when_asked(tmp_path: Path) -> None:
    source, target, folder = tmp_path / "x.npy", tmp_path / "x.zarr", tmp_path / "folder"
    np.save(source, np.ones((2, 3)))
    convert(str(source), str(target))
    np.save(source, np.zeros((4, 5)))
    with pytest.raises(
        FileExistsError, match=r"a new path is required; choose another, or say --overwrite \(overwrite=True\)"
    ):
        convert(source, target)
    assert zarr.open_array(target).shape == (2, 3)
    convert(source, target, overwrite=True)
    assert zarr.open_array(target).shape == (4, 5)
    folder.mkdir()
    (folder / "thesis.tex").touch()
    for precious in (folder, source):
        with pytest.raises(FileExistsError, match="is not a Zarr array or group: only these are overwritten; choose"):
            convert(source, precious, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "x.npy", "x.zarr"]
    assert folder.stat().st_mode == target.stat().st_mode


def test_a_failure_halfway_leaves_the_old_array(tmp_path: Path) -> None:
    source, target = tmp_path / "x.npy", tmp_path / "x.zarr"
    np.save(source, np.ones((50, 3)))
    convert(source, target)
    source.write_bytes(source.read_bytes()[:-8])
    with pytest.raises(ValueError, match="ends 8 bytes early"):
        convert(source, target, overwrite=True)
    assert_holds(zarr.open_array(target)[:], np.ones((50, 3)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.npy", "x.zarr"]


def test_an_old_array_comes_back_when_the_new_one_cannot_be_renamed(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    convert(tmp_path / "x.npy", tmp_path / "x.zarr")
    with pytest.raises(FileNotFoundError):
        dnmf.formats.convert._publish(tmp_path / "missing", tmp_path / "x.zarr", tmp_path / "old")
    assert_holds(zarr.open_array(tmp_path / "x.zarr")[:], np.ones((2, 3)))


def test_the_result_is_read_only(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    array = convert(tmp_path / "x.npy", tmp_path / "x.zarr")
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 2


def test_a_sparse_result_is_read_only_and_replaces_a_dense_one(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    convert(tmp_path / "x.npy", tmp_path / "x.zarr")
    scipy.sparse.save_npz(tmp_path / "x.npz", scipy.sparse.csr_array(np.eye(4)))
    group: Any = convert(tmp_path / "x.npz", tmp_path / "x.zarr", overwrite=True)
    assert_holds(opened(group), scipy.sparse.csr_array(np.eye(4)))
    with pytest.raises(ValueError, match="read-only"):
        group["data"][0] = 2
    convert(tmp_path / "x.npy", tmp_path / "x.zarr", overwrite=True)
    assert_holds(zarr.open_array(tmp_path / "x.zarr")[:], np.ones((2, 3)))


def test_what_was_made_is_described(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((3, 2), "f4"))
    scipy.sparse.save_npz(tmp_path / "x.npz", scipy.sparse.csc_array(np.eye(4, 3, dtype="f4")))
    assert describe(convert(tmp_path / "x.npy", tmp_path / "a")) == "3 × 2 float32, chunks of 3 × 2"
    assert describe(convert(tmp_path / "x.npz", tmp_path / "b")) == "4 × 3 float32, 3 non-zeros in csc"


@pytest.mark.parametrize("dtype", ["?", "f4", "i8"])
def test_the_codec_is_the_one_that_reads_fast(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 3), dtype))
    scipy.sparse.save_npz(tmp_path / "x.npz", scipy.sparse.csr_array(np.ones((2, 3), dtype)))
    group: Any = convert(tmp_path / "x.npz", tmp_path / "y.zarr")
    for array in (convert(tmp_path / "x.npy", tmp_path / "x.zarr"), *(array for _, array in group.members())):
        codec = BloscCodec(cname="lz4", shuffle="shuffle", typesize=array.dtype.itemsize)
        assert array.compressors == (codec,)


PEAK = """
    import sys
    from pathlib import Path
    from dnmf.formats.convert import convert, describe

    def peak():
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

    idle = peak()
    made = convert(sys.argv[1], sys.argv[2])
    print(peak() - idle, describe(made), sep=";")
"""


def peak_and_description(source: Path) -> tuple[float, str]:
    """MiB that a process of its own needs to convert a file, and what it made."""
    command = [sys.executable, "-c", textwrap.dedent(PEAK), str(source), str(source.with_name("x.zarr"))]
    peak, description = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split(";")
    return float(peak), description


@pytest.mark.large
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("name", "fortran"), [("x.npy", False), ("x.npy", True), ("x.npz", False)])
def test_memory_is_a_few_strips(tmp_path: Path, name: str, fortran: bool) -> None:
    shape, source = (50_000, 1000), tmp_path / name
    array = tmp_path / "x.npy"
    with array.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"shape": shape, "fortran_order": fortran, "descr": "<f8"})
        for _ in range(50):
            file.write(np.repeat(np.arange(1000.0), 1000).data)
    if source != array:
        with zipfile.ZipFile(source, "w") as archive:
            archive.write(array, "x.npy")
    peak, description = peak_and_description(source)
    height, width = well_chunked(shape, 8)
    assert source.stat().st_size > 400_000_000
    assert description == f"50000 × 1000 float64, chunks of {height} × {width}"
    assert peak < 250


def save_long(path: Path, times: int, *, other: dict[str, Any], **blocks: Array) -> None:
    """A sparse archive whose vectors are blocks, many times over, and others."""
    np.savez(path, **other)
    with zipfile.ZipFile(path, "a") as archive:
        for name, block in blocks.items():
            header = {"shape": (times * len(block),), "fortran_order": False, "descr": block.dtype.str}
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array_header_1_0(file, header)
                for _ in range(times):
                    file.write(block.data)


@pytest.mark.large
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", ["csr", "coo"])
def test_memory_is_a_few_pieces(tmp_path: Path, kind: str) -> None:
    times, per_block, per_row, n = 30, 1_000_000, 20, 5000
    ones, columns = np.ones(per_block), np.tile(np.arange(0, n, n // per_row, dtype="i4"), per_block // per_row)
    rows = np.random.default_rng(0).permutation(np.repeat(np.arange(per_block // per_row, dtype="i4"), per_row))
    pointers = np.arange(0, times * per_block + 1, per_row)
    source, facts = tmp_path / "x.npz", {"format": kind.encode(), "shape": (times * per_block // per_row, n)}
    if kind == "csr":
        save_long(source, times, other={**facts, "indptr": pointers}, data=ones, indices=columns)
        entries = times * per_block
    else:
        save_long(source, times, other=facts, data=ones, row=rows, col=columns)
        entries = len(np.unique(rows.astype("i8") * n + columns))
    peak, description = peak_and_description(source)
    assert source.stat().st_size > 350_000_000
    assert description == f"1500000 × 5000 float64, {entries} non-zeros in csr"
    assert peak < 250


def test_zeros_that_a_sparse_file_stores_are_kept_as_values(tmp_path: Path) -> None:
    for name, data in (("some", [1.0, 0, 3]), ("all", [0.0, 0, 0])):
        x = scipy.sparse.csr_matrix((np.array(data), ([0, 1, 2], [1, 1, 0])), shape=(3, 2))
        scipy.sparse.save_npz(tmp_path / f"{name}.npz", x)
        convert(tmp_path / f"{name}.npz", tmp_path / f"{name}.zarr")
        rows = open_matrix(tmp_path / f"{name}.zarr", missing="zeros").strips(0, check=True)[:, :]
        assert rows.observed == 3
        np.testing.assert_array_equal(rows.values.data, data)
