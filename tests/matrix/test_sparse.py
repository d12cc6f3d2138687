"""Strips of sparse X are SciPy's rows, wherever X is; what its three arrays cannot mean is refused in a sentence."""

import pickle
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from kinds import kind_of
from numpy.testing import assert_array_equal
from scipy import sparse
from strategies import matrices
from zarr.storage import MemoryStore

from dnmf.matrix.lazy import prepare
from dnmf.matrix.matrix import finds
from dnmf.matrix.opening import open_matrix
from dnmf.plan.sparse import SparseGrid

SHAPE = (13, 9)
DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">f4", ">f8", ">i4"]
# Zeros may be stored as such; Zarr leaves chunks of nothing else out, unless told.
KEEP = {"write_empty_chunks": True}


def entries(dtype="f4"):
    """Dense X of small numbers that every dtype holds: an empty row, an empty column, a full row; read-only."""
    rng = np.random.default_rng(0)
    x = rng.integers(1, 100, SHAPE) * (rng.random(SHAPE) < 0.4)
    x[3], x[:, 4], x[5] = 0, 0, rng.integers(1, 100, SHAPE[1])
    x = x.astype(dtype)
    x.flags.writeable = False
    return x


def triple(x, kind="csr"):
    """The arrays data, indices and indptr of a dense matrix in any dtype, those that SciPy has not too; read-only."""
    places = sparse.csr_matrix(np.asarray(x if kind == "csr" else x.T) != 0)
    lines = np.repeat(np.arange(places.shape[0]), np.diff(places.indptr))
    data = (x if kind == "csr" else x.T)[lines, places.indices]
    for array in (data, places.indices, places.indptr):
        array.flags.writeable = False
    return data, places.indices, places.indptr


def in_memory(arrays, kind="csr", shape=SHAPE):
    return {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix}[kind](arrays, shape=shape)


def stored(arrays, kind="csr", shape=SHAPE, *, store=None, path=None, chunk=7, zarr_format=3, shards=None):
    """A group as AnnData writes it, in small chunks."""
    group = zarr.create_group(
        MemoryStore() if store is None else store,
        path=path,
        zarr_format=zarr_format,
        overwrite=True,
        attributes={"encoding-type": f"{kind}_matrix", "encoding-version": "0.1.0", "shape": list(shape)},
    )
    for name, numbers in zip(("data", "indices", "indptr"), arrays, strict=True):
        more = {"shards": (shards,)} if shards and name != "indptr" else {}
        array = group.create_array(
            name, shape=numbers.shape, dtype=numbers.dtype, chunks=(min(chunk, max(1, numbers.size)),), config=KEEP,
            **more,
        )  # fmt: skip
        array[...] = numbers
    return group


def strip(X, start, stop, *, check=True):
    """A strip of X along the axis in which it is stored."""
    matrix = open_matrix(X)
    return matrix.strips(matrix.grid.axis, check=check)[start:stop, :]


def is_in_order(y) -> bool:
    """Whether every row has rising places, one number in each, and no 0; from scratch."""
    rising = all((np.diff(y.indices[a:b]) > 0).all() for a, b in zip(y.indptr, y.indptr[1:], strict=False))
    return rising and bool(y.data.all())


# Strips


WHERE = ["v2", "v3", "sharded", "memory", "array", "one chunk"]


# Every dtype once, csr and csc in every place.
@pytest.mark.parametrize(
    ("where", "dtype", "kind"),
    [(WHERE[i % 6], each, ("csr", "csc")[(i + i // 6) % 2]) for i, each in enumerate(DTYPES)],
)
def test_strips_are_rows_or_turned_columns(where, dtype, kind):
    x = entries(dtype)
    arrays = triple(x, kind)
    storage = {"v2": {"zarr_format": 2}, "v3": {}, "sharded": {"chunk": 3, "shards": 12}, "one chunk": {"chunk": 10**6}}
    X = stored(arrays, kind, **storage[where]) if where in storage else in_memory(arrays, kind)
    X = sparse.csr_array(X) if where == "array" and kind == "csr" and x.dtype.isnative and dtype != "f2" else X
    matrix = open_matrix(X)
    axis = int(kind == "csc")
    assert matrix.sparse
    # Zarr format 3 swaps bytes where it decodes: its arrays have native dtypes.
    dtypes = (x.dtype, x.dtype.newbyteorder("="))
    assert kind_of(matrix) == ("stored" if where in storage else "memory", "sparse")
    assert matrix.stored_dtype == dtypes[where in storage and where != "v2"]
    assert (matrix.grid.axis, matrix.grid.shape) == (axis, SHAPE)
    strips = matrix.strips(axis, check=True)
    whole = (x if axis == 0 else x.T).astype(matrix.dtype)
    assert (strips.shape, strips.ndim, strips.dtype) == (whole.shape, 2, matrix.dtype)
    for start, stop in ((0, 4), (4, 9), (8, 100), (3, 7), (3, 4)):
        y = strips[start:stop, :]
        assert type(y) is sparse.csr_matrix
        assert (y.dtype, y.indices.dtype, y.indptr.dtype) == (matrix.dtype, "i4", "i4")
        assert y.dtype.isnative
        assert_array_equal(y.toarray(), whole[start:stop])
        assert is_in_order(y)


@given(st.data(), matrices(scales=(0, 2)), st.sampled_from(["csr", "csc"]), st.sampled_from(["f4", "f8", "u1", "i8"]))
def test_any_rows_of_any_store_are_scipys(data, x, kind, dtype):
    x = x.astype(dtype)
    arrays = triple(x, kind)
    X = stored(arrays, kind, x.shape, chunk=data.draw(st.integers(1, 50))) if data.draw(st.booleans()) else None
    axis = int(kind == "csc")
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, x.shape[axis])] * 2)))
    if start < stop:
        y = strip(in_memory(arrays, kind, x.shape) if X is None else X, start, stop)
        assert_array_equal(y.toarray(), (x if axis == 0 else x.T)[start:stop])


@given(st.data(), st.integers(1, 6), st.integers(1, 6), st.sampled_from(["csr", "csc"]))
def test_places_that_repeat_or_fall_and_zeros_that_are_stored_come_out_in_order(data, m, n, kind):
    lines, width = (m, n) if kind == "csr" else (n, m)
    counts = data.draw(st.lists(st.integers(0, 2 * width), min_size=lines, max_size=lines))
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype("i4")
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    indices = rng.integers(0, width, indptr[-1]).astype("i4")
    numbers = rng.integers(0, 3, indptr[-1]).astype("f4")
    arrays = (numbers, indices, indptr)
    for array in arrays:
        array.flags.writeable = False
    whole = np.zeros((lines, width), "f4")
    np.add.at(whole, (np.repeat(np.arange(lines), counts), indices), numbers)
    for X in (in_memory(arrays, kind, (m, n)), stored(arrays, kind, (m, n), chunk=3)):
        y = strip(X, 0, lines)
        assert_array_equal(y.toarray(), whole)
        assert is_in_order(y)


@pytest.mark.parametrize("kind", ["coo", "lil", "dok", "dia", "bsr"])
@pytest.mark.parametrize("wrap", ["matrix", "array"])
def test_every_format_of_scipy_opens(kind, wrap):
    x = entries()
    X = getattr(sparse, f"{kind}_{wrap}")(x)
    matrix = open_matrix(X)
    assert (kind_of(matrix), matrix.grid.axis) == (("memory", "sparse"), 0)
    assert matrix.location == "an array in memory"
    assert_array_equal(strip(X, 0, 99).toarray(), x)


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_strips_in_memory_are_views(kind):
    X = in_memory(triple(entries(), kind), kind)
    assert open_matrix(X).array is X
    y = strip(X, 6, 8)
    assert np.shares_memory(y.data, X.data)
    assert np.shares_memory(y.indices, X.indices)
    assert y.data.size < X.data.size // 2, "SciPy itself would have copied so small a part"


def test_long_places_become_short_where_they_fit():
    data, indices, indptr = triple(entries())
    for X in (
        stored((data, indices.astype("i8"), indptr.astype("i8"))),
        stored((data, indices.astype("u2"), indptr.astype("u8"))),
    ):
        y = strip(X, 2, 9)
        assert y.indices.dtype == y.indptr.dtype == "i4"
        assert_array_equal(y.toarray(), entries()[2:9])
    wide = sparse.csr_matrix((np.ones(1, "f4"), np.array([2**31]), np.array([0, 1])), shape=(1, 2**31 + 1))
    assert open_matrix(wide).grid.index_size == 8
    assert strip(wide, 0, 1).indices.tolist() == [2**31]


def test_a_matrix_without_non_zeros_has_empty_strips(tmp_path):
    arrays = triple(np.zeros(SHAPE, "f4"))
    for X in (in_memory(arrays), stored(arrays)):
        y = strip(X, 2, 9)
        assert (y.shape, y.nnz, y.dtype) == ((7, 9), 0, "f4")
        assert open_matrix(X).grid.nbytes > 0


# What cannot be


ALLOW = ', or, for least squares, allow it with --negative allow (negative="allow")'


@pytest.mark.parametrize(
    ("dtype", "value", "kind"),
    [
        ("f2", -1.5, "csr"),
        ("f4", np.nan, "csr"),
        ("f8", np.inf, "csr"),
        ("f2", -np.inf, "csc"),
        ("f4", -1.5, "csc"),
        ("f8", np.nan, "csc"),
    ],
)
def test_an_entry_that_cannot_be_names_its_row_and_column(dtype, value, kind):
    x = entries(dtype).copy()
    x[10, 7] = value
    arrays, line = triple(x, kind), (10, 7)[kind == "csc"]
    for X in (stored(arrays, kind), in_memory(arrays, kind)):
        strip(X, 0, line)
        with pytest.raises(ValueError, match="every entry must be finite") as refused:
            strip(X, line - 1, 13)
        assert str(refused.value) == (
            f"X[10, 7] is {value}: every entry must be finite and not negative; mend X and start again"
            f"{ALLOW if value == -1.5 else ''}"
        )
        unchecked = strip(X, line - 1, 13, check=False)
        assert_array_equal(unchecked.toarray(), (x if kind == "csr" else x.T)[line - 1 : 13])


@pytest.mark.parametrize("dtype", ["i1", "i4", "i8"])
def test_a_negative_integer_is_named(dtype):
    x = entries(dtype).copy()
    x[2, 3] = -7
    for X in (stored(triple(x)), in_memory(triple(x))):
        with pytest.raises(ValueError, match=r"X\[2, 3\] is -7: every entry"):
            strip(X, 0, 4)


def test_parts_of_an_entry_may_be_negative_where_it_is_not():
    X = sparse.csr_matrix((np.array([-1.0, 3.0]), np.array([1, 1]), np.array([0, 2])), shape=(1, 2))
    assert_array_equal(strip(X, 0, 1).toarray(), [[0, 2]])
    assert X.nnz == 2, "the caller's stays as it is"


def broken(name, numbers, **more):
    """A stored X of which one array holds other numbers."""
    arrays = dict(zip(("data", "indices", "indptr"), (a.copy() for a in triple(entries())), strict=True))
    arrays[name] = numbers(arrays[name])
    return stored(tuple(arrays.values()), **more)


def put(at, value):
    def change(numbers):
        numbers[at] = value
        return numbers

    return change


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(("at", "value", "shown"), [(3, 9, 9), (3, -1, -1), (-1, 10**6, 10**6)])
def test_a_place_outside_of_x_is_refused(at, value, shown, check):
    for X in (
        broken("indices", put(at, value)),
        broken("indices", lambda numbers: put(at, value)(numbers.astype("i8"))),
        broken("indices", lambda numbers: put(at, value + 2**32)(numbers.astype("i8"))),
    ):
        with pytest.raises(ValueError, match="X is damaged") as refused:
            strip(X, 0, 13, check=check)
        held = str(refused.value).split(" hold ")[1].split(",")[0]
        assert str(refused.value) == (
            f"indices of rows 0 to 12 of X hold {held}, and X has 9 columns: X is damaged; write it again"
        )
        assert int(held) in (shown, shown + 2**32)


@pytest.mark.parametrize("change", [put(4, 0), put(0, 1), put(-1, 10**6), put(-1, 3), put(2, -1)])
def test_pointers_that_do_not_rise_to_the_length_of_data_are_refused_when_x_is_opened(change, tmp_path):
    X = broken("indptr", change, store=str(tmp_path / "X.zarr"))
    size = X["data"].size
    with pytest.raises(ValueError, match="is damaged") as refused:
        open_matrix(X)
    assert str(refused.value) == (
        f"indptr of {tmp_path}/X.zarr is damaged: it must rise from 0 to {size}, the length of data, and never fall; "
        f"write X again"
    )


@pytest.mark.parametrize("change", [put(4, 0), put(5, 10**6)])
def test_pointers_that_changed_after_x_was_opened_are_refused(change):
    X = broken("indptr", lambda numbers: numbers)
    matrix = open_matrix(X)
    X["indptr"][...] = change(X["indptr"][...])
    with pytest.raises(ValueError, match=r"indptr of rows 0 to 5 of X is damaged: it must rise from 0 to \d+"):
        matrix.strips(0, check=False)[0:6, :]


def test_arrays_that_do_not_fit_together_are_refused(tmp_path):
    path = tmp_path / "X.zarr"
    for name in ("data", "indices", "indptr"):
        broken(name, lambda numbers: numbers[:-1], store=str(path))
        with pytest.raises(ValueError, match=r"X.zarr is damaged: data has \d+ numbers, indices \d+ and indptr \d+"):
            open_matrix(path)


@pytest.mark.parametrize("name", ["data", "indices", "indptr", "shape"])
def test_a_group_that_lacks_a_part_is_refused(name, tmp_path):
    X = stored(triple(entries()), store=str(tmp_path / "X.zarr"))
    if name == "shape":
        del X.attrs["shape"]
    else:
        del X[name]
    with pytest.raises(ValueError, match="which every sparse matrix has") as refused:
        open_matrix(tmp_path / "X.zarr")
    assert str(refused.value) == f"{tmp_path}/X.zarr has no {name}, which every sparse matrix has: write it again"


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,), (2, 2, 2)])
def test_what_is_no_matrix_is_refused(shape):
    X = stored((np.zeros(0, "f4"), np.zeros(0, "i4"), np.zeros(shape[0] + 1, "i4")), shape=shape)
    with pytest.raises(ValueError, match="a matrix of at least one row and one column is required"):
        open_matrix(X)


def test_what_scipy_has_of_other_shapes_or_dtypes_is_refused():
    with pytest.raises(ValueError, match=r"X has shape \(3,\): a matrix of"):
        open_matrix(sparse.coo_array(np.ones(3)))
    with pytest.raises(ValueError, match=r"X has shape \(0, 3\): a matrix of"):
        open_matrix(sparse.csr_matrix((0, 3)))
    with pytest.raises(TypeError, match="X has dtype complex128: real numbers"):
        open_matrix(sparse.eye(3, dtype="c16"))


def chunks_of(path: Path, name: str) -> list[Path]:
    return sorted(p for p in (path / name / "c").rglob("*") if p.is_file())


@pytest.mark.parametrize("name", ["data", "indices"])
@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"no chunk")])
@pytest.mark.parametrize("chunk", [7, 20, 10**6])
def test_a_chunk_that_is_damaged_or_gone_is_named_by_its_rows(tmp_path, name, harm, chunk):
    path = tmp_path / "X.zarr"
    stored(triple(entries()), store=str(path), chunk=chunk)
    strip(path, 0, 13)
    harm(chunks_of(path, name)[0])
    with pytest.raises(
        OSError, match=r"^rows 0 to 12 of X cannot be read \(.*\): a chunk is damaged or gone; write it"
    ):
        strip(path, 0, 13)


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"no chunk")])
def test_damaged_or_missing_pointers_are_refused_when_x_is_opened(tmp_path, harm):
    path = tmp_path / "X.zarr"
    stored(triple(entries()), store=str(path))
    harm(chunks_of(path, "indptr")[1])
    with pytest.raises(
        (OSError, ValueError), match=r"indptr of .* (damaged|cannot be read)|^indptr of X cannot be read"
    ):
        open_matrix(path)


def test_zeros_that_are_stored_are_no_lost_chunk(tmp_path):
    x = sparse.csr_matrix(entries())
    x.data[5:30] = 0
    path = tmp_path / "X.zarr"
    stored((x.data, x.indices, x.indptr), store=str(path))
    assert_array_equal(strip(path, 0, 13).toarray(), x.toarray())


# Sparse blocks of Dask arrays


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix, sparse.csr_array])
def test_sparse_blocks_are_prepared_as_those_of_a_store(kind, axis):
    x = entries("i4")
    y = prepare(kind(x), np.dtype("f8"), axis=axis, first=0, check=True)
    assert type(y) is sparse.csr_matrix
    assert y.dtype == "f8"
    assert_array_equal(y.toarray(), x if axis == 0 else x.T)
    bad = x.copy()
    bad[2, 5] = -3
    at = (102, 5) if axis == 0 else (2, 105)
    with pytest.raises(ValueError, match=rf"^X\[{at[0]}, {at[1]}\] is -3: every entry"):
        prepare(kind(bad), np.dtype("f8"), axis=axis, first=100, check=True)


def test_a_block_is_not_written_to():
    data, indices, indptr = np.array([1.0, 2, 3]), np.array([1, 0, 1]), np.array([0, 3])
    block = sparse.csr_matrix((data, indices, indptr), shape=(1, 2))
    assert_array_equal(prepare(block, np.dtype("f8"), axis=0, first=0, check=True).toarray(), [[2, 4]])
    assert block.data.tolist() == [1, 2, 3]
    assert block.indices.tolist() == [1, 0, 1]


def test_dask_arrays_of_sparse_blocks_are_planned_by_a_nominal_share_of_non_zeros():
    x = sparse.random(100, 50, 0.3, format="csr", dtype="f8", random_state=0)
    X = da.from_array(x.toarray(), chunks=((30, 70), (50,))).map_blocks(sparse.csr_matrix)
    matrix = open_matrix(X)
    assert (kind_of(matrix), matrix.dtype, matrix.stored_dtype) == (("lazy", "sparse"), "f8", "f8")
    assert matrix.grid == SparseGrid((100, 50), (70 * 5,), 12, 8, 0, (), fullest=5, unit=70, copies=2)
    assert list(matrix.grid.ends) == list(range(0, 501, 5))
    wide = da.from_array(x.toarray(), chunks=(100, 10)).map_blocks(sparse.csc_matrix)
    assert (open_matrix(wide).grid.axis, open_matrix(wide).grid.unit) == (1, 10), "blocks are whole columns"
    dense = open_matrix(da.from_array(x.toarray(), chunks=(30, 50)))
    assert kind_of(dense) == ("lazy", "dense")


# Descriptions


def test_a_grid_tells_how_x_is_stored(tmp_path):
    x = entries("u2")
    data, indices, indptr = triple(x)
    stored((data, indices.astype("i8"), indptr.astype("i8")), store=str(tmp_path / "X.zarr"), chunk=5)
    matrix = open_matrix(tmp_path / "X.zarr")
    assert matrix.grid == SparseGrid(SHAPE, (5,), 10, 4, 0, (), fullest=9, pointers=40, in_flight=1)
    assert_array_equal(matrix.grid.ends, indptr)
    assert matrix.location == f"{tmp_path}/X.zarr"
    assert open_matrix(stored((data, indices, indptr))).grid.in_flight == 10


def test_what_travels_is_small_and_reads_the_same(tmp_path):
    x = sparse.random(50_000, 40, 0.1, format="csr", dtype="f4", random_state=0)
    stored((x.data, x.indices, x.indptr), shape=x.shape, store=str(tmp_path / "X.zarr"), chunk=2**16)
    strips = open_matrix(tmp_path / "X.zarr").strips(0, check=True)
    sent = pickle.dumps(strips)
    assert len(sent) < 2500
    assert_array_equal(pickle.loads(sent)[40_000:40_100, :].toarray(), x[40_000:40_100].toarray())


def test_a_fingerprint_tells_matrices_apart_and_is_the_same_for_the_same(tmp_path):
    arrays, path = triple(entries()), str(tmp_path / "X.zarr")
    prints = [open_matrix(stored(arrays, store=path)).fingerprint, open_matrix(path).fingerprint]
    assert prints[0] == prints[1]
    csc = triple(entries(), "csc")
    others = [
        stored(arrays),
        stored(csc, "csc"),
        stored(arrays, chunk=8),
        stored(triple(entries()[:12]), shape=(12, 9)),
        stored(arrays, shape=(13, 10)),
        stored(triple(entries("f8"))),
        stored(arrays, zarr_format=2),
    ]
    assert len({open_matrix(X).fingerprint for X in others}) == len(others)
    assert open_matrix(others[0]).fingerprint == prints[0], "where X lies does not count"
    assert open_matrix(in_memory(arrays)).fingerprint == open_matrix(in_memory(arrays)).fingerprint


def test_x_is_the_same_matrix_until_it_is_gone_or_another(tmp_path):
    path = str(tmp_path / "X.zarr")
    matrix = open_matrix(stored(triple(entries()), store=path))
    assert finds(matrix.nodes)
    assert finds(pickle.loads(pickle.dumps(matrix.nodes)))
    stored(triple(entries("f8")), store=path)
    assert not finds(matrix.nodes)
    stored(triple(entries()), store=path)
    assert finds(matrix.nodes)
    zarr.open_group(path).attrs["shape"] = [13, 10]
    assert not finds(matrix.nodes)
    (tmp_path / "X.zarr").rename(tmp_path / "Y.zarr")
    assert not finds(matrix.nodes)


def test_a_group_is_opened_to_be_read_only(tmp_path):
    stored(triple(entries()), store=str(tmp_path / "X.zarr"))
    for X in (str(tmp_path / "X.zarr"), zarr.open_group(str(tmp_path / "X.zarr"), mode="r+")):
        assert open_matrix(X).array.read_only


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_what_is_consolidated_does_not_hide_what_is_there(tmp_path):
    stored(triple(entries()), store=str(tmp_path / "X.zarr"))
    zarr.consolidate_metadata(str(tmp_path / "X.zarr"))
    stale = zarr.open_group(str(tmp_path / "X.zarr"), mode="r")
    x = entries("f8")
    del (group := zarr.open_group(str(tmp_path / "X.zarr"), mode="r+", use_consolidated=False))["data"]
    for name, numbers in zip(("data", "indices", "indptr"), triple(x), strict=True):
        group.create_array(name, data=numbers, overwrite=True)
    for X in (stale, tmp_path / "X.zarr"):
        assert open_matrix(X).stored_dtype == "f8"
        assert_array_equal(strip(X, 0, 99).toarray(), x)
