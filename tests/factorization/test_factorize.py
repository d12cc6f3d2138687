"""`factorize` and `open_run` as a user calls them: what X may be, what comes back, and every mistake's sentence."""

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray
import zarr
from pairwise import few, pairs
from resize import Resize

import dnmf
from dnmf.events import PassDone, Saved
from dnmf.run.record import FORMAT

X = np.random.default_rng(0).random((120, 40)) @ np.random.default_rng(1).random((40, 50))
# One row is so quiet beside the others that no power of two brings both into the range of a dtype.
QUIET = np.arange(120)[:, None] == 7


def stored(path: Path, **how: Any) -> zarr.Array[Any]:
    array = zarr.create_array(str(path), shape=X.shape, dtype="f8", **{"chunks": (30, 25), **how})
    array[...] = X
    return array


@pytest.mark.long
def test_every_kind_of_x_gives_the_same_answer(tmp_path: Path) -> None:
    array = stored(tmp_path / "x.zarr")
    group = zarr.create_group(str(tmp_path / "g.zarr")).create_group("layers")
    group.create_array("counts", shape=X.shape, chunks=(30, 50), dtype="f8")[...] = X
    shards = stored(tmp_path / "s.zarr", chunks=(10, 25), shards=(30, 50))
    v2 = stored(tmp_path / "2.zarr", zarr_format=2)
    kinds = [
        X, X.tolist(), np.asfortranarray(X), X.astype(">f8"), array, str(tmp_path / "x.zarr"), tmp_path / "x.zarr",
        str(tmp_path / "g.zarr/layers/counts"), shards, v2, da.from_array(X, chunks=(50, 17)),
    ]  # fmt: skip
    results = [dnmf.factorize(kind, 3, max_iter=5, tol=0) for kind in kinds]
    for result in results[1:]:
        np.testing.assert_allclose(np.asarray(result.W), np.asarray(results[0].W), rtol=1e-7)
        np.testing.assert_allclose(result.V, results[0].V, rtol=1e-7)


@pytest.mark.parametrize("dtype", ["bool", "u1", "i4", "f2", "f4", ">i2"])
def test_entries_of_every_dtype_are_computed_with_exactly(dtype: str) -> None:
    counts = (np.random.default_rng(0).random((60, 20)) * 5).astype(dtype)
    result = dnmf.factorize(counts, 2, max_iter=3, tol=0)
    expected = "f8" if dtype == "i4" else "f4"
    assert result.V.dtype == result.W.dtype == np.dtype(expected)
    residual = counts.astype("f8") - np.asarray(result.W).astype("f8") @ result.V.astype("f8")
    np.testing.assert_allclose(result.loss, (residual**2).sum(), rtol=1e-6)


def test_a_result_is_what_is_stored(tmp_path: Path) -> None:
    result = dnmf.factorize(X, 3, out=tmp_path / "run.zarr", seed=0, max_iter=7, tol=0, snapshot_every=3)
    again = dnmf.open_run(tmp_path / "run.zarr")
    assert isinstance(result.W, da.Array)
    assert isinstance(result.V, np.ndarray)
    assert result.W.shape == (120, 3)
    assert result.V.shape == (3, 50)
    np.testing.assert_array_equal(np.asarray(again.W), np.asarray(result.W))
    np.testing.assert_array_equal(again.V, result.V)
    assert again.loss == result.loss == result.history["loss"][-1]
    assert again.stopped == result.stopped
    assert list(again.snapshots) == [0, 3, 6]
    assert again.snapshots[0].shape == (3, 50)
    assert len(again.history["seconds"]) == len(again.history["bytes_read"]) == 7


def test_xarray_opens_a_run(tmp_path: Path) -> None:
    result = dnmf.factorize(X, 3, out=tmp_path / "run.zarr", max_iter=6, snapshot_every=2)
    with xarray.open_dataset(tmp_path / "run.zarr", engine="zarr", consolidated=False) as run:
        assert run["W"].dims == ("row", "component")
        assert run["V"].dims == ("component", "column")
        assert run["loss"].dims == run["seconds"].dims == run["bytes_read"].dims == ("pass",)
        assert run["snapshots"].dims == ("snapshot", "component", "column")
        np.testing.assert_array_equal(run["V"], result.V)
        record = run.attrs["dnmf"]
    assert record["format"] == FORMAT
    assert record["status"] == "finished"
    assert record["parameters"]["rank"] == 3
    assert record["x"]["shape"] == [120, 50]
    assert record["stopped"] == result.stopped
    assert sorted(p.name for p in (tmp_path / "run.zarr/generations").iterdir()) == ["zarr.json"]


def test_where_strips_are_columns_v_moves_first_and_nothing_else_shows(tmp_path: Path) -> None:
    wide = zarr.create_array(str(tmp_path / "x.zarr"), shape=(50, 120), chunks=(50, 10), dtype="f8")
    wide[...] = X.T
    turned = dnmf.factorize(wide, 3, max_iter=8, tol=0, init=(np.ones((50, 3)) + np.eye(50, 3), np.ones((3, 120))))
    plain = dnmf.factorize(X, 3, max_iter=8, tol=0, init=(np.ones((120, 3)), (np.ones((50, 3)) + np.eye(50, 3)).T))
    assert turned.record["state"]["axis"] == 1
    assert plain.record["state"]["axis"] == 0
    np.testing.assert_allclose(np.asarray(turned.W), plain.V.T, rtol=1e-7)
    np.testing.assert_allclose(turned.V, np.asarray(plain.W).T, rtol=1e-7)


def test_ones_own_first_factors_may_be_stored_and_are_not_changed(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    W, V = rng.random((120, 3)), rng.random((3, 50))
    for factor in (W, V):
        factor.flags.writeable = False
    kept = zarr.create_array(str(tmp_path / "w.zarr"), shape=W.shape, chunks=(50, 3), dtype="f8")
    kept[...] = W
    first, second = (dnmf.factorize(X, 3, max_iter=4, tol=0, init=(w, V)) for w in (W, da.from_zarr(kept)))
    np.testing.assert_array_equal(np.asarray(first.W), np.asarray(second.W))
    assert first.record["parameters"]["init"] == "given"


def test_a_matrix_of_zeros_a_single_row_a_single_column_and_more_components_than_rows() -> None:
    assert dnmf.factorize(np.zeros((20, 5)), 2).loss == 0
    assert "the loss is 0" in dnmf.factorize(np.zeros((20, 5)), 2).stopped
    for shape in ((1, 9), (9, 1), (1, 1), (3, 4)):
        result = dnmf.factorize(np.random.default_rng(0).random(shape), 5, max_iter=50)
        assert result.relative_error < 1e-2
        assert np.isfinite(np.asarray(result.W)).all()


@pytest.mark.parametrize(
    ("changed", "error", "text"),
    [
        ({"rank": 0}, ValueError, "rank is 0: an integer of at least 1 is required"),
        ({"rank": 2.5}, ValueError, "rank is 2.5: an integer of at least 1"),
        ({"max_iter": 0}, ValueError, "max_iter is 0"),
        ({"inner_iter": 0}, ValueError, "inner_iter is 0"),
        ({"snapshot_every": 0}, ValueError, "snapshot_every is 0"),
        ({"seed": -1}, ValueError, "seed is -1: an integer of at least 0 is required"),
        ({"tol": -0.1}, ValueError, "tol is -0.1: a number from 0 (never stop early) to below 1 is required"),
        ({"tol": float("nan")}, ValueError, "tol is nan"),
        ({"solver": "hals"}, ValueError, "solver is 'hals': one of cd, mu is required"),
        ({"init": "svd"}, ValueError, "init is 'svd': one of sample, nndsvd, nndsvda, nndsvdar, random, or first "),
        ({"init": (np.ones((120, 3)),)}, TypeError, "init is 1 of them: a name, or two arrays (W, V), are required"),
        ({"init": np.ones((120, 3))}, TypeError, "init is ndarray: a name, or two arrays (W, V), are required"),
        ({"init": (np.ones((120, 2)), np.ones((3, 50)))}, ValueError, "the first W has shape (120, 2): (120, 3) is"),
        ({"init": (np.ones((120, 3)), -np.ones((3, 50)))}, ValueError, "the first V has a negative, NaN or infinite"),
        ({"X": -X}, ValueError, "X[0, 0] is -"),
        ({"X": np.where(QUIET, X * 1e-300, X * 1e300)}, ValueError, "multiply the quiet rows"),
        ({"X": np.where(QUIET, X * 1e-37, X * 1e30).astype("f4")}, ValueError, "of float32: store X as float64"),
        ({"X": "nowhere.zarr"}, FileNotFoundError, "there is no Zarr array at nowhere.zarr"),
        ({"memory_limit": 2**20}, MemoryError, "in a worker that may use 1 MiB"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_a_sentence(changed: dict[str, Any], error: type[Exception], text: str) -> None:
    asked = {"X": X, "rank": 3, **changed}
    with pytest.raises(error, match=re.escape(text)), np.errstate(all="ignore"):
        dnmf.factorize(asked.pop("X"), asked.pop("rank"), **asked)


def test_an_output_that_exists_is_refused_and_a_run_may_be_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    dnmf.factorize(X, 3, out=out, max_iter=1)
    with pytest.raises(FileExistsError, match=r"run\.zarr exists: choose another output, or overwrite it"):
        dnmf.factorize(X, 3, out=out)
    assert dnmf.factorize(X, 2, out=out, max_iter=2, overwrite=True).W.shape == (120, 2)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious").write_text("work")
    with pytest.raises(FileExistsError, match="is not a run of dnmf, so it is not overwritten"):
        dnmf.factorize(X, 2, out=tmp_path / "folder", overwrite=True)
    assert (tmp_path / "folder" / "precious").read_text() == "work"


def test_a_run_is_not_overwritten_by_a_factorization_of_itself(tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    dnmf.factorize(X, 3, out=out, max_iter=1)
    with pytest.raises(ValueError, match="are inside one another: choose another output"):
        dnmf.factorize(str(out / "W"), 2, out=out, overwrite=True)
    assert dnmf.open_run(out).W.shape == (120, 3)


@pytest.mark.parametrize(
    ("value", "where", "chunks"), few(pairs([-1.0, np.nan, np.inf], ["threads", "cluster"], [(30, 50), (120, 10)]), 2)
)
def test_a_bad_entry_ends_the_run_with_its_row_and_column(
    request: pytest.FixtureRequest, tmp_path: Path, sizes: Resize, where: str, value: float, chunks: tuple[int, int]
) -> None:
    if where == "cluster":
        request.getfixturevalue("client")
    sizes(small_strip=1, worthwhile_strip=1)
    array = stored(tmp_path / "x.zarr", chunks=chunks)
    array[77, 31] = value
    with pytest.raises(ValueError, match=rf"X\[77, 31\] is {value}: every entry must be finite and not negative"):
        dnmf.factorize(array, 3, out=tmp_path / "run.zarr")
    record = zarr.open_group(tmp_path / "run.zarr", mode="r").attrs["dnmf"]
    assert record["status"] == "stopped"
    assert "X[77, 31]" in record["stopped"]
    array[77, 31] = 1
    assert dnmf.factorize(array, 3, out=tmp_path / "run.zarr", overwrite=True, max_iter=2).loss > 0


@pytest.mark.usefixtures("client")
def test_on_a_cluster_an_output_is_required_and_an_array_in_memory_stays_here(tmp_path: Path) -> None:
    array = stored(tmp_path / "x.zarr")
    with pytest.raises(ValueError, match="out is None on a cluster"):
        dnmf.factorize(array, 3)
    assert dnmf.factorize(X, 3, max_iter=2).V.shape == (3, 50)


@pytest.mark.long
@pytest.mark.usefixtures("client")
def test_a_lazy_matrix_is_computed_on_the_cluster(tmp_path: Path) -> None:
    array = stored(tmp_path / "x.zarr")
    lazy = np.log1p(da.from_zarr(str(tmp_path / "x.zarr")))
    result = dnmf.factorize(lazy, 3, max_iter=4, tol=0, out=tmp_path / "run.zarr")
    here = dnmf.factorize(np.log1p(array[...]), 3, max_iter=4, tol=0)
    np.testing.assert_allclose(result.V, here.V, rtol=1e-7)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda path: None, FileNotFoundError, "there is no run at"),
        (lambda path: path.mkdir(), ValueError, "is not a run of dnmf: give the --out of a factorization"),
        (lambda path: zarr.create_group(str(path)), ValueError, "is not a run of dnmf"),
        (
            lambda path: zarr.create_group(str(path), attributes={"dnmf": {"format": 99}}),
            ValueError,
            f"has format 99, this dnmf reads up to {FORMAT}: install a newer dnmf",
        ),
        (
            lambda path: zarr.create_group(
                str(path), attributes={"dnmf": {"format": 1, "at": None, "status": "running", "stopped": None}}
            ),
            ValueError,
            "holds no whole generation yet",
        ),
    ],
)
def test_what_is_no_run_is_told_in_a_sentence(tmp_path: Path, make: Any, error: type[Exception], text: str) -> None:
    make(tmp_path / "run.zarr")
    with pytest.raises(error, match=text):
        dnmf.open_run(tmp_path / "run.zarr")


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    result = dnmf.factorize(
        X, np.int64(3), tol=np.float32(1e-3), seed=np.int32(1), max_iter=np.int16(3), out=tmp_path / "r"
    )
    assert result.record["parameters"]["rank"] == 3
    with pytest.raises(ValueError, match="rank is True"):
        dnmf.factorize(X, True)
    with pytest.raises(ValueError, match="tol is 'a'"):
        dnmf.factorize(X, 3, tol="a")  # type: ignore[arg-type]


def test_a_run_that_ended_before_its_first_generation_does_not_block_its_path(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"X\[0, 0\] is -"):
        dnmf.factorize(-X, 3, out=tmp_path / "run.zarr")
    with pytest.raises(ValueError, match=r"holds no whole generation: it failed: X\[0, 0\] is -"):
        dnmf.open_run(tmp_path / "run.zarr")
    assert dnmf.factorize(X, 3, out=tmp_path / "run.zarr", max_iter=1).loss > 0


def test_a_listener_that_raises_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    def refuse(event: Any) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        dnmf.factorize(X, 3, out=tmp_path / "run.zarr", listeners=[refuse])
    assert dnmf.factorize(X, 3, out=tmp_path / "run.zarr", max_iter=1).loss > 0


def test_x_is_never_replaced_by_its_own_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = dnmf.factorize(X, 3, out="run.zarr", max_iter=2)
    kept = np.asarray(result.W)
    for source in ("run.zarr/W", zarr.open_array("run.zarr/W", mode="r")):
        with pytest.raises(ValueError, match="are inside one another"):
            dnmf.factorize(source, 2, out="run.zarr", overwrite=True)
    with pytest.raises(FileExistsError, match="a Dask array may be made of it"):
        dnmf.factorize(result.W, 2, out="run.zarr", overwrite=True)
    stored(tmp_path / "x.zarr")
    with pytest.raises(ValueError, match="are inside one another"):
        dnmf.factorize("x.zarr", 2, out="x.zarr/run")
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(np.asarray(result.W), kept)


@pytest.mark.long
def test_what_a_reader_had_open_is_an_error_when_it_is_gone_and_not_nan(tmp_path: Path) -> None:
    early: list[Any] = []

    def look(event: Any) -> None:
        if isinstance(event, PassDone) and event.iteration == 6:
            early.append(dnmf.open_run(tmp_path / "run.zarr"))

    dnmf.factorize(X, 3, out=tmp_path / "run.zarr", max_iter=20, tol=0, checkpoint_every=2, listeners=[look])
    with pytest.raises(FileNotFoundError, match="the run went on since it was opened"):
        np.asarray(early[0].W)


def test_a_run_whose_generation_is_damaged_fails(tmp_path: Path, sizes: Resize) -> None:
    sizes(strip=2**12)

    def damage(event: Any) -> None:
        if isinstance(event, Saved) and event.iteration == 4:
            for chunks in (tmp_path / "run.zarr" / "generations").glob("*/W/c"):
                shutil.rmtree(chunks)

    with pytest.raises((FileNotFoundError, ArithmeticError)):
        dnmf.factorize(
            X, 3, out=tmp_path / "run.zarr", max_iter=20, tol=0, listeners=[damage], memory_limit=2**30,
            checkpoint_every=4,
        )  # fmt: skip


def test_a_damaged_chunk_of_x_is_named_by_its_rows(tmp_path: Path) -> None:
    stored(tmp_path / "x.zarr", chunks=(30, 50))
    (tmp_path / "x.zarr" / "c" / "2" / "0").write_bytes(b"nonsense")
    with pytest.raises(OSError, match=r"rows 0 to 119 of X cannot be read \(.*\): a chunk is damaged or gone"):
        dnmf.factorize(str(tmp_path / "x.zarr"), 3)


@pytest.mark.long
def test_two_factorizations_share_a_cluster(client: Any, tmp_path: Path) -> None:
    array = stored(tmp_path / "x.zarr")

    def one(passes: int) -> float:
        with client.as_current():
            return dnmf.factorize(array, 3, max_iter=passes, tol=0, out=tmp_path / f"{passes}.zarr").loss

    with ThreadPoolExecutor(2) as pool:
        losses = list(pool.map(one, (6, 25)))
    assert losses[1] < losses[0]


@pytest.mark.parametrize("solver", ["cd", "mu"])
@pytest.mark.parametrize("dtype", few(["f4", "f8"], 1))
def test_factors_of_sparse_x_are_never_negative(solver: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    sparse = rng.random((2000, 300))
    sparse = np.where(sparse < 0.02, sparse, 0).astype(dtype)
    sparse[:, ::3] = 0
    for passes in (1, 2):
        result = dnmf.factorize(sparse, 8, solver=solver, inner_iter=1, tol=0, max_iter=passes)
        assert result.V.min() >= 0
        assert np.asarray(result.W).min() >= 0
