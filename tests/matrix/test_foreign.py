"""What other libraries hold is X, whole or streamed, with its names; what is no matrix is named, with what to give."""

import anndata
import dask
import dask.array as da
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray
import zarr
from kinds import kind_of
from numpy.testing import assert_array_equal
from scipy import sparse
from zarr.storage import LocalStore

from dnmf.matrix.foreign import columns_of, factor_of
from dnmf.matrix.opening import open_matrix

SHAPE = (13, 9)

# Zarr's, of texts that xarray writes.
pytestmark = pytest.mark.filterwarnings("ignore:The data type", "ignore:Consolidated metadata is currently not")


def entries(dtype="f8"):
    return np.random.default_rng(0).integers(0, 3, SHAPE).astype(dtype)


def whole(matrix):
    y = matrix.strips(0, check=True)[:, :]
    return y.toarray() if matrix.sparse else y


def frame(dtype="f8"):
    return pd.DataFrame(entries("i8"), columns=[*"abcdefghi"], index=[f"r{i}" for i in range(13)]).astype(dtype)


def array(x):
    return xarray.DataArray(x, dims=("r", "c"), coords={"c": [*"abcdefghi"]})


TAKEN = {
    "DataArray": (lambda: array(entries()), ("memory", "dense")),
    "DataArray over Dask": (lambda: array(da.from_array(entries(), chunks=(5, 4))), ("lazy", "dense")),
    "DataArray of sparse blocks": (
        lambda: xarray.DataArray(da.from_array(entries(), chunks=(5, 9)).map_blocks(sparse.csr_matrix)),
        ("lazy", "sparse"),
    ),
    "Dataset": (lambda: xarray.Dataset({"x": array(entries()), "crs": 0}), ("memory", "dense")),
    "DataFrame": (frame, ("memory", "dense")),
    "nullable": (lambda: frame("Int64"), ("memory", "dense")),
    "object": (lambda: frame("object"), ("memory", "dense")),
    "sparse": (lambda: pd.DataFrame.sparse.from_spmatrix(sparse.csr_matrix(entries())), ("memory", "sparse")),
    "polars": (lambda: pl.DataFrame(entries(), schema=[*"abcdefghi"]), ("memory", "dense")),
    "masked, nothing of it": (lambda: np.ma.masked_greater(entries(), 9), ("memory", "dense")),
    "Dask of masked": (lambda: da.ma.masked_greater(da.from_array(entries(), chunks=(5, 4)), 9), ("lazy", "dense")),
    "object array": (lambda: entries("i8").astype(object), ("memory", "dense")),
    "list": (lambda: entries().tolist(), ("memory", "dense")),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_it_holds_is_x(name):
    make, kind = TAKEN[name]
    matrix = open_matrix(make())
    assert kind_of(matrix) == kind
    assert_array_equal(whole(matrix), entries())


def test_names_come_with_it():
    names = [*"abcdefghi"]
    for name in ("DataArray", "DataArray over Dask", "Dataset", "DataFrame", "nullable", "polars"):
        labels = open_matrix(TAKEN[name][0]()).labels
        assert labels.columns.tolist() == names, name
        assert (labels.rows is not None) == (name in ("DataFrame", "nullable")), name
    assert open_matrix(frame()).labels.rows.tolist() == [f"r{i}" for i in range(13)]
    assert open_matrix(pd.DataFrame(entries())).labels.columns is None, "a count is no name"


def test_numbers_of_a_nullable_frame_stay_as_small_as_they_are():
    assert open_matrix(frame("UInt8")).stored_dtype == "u1"
    assert open_matrix(frame("u1")).array.base is not None, "and no copy is made of NumPy's"


def test_the_raw_data_of_anndata_are_x_and_have_their_own_columns():
    table = anndata.AnnData(X=sparse.csr_matrix(entries()), var=pd.DataFrame(index=[*"abcdefghi"]))
    table.raw = table.copy()
    matrix = open_matrix(table[:, :4].copy().raw)
    assert_array_equal(whole(matrix), entries())
    assert matrix.labels.columns.tolist() == [*"abcdefghi"]


@pytest.mark.parametrize("columns", [[2, 0, 1], range(2, -1, -1)], ids=["chosen", "turned"])
def test_columns_of_a_frame_whose_names_are_numbers_are_matched(columns):
    X = pd.DataFrame(entries()[:, :3])
    places = open_matrix(X[list(columns)].set_axis(columns, axis=1)).labels.columns_in(open_matrix(X).labels.columns)
    assert places.tolist() == list(columns)


def test_names_of_columns_of_tables_and_arrays():
    table = pa.table({"a": [1.0], "b": [2.0]})
    for each in (table, table.to_batches()[0], table.to_pandas(), pl.from_arrow(table)):
        assert columns_of(each).tolist() == ["a", "b"]
    assert columns_of(array(entries())) is None or len(columns_of(array(entries()))) == SHAPE[1]
    assert columns_of(entries()) is None


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (np.ma.masked_less(entries(), 1), "the first W is a masked array with masked entries: every entry must be"),
        (entries() + 1j, "the first W has dtype complex128: an array of real numbers is required"),
        (None, "the first W is of type NoneType: an array of"),
        ([[1], [1, 2]], "the first W is of type list: an array of numbers is required (setting an array element"),
    ],
)
def test_what_is_no_factor_is_named(factor, said):
    with pytest.raises((TypeError, ValueError)) as refused:
        factor_of("the first W", factor)
    assert str(refused.value).startswith(said)


def test_what_a_factor_may_be():
    for factor in (pd.DataFrame(entries()), sparse.csr_matrix(entries()), entries().astype(object), entries().tolist()):
        assert_array_equal(factor_of("V", factor), entries())


REFUSED = {
    "X is a masked array with 1 of 4 entries masked, the first is X[1, 0]": lambda: [
        np.ma.masked_array([1, 2]),
        np.ma.masked_array([1, 2], mask=[True, False]),
    ],
    "X is a masked array with 1 of 117 entries masked, the first is X[2, 3]": lambda: np.ma.masked_array(
        entries(), mask=np.arange(117).reshape(SHAPE) == 21
    ),
    "X is a Dask array with chunks of unknown sizes, its shape is (nan, 9): compute them, X = X.compute": (
        lambda: (x := da.from_array(entries(), chunks=(5, 9)))[x[:, 0] > 1]
    ),
    "X is an xarray DataArray of the dimensions t, y, x: two are required": lambda: xarray.DataArray(
        np.ones((2, 2, 2)), dims=("t", "y", "x")
    ),
    "X is an xarray DataArray whose numbers are still coded (scale_factor)": lambda: array(entries("i2")).assign_attrs(
        scale_factor=0.1
    ),
    "X is an xarray Dataset with 2 variables of two dimensions ('a', 'b'): one": lambda: xarray.Dataset(
        {"a": array(entries()), "b": array(entries())}
    ),
    "column 'when' of the DataFrame X has dtype datetime64": lambda: frame().assign(when=pd.Timestamp(0)),
    "X[0, 9] is 'x', of type str: numbers are required": lambda: frame().assign(city="x"),
    "X is a pandas DataFrame of which not all columns are sparse around 0": lambda: pd.DataFrame.sparse.from_spmatrix(
        sparse.eye(3)
    ).assign(y=1.0),
    "X is of type xarray Variable, which is no matrix: give a DataArray of it": lambda: array(entries()).variable,
    "X is of type polars LazyFrame, which is no matrix: collect it": lambda: pl.LazyFrame({"a": [1]}),
    "X is of type zarr LocalStore, which is no matrix: open what it holds": lambda: LocalStore("x.zarr"),
    "X is of type dict, which is no matrix: give one of its values": lambda: {"X": entries()},
    "X is of type generator, which is no matrix: make an array of its rows": lambda: (row for row in entries()),
    "X is of type NoneType, of which NumPy makes no matrix": lambda: None,
    "X is of type list, of which NumPy makes no matrix (setting an array element": lambda: [[1, 2], [3]],
    "X is of type dask DelayedLeaf, whose shape Dask does not know": lambda: dask.delayed(entries()),
    "X[1, 0] is of type dict: numbers are required": lambda: np.array([[1], [{}]], object),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_is_no_matrix_is_named_with_what_to_give(said):
    with pytest.raises((TypeError, ValueError)) as refused:
        open_matrix(REFUSED[said]())
    assert str(refused.value).startswith(said)


def test_missing_numbers_of_tables_and_masked_blocks_are_named_by_their_place():
    for dtype in ("f8", "Int64", "object"):
        with pytest.raises(ValueError, match=r"^X\[0, 0\] is nan: every entry must be finite"):
            whole(open_matrix(frame(dtype).mask(frame() == entries()[0, 0])))
    x = entries()
    x[10, 7] = 50
    with pytest.raises(ValueError, match=r"^X\[10, 7\] is masked: every entry must be a number"):
        whole(open_matrix(da.ma.masked_equal(da.from_array(x, chunks=(5, 4)), 50)))


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_names_are_found_where_xarray_and_anndata_wrote_them(tmp_path, zarr_format):
    array(entries()).to_dataset(name="x").to_zarr(tmp_path / "x.zarr", zarr_format=zarr_format, consolidated=False)
    labels = open_matrix(tmp_path / "x.zarr" / "x").labels
    assert (labels.rows, labels.columns.tolist()) == (None, [*"abcdefghi"])
    group = zarr.open_group(tmp_path / "x.zarr", mode="r")
    assert open_matrix(group["x"]).labels.columns.tolist() == [*"abcdefghi"]


def test_a_data_array_that_is_not_loaded_is_streamed(tmp_path):
    array(entries()).to_dataset(name="x").to_zarr(tmp_path / "x.zarr", encoding={"x": {"chunks": (4, 5)}})
    X = xarray.open_zarr(tmp_path / "x.zarr", chunks=None)["x"]
    matrix = open_matrix(X)
    assert (matrix.in_memory, matrix.stored, matrix.lazy, matrix.grid.chunk) == (False, False, False, (4, 5))
    assert_array_equal(whole(matrix), entries())
    assert not X.variable._in_memory, "nothing of it stays"
