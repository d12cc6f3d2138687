"""Whatever X is, what is missing of it has the weight 0, and what is observed is what it was; what cannot be said to be
missing is refused in a sentence.
"""

import pickle
import re
from pathlib import Path

import dask.array as da
import h5py
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray
import zarr
from hypothesis import given
from hypothesis import strategies as st
from kinds import KINDS, lazy, sparse_stored, stored
from numpy.testing import assert_array_equal
from scipy import sparse
from strategies import matrices

from dnmf.arrays.weighted import Weighted
from dnmf.engine.source import lazy_strips
from dnmf.matrix.missing import Missing, without_missing
from dnmf.matrix.opening import open_matrix

SHAPE = (45, 20)


def numbers(dtype="f4"):
    """X (m, n) of small whole numbers, some of them 0."""
    x = np.random.default_rng(0).integers(0, 9, SHAPE).astype(dtype)
    x.flags.writeable = False
    return x


def holes(share=0.3):
    """Where entries are missing: some, a whole row, a whole column."""
    missing = np.random.default_rng(1).random(SHAPE) < share
    missing[3], missing[:, 7] = True, True
    return missing


def with_nan(dtype="f4"):
    x = np.where(holes(), np.nan, numbers()).astype(dtype)
    x.flags.writeable = False
    return x


def check_equal(found: Weighted, values, observed):
    """Rows are these values where they are observed, and 0 elsewhere."""
    assert isinstance(found, Weighted)
    assert found.masked
    if found.sparse:
        at = found.values.tocoo()
        assert found.values.has_sorted_indices
        there = np.zeros(found.shape, bool)
        there[at.row, at.col] = True
        assert_array_equal(there, observed)
        assert found.weights.all()
        assert found.values.nnz == observed.sum()
        assert_array_equal(found.values.toarray(), np.where(observed, values, 0))
    else:
        assert_array_equal(found.weights, observed)
        assert_array_equal(found.values, np.where(observed, values, 0))
        assert found.values.flags.c_contiguous == found.weights.flags.c_contiguous


def check_strips(X, values, missing, kind: Missing, axes=(0, 1)):
    """All strips of X are those of values with missing ones, along both axes, checked or not."""
    matrix = open_matrix(X, missing=kind)
    assert matrix.weighted
    for axis in axes:
        x, observed = (values, ~missing) if axis == 0 else (values.T, ~missing.T)
        for check in (True, False):
            strips = pickle.loads(pickle.dumps(matrix.strips(axis, check=check)))
            for cut in (slice(0, len(x)), slice(2, 9), slice(9, 10)):
                check_equal(strips[cut, :], x[cut], observed[cut])
        doubled = matrix.scaled(3).strips(axis, check=True)[:, :]
        check_equal(doubled, 8 * x, observed)


def of_xarray(path: Path, dtype, **codes):
    """What xarray stores with a code for what is missing."""
    x = xarray.Dataset({"x": (("r", "c"), with_nan("f8"))})
    x.to_zarr(path / "x.zarr", encoding={"x": {"chunks": (16, 11), "dtype": dtype, **codes}}, consolidated=False)
    return path / "x.zarr" / "x"


def in_a_file(path: Path):
    return xarray.open_zarr(path, consolidated=False, chunks=None)["x"]


def of_arrow(x):
    return pa.table({str(j): pa.array(column, mask=np.isnan(column)) for j, column in enumerate(x.T)})


def in_hdf5(path: Path, x, **attributes):
    file = h5py.File(path / "x.h5", "w")
    dataset = file.create_dataset("x", data=x, chunks=(16, 11))
    dataset.attrs.update(attributes)
    return dataset


def with_code(path: Path, code, **attributes):
    x = np.where(holes(), code, numbers("i2"))
    return zarr.create_array(str(path / "x.zarr"), data=x, chunks=(16, 11), attributes=attributes)


def masked(dtype="f4"):
    x = numbers(dtype).copy()
    x[holes()] = 77
    return np.ma.masked_array(x, mask=holes())


WITH_NAN = {
    "array": lambda path: with_nan(),
    "array of float64, by columns": lambda path: np.asfortranarray(with_nan("f8")),
    "array of objects": lambda path: np.where(holes(), None, numbers("f8").astype(object)),
    "zarr": lambda path: stored(path / "x.zarr", with_nan()),
    "zarr of float16": lambda path: stored(path / "x.zarr", with_nan("f2")),
    "dask": lambda path: lazy(with_nan()),
    "masked": lambda path: masked(),
    "masked integers": lambda path: masked("i4"),
    "masked rows": lambda path: list(masked()),
    "dask of masked integers": lambda path: da.from_array(masked("u1"), chunks=(20, 13)),
    "hdf5": lambda path: in_hdf5(path, with_nan()),
    "hdf5 with a code": lambda path: in_hdf5(path, np.where(holes(), -1, numbers("i4")), _FillValue=-1),
    "zarr with a fill value": lambda path: with_code(path, -9, _FillValue=-9),
    "zarr with a missing value": lambda path: with_code(path, 99, missing_value=99),
    "zarr with a valid range": lambda path: with_code(path, 100, valid_max=50),
    "zarr by xarray": lambda path: of_xarray(path, "i2", _FillValue=-1),
    "zarr by xarray, packed": lambda path: of_xarray(path, "i2", _FillValue=-1, scale_factor=0.5),
    "pandas": lambda path: pd.DataFrame(with_nan()),
    "pandas, nullable": lambda path: pd.DataFrame(with_nan("f8")).astype("Int64"),
    "polars": lambda path: pl.DataFrame(with_nan()).fill_nan(None),
    "arrow": lambda path: of_arrow(with_nan()),
    "DataArray": lambda path: xarray.DataArray(with_nan()),
    "DataArray of masked": lambda path: xarray.DataArray(masked()),
    "DataArray in a file": lambda path: in_a_file(of_xarray(path, "i2", _FillValue=-1).parent),
}


@pytest.mark.parametrize("kind", WITH_NAN)
def test_nan_is_missing_in_every_kind_of_x(tmp_path, kind):
    check_strips(WITH_NAN[kind](tmp_path), numbers(), holes(), "nan")


def ratings(form):
    """A sparse X of which stored zeros are values, and an entry that is there in two parts."""
    rows, columns = np.nonzero(~holes())
    data, last = numbers()[rows, columns], len(rows) - 1
    rows, columns, data = (
        np.append(a, a[last]) if a is not data else np.append(a, [a[last]]) for a in (rows, columns, data)
    )
    data[[last, -1]] = data[last] / 2
    x = sparse.coo_array((data, (rows, columns)), shape=SHAPE)
    if form == "coo":
        return x
    ordered = np.argsort(rows if form == "csr" else columns, kind="stable")[::-1]
    ordered = ordered[np.argsort((rows if form == "csr" else columns)[ordered], kind="stable")]
    line, place = (rows, columns) if form == "csr" else (columns, rows)
    ends = np.append(0, np.cumsum(np.bincount(line, minlength=SHAPE[form == "csc"])))
    kind = sparse.csr_array if form == "csr" else sparse.csc_array
    return kind((data[ordered], place[ordered], ends), shape=SHAPE)


RATINGS = {
    "csr": (lambda path: ratings("csr"), 0),
    "csc": (lambda path: ratings("csc"), 1),
    "coo": (lambda path: ratings("coo"), 0),
    "csr in zarr": (lambda path: sparse_stored(path / "x.zarr", ratings("csr")), 0),
    "csc in zarr": (lambda path: sparse_stored(path / "x.zarr", ratings("csc")), 1),
}


@pytest.mark.parametrize("kind", RATINGS)
def test_what_sparse_x_does_not_store_is_missing_and_stored_zeros_are_values(tmp_path, kind):
    made, axis = RATINGS[kind]
    check_strips(made(tmp_path), numbers(), holes(), "zeros", axes=(axis,))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (lambda: lazy(with_nan()), "nan"),
        (lambda: da.from_array(masked(), chunks=(20, 13)), "nan"),
        (lambda: da.from_array(ratings("coo").tocsr(), chunks=(10, 20), asarray=False), "zeros"),
        (lambda: da.from_array(ratings("csc").tocsr(), chunks=(45, 20), asarray=False), "zeros"),
    ],
)
def test_strips_of_a_dask_array_in_a_graph_are_those_of_numpy(made, kind, axis):
    matrix, x, observed = open_matrix(made(), missing=kind), numbers(), ~holes()
    heights = (20, 25) if axis == 0 else (13, 7)
    found = lazy_strips(matrix.scaled(1), heights, axis, check=True).to_delayed().ravel()
    first = 0
    for strip, height in zip(found, heights, strict=True):
        (piece,) = strip.compute(scheduler="sync")
        at = slice(first, first + height)
        check_equal(piece.rows, 2 * (x if axis == 0 else x.T)[at], (observed if axis == 0 else observed.T)[at])
        first += height


def test_without_a_word_every_kind_of_x_has_no_weights(tmp_path):
    for kind, made in KINDS.items():
        matrix = open_matrix(made(numbers(), tmp_path))
        assert not matrix.weighted, kind


def test_x_of_the_caller_is_not_written_to():
    x = with_nan().copy()
    open_matrix(x, missing="nan").strips(0, check=True)[:, :]
    assert_array_equal(x, with_nan())


def test_an_opened_matrix_is_told_what_is_missing():
    matrix = open_matrix(open_matrix(with_nan()), missing="nan")
    check_equal(matrix.strips(0, check=True)[:, :], numbers(), ~holes())
    assert open_matrix(matrix).missing == "nan"


@given(matrices(), st.data())
def test_a_mask_loses_nothing_that_is_observed(x, data):
    missing = np.array(data.draw(st.lists(st.booleans(), min_size=x.size, max_size=x.size))).reshape(x.shape)
    y = np.where(missing, np.nan, x).astype(x.dtype)
    for rows in (y, np.asfortranarray(y)):
        before = rows.copy(order="K")
        check_equal(without_missing(rows, "nan", own=False), x, ~missing)
        assert_array_equal(rows, before)
        check_equal(without_missing(before, "nan", own=True), x, ~missing)


@pytest.mark.parametrize("value", [-1, np.inf, -np.inf])
@pytest.mark.parametrize("axis", [0, 1])
def test_what_cannot_be_is_refused_beside_what_is_missing(value, axis):
    x = with_nan().copy()
    x[10, 6] = value
    for X in (x, lazy(x)):
        strips = open_matrix(X, missing="nan").strips(axis, check=True)
        with pytest.raises(ValueError, match=r"^X\[10, 6\] is -?(1.0|inf): every entry must be finite"):
            strips[5:13, :]


def test_nan_in_sparse_x_is_refused_beside_what_it_does_not_store():
    x = ratings("csr").copy()
    x.data[5] = np.nan
    with pytest.raises(ValueError, match=r"^X\[0, \d+\] is nan: every entry must be .* start again$"):
        open_matrix(x, missing="zeros").strips(0, check=True)[0:9, :]


REFUSED = {
    "missing is 'none': 'nan', where NaN is": lambda: open_matrix(numbers(), missing="none"),
    "missing is 'zeros', and X, an array in memory, is dense: every entry of it is stored. Set those that": (
        lambda: open_matrix(numbers(), missing="zeros")
    ),
    "missing is 'zeros', and X, a Dask array, is dense": lambda: open_matrix(lazy(numbers()), missing="zeros"),
    "missing is 'nan', and X, an array in memory, is sparse: what it does not store would be known": (
        lambda: open_matrix(ratings("csr"), missing="nan")
    ),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_said_is_refused(said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        REFUSED[said]()


OPTION = r'if nothing is known there, say so: --missing nan \(missing="nan"\)$'


def test_a_refusal_names_the_option(tmp_path):
    for X in (
        masked(),
        masked("i4"),
        da.from_array(masked(), chunks=(20, 13)),
        with_nan(),
        with_code(tmp_path, -9, _FillValue=-9),
    ):
        with pytest.raises(ValueError, match=OPTION):
            open_matrix(X).strips(0, check=True)[:, :]
