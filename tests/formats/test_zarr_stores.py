"""Zarr comes out as Zarr in other chunks, turned, or out of an archive; each chunk that is large is read once."""

from pathlib import Path
from shutil import make_archive
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import zarr
from pairwise import few
from zarr.storage import ZipStore

import dnmf.formats.contents
from dnmf.formats.convert import convert

X = np.arange(600.0).reshape(60, 10)


@pytest.fixture(autouse=True)
def _low_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips of seven rows of ten numbers."""
    monkeypatch.setattr(dnmf.formats.contents, "STRIP", 560)
    for module in (dnmf.formats.contents, dnmf.formats.convert):
        monkeypatch.setattr(module, "well_chunked", lambda shape, _: (min(7, shape[0]), shape[1]))


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("chunks", few([((60, 10),), ((25, 4),), ((3, 10),), ((1, 1),)], 2))
def test_zarr_in_other_chunks(tmp_path: Path, chunks: tuple[int, int], transpose: bool) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=X, chunks=chunks, attributes={"scale_factor": 2.0})
    made: Any = convert(tmp_path / "a.zarr", tmp_path / "b.zarr", transpose=transpose)
    np.testing.assert_array_equal(made[:], X.T if transpose else X)
    assert made.chunks == (7, 60 if transpose else 10)
    assert dict(made.attrs) == {"scale_factor": 2.0}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zarr", "b.zarr"]


def test_the_fill_value_of_format_2_that_stands_for_a_missing_number_is_kept(tmp_path: Path) -> None:
    old = zarr.create_array(
        tmp_path / "a.zarr", shape=(3, 2), chunks=(3, 2), dtype="i2", fill_value=-9, zarr_format=2,
        attributes={"_ARRAY_DIMENSIONS": ["row", "column"]},
    )  # fmt: skip
    old[1:] = 4
    made: Any = convert(tmp_path / "a.zarr", tmp_path / "b.zarr")
    np.testing.assert_array_equal(made[:], [[-9, -9], [4, 4], [4, 4]])
    assert dict(made.attrs) == {"_FillValue": -9}


def test_members_of_groups_and_archives(tmp_path: Path) -> None:
    with ZipStore(tmp_path / "a.zarr.zip", mode="w") as store:
        zarr.create_group(store).create_array("x", data=X, chunks=(60, 10))
    made: Any = convert(tmp_path / "a.zarr.zip", tmp_path / "b.zarr", dataset="x")
    np.testing.assert_array_equal(made[:], X)
    with pytest.raises(
        ValueError, match=r"is a Zarr group, not an array: name one of its matrices with --dataset .*: x$"
    ):
        convert(tmp_path / "a.zarr.zip", tmp_path / "c.zarr")
    with pytest.raises(ValueError, match=r"a.zarr.zip holds no y: a name in it is required; leave it out to see which"):
        convert(tmp_path / "a.zarr.zip", tmp_path / "c.zarr", dataset="y")


def test_a_folder_in_an_archive_is_found(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "pack" / "a.zarr", data=X)
    make_archive(str(tmp_path / "a.zarr"), "zip", tmp_path / "pack")
    made: Any = convert(tmp_path / "a.zarr.zip", tmp_path / "b.zarr")
    np.testing.assert_array_equal(made[:], X)
    zarr.create_array(tmp_path / "pack" / "c.zarr", data=X)
    make_archive(str(tmp_path / "c.zarr"), "zip", tmp_path / "pack")
    with pytest.raises(ValueError, match="holds 2 of them: one Zarr array or group is required"):
        convert(tmp_path / "c.zarr.zip", tmp_path / "d.zarr")


@pytest.mark.parametrize("transpose", [False, True])
def test_sparse_zarr(tmp_path: Path, transpose: bool) -> None:
    sparse = scipy.sparse.random_array((30, 20), density=0.2, rng=0, format="csr")
    scipy.sparse.save_npz(tmp_path / "a.npz", sparse)
    convert(tmp_path / "a.npz", tmp_path / "a.zarr")
    made: Any = convert(tmp_path / "a.zarr", tmp_path / "b.zarr", transpose=transpose)
    kind = scipy.sparse.csc_array if transpose else scipy.sparse.csr_array
    held = kind(tuple(made[name][:] for name in ("data", "indices", "indptr")), shape=made.attrs["shape"])
    np.testing.assert_array_equal(held.toarray(), sparse.toarray().T if transpose else sparse.toarray())


def test_source_and_target_are_apart(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=X)
    for target in ("a.zarr", "a.zarr/b"):
        with pytest.raises(ValueError, match="are inside one another: choose another target"):
            convert(tmp_path / "a.zarr", tmp_path / target, overwrite=True)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a.zarr", mode="r")[:], X)
