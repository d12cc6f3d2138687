"""Engines give one answer: this thread alone, where X is one strip, and Dask's threads; and alone it needs no Dask."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from counters import CountingStore
from dask.callbacks import Callback
from hypothesis import given, settings
from hypothesis import strategies as st
from pairwise import few, in_turn
from strategies import problems
from zarr.storage import LocalStore

import dnmf
from dnmf.engine.dask_engine import DaskEngine
from dnmf.engine.direct import Direct
from dnmf.engine.schedulers import Threads
from dnmf.events import PassDone, Sampled, Started, StripDone
from dnmf.factorization import factorize as factorize_module
from dnmf.factorization.session import Session
from dnmf.plan.sizes import Sizes, using
from dnmf.plan.strips import Plan

SOLVERS = ["cd", "mu"]
STARTS = ["sample", "nndsvda", "random", "given"]


chosen_engine = Session.engine


def through_threads(session: Session, cut: Plan) -> tuple[Plan, Any]:
    """What `Session.engine` gives where X is more than one strip."""
    return cut, DaskEngine(Threads(session.workers.threads), cut)


def both(X: Any, rank: int, *, out: Path | None = None, **how: Any) -> list[Any]:
    """The results of both engines; that X would be computed alone is checked on the way."""
    results = []

    def alone(session: Session, cut: Plan) -> tuple[Plan, Any]:
        cut, found = chosen_engine(session, cut)
        assert isinstance(found, Direct)
        return cut, found

    for chosen in (alone, through_threads):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "engine", chosen)
            path = None if out is None else out / f"{chosen.__name__}.zarr"
            results.append(dnmf.factorize(X, rank, out=path, **how))
    return results


def assert_same(one: Any, other: Any, digits: float = 1e-6) -> None:
    np.testing.assert_allclose(np.asarray(one.W), np.asarray(other.W), rtol=digits, atol=digits * 1e-3)
    np.testing.assert_allclose(one.V, other.V, rtol=digits, atol=digits * 1e-3)
    assert one.V.dtype == other.V.dtype
    for name in ("loss", "gradient", "gain"):
        scale = 1e-9 * max(1.0, float(np.abs(one.history[name]).max()))
        np.testing.assert_allclose(one.history[name], other.history[name], rtol=digits, atol=scale)
    np.testing.assert_array_equal(one.history["sweeps"], other.history["sweeps"])


def noisy(m: int, n: int, k: int = 3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random((m, k)) @ rng.random((k, n))) * rng.uniform(0.8, 1.2, (m, n))


def given_factors(m: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.random((m, 3)), rng.random((3, n))


@pytest.mark.parametrize(
    ("start", "shape", "solver"), few(in_turn(STARTS, [(80, 25), (25, 80)], ["cd", "cd", "mu", "mu"]), 2)
)
def test_alone_and_on_threads_the_answer_is_one(
    tmp_path: Path, shape: tuple[int, int], solver: str, start: str
) -> None:
    """Six passes, the fifth of which is written and read back; a sample of 40 rows, so that it does not hold all."""
    init: Any = given_factors(*shape) if start == "given" else start
    with using(Sizes(sample_rows=40)):
        direct, threads = both(noisy(*shape), 3, out=tmp_path, solver=solver, init=init, max_iter=6, tol=0)
    assert len(direct.history["loss"]) == 6
    assert direct.record["state"]["axis"] == (0 if shape[0] > shape[1] else 1)
    assert_same(direct, threads)
    assert direct.record["start"]["rows"] == threads.record["start"]["rows"] == (40 if start in STARTS[:2] else 0)
    if start == "sample":
        errors = [result.record["start"]["relative_error"] for result in (direct, threads)]
        np.testing.assert_allclose(errors[0], errors[1], rtol=1e-6)


@pytest.mark.parametrize("dtype", few(["f4", "u1", "i8"], 1))
def test_entries_of_other_dtypes_are_cast_alike(tmp_path: Path, dtype: str) -> None:
    X = (50 * noisy(60, 20)).astype(dtype)
    array = zarr.create_array(str(tmp_path / "x.zarr"), shape=X.shape, chunks=(60, 20), dtype=dtype)
    array[...] = X
    for source in (X, array):
        direct, threads = both(source, 3, max_iter=4, tol=0)
        assert direct.V.dtype == ("f8" if dtype == "i8" else "f4")
        assert_same(direct, threads, 1e-6 if dtype == "i8" else 1e-4)


@pytest.mark.long
@settings(max_examples=8)
@given(problem=problems("f8"), solver=st.sampled_from(SOLVERS), start=st.sampled_from(["sample", "nndsvd", "random"]))
def test_hard_cases_have_one_answer_too(problem: Any, solver: str, start: str) -> None:
    X, W, _ = problem
    direct, threads = both(X, W.shape[1], solver=solver, init=start, max_iter=3, tol=0)
    norm = float((X**2).sum())
    np.testing.assert_allclose(direct.loss, threads.loss, rtol=1e-6, atol=1e-12 * norm)
    models = [np.asarray(result.W) @ result.V for result in (direct, threads)]
    np.testing.assert_allclose(models[0], models[1], rtol=1e-6, atol=1e-6 * np.sqrt(norm))


@pytest.mark.long
def test_a_long_factor_that_lives_in_the_run_gives_the_same_answer_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, plan = dnmf.factorize(noisy(80, 25), 3, max_iter=4, tol=0), factorize_module.plan

    def in_run(*args: Any, **kwargs: Any) -> Plan:
        return replace(plan(*args, **kwargs), in_run=True)

    monkeypatch.setattr(factorize_module, "plan", in_run)
    for result in both(noisy(80, 25), 3, out=tmp_path, max_iter=4, tol=0):
        assert_same(result, held)


def test_what_an_interrupted_run_has_kept_is_the_same(tmp_path: Path) -> None:
    def interrupt(event: Any) -> None:
        if isinstance(event, PassDone) and event.iteration == 6:
            raise KeyboardInterrupt

    X, runs = noisy(80, 25), []
    for chosen in (chosen_engine, through_threads):
        out = tmp_path / f"{chosen.__name__}.zarr"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "engine", chosen)
            with pytest.raises(KeyboardInterrupt):
                dnmf.factorize(
                    X, 3, init="random", max_iter=9, tol=0, out=out, checkpoint_every=5, listeners=[interrupt]
                )
        runs.append(dnmf.open_run(out))
    assert runs[0].record["iteration"] == 6
    assert_same(*runs)
    np.testing.assert_allclose(runs[0].loss, ((X - np.asarray(runs[0].W) @ runs[0].V) ** 2).sum(), rtol=1e-9)


def test_two_strips_give_the_answer_of_one(tmp_path: Path) -> None:
    """Without a patch of the engine: only the cut chooses it."""
    X = noisy(80, 25)
    array = zarr.create_array(str(tmp_path / "x.zarr"), shape=X.shape, chunks=(40, 25), dtype="f8")
    array[...] = X
    direct = dnmf.factorize(array, 3, max_iter=4, tol=0)
    plans: list[Any] = []
    with using(Sizes.of_strips(1)):
        cut = dnmf.factorize(array, 3, max_iter=4, tol=0, listeners=[plans.append])
    assert plans[0].strips == 2
    assert_same(direct, cut)


class Tasks(Callback):
    """Counts the tasks that Dask has run in this process."""

    def __init__(self) -> None:
        self.count = 0
        super().__init__(pretask=self._one)

    def _one(self, *_: Any) -> None:
        self.count += 1


@pytest.mark.parametrize("start", few(["sample", "nndsvd", "random", "given"], 1))
def test_alone_it_runs_no_task_of_dask(tmp_path: Path, start: str) -> None:
    X = noisy(80, 25)
    array = zarr.create_array(str(tmp_path / "x.zarr"), shape=X.shape, chunks=(20, 25), dtype="f8")
    array[...] = X
    init: Any = given_factors(80, 25) if start == "given" else start
    for source in (X, array):
        with Tasks() as tasks:
            dnmf.factorize(source, 3, init=init, max_iter=6, tol=0, out=tmp_path / "run.zarr", overwrite=True)
        assert tasks.count == 0
    with Tasks() as tasks, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "engine", through_threads)
        dnmf.factorize(array, 3, init=init, max_iter=1)
    assert tasks.count > 0


@pytest.mark.parametrize(("start", "cache"), few([("sample", True), ("sample", False), ("random", False)], 1))
@pytest.mark.parametrize("chunks", [(20, 25), (30, 7)], ids=["rows", "grid"])
def test_alone_it_reads_every_chunk_of_a_store_once_in_all(
    tmp_path: Path, chunks: tuple[int, int], start: str, cache: bool
) -> None:
    X = noisy(80, 25)
    zarr.create_array(str(tmp_path / "x.zarr"), shape=X.shape, chunks=chunks, dtype="f8")[...] = X
    store = CountingStore(LocalStore(tmp_path / "x.zarr"))
    array = zarr.open_array(store, mode="r")
    result = dnmf.factorize(array, 3, init=start, max_iter=6, tol=0, cache=cache, out=tmp_path / "run.zarr")
    assert len(result.history["loss"]) == 6
    assert len(store.reads()) == array.nchunks
    assert set(store.reads().values()) == {1}
    assert result.reads == 1


@pytest.mark.parametrize("start", ["sample", "random"])
def test_both_tell_the_same(monkeypatch: pytest.MonkeyPatch, start: str) -> None:
    """One strip is done in every pass, that of the sample too."""
    told: list[list[Any]] = []
    for chosen in (chosen_engine, through_threads):
        events: list[Any] = []
        monkeypatch.setattr(Session, "engine", chosen)
        dnmf.factorize(noisy(80, 25), 3, init=start, max_iter=3, tol=0, listeners=[events.append])
        told.append([e if isinstance(e, StripDone) else type(e).__name__ for e in events])
    assert told[0] == told[1]
    first = [StripDone(0, 1, 1), Sampled.__name__, Started.__name__] if start == "sample" else []
    assert told[1][1:-1] == first + [e for i in (1, 2, 3) for e in (StripDone(i, 1, 1), PassDone.__name__)]


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
@pytest.mark.parametrize("start", ["sample", "random"])
def test_both_refuse_an_entry_in_the_same_sentence(start: str, value: float) -> None:
    X = noisy(80, 25)
    X[61, 7] = value
    for chosen in (chosen_engine, through_threads):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "engine", chosen)
            with pytest.raises(
                ValueError, match=rf"X\[61, 7\] is {value}: every entry must be finite and not negative"
            ):
                dnmf.factorize(X, 3, init=start)


def test_x_is_not_changed_and_its_first_factors_neither() -> None:
    X, (W, V) = noisy(80, 25), given_factors(80, 25)
    for a in (X, W, V):
        a.flags.writeable = False
    for init in ("sample", (W, V)):
        for result in both(X, 3, init=init, max_iter=3, tol=0):
            assert np.asarray(result.W).shape == (80, 3)
