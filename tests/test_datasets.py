"""Synthetic X: what it is made of, whatever the chunks it is written in."""

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from dnmf.datasets import gaussian_basis, gaussians, low_rank


def test_the_basis_is_curves_of_growing_width():
    basis = gaussian_basis(1001, 4)
    assert basis.shape == (1001, 4)
    assert_array_equal(basis.argmax(0), [200, 400, 600, 800])
    assert_allclose(basis.max(0), 1)
    widths = (basis > np.exp(-0.5)).sum(0) / 2000  # one standard deviation to both sides
    assert_allclose(widths, np.linspace(0.03, 0.08, 4), atol=1e-3)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_every_column_is_a_mixture_of_the_basis(tmp_path, dtype):
    X = gaussians(tmp_path / "X.zarr", features=64, samples=5000, d=3, dtype=dtype)
    assert (X.shape, X.dtype, X.read_only) == ((64, 5000), dtype, True)
    basis = gaussian_basis(64, 3)
    amplitudes, *_ = np.linalg.lstsq(basis, X[...].astype("f8"))
    assert_allclose(basis @ amplitudes, X[...], atol=1e-6 if dtype == "f4" else 1e-14)
    assert -1e-6 < amplitudes.min() < 0.01
    assert 0.99 < amplitudes.max() < 1 + 1e-6
    assert_allclose(amplitudes.mean(1), 0.5, atol=0.02)
    assert np.abs(np.corrcoef(amplitudes) - np.eye(3)).max() < 0.06


def test_mixtures_depend_on_the_seed_and_a_longer_x_begins_alike(tmp_path):
    few, more, other = (
        gaussians(tmp_path / f"{i}.zarr", features=20, samples=samples, seed=seed)[...]
        for i, (samples, seed) in enumerate([(30, 0), (50, 0), (30, 1)])
    )
    assert_allclose(few, more[:, :30], rtol=1e-6)
    assert np.abs(few - other).max() > 0.1


def test_an_existing_x_is_replaced(tmp_path):
    gaussians(tmp_path / "X.zarr", features=64, samples=50)
    assert gaussians(tmp_path / "X.zarr", features=8, samples=5)[...].shape == (8, 5)


def made(store, shape=(40, 30), rank=3, **options):
    return low_rank(store, shape, rank, **options)[...]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("noise", [0.0, 0.1, 1.0])
def test_x_is_low_rank_plus_noise(tmp_path, dtype, noise):
    X = made(tmp_path / "X.zarr", (300, 200), 4, noise=noise, dtype=dtype)
    assert X.dtype == dtype
    assert (X >= 0).all()
    clean = made(tmp_path / "clean.zarr", (300, 200), 4, noise=0.0, dtype="f8")
    assert np.linalg.matrix_rank(clean) == 4
    ratio = X / clean
    assert_allclose([ratio.min(), ratio.max()], [1 - noise, 1 + noise], atol=0.01 if noise else 1e-5)
    if noise:
        assert_allclose(ratio.mean(), 1, atol=0.01 * noise)
        assert_allclose(ratio.std(), noise / np.sqrt(3), rtol=0.02)
    assert_allclose(clean.mean(), 4, rtol=0.2)


@pytest.mark.long
@given(st.integers(1, 40), st.integers(1, 30), st.sampled_from(["f4", "f8"]))
def test_x_does_not_depend_on_its_chunks(tmp_path_factory, height, width, dtype):
    folder = tmp_path_factory.mktemp("x")
    whole, cut = (made(folder / f"{i}.zarr", chunks=c, dtype=dtype) for i, c in enumerate([(40, 30), (height, width)]))
    # BLAS adds up in another order for other heights.
    assert_allclose(cut, whole, rtol=1e-6 if dtype == "f4" else 1e-14)


def test_storage_is_passed_on(tmp_path):
    X = low_rank(tmp_path / "X.zarr", (40, 30), 2, chunks=(5, 30), shards=(20, 30), compressors=None)
    assert (X.chunks, X.shards, X.compressors) == ((5, 30), (20, 30), ())
    old = low_rank(tmp_path / "old.zarr", (40, 30), 2, chunks=(5, 30), zarr_format=2)
    assert old.metadata.zarr_format == 2
    assert_allclose(old[...], X[...], rtol=1e-6)


def test_x_depends_on_the_seed(tmp_path):
    X, same, other = (made(tmp_path / f"{i}.zarr", seed=seed) for i, seed in enumerate([0, 0, 1]))
    assert_array_equal(X, same)
    assert np.abs(X - other).max() > 0.5


@pytest.mark.parametrize("noise", [-0.1, 1.1, float("nan")])
def test_noise_that_could_make_x_negative_is_refused(tmp_path, noise):
    with pytest.raises(ValueError, match="noise") as refused:
        low_rank(tmp_path / "X.zarr", (4, 3), 1, noise=noise)
    assert str(refused.value) == (
        f"noise is {noise}: a number from 0 to 1 is required, or entries of X could be negative"
    )
    assert not (tmp_path / "X.zarr").exists()


def test_what_is_written_is_what_is_returned(tmp_path):
    X = low_rank(tmp_path / "X.zarr", (40, 30), 2)
    assert_array_equal(zarr.open_array(str(tmp_path / "X.zarr"), mode="r")[...], X[...])


def test_a_folder_that_is_no_zarr_array_is_not_replaced(tmp_path):
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "thesis.tex").write_text("work")
    with pytest.raises(FileExistsError, match="documents is not a Zarr array or group: only these are overwritten"):
        gaussians(tmp_path / "documents", features=8, samples=16)
    assert (tmp_path / "documents" / "thesis.tex").read_text() == "work"
