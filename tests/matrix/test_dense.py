"""Every kind of X is opened unread, its strips are NumPy's slices, and what cannot be X is refused in a sentence."""

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from kinds import kind_of
from numpy.testing import assert_array_equal
from strategies import chunk_grids, matrices
from zarr.storage import MemoryStore

from dnmf.matrix.lazy import prepare
from dnmf.matrix.matrix import finds, working_dtype
from dnmf.matrix.opening import open_matrix
from dnmf.plan.dense import DenseGrid

SHAPE = (13, 9)
DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">f4", ">f8", ">i4"]


def entries(dtype="f4"):
    """X of small numbers that every dtype holds; read-only."""
    x = np.random.default_rng(0).integers(0, 100, SHAPE).astype(dtype)
    x.flags.writeable = False
    return x


def stored(x, store=None, path=None, **storage):
    """X as a Zarr array."""
    storage = {"chunks": (4, 5)} | storage
    array = zarr.create_array(
        MemoryStore() if store is None else store, name=path, shape=x.shape, dtype=x.dtype, **storage
    )
    array[...] = x
    return array


# What X may be


@pytest.mark.parametrize(
    ("storage", "chunk", "shard"),
    [
        ({"zarr_format": 2}, (4, 5), (4, 5)),
        ({"zarr_format": 2, "order": "F"}, (4, 5), (4, 5)),
        ({"zarr_format": 3}, (4, 5), (4, 5)),
        ({"chunks": (2, 3), "shards": (4, 9)}, (2, 3), (4, 9)),
        ({"chunks": (20, 30)}, SHAPE, SHAPE),
        ({"chunks": (2, 3), "shards": (20, 30)}, (2, 3), SHAPE),
    ],
)
def test_zarr_arrays_of_any_format_open(tmp_path, storage, chunk, shard):
    x = entries()
    stored(x, str(tmp_path / "X.zarr"), **storage)
    for X in (str(tmp_path / "X.zarr"), tmp_path / "X.zarr", zarr.open_array(str(tmp_path / "X.zarr"), mode="r")):
        matrix = open_matrix(X)
        assert kind_of(matrix) == ("stored", "dense")
        assert matrix.dtype == "f4"
        assert matrix.grid == DenseGrid(SHAPE, chunk, 4, 4, shard, in_flight=1)
        assert str(tmp_path / "X.zarr") in matrix.location
        assert_array_equal(matrix.array[...], x)


def test_a_member_of_a_group_opens(tmp_path):
    zarr.create_group(str(tmp_path / "X.zarr"))
    stored(entries(), str(tmp_path / "X.zarr"), "layers/counts")
    assert open_matrix(tmp_path / "X.zarr" / "layers" / "counts").grid.chunk == (4, 5)
    assert open_matrix(f"{tmp_path}/X.zarr/layers/counts").location == f"{tmp_path}/X.zarr/layers/counts"


def test_an_array_is_opened_to_be_read_only(tmp_path):
    stored(entries(), str(tmp_path / "X.zarr"))
    for X in (tmp_path / "X.zarr", zarr.open_array(str(tmp_path / "X.zarr"), mode="r+")):
        assert open_matrix(X).array.read_only


def test_a_relative_path_is_recorded_as_an_absolute_one(tmp_path, monkeypatch):
    stored(entries(), str(tmp_path / "X.zarr"))
    monkeypatch.chdir(tmp_path)
    assert open_matrix("X.zarr").location == str(tmp_path / "X.zarr")


def test_numpy_and_dask_arrays_open():
    x = entries("i4")
    matrix = open_matrix(x)
    assert (kind_of(matrix), matrix.dtype, matrix.location) == (("memory", "dense"), "f8", "an array in memory")
    assert matrix.grid == DenseGrid(SHAPE, (1, 1), 4, 8, (1, 1), in_flight=1)
    assert matrix.array is x, "not copied"
    assert open_matrix([[1, 2], [3, 4]]).grid.shape == (2, 2)
    matrix = open_matrix(da.from_array(x, chunks=((4, 8, 1), (9,))))
    assert (kind_of(matrix), matrix.location) == (("lazy", "dense"), "a Dask array")
    assert matrix.grid == DenseGrid(SHAPE, (8, 9), 4, 8, (8, 9), copies=2)


@pytest.mark.parametrize(
    ("stored", "working"),
    [
        *(("?", "f4"), ("i1", "f4"), ("u2", "f4"), ("f2", "f4"), ("f4", "f4"), (">f4", "f4")),
        *(("i4", "f8"), ("u8", "f8"), ("f8", "f8"), (">f8", "f8")),
    ],
)
def test_entries_are_computed_with_where_they_are_exact(stored, working):
    assert working_dtype(np.dtype(stored)) == np.dtype(working)


@pytest.mark.parametrize("dtype", ["u2", "i2", "f2"])
def test_float32_holds_every_value_of_what_becomes_float32(dtype):
    values = np.arange(2**16, dtype="u2").view(dtype)
    values = values[np.isfinite(values)]
    assert_array_equal(values.astype(working_dtype(values.dtype)).astype(dtype), values)


# What it may not be


def test_nothing_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError) as refused:
        open_matrix(tmp_path / "X.zarr")
    path = tmp_path / "X.zarr"
    assert str(refused.value) == (
        f"there is no Zarr array at {path}: give the path of one, or make one with `dnmf convert`"
    )


def test_a_file_is_refused_with_the_command_that_makes_zarr_of_it(tmp_path):
    (tmp_path / "x.csv").write_text("1,2")
    with pytest.raises(FileNotFoundError, match=r"that is a file; make Zarr of it, `dnmf convert .*x\.csv X\.zarr`"):
        open_matrix(tmp_path / "x.csv")


def test_a_folder_that_is_no_zarr_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("X")
    with pytest.raises(FileNotFoundError, match="there is no Zarr array at"):
        open_matrix(tmp_path)


def test_a_group_is_refused_and_its_matrices_named(tmp_path):
    path = str(tmp_path / "X.zarr")
    zarr.create_group(path)
    with pytest.raises(ValueError, match="is a Zarr group") as refused:
        open_matrix(path)
    assert str(refused.value) == f"{path} is a Zarr group, not an array: name one of its matrices (there is none)"
    for name, x in (("b", entries()), ("a", entries()), ("vector", np.ones(3))):
        stored(x, path, name, chunks=x.shape)
    with pytest.raises(ValueError, match="is a Zarr group") as refused:
        open_matrix(path)
    assert str(refused.value).endswith(f"name one of its matrices ({path}/a, {path}/b)")


@pytest.mark.parametrize("shape", [(), (3,), (2, 2, 2), (0, 3), (3, 0)])
def test_what_is_no_matrix_is_refused(shape):
    with pytest.raises(ValueError, match="X has shape") as refused:
        open_matrix(np.ones(shape))
    assert str(refused.value) == f"X has shape {shape}: a matrix of at least one row and one column is required"


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2), (0, 3)])
def test_stored_and_lazy_arrays_that_are_no_matrix_are_refused(shape):
    for X in (stored(np.ones(shape), chunks=tuple(max(1, n) for n in shape)), da.ones(shape)):
        with pytest.raises(ValueError, match="a matrix of at least one row and one column is required"):
            open_matrix(X)


@pytest.mark.parametrize("dtype", ["c8", "c16", "U3", "M8[s]", "V4"])
def test_what_is_no_real_number_is_refused(dtype):
    x = np.zeros((2, 2), dtype)
    with pytest.raises(TypeError) as refused:
        open_matrix(x)
    assert str(refused.value) == f"X has dtype {x.dtype}: real numbers (bool, integers or floats) are required"


# Strips


KINDS = ["v2", "v3", "sharded", "numpy", "fortran"]


# Every dtype once, every kind along both axes.
@pytest.mark.parametrize(("kind", "dtype", "axis"), [(KINDS[i % 5], each, i % 2) for i, each in enumerate(DTYPES)])
def test_strips_are_slices(kind, dtype, axis):
    x = entries(dtype)
    storage = {"v2": {"zarr_format": 2}, "v3": {}, "sharded": {"chunks": (2, 3), "shards": (4, 6)}}
    X = stored(x, **storage[kind]) if kind in storage else np.asarray(x, order="F" if kind == "fortran" else "C")
    strips = open_matrix(X).strips(axis, check=True)
    whole = (x if axis == 0 else x.T).astype(strips.dtype)
    assert (strips.shape, strips.ndim, strips.dtype) == (whole.shape, 2, working_dtype(x.dtype))
    for start, stop in ((0, 4), (4, 9), (8, 100), (3, 7)):
        strip = strips[start:stop, :]
        assert strip.dtype == strips.dtype
        assert strip.dtype.isnative
        assert_array_equal(strip, whole[start:stop])


@given(st.data(), st.sampled_from([0, 1]), st.sampled_from(["f4", "f8", "u1", "i8"]))
def test_any_slice_of_any_grid_is_numpys(data, axis, dtype):
    x = data.draw(matrices(scales=(0, 2))).astype(dtype)
    strips = open_matrix(stored(x, **data.draw(chunk_grids(x.shape)))).strips(axis, check=True)
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, x.shape[axis])] * 2)))
    if start < stop:
        assert_array_equal(strips[start:stop, :], (x if axis == 0 else x.T)[start:stop].astype(strips.dtype))


def test_a_strip_of_rows_is_contiguous_and_one_of_columns_is_turned():
    x = stored(entries())
    assert open_matrix(x).strips(0, check=True)[0:4, :].flags.c_contiguous
    assert open_matrix(x).strips(1, check=True)[0:4, :].flags.f_contiguous


ALLOW = ', or, for least squares, allow it with --negative allow (negative="allow")'
BAD = [("f2", -1.5, 0), ("f4", np.nan, 0), ("f8", np.inf, 0), ("f2", -np.inf, 1), ("f4", -1.5, 1), ("f8", np.nan, 1)]


@pytest.mark.parametrize(("dtype", "value", "axis"), BAD)
def test_an_entry_that_cannot_be_names_its_row_and_column(dtype, value, axis):
    x = entries(dtype).copy()
    x[10, 7] = value
    for X in (stored(x), x):
        strips = open_matrix(X).strips(axis, check=True)
        strips[0 : (10, 7)[axis], :]
        with pytest.raises(ValueError, match=r"every entry must be finite") as refused:
            strips[(9, 6)[axis] : 13, :]
        option = ', or, if nothing is known there, say so: --missing nan (missing="nan")' if np.isnan(value) else ""
        assert str(refused.value) == (
            f"X[10, 7] is {value}: every entry must be finite and not negative; mend X and start again{option}"
            f"{ALLOW if value == -1.5 else ''}"
        )
        unchecked = open_matrix(X).strips(axis, check=False)[(9, 6)[axis] : 13, :]
        assert_array_equal(unchecked, (x if axis == 0 else x.T)[(9, 6)[axis] : 13])


@pytest.mark.parametrize("dtype", ["i1", "i4", "i8"])
def test_a_negative_integer_is_named(dtype):
    x = entries(dtype).copy()
    x[2, 3] = -7
    with pytest.raises(ValueError, match=r"X\[2, 3\] is -7: every entry"):
        open_matrix(x).strips(0, check=True)[0:4, :]


@given(st.data(), matrices(), st.sampled_from([0, 1]), st.integers(0, 1000))
def test_the_first_bad_entry_of_a_strip_is_named_whatever_its_place(data, x, axis, first):
    x = x.copy()
    row, column = (data.draw(st.integers(0, side - 1)) for side in x.shape)
    x[row, column] = data.draw(st.sampled_from([-1, np.nan, np.inf]))
    at = (row + first, column) if axis == 0 else (row, column + first)
    with pytest.raises(ValueError, match=rf"^X\[{at[0]}, {at[1]}\] is "):
        prepare(x, x.dtype, axis=axis, first=first, check=True)


# Its description


def test_a_fingerprint_tells_matrices_apart_and_is_the_same_for_the_same(tmp_path):
    x = entries()
    path = str(tmp_path / "X.zarr")
    prints = [open_matrix(stored(x, path)).fingerprint, open_matrix(path).fingerprint]
    assert prints[0] == prints[1]
    others = [stored(x), stored(x, chunks=(2, 5)), stored(x[:12]), stored(x.astype("f8")), stored(x, compressors=None)]
    assert len({open_matrix(X).fingerprint for X in others}) == len(others)
    assert open_matrix(others[0]).fingerprint == prints[0], "where X lies does not count"


def test_x_is_the_same_matrix_until_it_is_gone_or_another(tmp_path):
    path = str(tmp_path / "X.zarr")
    matrix = open_matrix(stored(entries(), path))
    assert finds(matrix.nodes)
    stored(entries("f8"), path, overwrite=True)
    assert not finds(matrix.nodes)
    (tmp_path / "X.zarr").rename(tmp_path / "Y.zarr")
    assert not finds(matrix.nodes)


def test_an_opened_matrix_is_given_back(tmp_path):
    matrix = open_matrix(stored(entries(), str(tmp_path / "X.zarr")))
    assert open_matrix(matrix) is matrix
    with pytest.raises(ValueError, match=r"^layer='counts' is for AnnData, and X is .*X.zarr: leave it out$"):
        open_matrix(matrix, layer="counts")


@pytest.mark.parametrize("axis", [0, 1])
def test_strips_of_a_dask_array_are_computed_where_they_are_asked_for(axis):
    x = entries("i4")
    strips = open_matrix(da.from_array(x, chunks=(5, 4))).strips(axis, check=True)
    assert_array_equal(strips[3:8, :], (x if axis == 0 else x.T)[3:8])
    assert strips[3:8, :].dtype == strips.dtype == "f8"
