"""Real clusters: what their workers have, what they reach, how many threads their BLAS takes."""

import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import dask
import numpy as np
import pytest
import zarr
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster
from distributed.system import MEMORY_LIMIT
from threadpoolctl import threadpool_info, threadpool_limits

import dnmf
from dnmf.clusters.here import memory_here, set_up, threads_here
from dnmf.clusters.local import local_cluster
from dnmf.clusters.workers import OneBlasThread, check_workers, survey
from dnmf.matrix.opening import open_matrix
from dnmf.plan.memory import MIB, Workers


def test_this_process_is_one_worker_with_all_threads():
    assert threads_here(None) == Workers(1, CPU_COUNT, MEMORY_LIMIT)
    assert threads_here(300 * MIB) == Workers(1, CPU_COUNT, 300 * MIB)
    assert threads_here(10 * MEMORY_LIMIT) == Workers(1, CPU_COUNT, MEMORY_LIMIT)


def test_the_memory_of_this_machine_is_what_dask_takes_for_it():
    assert memory_here() == MEMORY_LIMIT


# Surveying


@contextmanager
def in_process(**options):
    """A client of a scheduler and of workers in this process."""
    with (
        LocalCluster(processes=False, dashboard_address=":0", **options) as opened,
        Client(opened, set_as_default=False) as client,
    ):
        yield client


def test_the_smallest_limit_counts(client):
    addresses = sorted(client.scheduler_info(n_workers=-1)["workers"])
    before = survey(client, None)

    def limit(bytes_, dask_worker):
        dask_worker.memory_manager.memory_limit = bytes_

    client.run(limit, 640 * MIB, workers=addresses[1:])
    try:
        assert survey(client, None) == Workers(2, 1, 640 * MIB, saturation=1.0, stolen=0, slack=32 * MIB)
        assert survey(client, 300 * MIB).memory == 300 * MIB
        assert survey(client, 1000 * MIB).memory == 640 * MIB
    finally:
        client.run(limit, before.memory, workers=addresses[1:])
    assert survey(client, None) == before


def test_a_cluster_of_others_may_load_ahead_and_steal():
    settings = {"distributed.scheduler.worker-saturation": 1.1, "distributed.scheduler.work-stealing": True}
    with dask.config.set(settings), in_process(n_workers=1, threads_per_worker=3, memory_limit=0) as opened:
        # Its workers are this process, whose allocator is whatever it is.
        assert replace(survey(opened, None), slack=0) == Workers(1, 3, MEMORY_LIMIT, saturation=1.1, stolen=1, slack=0)


def test_an_infinite_saturation_is_planned_as_two():
    settings = {"distributed.scheduler.worker-saturation": float("inf")}
    with dask.config.set(settings), in_process(n_workers=1, threads_per_worker=1) as opened:
        assert survey(opened, 512 * MIB).saturation == 2.0


def test_a_cluster_without_workers_is_refused():
    with in_process(n_workers=0) as opened:
        address = opened.scheduler_info()["address"]
        with pytest.raises(RuntimeError) as refused:
            survey(opened, None)
    assert str(refused.value) == (
        f"the cluster at {address} has no workers: start some, or wait until they have joined"
    )


# Versions


@contextmanager
def one_worker(place, *command, **environ):
    """A client of a scheduler in this process with one worker, a process of its own environment; it runs in `place`."""
    with LocalCluster(n_workers=0, dashboard_address=":0") as here, Client(here, set_as_default=False) as opened:
        address = here.scheduler_address
        with subprocess.Popen(
            [sys.executable, *command, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--no-dashboard"],
            cwd=place, env={**os.environ, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as worker:  # fmt: skip
            try:
                opened.wait_for_workers(1, timeout=60)
                yield opened
            finally:
                worker.terminate()


@pytest.mark.process
@pytest.mark.parametrize("package", ["zarr", "dnmf"])
def test_a_worker_with_another_version_is_told_before_work_starts(tmp_path, package):
    told = tmp_path / "old" / f"{package}-0.0.1.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.0.1\n")
    zarr.create_array(str(tmp_path / "X.zarr"), data=np.ones((4, 3)), chunks=(2, 3))
    with one_worker(tmp_path, PYTHONPATH=str(told.parent)) as opened, opened.as_current():
        (address,) = opened.scheduler_info(n_workers=-1)["workers"]
        with pytest.raises(RuntimeError) as refused:
            dnmf.factorize(tmp_path / "X.zarr", 2, out=tmp_path / "run.zarr")
    needed = version(package)
    assert str(refused.value) == (
        f"worker {address} has {package} 0.0.1, and this process has {needed}: the same version is needed everywhere, "
        f"install {package}=={needed} there"
    )
    assert not (tmp_path / "run.zarr").exists()


@pytest.mark.process
def test_a_worker_without_dnmf_is_told(tmp_path):
    (tmp_path / "site").mkdir()
    for each in Path(np.__file__).parents[1].iterdir():
        if "dnmf" not in each.name and each.suffix != ".pth":
            (tmp_path / "site" / each.name).symlink_to(each)
    # -S: without site, where dnmf is.
    with one_worker(tmp_path, "-S", PYTHONPATH=str(tmp_path / "site")) as opened:
        (address,) = opened.scheduler_info(n_workers=-1)["workers"]
        with pytest.raises(RuntimeError) as refused:
            survey(opened, None)
    assert str(refused.value).startswith(f"worker {address} has no dnmf, and this process has {version('dnmf')}: ")


# Checking


@pytest.fixture
def matrix(tmp_path):
    """X on a path that workers reach."""
    array = zarr.create_array(str(tmp_path / "X.zarr"), shape=(4, 3), chunks=(2, 3), dtype="f4")
    array[...] = 1
    return open_matrix(tmp_path / "X.zarr")


@pytest.fixture
def out(tmp_path):
    """A path on which workers may write."""
    return str(tmp_path / "run.zarr")


def test_workers_that_reach_everything_pass_and_leave_nothing(client, matrix, out, tmp_path):
    check_workers(client, matrix, out)
    assert [path.name for path in tmp_path.iterdir()] == ["X.zarr"]


def test_arrays_without_a_store_are_not_looked_for(client, out, tmp_path):
    check_workers(client, open_matrix(np.ones((4, 3))), out)
    assert list(tmp_path.iterdir()) == []


def test_workers_that_do_not_find_x_are_told(client, matrix, out, tmp_path):
    (tmp_path / "X.zarr").rename(tmp_path / "Y.zarr")
    with pytest.raises(RuntimeError) as refused:
        check_workers(client, matrix, out)
    first = min(client.scheduler_info(n_workers=-1)["workers"])
    assert str(refused.value) == (
        f"worker {first} does not find X at {tmp_path}/X.zarr (2 of 2 workers do not): "
        f"X must be on a path or store that every worker reaches"
    )


def test_a_relative_path_is_the_same_for_workers_in_another_folder(client, tmp_path, monkeypatch):
    zarr.create_array(str(tmp_path / "X.zarr"), data=np.ones((4, 3)), chunks=(2, 3))
    monkeypatch.chdir(tmp_path)
    addresses = list(client.scheduler_info(n_workers=-1)["workers"])
    with moved(client, dict.fromkeys(addresses, "/")):
        for X in ("X.zarr", zarr.open_array("X.zarr", mode="r")):
            result = dnmf.factorize(X, 2, out="run.zarr", max_iter=2, overwrite=True)
    assert result.W.compute().shape == (4, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["X.zarr", "run.zarr"]


@contextmanager
def moved(client, places):
    """Workers in other folders."""
    before = client.run(os.getcwd)
    for address, place in places.items():
        client.run(os.chdir, str(place), workers=[address])
    try:
        yield
    finally:
        for address, place in before.items():
            client.run(os.chdir, place, workers=[address])


def limit_files(size):
    """Let this process write files of that many bytes at most; the limit before."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    return before[0]


def test_a_worker_that_cannot_write_is_told_and_an_older_run_survives(client, matrix, out, tmp_path):
    kept = dnmf.factorize(np.ones((4, 3)), 2, out=out, max_iter=1)
    last = max(client.scheduler_info(n_workers=-1)["workers"])
    ((_, before),) = client.run(limit_files, 1, workers=[last]).items()
    try:
        with pytest.raises(RuntimeError) as refused:
            dnmf.factorize(str(tmp_path / "X.zarr"), 2, out=out, overwrite=True)
    finally:
        client.run(limit_files, before, workers=[last])
    assert str(refused.value).startswith(f"worker {last} cannot write to {out} (OSError: ")
    assert str(refused.value).endswith("the output must be on a path or store that every worker and this process share")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["X.zarr", "run.zarr"]
    np.testing.assert_array_equal(dnmf.open_run(out).V, kept.V)


# BLAS


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_blas_has_one_thread_here_and_as_many_as_before_afterwards():
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(limits=2, user_api="blas"):
        assert blas_threads() == {2}
        with set_up(None, 1):
            assert blas_threads() == {1}
        assert blas_threads() == {2}


def test_blas_has_one_thread_in_every_worker_and_here_as_many_as_before_afterwards(client):
    def threads(limit=None):
        if limit:
            threadpool_limits(limits=limit, user_api="blas")
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    client.unregister_worker_plugin(OneBlasThread.name) if registered(client) else None
    client.run(threads, 2)
    with threadpool_limits(limits=2, user_api="blas"):
        assert list(client.run(threads).values()) == [{2}, {2}]
        with set_up(client, 1), set_up(client, 1):  # two factorizations on one cluster
            assert list(client.run(threads).values()) == [{1}, {1}]
            assert blas_threads() == {1}
        assert blas_threads() == {2}


def registered(client):
    """Whether workers have the plugin by now."""
    return client.run_on_scheduler(lambda dask_scheduler: OneBlasThread.name in dask_scheduler.worker_plugins)


@pytest.mark.process
def test_a_worker_that_joins_later_has_one_blas_thread_too(monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "2")  # Dask starts workers with 1 where nothing is said

    def threads():  # travels by value: what this module imports would bring a BLAS of its own to a worker
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    with local_cluster(workers=1) as opened, set_up(opened, 1):
        opened.cluster.scale(2)
        opened.wait_for_workers(2, timeout=30)
        assert list(opened.run(threads).values()) == [{1}, {1}]
