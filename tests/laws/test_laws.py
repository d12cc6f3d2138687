"""Laws that hold for every X: of the factors, of the loss, of the cut, of the engines, of what is stored."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st
from naive import factorized
from pairwise import few, pairs
from resize import Resize

import dnmf
from dnmf.clusters.local import local_cluster
from dnmf.events import PassDone, StripDone
from dnmf.plan.sizes import Sizes, current, using

SOLVERS = ["cd", "mu"]


def factors(m: int, n: int, k: int, dtype: str = "f8", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((m, k)).astype(dtype), rng.random((k, n)).astype(dtype)


def noisy(m: int, n: int, k: int, *, noise: float = 0.1, dtype: str = "f8", seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    W, V = factors(m, n, k, seed=seed)
    return ((W @ V) * (1 + noise * (2 * rng.random((m, n)) - 1))).astype(dtype)


def true_loss(X: np.ndarray, result: Any) -> float:
    residual = X.astype("f8") - np.asarray(result.W).astype("f8") @ result.V.astype("f8")
    return float((residual**2).sum())


matrices = st.tuples(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 6), st.sampled_from(["f4", "f8"]), st.integers(0, 2**16)
)


@given(
    of=matrices,
    solver=st.sampled_from(SOLVERS),
    inner=st.integers(1, 4),
    zeros=st.booleans(),
    init=st.sampled_from(["sample", "random"]),
)
def test_factors_stay_non_negative_and_finite_and_the_loss_never_rises(
    of: tuple[int, int, int, str, int], solver: str, inner: int, zeros: bool, init: str
) -> None:
    m, n, k, dtype, seed = of
    X = noisy(m, n, k, dtype=dtype, seed=seed)
    if zeros:
        X[m // 2], X[:, n // 2] = 0, 0
    losses: list[float] = []

    def listen(event: Any) -> None:
        if isinstance(event, PassDone):
            losses.append(event.loss)

    result = dnmf.factorize(X, k, solver=solver, init=init, inner_iter=inner, max_iter=6, tol=0, listeners=[listen])
    for factor in (np.asarray(result.W), result.V):
        assert factor.dtype == X.dtype
        assert np.isfinite(factor).all()
        assert (factor >= 0).all()
    norm = float((X.astype("f8") ** 2).sum())
    rounding = (1e-6 if dtype == "f4" else 1e-12) * norm
    # With a sample, what is done on it between two passes may not pay on X: then the next pass but one is back.
    apart = 1 if init == "random" else 3
    assert all(later <= earlier + rounding for earlier, later in pairwise(losses[::apart]))
    assert result.loss == losses[-1]


@given(of=matrices, solver=st.sampled_from(SOLVERS), axis=st.sampled_from([0, 1]), chunk=st.integers(1, 7))
def test_the_cut_does_not_matter(of: tuple[int, int, int, str, int], solver: str, axis: int, chunk: int) -> None:
    m, n, k, _, seed = of
    X = noisy(m, n, k, seed=seed)
    chunks = (chunk, n) if axis == 0 else (m, chunk)
    stored = zarr.create_array(zarr.storage.MemoryStore(), shape=(m, n), chunks=chunks, dtype="f8")
    stored[...] = X
    whole = zarr.create_array(zarr.storage.MemoryStore(), shape=(m, n), chunks=(m, n), dtype="f8")
    whole[...] = X
    with using(Sizes.of_strips(8 * max(m, n))):
        cut = dnmf.factorize(stored, k, solver=solver, max_iter=4, tol=0)
    if cut.record["state"]["axis"] != dnmf.factorize(whole, k, max_iter=1).record["state"]["axis"]:
        return  # cut along the other axis the factors move in the other order
    one = dnmf.factorize(whole, k, solver=solver, max_iter=4, tol=0)
    np.testing.assert_allclose(np.asarray(cut.W) @ cut.V, np.asarray(one.W) @ one.V, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(cut.loss, one.loss, rtol=1e-6, atol=1e-12 * float((X**2).sum()))


@pytest.fixture
def cut(tmp_path: Path, sizes: Resize) -> str:
    """The path of X (3000, 50) in thirty chunks, which makes many strips."""
    sizes(strip=2**15)
    zarr.create_array(str(tmp_path / "x.zarr"), data=noisy(3000, 50, 4, dtype="f4"), chunks=(100, 50))
    return str(tmp_path / "x.zarr")


def test_threads_and_workers_give_one_answer(client: Any, cut: str, tmp_path: Path) -> None:
    assert_one_answer(
        [
            dnmf.factorize(cut, 4, max_iter=11, tol=0, out=tmp_path / "two.zarr"),
            without_a_cluster(cut, tmp_path, max_iter=11),
        ]
    )


@pytest.mark.process
def test_one_worker_of_two_threads_gives_that_answer_too(cut: str, tmp_path: Path) -> None:
    with local_cluster(workers=1, threads=2):
        one = dnmf.factorize(cut, 4, max_iter=11, tol=0, out=tmp_path / "one.zarr")
    assert_one_answer([one, without_a_cluster(cut, tmp_path, max_iter=11)])


def without_a_cluster(path: str, folder: Path, *, max_iter: int) -> dnmf.Factorization:
    """A factorization by the threads of this process, with the sizes of this test."""
    wanted = current()

    def factorize() -> dnmf.Factorization:
        with using(wanted):
            return dnmf.factorize(path, 4, max_iter=max_iter, tol=0, out=folder / "none.zarr")

    with ThreadPoolExecutor(1) as elsewhere:  # where no client is current
        return elsewhere.submit(factorize).result()


def assert_one_answer(results: list[dnmf.Factorization]) -> None:
    """Bit for bit."""
    heights = {result.record["state"]["height"] for result in results}
    assert len(heights) == 1
    assert len(results[0].history["loss"]) == 11
    for result in results[1:]:
        np.testing.assert_array_equal(np.asarray(result.W), np.asarray(results[0].W))
        np.testing.assert_array_equal(result.V, results[0].V)
        np.testing.assert_array_equal(result.history["loss"], results[0].history["loss"])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shape", [(60, 25), (25, 60)], ids=["tall", "wide"])
def test_iterates_are_the_textbooks(solver: str, shape: tuple[int, int]) -> None:
    X, (W, V) = noisy(*shape, 4), factors(*shape, 4)
    result = dnmf.factorize(X, 4, solver=solver, inner_iter=1, max_iter=20, tol=0, init=(W, V))
    assert result.record["state"]["axis"] == (0 if shape[0] > shape[1] else 1)
    W, V = factorized(X, W, V, solver=solver, iterations=20)
    np.testing.assert_allclose(np.asarray(result.W), W, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(result.V, V, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(("noise", "dtype", "max_iter"), few(pairs([0.5, 0.05, 1e-3, 0.0], ["f4", "f8"], [1, 40]), 4))
def test_the_loss_belongs_to_what_is_stored(tmp_path: Path, dtype: str, noise: float, max_iter: int) -> None:
    X = noisy(400, 90, 3, noise=noise, dtype=dtype)
    result = dnmf.factorize(X, 3, max_iter=max_iter, tol=0, out=tmp_path / "run.zarr")
    again = dnmf.open_run(tmp_path / "run.zarr")
    loss = true_loss(X, again)
    assert loss > 0
    np.testing.assert_allclose(result.loss, loss, rtol=1e-6)
    np.testing.assert_allclose(again.relative_error, np.sqrt(loss / (X.astype("f8") ** 2).sum()), rtol=1e-6)


@pytest.mark.parametrize(("tol", "noise"), [(1e-2, 0.5), (1e-4, 0.04), (1e-6, 0.5), (1e-6, 0.04)])
def test_a_loss_that_ends_a_run_is_exact(tol: float, noise: float) -> None:
    """Small entries vanish in large float32 sums: with log-normal factors a free loss is off in its fourth digit."""
    rng = np.random.default_rng(0)
    clean = rng.lognormal(0, 2, (3000, 3)) @ rng.lognormal(0, 2, (3, 80))
    X = (clean * (1 + noise * (2 * rng.random(clean.shape) - 1))).astype("f4")
    result = dnmf.factorize(X, 3, max_iter=500, tol=tol)
    assert "less than tol" in result.stopped
    np.testing.assert_allclose(result.loss, true_loss(X, result), rtol=1e-6)


def test_first_factors_near_the_answer_have_an_exact_loss() -> None:
    W, V = factors(300, 80, 4, "f4")
    X = (W.astype("f8") @ V.astype("f8")).astype("f4")
    result = dnmf.factorize(X, 4, init=(W * np.float32(1.001), V), max_iter=1, inner_iter=1)
    np.testing.assert_allclose(result.loss, true_loss(X, result), rtol=1e-6)


def test_the_same_seed_gives_the_same_answer_and_another_seed_another() -> None:
    X = noisy(200, 30, 4)
    first, again, other = (dnmf.factorize(X, 4, max_iter=5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(np.asarray(first.W), np.asarray(again.W))
    assert not np.array_equal(first.V, other.V)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_the_unit_of_x_does_not_matter(unit: float) -> None:
    X = noisy(200, 30, 4)
    plain, scaled = dnmf.factorize(X, 4, max_iter=8, tol=0), dnmf.factorize(unit * X, 4, max_iter=8, tol=0)
    np.testing.assert_allclose(scaled.relative_error, plain.relative_error, rtol=1e-6)


@pytest.mark.long
def test_a_store_that_was_overwritten_gives_the_new_answer(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    old, new = noisy(500, 40, 3, seed=1), noisy(500, 40, 3, seed=2)
    stored = zarr.create_array(str(path), shape=old.shape, chunks=(50, 40), dtype="f8")
    stored[...] = old
    held = da.from_zarr(str(path)).persist()
    before = dnmf.factorize(str(path), 3, max_iter=5, tol=0, out=tmp_path / "old.zarr")
    stored[...] = new
    after = dnmf.factorize(str(path), 3, max_iter=5, tol=0, out=tmp_path / "new.zarr")
    np.testing.assert_allclose(held.sum().compute(), old.sum(), rtol=1e-12)
    np.testing.assert_allclose(before.loss, true_loss(old, before), rtol=1e-9)
    np.testing.assert_allclose(after.loss, true_loss(new, after), rtol=1e-9)


def test_a_killed_worker_does_not_change_a_bit(client: Client, cut: str, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill(event: Any) -> None:
        if isinstance(event, StripDone) and event.done == 3 and event.iteration == 2:
            victim = min(client.run(os.getpid).values())
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)

    how: dict[str, Any] = {"max_iter": 3, "tol": 0, "cache": False}
    calm = dnmf.factorize(cut, 4, out=tmp_path / "calm.zarr", **how)
    shaken = dnmf.factorize(cut, 4, out=tmp_path / "shaken.zarr", listeners=[kill], **how)
    assert len(killed) == 1
    client.wait_for_workers(2, timeout=60)  # it starts again
    np.testing.assert_array_equal(np.asarray(shaken.W), np.asarray(calm.W))
    np.testing.assert_array_equal(shaken.V, calm.V)
    np.testing.assert_array_equal(shaken.history["loss"], calm.history["loss"])
