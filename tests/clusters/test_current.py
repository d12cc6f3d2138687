"""Where dnmf is called from: beside a client, in a task, in an event loop."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from distributed import Client, LocalCluster
from numpy.testing import assert_array_equal

import dnmf
from dnmf.clusters.current import current_client, out_of_the_pool
from dnmf.clusters.local import local_cluster

X = np.random.default_rng(0).random((60, 20))


@pytest.fixture
def x(tmp_path: Path) -> Path:
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(20, 20))
    return tmp_path / "x.zarr"


def test_the_current_client_is_found(client: Client) -> None:
    assert current_client() is client


def test_without_a_client_there_is_none() -> None:
    assert current_client() is None


def _factorized(x: Path, rank: int) -> float:
    result = dnmf.factorize(x, rank, out=x.parent / f"{rank}.zarr", max_iter=2, tol=0)
    # The thread is the worker's own again: else each further one would be one more than it has.
    with out_of_the_pool():
        pass
    return result.relative_error


@pytest.mark.long
def test_a_scan_over_ranks_in_tasks_ends_though_all_threads_wait(x: Path) -> None:
    whole = [dnmf.factorize(x, rank, max_iter=2, tol=0).relative_error for rank in (2, 3)]
    with (
        LocalCluster(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        found = client.map(_factorized, [x, x], [2, 3], pure=False)
        assert client.gather(found) == pytest.approx(whole)


async def _asynchronously(x: Path) -> tuple[str, float]:
    cluster = LocalCluster(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0", asynchronous=True
    )
    async with cluster, Client(cluster, asynchronous=True, set_as_default=True):
        with pytest.raises(RuntimeError) as refused:
            dnmf.factorize(x, 2, out=x.parent / "run.zarr")
        assert dnmf.factorize(X, 2, max_iter=1).V.shape == (2, 20), "what is here needs no cluster"
        there = await asyncio.to_thread(dnmf.factorize, x, 2, out=x.parent / "run.zarr", max_iter=2, tol=0)
        return str(refused.value), there.relative_error


def test_an_asynchronous_client_is_refused_by_name_and_another_thread_may_use_it(x: Path) -> None:
    said, error = asyncio.run(_asynchronously(x))
    assert said.startswith("the current Dask client of inproc://")
    assert "is asynchronous, and this call waits" in said
    assert error == pytest.approx(dnmf.factorize(x, 2, max_iter=2, tol=0).relative_error)


def test_a_worker_cannot_start_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiprocessing.process._current_process._config", {"daemon": True})
    with pytest.raises(RuntimeError, match="cannot be started by a worker"), local_cluster(workers=1):
        pass


def test_what_numpy_shall_do_about_overflows_changes_nothing(x: Path) -> None:
    small = X * np.where(np.arange(60) % 2, 1.0, 1e-160)[:, None]
    asked: dict[str, Any] = {"max_iter": 3, "tol": 0}
    for how in ({}, {"solver": "mu", "beta_loss": "kullback-leibler"}):
        whole, new = dnmf.factorize(small, 3, **asked, **how), None
        with np.errstate(all="raise"):
            result = dnmf.factorize(small, 3, **asked, **how)
            new = dnmf.transform(small, whole)
        assert_array_equal(result.V, whole.V)
        assert_array_equal(np.asarray(result.W), np.asarray(whole.W))
        assert_array_equal(new, dnmf.transform(small, whole))
    with np.errstate(all="raise"):
        assert dnmf.NMF(2, random_state=0, init="nndsvda", max_iter=3, tol=0).fit_transform(small).shape == (60, 2)
        assert dnmf.MiniBatchNMF(2, random_state=0, max_iter=3, tol=0).fit(small).components_.shape == (2, 20)
