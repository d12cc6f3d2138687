"""Codes that come with numbers: packed ones are unpacked, and one that is missing is named by its place."""

import numpy as np
import pytest
import xarray
import zarr
from numpy.testing import assert_allclose, assert_array_equal

import dnmf
from dnmf.matrix.codes import Codes
from dnmf.matrix.opening import open_matrix

SHAPE = (13, 9)

# xarray's, of what it writes here on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:saving variable None with floating point data as an integer dtype")


def numbers():
    return np.random.default_rng(0).integers(0, 1000, SHAPE) / 1000


def by_xarray(path, x, zarr_format, **codes):
    """What xarray packs, and what it then shows."""
    xarray.Dataset({"x": (("r", "c"), x)}).to_zarr(
        path, encoding={"x": {"chunks": (4, 5), **codes}}, zarr_format=zarr_format, consolidated=False
    )
    return xarray.open_zarr(path, consolidated=False)["x"].values


def coded(store, x, zarr_format=3, **attributes):
    return zarr.create_array(store, data=x, chunks=(4, 5), zarr_format=zarr_format, attributes=attributes)


@pytest.mark.parametrize(
    ("zarr_format", "codes", "dtype"),
    [
        (2, {"dtype": "u2", "scale_factor": 0.001}, "f4"),
        (3, {"dtype": "i2", "scale_factor": 0.001, "add_offset": 0.25}, "f8"),
        (2, {"dtype": "i4", "scale_factor": -1e-6, "_FillValue": -1}, "f8"),
        (3, {"dtype": "u1", "scale_factor": 0.01, "_FillValue": 255}, "f4"),
        (3, {"dtype": "f4", "add_offset": -0.5}, "f8"),
    ],
)
def test_what_xarray_packs_is_read_as_xarray_shows_it(tmp_path, zarr_format, codes, dtype):
    shown = by_xarray(tmp_path / "x.zarr", numbers(), zarr_format, **codes)
    matrix = open_matrix(tmp_path / "x.zarr" / "x")
    assert (matrix.dtype, matrix.grid.chunk) == (np.dtype(dtype), (4, 5))
    assert_allclose(matrix.strips(0, check=True)[0:13, :], shown, rtol=1e-6, atol=1e-12)
    assert_allclose(matrix.strips(1, check=True)[2:7, :], shown.T[2:7], rtol=1e-6, atol=1e-12)
    assert_allclose(matrix.numbers[5], shown[5], rtol=1e-6, atol=1e-12)
    assert matrix.numbers.shape == SHAPE


@pytest.mark.parametrize(("zarr_format", "dtype", "fill"), [(2, "u2", 65535), (3, "u2", 65535), (3, "f4", 9.96921e36)])
def test_a_missing_number_is_named_by_its_place(tmp_path, zarr_format, dtype, fill):
    x = numbers()
    x[10, 7] = np.nan
    scale = {} if dtype == "f4" else {"scale_factor": 0.001}
    by_xarray(tmp_path / "x.zarr", x, zarr_format, dtype=dtype, _FillValue=fill, **scale)
    for axis in (0, 1):
        with pytest.raises(ValueError, match=r"^X\[10, 7\] is stored as .*, its _FillValue, which stands"):
            open_matrix(tmp_path / "x.zarr" / "x").strips(axis, check=True)[5:13, :]


def test_a_factorization_is_that_of_what_the_numbers_mean(tmp_path):
    x = np.round(np.random.default_rng(0).random((60, 2)) @ np.random.default_rng(1).random((2, 20)), 3)
    shown = by_xarray(tmp_path / "x.zarr", x, 3, dtype="u2", scale_factor=0.001, add_offset=-5.0)
    result = dnmf.factorize(tmp_path / "x.zarr" / "x", rank=2, seed=0)
    assert np.linalg.norm(shown - np.asarray(result.W) @ result.V) < 0.01 * np.linalg.norm(shown)


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"missing_value": [7, 99]}, "X[2, 3] is stored as 99, its missing_value, which stands"),
        ({"valid_range": [0, 50]}, "X[2, 3] is stored as 99, outside of its valid range, 0 to 50"),
        ({"valid_max": 9.5, "scale_factor": 0.1}, "X[2, 3] is stored as 9.90"),
    ],
)
def test_numbers_that_may_not_be_are_refused(attributes, said):
    x = np.full(SHAPE, 5, "i2")
    x[2, 3] = 99
    with pytest.raises(ValueError, match="every entry must be a number") as refused:
        open_matrix(coded({}, x, **attributes)).strips(0, check=True)[0:13, :]
    assert str(refused.value).startswith(said)


def test_the_sign_of_integers_may_be_told_by_an_attribute():
    x = np.full(SHAPE, 200, "u1")
    matrix = open_matrix(coded({}, x.view("i1"), 2, _Unsigned="true"))
    assert_array_equal(matrix.strips(0, check=True)[0:13, :], x)


def test_what_was_zero_before_it_was_packed_is_zero_again():
    packed = np.array([[3, 4]], "i4")
    matrix = open_matrix(coded({}, packed, scale_factor=0.1, add_offset=-0.30000000000000004))
    y = matrix.strips(0, check=True)[0:1, :]
    assert y[0, 0] == 0
    assert y[0, 1] == pytest.approx(0.1)


def test_codes_that_change_nothing_are_none():
    for attributes in ({}, {"units": "m"}, {"scale_factor": 1.0, "add_offset": 0}, {"_FillValue": np.nan}):
        assert Codes.of(attributes, np.dtype("f4"), "X") is None


@pytest.mark.parametrize("attributes", [{"scale_factor": "x"}, {"scale_factor": 0}, {"valid_range": [1]}])
def test_codes_that_are_none_are_refused(attributes):
    with pytest.raises(ValueError, match=r"^X has .*: mend the attribute$|^X has .*; mend the attribute$"):
        Codes.of(attributes, np.dtype("i2"), "X")
