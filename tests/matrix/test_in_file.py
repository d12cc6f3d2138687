"""A dataset of an HDF5 file is read by slices, here through the caller's handle, elsewhere by its path."""

import pickle

import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import dnmf
from dnmf.matrix.matrix import finds
from dnmf.matrix.opening import open_matrix
from dnmf.run.opening import open_group

SHAPE = (60, 25)


def entries(dtype="f4"):
    return np.random.default_rng(0).integers(0, 100, SHAPE).astype(dtype)


@pytest.fixture
def file(tmp_path):
    """X in chunks, without chunks, and packed."""
    with h5py.File(tmp_path / "x.h5", "w") as written:
        written.create_dataset("chunked", data=entries(), chunks=(16, 25))
        written["plain"] = entries("u1")
        written["packed"] = entries("i2")
        written["packed"].attrs["scale_factor"] = np.float32(0.5)
        written["packed"].attrs["_FillValue"] = np.int16(-1)
        written["group/vector"] = np.ones(3)
    with h5py.File(tmp_path / "x.h5") as opened:
        yield opened


@pytest.mark.parametrize("name", ["chunked", "plain", "packed"])
def test_strips_of_a_dataset_are_slices(file, name):
    matrix = open_matrix(file[name])
    assert (matrix.in_memory, matrix.stored, matrix.lazy, matrix.repeats) == (False, False, False, True)
    assert matrix.location == f"an HDF5 dataset (/{name} of {file.filename})"
    assert matrix.grid.chunk == ((16, 25) if name == "chunked" else SHAPE)
    x = entries() / (2 if name == "packed" else 1)
    for axis, expected in enumerate((x, x.T)):
        strips = matrix.strips(axis, check=True)
        assert strips.dtype == "f4"
        assert_array_equal(strips[3:20, :], expected[3:20])
        assert_array_equal(pickle.loads(pickle.dumps(strips))[3:20, :], expected[3:20])


def test_a_worker_finds_a_dataset_by_its_path(file, tmp_path):
    (node,) = open_matrix(file["plain"]).nodes
    assert finds([pickle.loads(pickle.dumps(node))])
    (tmp_path / "x.h5").rename(tmp_path / "y.h5")
    with h5py.File(tmp_path / "y.h5") as moved:
        (node,) = open_matrix(moved["plain"]).nodes
    (tmp_path / "y.h5").unlink()
    assert not finds([pickle.loads(pickle.dumps(node))])


def test_factors_of_a_dataset_are_those_of_its_numbers_and_a_run_asks_for_it_again(file, tmp_path):
    expected = dnmf.factorize(entries(), 3, max_iter=5, tol=0)
    result = dnmf.factorize(file["chunked"], 3, max_iter=5, tol=0, out=tmp_path / "run.zarr")
    np.testing.assert_allclose(result.V, expected.V, rtol=1e-4, atol=1e-5)
    assert open_group(tmp_path / "run.zarr")[1].x.path.startswith("an HDF5 dataset (/chunked of ")
    with pytest.raises(ValueError, match=r"was an HDF5 dataset .*: give it again, resume\(run, X\)"):
        dnmf.resume(tmp_path / "run.zarr", max_iter=9)
    assert dnmf.resume(tmp_path / "run.zarr", file["chunked"], max_iter=7).about.iteration == 7


def test_what_is_no_matrix_in_a_file_is_named(file):
    with pytest.raises(TypeError, match="X is of type h5py Group, which is no matrix: give one of its datasets"):
        open_matrix(file["group"])
    with pytest.raises(ValueError, match=r"X has shape \(3,\)"):
        open_matrix(file["group/vector"])
    closed = file["plain"]
    file.close()
    with pytest.raises(ValueError, match="X is a dataset of an HDF5 file that is closed"):
        open_matrix(closed)
