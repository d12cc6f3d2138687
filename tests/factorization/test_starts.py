"""First factors, through `factorize`: how often X is read for them, what X may be, and samples that runs have kept."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from counters import CountingStore
from pairwise import few, in_turn, pairs
from resize import Resize
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF
from threadpoolctl import threadpool_limits
from zarr.storage import LocalStore, MemoryStore

import dnmf
from dnmf.arrays.excerpt import SIDE, excerpt
from dnmf.arrays.sketch import as_it_is, nndsvd, sketch
from dnmf.clusters import here
from dnmf.engine.direct import Direct
from dnmf.events import PassDone, Planned, Sampled, Started, StripDone
from dnmf.factorization import starts
from dnmf.losses.divergence.surrogate import Surrogate
from dnmf.losses.extrapolation import Fit
from dnmf.losses.least_squares.in_memory import alternate
from dnmf.plan.strips import Plan
from dnmf.rules import NO_PENALTY, Penalty

INITS = ["sample", "nndsvd", "nndsvda", "nndsvdar", "random"]
each_init = pytest.mark.parametrize("init", INITS)


@pytest.fixture(autouse=True, scope="module")
def _one_blas_thread() -> Iterator[None]:
    """As in a factorization: where other processes use the same cores, more threads wait for each other."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


@pytest.fixture
def in_strips(sizes: Resize) -> None:
    """Strips of 32 KiB, and samples of 200 rows."""
    sizes(strip=2**15)
    sizes(sample_rows=200)


def noisy(m: int = 900, n: int = 30, k: int = 4, *, noise: float = 0.2, seed: int = 0) -> tuple[np.ndarray, float]:
    """X (m, n), and the relative error of the factors that it was made of."""
    rng = np.random.default_rng(seed)
    clean = rng.random((m, k)) @ rng.random((k, n))
    X = clean * (1 + noise * (2 * rng.random((m, n)) - 1))
    return X, float(np.linalg.norm(X - clean) / np.linalg.norm(X))


# Chunks of zeros are written, too.
EMPTY_TOO: Any = {"write_empty_chunks": True}


def stored(path: Path, X: np.ndarray, chunks: tuple[int, int]) -> tuple[Any, CountingStore]:
    zarr.create_array(str(path), shape=X.shape, chunks=chunks, dtype=X.dtype, config=EMPTY_TOO)[...] = X
    store = CountingStore(LocalStore(path))
    return zarr.open_array(store, mode="r"), store


def assert_fits(X: np.ndarray, result: Any) -> None:
    """Factors that may be, and a loss that is theirs."""
    W, V = np.asarray(result.W), result.V
    for factor in (W, V):
        assert np.isfinite(factor).all()
        assert (factor >= 0).all()
    residual = X.astype("f8") - W.astype("f8") @ V.astype("f8")
    # An error of a hundred-thousandth of the norm is lost in the rounding of float32.
    rounding = (1e-10 if X.dtype == "f4" else 1e-24) * float((X.astype("f8") ** 2).sum())
    np.testing.assert_allclose(result.loss, (residual**2).sum(), rtol=1e-5, atol=rounding)
    expected = np.linalg.norm(residual) / np.linalg.norm(X.astype("f8")) if X.any() else 0
    np.testing.assert_allclose(result.relative_error, expected, rtol=1e-5, atol=1e-5 if X.dtype == "f4" else 1e-12)


@pytest.mark.parametrize(("init", "solver"), few(in_turn([*INITS, *INITS], ["cd", "mu"]), 5))
def test_every_start_leads_to_a_fit_in_memory_and_in_strips(
    tmp_path: Path, in_strips: None, init: str, solver: str
) -> None:
    """The error that X was made with is about the best; mu from singular vectors is slow to get there."""
    X, planted = noisy()
    array, _ = stored(tmp_path / "x.zarr", X, (60, 30))
    for source in (X, array, X.T) if (init, solver) == ("sample", "cd") else (array,):
        plans: list[Any] = []
        result = dnmf.factorize(source, 4, init=init, solver=solver, max_iter=6, tol=0, listeners=[plans.append])
        assert_fits(X.T if result.V.shape == (4, 900) else X, result)
        assert result.relative_error < (1.02 if init == "sample" else 1.2) * planted
        assert plans[0].strips > 3
        start = result.record["start"]
        assert start["rows"] == (0 if init == "random" else 200)
        assert (start["relative_error"] is not None) == (init == "sample")
        assert result.record["parameters"]["init"] == init


@pytest.mark.parametrize("solver", ["cd", "mu"])
def test_the_first_short_factor_from_a_sample_is_nearly_the_last(in_strips: None, solver: str) -> None:
    """One pass solves the long factor against it: that fit is within three hundredths of the best."""
    X, planted = noisy()
    first = dnmf.factorize(X, 4, solver=solver, max_iter=1, tol=0, inner_iter=50)
    assert first.relative_error < 1.03 * planted
    # 200 rows are fitted a little closer than all.
    assert 0.8 * planted < first.record["start"]["relative_error"] < planted


def test_the_zeros_of_nndsvd_are_kept_or_filled() -> None:
    """The first short factor is snapshot 0; its rows may have any length. All of X is the sample."""
    X, _ = noisy(m=200)
    H = nndsvd(sketch(X, 4, seed=0), 4)[1]
    zeros, largest = H == 0, H.argmax(axis=1)
    assert 0.05 < zeros.mean() < 0.9
    first = {}
    for init in ("nndsvd", "nndsvda", "nndsvdar"):
        rows = dnmf.factorize(X, 4, init=init, max_iter=1, snapshot_every=1).snapshots[0]
        first[init] = rows * (H[range(4), largest] / rows[range(4), largest])[:, None]
        np.testing.assert_allclose(first[init][~zeros], H[~zeros], rtol=1e-9)
    assert not first["nndsvd"][zeros].any()
    np.testing.assert_allclose(first["nndsvda"][zeros], X.mean(), rtol=1e-9)
    filled = first["nndsvdar"][zeros]
    assert (filled < X.mean() / 100).all()
    assert len(np.unique(filled)) == len(filled)


@each_init
def test_mu_starts_without_zeros_that_it_could_not_leave(init: str) -> None:
    X, _ = noisy(m=100)
    first = dnmf.factorize(X, 4, init=init, solver="mu", max_iter=1, snapshot_every=1).snapshots[0]
    assert (first > 0).all()


@pytest.mark.long
@each_init
def test_x_that_is_cached_is_read_once(tmp_path: Path, in_strips: None, init: str) -> None:
    X, _ = noisy()
    array, store = stored(tmp_path / "x.zarr", X, (60, 30))
    result = dnmf.factorize(array, 4, init=init, max_iter=6, tol=0)
    assert len(result.history["loss"]) == 6
    assert result.reads == 1
    assert (result.record["start"]["bytes_read"] == X.nbytes) == (init != "random")
    assert result.history["bytes_read"].tolist() == [0 if init != "random" else X.nbytes, *[0] * 5]
    assert set(store.reads().values()) == {1}
    assert len(store.reads()) == array.nchunks


def test_an_array_in_memory_that_is_one_sample_is_read_once_and_certified_by_one_pass() -> None:
    X, _ = noisy(m=150)
    result = dnmf.factorize(X, 4)
    assert result.reads == 1
    assert result.record["start"]["rows"] == 150
    assert len(result.history["loss"]) == 1
    np.testing.assert_allclose(result.relative_error, result.record["start"]["relative_error"], rtol=1e-3)


@pytest.mark.parametrize("noise", [0.05, 0.2, 0.5])
def test_x_that_is_not_kept_is_read_two_or_three_times(
    tmp_path: Path, in_strips: None, sizes: Resize, noise: float
) -> None:
    """Once for the sample of a third of it, then to certify what that gave, at most once more to mend it."""
    sizes(sample_rows=800)
    X, planted = noisy(m=2400, noise=noise)
    array, store = stored(tmp_path / "x.zarr", X, (100, 30))
    result = dnmf.factorize(array, 4, cache=False)
    assert result.record["start"]["rows"] == 800
    assert result.reads in (2, 3)
    assert set(store.reads().values()) == {result.reads}
    assert len(store.reads()) == array.nchunks
    assert result.relative_error < 1.01 * planted


def test_the_events_of_a_start_come_in_order(tmp_path: Path, in_strips: None) -> None:
    X, _ = noisy()
    array, _ = stored(tmp_path / "x.zarr", X, (60, 30))
    events: list[Any] = []
    result = dnmf.factorize(array, 4, max_iter=2, tol=0, out=tmp_path / "run.zarr", listeners=[events.append])
    total = events[0].strips
    assert total > 3
    assert isinstance(events[0], Planned)
    assert events[1 : total + 1] == [StripDone(0, done, total) for done in range(1, total + 1)]
    assert isinstance(events[total + 1], Sampled)
    assert (events[total + 1].rows, events[total + 1].bytes_read) == (200, X.nbytes)
    assert isinstance(events[total + 2], Started)
    start = result.record["start"]
    assert (events[total + 2].seconds, events[total + 2].relative_error) == (start["seconds"], start["relative_error"])
    assert 0 < events[total + 1].seconds <= start["seconds"]
    again: list[Any] = []
    dnmf.factorize(array, 4, max_iter=1, sample=tmp_path / "run.zarr", listeners=[again.append])
    assert (again[1].rows, again[1].bytes_read) == (200, 0)
    assert not any(isinstance(event, StripDone) and event.iteration == 0 for event in again)


HARD: dict[str, tuple[np.ndarray, int]] = {
    "zeros": (np.zeros((60, 7)), 3),
    "rows and columns of zeros": (np.where(np.arange(60)[:, None] % 3 * (np.arange(7) % 3), noisy(60, 7)[0], 0), 3),
    "one row that is not zero": (np.outer(np.arange(60) == 41, np.arange(7.0)), 2),
    "more components than columns": (noisy(60, 4)[0], 6),
    "more components than rows": (noisy(4, 60)[0], 6),
    "more components than either": (noisy(5, 4)[0], 9),
    "one row": (noisy(1, 40)[0], 2),
    "one column": (noisy(40, 1)[0], 2),
    "one entry": (np.array([[3.0]]), 2),
    "constant": (np.full((60, 7), 2.5), 3),
    "ones among zeros": (np.eye(60, 7), 3),
}


@pytest.mark.parametrize(
    ("kind", "start"), few(in_turn([*HARD, *HARD], [*((init, "cd") for init in INITS), ("sample", "mu")]), 8), ids=str
)
def test_hard_cases_end_in_factors_that_may_be(sizes: Resize, kind: str, start: tuple[str, str]) -> None:
    """In memory as one strip, of which all rows are drawn; stored in strips of twenty rows, of which nine are."""
    (X, rank), (init, solver) = HARD[kind], start
    results = [dnmf.factorize(X, rank, init=init, solver=solver, max_iter=2, tol=0)]
    if init in ("sample", "nndsvd") and solver == "cd":
        sizes(sample_rows=9)
        sizes(strip=1)
        chunks = (min(20, X.shape[0]), X.shape[1]) if X.shape[0] >= X.shape[1] else (X.shape[0], min(20, X.shape[1]))
        source = zarr.create_array(MemoryStore(), shape=X.shape, dtype="f8", chunks=chunks, config=EMPTY_TOO)
        source[...] = X
        results.append(dnmf.factorize(source, rank, init=init, solver=solver, max_iter=2, tol=0))
    for result in results:
        assert_fits(X, result)
        assert (np.asarray(result.W).shape, result.V.shape) == ((X.shape[0], rank), (rank, X.shape[1]))
        assert not np.asarray(result.W)[~X.any(axis=1)].any()
        assert result.relative_error <= 1


@each_init
def test_a_matrix_of_zeros_ends_at_once(init: str) -> None:
    result = dnmf.factorize(np.zeros((30, 6)), 2, init=init)
    assert result.loss == result.relative_error == 0
    assert result.stopped == "after 1 pass the loss is 0: X is factorized exactly"


@pytest.mark.parametrize(
    ("kind", "init"),
    in_turn(
        ["more components than columns", "more components than either", "one row", "one column"],
        ["sample", "nndsvda", "random"],
    ),
)
def test_components_to_spare_fit_it_exactly(kind: str, init: str) -> None:
    X, rank = HARD[kind]
    assert dnmf.factorize(X, rank, init=init, tol=1e-6).relative_error < 1e-3


@pytest.mark.parametrize(
    ("init", "solver", "scale"), few(pairs(INITS, ["cd", "mu"], [(2.0**40, "f4"), (2.0**-40, "f8")]), 4)
)
def test_the_unit_of_x_does_not_matter(init: str, solver: str, scale: tuple[float, str]) -> None:
    """A power of two changes no digit of X. But the mean of X, which fills zeros, has not the unit of a factor: a start
    that is filled, as one of those from the sample is, is another one, and may end some hundredths off."""
    unit, dtype = scale
    X = noisy(m=100)[0].astype(dtype)
    plain, scaled = (
        dnmf.factorize(x, 4, init=init, solver=solver, max_iter=3, tol=0) for x in (X, (X * unit).astype(dtype))
    )
    assert_fits((X * unit).astype(dtype), scaled)
    digits = {"nndsvda": 0.1, "nndsvdar": 0.1, "sample": 1e-2}.get(init, 1e-4 if dtype == "f4" else 1e-9)
    np.testing.assert_allclose(scaled.relative_error, plain.relative_error, rtol=digits)


@pytest.mark.parametrize("rank", [5, 16])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_on_digits_one_read_is_as_good_as_scikit_learn(rank: int) -> None:
    X = load_digits().data
    theirs = NMF(rank, random_state=0).fit(X).reconstruction_err_ / np.linalg.norm(X)
    ours = dnmf.factorize(X, rank)
    assert ours.reads == 1
    assert ours.relative_error <= 1.001 * theirs


@pytest.mark.parametrize(
    ("init", "shape", "chunks"), few([("sample", (900, 30), (60, 30)), ("nndsvdar", (30, 900), (30, 60))], 1)
)
def test_a_sample_that_a_run_has_kept_saves_the_read(
    tmp_path: Path, in_strips: None, init: str, shape: tuple[int, int], chunks: tuple[int, int]
) -> None:
    """Another rank from it is what that rank is without it, but for the read."""
    X, _ = noisy(*shape)
    array, store = stored(tmp_path / "x.zarr", X, chunks)
    how: dict[str, Any] = {"max_iter": 3, "tol": 0, "cache": False}
    dnmf.factorize(array, 4, out=tmp_path / "run.zarr", **how)
    before = store.reads()
    kept = dnmf.factorize(array, 6, init=init, sample=tmp_path / "run.zarr", **how)
    assert kept.record["start"]["bytes_read"] == 0
    assert kept.record["start"]["rows"] == 200
    assert kept.reads == 3
    assert set((store.reads() - before).values()) == {3}
    fresh = dnmf.factorize(array, 6, init=init, **how)
    assert fresh.reads == 4
    np.testing.assert_array_equal(kept.V, fresh.V)
    np.testing.assert_array_equal(np.asarray(kept.W), np.asarray(fresh.W))
    np.testing.assert_array_equal(kept.history["loss"], fresh.history["loss"])


@pytest.mark.long
@pytest.mark.parametrize("cache", [True, False])
def test_with_a_kept_sample_the_first_pass_is_the_read(tmp_path: Path, in_strips: None, cache: bool) -> None:
    X, _ = noisy()
    array, _ = stored(tmp_path / "x.zarr", X, (60, 30))
    dnmf.factorize(array, 4, out=tmp_path / "run.zarr", max_iter=1)
    kept = dnmf.factorize(array, 3, sample=tmp_path / "run.zarr", max_iter=4, tol=0, cache=cache)
    assert kept.history["bytes_read"].tolist() == [X.nbytes, *[0 if cache else X.nbytes] * 3]


def test_entries_are_checked_though_no_sample_is_drawn(tmp_path: Path, in_strips: None) -> None:
    X, _ = noisy()
    array, _ = stored(tmp_path / "x.zarr", X, (60, 30))
    dnmf.factorize(array, 4, out=tmp_path / "run.zarr", max_iter=1)
    zarr.open_array(str(tmp_path / "x.zarr"), mode="r+")[640, 7] = -1
    with pytest.raises(ValueError, match=r"X\[640, 7\] is -1.0"):
        dnmf.factorize(array, 4, sample=tmp_path / "run.zarr")


@pytest.mark.long
def test_a_run_that_has_a_kept_sample_hands_it_on_and_may_be_overwritten(tmp_path: Path, in_strips: None) -> None:
    X, _ = noisy()
    array, _ = stored(tmp_path / "x.zarr", X, (60, 30))
    first, second = tmp_path / "first.zarr", tmp_path / "second.zarr"
    dnmf.factorize(array, 4, out=first, max_iter=1)
    dnmf.factorize(array, 3, out=second, sample=first, max_iter=1)
    third = dnmf.factorize(array, 5, out=first, sample=second, max_iter=1, overwrite=True)
    assert dnmf.factorize(array, 5, out=second, sample=second, max_iter=1, overwrite=True).loss == third.loss
    a, b = (zarr.open_group(path, mode="r")["sample"] for path in (first, second))
    assert dict(a.attrs) == dict(b.attrs)
    for name in ("rows", "index", "keys", "sizes"):
        np.testing.assert_array_equal(a[name][...], b[name][...])
    np.testing.assert_array_equal(a["rows"][...], X[a["index"][...]])


def test_a_kept_sample_has_its_own_size(tmp_path: Path, in_strips: None, sizes: Resize) -> None:
    """Whatever size would be drawn now: rows are weighted for the size that they were drawn with."""
    X, _ = noisy()
    array, _ = stored(tmp_path / "x.zarr", X, (60, 30))
    how: dict[str, Any] = {"max_iter": 2, "tol": 0}
    first = dnmf.factorize(array, 4, out=tmp_path / "run.zarr", **how)
    for rows in (100, 500):
        sizes(sample_rows=rows)
        kept = dnmf.factorize(array, 4, sample=tmp_path / "run.zarr", **how)
        assert kept.record["start"]["rows"] == 200
        np.testing.assert_array_equal(kept.V, first.V)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["zeros", "rows and columns of zeros", "one row", "one entry"])
def test_a_kept_sample_of_a_hard_case_is_taken(tmp_path: Path, kind: str) -> None:
    X, rank = HARD[kind]
    array, _ = stored(tmp_path / "x.zarr", X, X.shape)
    dnmf.factorize(array, rank, out=tmp_path / "run.zarr", max_iter=1)
    result = dnmf.factorize(array, rank + 1, sample=tmp_path / "run.zarr", max_iter=2)
    assert result.record["start"]["bytes_read"] == 0
    assert_fits(X, result)


def refused(text: str, *args: Any, **how: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        dnmf.factorize(*args, **how)


def test_a_sample_that_does_not_fit_is_refused_in_a_sentence(tmp_path: Path, in_strips: None) -> None:
    X, _ = noisy()
    array, _ = stored(tmp_path / "x.zarr", X, (60, 30))
    other, _ = stored(tmp_path / "other.zarr", X, (60, 30))
    rechunked, _ = stored(tmp_path / "chunks.zarr", X, (90, 30))
    run, plain = tmp_path / "run.zarr", tmp_path / "plain.zarr"
    dnmf.factorize(array, 4, out=run, max_iter=1)
    dnmf.factorize(array, 4, out=plain, init="random", max_iter=1)
    for source in (other, rechunked):
        refused(f"the sample in {run} is of ", source, 4, sample=run)
        other = " as it is now: name a run on this X, with the same entries missing and the same weights, or give"
        refused(other, source, 4, sample=run)
    refused("a sample is given and init is 'random': one of sample, nndsvd, nndsvda, nndsvdar is required with it",
            array, 4, sample=run, init="random")  # fmt: skip
    refused("a sample is given and init is 'given'", array, 4, sample=run, init=(np.ones((900, 4)), np.ones((4, 30))))
    refused("holds no sample: name a run whose first factors came from one", array, 4, sample=plain)
    with pytest.raises(FileNotFoundError, match="there is no run at"):
        dnmf.factorize(array, 4, sample=tmp_path / "nowhere.zarr")
    refused("is not a run of dnmf", array, 4, sample=tmp_path / "x.zarr")


def test_a_sample_is_refused_for_an_array_that_could_be_any(tmp_path: Path) -> None:
    """Arrays in memory have one name, and another one's norm would make of every error another."""
    X, _ = noisy(m=90)
    dnmf.factorize(X, 4, out=tmp_path / "run.zarr", max_iter=1)
    for source in (X, 50 * X, da.from_array(X)):
        with pytest.raises(ValueError, match="only stored X is known to be the same again"):
            dnmf.factorize(source, 4, sample=tmp_path / "run.zarr")


def test_x_is_cut_along_the_axis_of_the_sample_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: Resize
) -> None:
    """As one strip it is columns of a wide X; in several strips rows, since its chunks are whole rows."""
    monkeypatch.setattr(here, "CPU_COUNT", 4)
    X, _ = noisy(40, 60)
    array, _ = stored(tmp_path / "x.zarr", X, (5, 60))
    whole = dnmf.factorize(array, 2, out=tmp_path / "run.zarr", max_iter=1)
    sizes(strip=2048)
    assert (whole.record["state"]["axis"], dnmf.factorize(array, 2, max_iter=1).record["state"]["axis"]) == (1, 0)
    again = dnmf.factorize(array, 2, sample=tmp_path / "run.zarr", max_iter=1)
    assert (again.record["state"]["axis"], again.record["start"]["bytes_read"]) == (1, 0)


@pytest.mark.parametrize(("init", "solver"), few([("sample", "mu"), *((init, "cd") for init in INITS)], 2))
def test_the_cut_does_not_matter(tmp_path: Path, in_strips: None, init: str, solver: str) -> None:
    X, _ = noisy()
    heights, results = set(), []
    for chunk in (70, 450):
        array, _ = stored(tmp_path / f"{chunk}.zarr", X, (chunk, 30))
        results.append(dnmf.factorize(array, 4, init=init, solver=solver, max_iter=3, tol=0))
        heights.add(results[-1].record["state"]["height"])
    assert len(heights) == 2
    for result in results[1:]:
        np.testing.assert_allclose(result.loss, results[0].loss, rtol=1e-6)
        np.testing.assert_allclose(result.V, results[0].V, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(np.asarray(result.W), np.asarray(results[0].W), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("init", few(["sample", "nndsvdar", "random"], 1))
def test_the_same_seed_gives_the_same_answer_and_another_seed_another(
    tmp_path: Path, in_strips: None, init: str
) -> None:
    X, _ = noisy()
    array, _ = stored(tmp_path / "x.zarr", X, (60, 30))
    first, again, other = (dnmf.factorize(array, 4, init=init, max_iter=2, tol=0, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.V, again.V)
    np.testing.assert_array_equal(np.asarray(first.W), np.asarray(again.W))
    np.testing.assert_array_equal(first.history["loss"], again.history["loss"])
    assert not np.allclose(first.V, other.V)


@pytest.mark.long
def test_of_several_starts_the_best_is_followed_to_its_end() -> None:
    """Digits have several valleys: in the mean of six seeds it ends lower than single random starts in that of twelve.

    And exact passes on X, which is all of the sample here, find nothing left to do.
    """
    X, single, ours = load_digits().data[:300], [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        W, H = rng.random((10, 300)), rng.random((10, 64))
        W *= np.vdot(W.T @ H, X) / np.vdot(W.T @ H, W.T @ H)
        single.append(alternate(as_it_is(X), W, H, iterations=400, tol=1e-5).loss)
    for seed in range(6):
        result = dnmf.factorize(X, 10, seed=seed, max_iter=8, tol=0)
        ours.append(result.loss)
        assert result.record["start"]["relative_error"] <= result.relative_error * (1 + 1e-4)
    assert np.mean(ours) < np.mean(single)


def test_starts_that_are_compared_on_an_excerpt_end_at_the_noise() -> None:
    rng = np.random.default_rng(0)
    W, V = (np.where(rng.random(shape) < 0.3, rng.random(shape), 0) for shape in ((2600, 6), (6, 2300)))
    X = (W @ V * rng.uniform(0.9, 1.1, (2600, 2300))).astype("f4")
    noise = float(np.linalg.norm(X - W @ V) / np.linalg.norm(X))
    result = dnmf.factorize(X, 6)
    assert min(result.record["start"]["rows"], 2300) > SIDE
    assert result.relative_error < noise


@pytest.mark.parametrize("solver", ["cd", "mu"])
def test_rare_components_are_found(in_strips: None, solver: str) -> None:
    """Two of five components are in 9 of 900 rows, which are a few times as long as the others."""
    rng = np.random.default_rng(0)
    W = np.where(rng.random((900, 5)) < 0.6, rng.random((900, 5)), 0)
    W[:, 3:] = 0
    W[100:900:90, 3:] = 5 * rng.random((9, 2))
    X = W @ np.where(rng.random((5, 30)) < 0.5, rng.random((5, 30)), 0) * rng.uniform(0.99, 1.01, (900, 30))
    assert dnmf.factorize(X, 5, solver=solver).relative_error < 0.02


@pytest.mark.parametrize(
    ("seed", "shape", "rank", "dtype", "solver"),
    [(49, (35, 10), 3, "f8", "cd"), (57, (57, 10), 2, "f4", "cd"), (6, (47, 7), 2, "f8", "mu")],
)
def test_a_sample_of_fewer_rows_than_components_does_no_harm(
    sizes: Resize, seed: int, shape: tuple[int, int], rank: int, dtype: str, solver: str
) -> None:
    """Workers that are too small for more get such a sample; these runs ended in NaN, or overflowed on their way."""
    rng = np.random.default_rng(seed)
    sizes(sample_rows=int(rng.integers(1, 8)))
    assert (int(rng.integers(10, 80)), int(rng.integers(3, 12)), int(rng.integers(1, 5))) == (*shape, rank)
    X = rng.random(shape)
    X = rng.lognormal(0, 2, (shape[0], 1)) * X if seed == 49 else np.where(rng.random(shape) < 0.3, X, 0)
    X, init = X.astype(dtype), "nndsvd" if solver == "mu" else "sample"
    result = dnmf.factorize(X, rank, init=init, seed=seed, max_iter=40, solver=solver, tol=1e-5)
    assert_fits(X, result)
    assert result.relative_error < 0.9


def test_snapshots_begin_with_what_the_start_gave(in_strips: None) -> None:
    X, _ = noisy()
    events: list[Any] = []
    result = dnmf.factorize(X, 4, max_iter=2, tol=0, snapshot_every=1, listeners=[events.append])
    first = next(event for event in events if isinstance(event, PassDone))
    np.testing.assert_array_equal(result.snapshots[0], first.short)


@pytest.mark.parametrize("penalty", [NO_PENALTY, Penalty(0.01, 0.0)])
def test_a_component_that_is_shut_down_on_an_excerpt_stays_so_beyond_it(penalty: Penalty) -> None:
    rng = np.random.default_rng(0)
    A = as_it_is(rng.random((SIDE + 300, 250), "f4"))
    screen = starts.Screen(A, excerpt(A, seed=0), (penalty, penalty), np.zeros((0, 250), "f4"))
    H = rng.random((200, 250), "f4")
    shut = rng.permutation(200)[:150]
    H[shut] = 0
    extended = starts._extended(screen, Fit(rng.random((200, SIDE), "f4"), H, 0.0, 0.0))
    assert not extended.W[shut].any()
    assert not extended.H[shut].any()
    assert extended.H.max() < 1e3


def test_the_start_that_is_ahead_by_the_loss_itself_is_taken() -> None:
    """Least squares have been looked at before; here the last one is ahead, and is what it was before it was tried."""
    rng = np.random.default_rng(0)
    W, H = rng.gamma(0.3, size=(600, 5)), rng.gamma(0.3, size=(5, 40))
    sample = Surrogate(rng.poisson(W @ H).astype("f8"), np.ones(600), 1.0, NO_PENALTY, NO_PENALTY)
    others = [rng.random((5, 40)) for _ in range(3)]
    fits = [Fit(np.ones((5, 600)), F, 0.0, 0.0) for F in (*others, H)]
    engine = Direct(Plan(0, 600, 600, 40))
    assert starts._best_on_trial(engine, sample.trial, fits, known=0) is fits[-1]
