"""The estimators take what `factorize` takes, and cast small numbers piece by piece."""

import tracemalloc

import dask.array as da
import h5py
import numpy as np
import pandas as pd
import pytest
import xarray
from pairwise import few

from dnmf import NMF, MiniBatchNMF, non_negative_factorization

ESTIMATORS = [NMF(3, random_state=0), MiniBatchNMF(3, random_state=0, batch_size=16, tol=0, max_iter=3)]


def numbers(dtype="f8", shape=(60, 20)):
    rng = np.random.default_rng(0)
    return (20 * rng.random((shape[0], 3)) @ rng.random((3, shape[1]))).astype(dtype)


def kinds():
    x = numbers()
    return {
        "DataArray": xarray.DataArray(x),
        "Dataset": xarray.Dataset({"x": (("r", "c"), x)}),
        "DataFrame": pd.DataFrame(x),
        "masked, nothing of it": np.ma.masked_array(x, mask=False),
        "list": x.tolist(),
    }


@pytest.mark.parametrize("model", ESTIMATORS, ids=["NMF", "MiniBatchNMF"])
def test_what_holds_an_array_in_memory_has_its_factors(model):
    W = model.fit_transform(numbers())
    for name, X in kinds().items():
        np.testing.assert_array_equal(model.fit_transform(X), W, err_msg=name)
        np.testing.assert_array_equal(model.transform(X), model.transform(numbers()), err_msg=name)


def test_a_masked_entry_is_refused_by_every_door():
    X = np.ma.masked_array(numbers(), mask=False)
    X[3, 5] = np.ma.masked
    fitted = NMF(2, random_state=0).fit(numbers())
    for call in (
        NMF(2).fit,
        MiniBatchNMF(2).fit,
        MiniBatchNMF(2).partial_fit,
        fitted.transform,
        lambda X: non_negative_factorization(X, n_components=2),
    ):
        with pytest.raises(ValueError, match=r"masked array with 1 of 1200 entries masked, the first is X\[3, 5\]"):
            call(X)


def test_a_dataset_of_hdf5_and_a_lazy_data_array_are_worked_on_piece_by_piece(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for X in (
            file.create_dataset("x", data=numbers(), chunks=(16, 20)),
            xarray.DataArray(da.from_array(numbers(), chunks=(16, 20))),
        ):
            model = NMF(3, random_state=0, tol=1e-6)
            W = model.fit_transform(X)
            assert isinstance(W, da.Array)
            assert model.reconstruction_err_ < 1e-3 * np.linalg.norm(numbers())
            np.testing.assert_array_equal(model.transform(X).compute(), W.compute())


@pytest.mark.parametrize("model", [*ESTIMATORS, NMF(3, init="random", random_state=0, solver="mu")])
@pytest.mark.parametrize("dtype", few(["u1", "?", "i4"], 1))
def test_small_numbers_have_the_factors_of_the_same_numbers_in_float64(model, dtype):
    X = numbers() > 10 if dtype == "?" else numbers(dtype)
    W, V = model.fit_transform(X.astype("f8")), model.components_
    error = model.reconstruction_err_
    np.testing.assert_array_equal(model.fit_transform(X), W)
    np.testing.assert_array_equal(model.components_, V)
    assert (model.reconstruction_err_, W.dtype) == (error, np.float64)


@pytest.mark.long
def test_small_numbers_are_never_copied_whole(sizes):
    sizes(2**18, sample_rows=100)
    X, model = numbers("u1", (3_000, 300)), NMF(2, random_state=0, max_iter=1, tol=0.5)
    model.fit(X[:99])
    tracemalloc.start()
    model.fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * X.nbytes, f"{peak / X.nbytes:.1f} times X"
