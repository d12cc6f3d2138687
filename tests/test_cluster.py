"""Real clusters: what their workers have, what they reach, how many threads their BLAS takes; and cluster.yaml."""

import os
import resource
import socket
from contextlib import contextmanager

import dask
import numpy as np
import pytest
import zarr
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster
from distributed.system import MEMORY_LIMIT
from threadpoolctl import threadpool_info, threadpool_limits

import dnmf
from dnmf import cluster
from dnmf.cluster import Profile, check_workers, connect, local_cluster, read_profile, set_up, survey
from dnmf.matrices import open_matrix
from dnmf.memory import MIB, Workers

# cluster.yaml


@pytest.fixture
def written(tmp_path):
    """Write a cluster.yaml; its path."""

    def write(text):
        (tmp_path / "cluster.yaml").write_text(text)
        return str(tmp_path / "cluster.yaml")

    return write


TWO = "default: {kind: local}\nlaptop: {kind: local, workers: 2, threads: 1, memory: 2GiB}\n"


def test_a_profile_is_the_only_one_the_default_or_the_one_that_is_named(written):
    laptop = Profile("local", {"workers": 2, "threads": 1, "memory": "2GiB"})
    assert read_profile(written(TWO)) == Profile("local", {})
    assert read_profile(written(TWO) + ":laptop") == laptop
    assert read_profile(written(TWO.splitlines()[1])) == laptop
    address = "tcp://10.0.0.1:8786"
    assert read_profile(written(f"lab: {{kind: scheduler, address: '{address}'}}")) == Profile(
        "scheduler", {"address": address}
    )


def test_a_path_with_a_colon_is_a_path(tmp_path):
    path = tmp_path / "cluster:old.yaml"
    path.write_text("only: {kind: local, workers: 3}")
    assert read_profile(str(path)).options == {"workers": 3}


def test_the_file_of_this_repository_is_read():
    path = str(cluster.Path(__file__).parents[1] / "cluster.yaml")
    kinds = {name: read_profile(f"{path}:{name}").kind for name in ("default", "laptop", "running")}
    assert kinds == {"default": "local", "laptop": "local", "running": "scheduler"}


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        (TWO, ":lab", "has no profile 'lab': it has default, laptop"),
        ("a: {kind: local}\nb: {kind: local}", "", "has no profile 'default': it has a, b"),
        ("{}", "", "has no profile 'default': it has none"),
        ("only: {kind: slurm}", "", ": profile only has kind 'slurm': known kinds are local, scheduler"),
        ("only: {workers: 2}", "", ": profile only has kind None: known kinds are local, scheduler"),
        (
            "only: {kind: local, cores: 2}", "",
            ": profile only has an unknown key 'cores': kind local has ['memory', 'threads', 'workers']",
        ),
        (
            "only: {kind: scheduler, address: 'tcp://a:1', workers: 2}", "",
            ": profile only has an unknown key 'workers': kind scheduler has ['address']",
        ),
        ("only: {kind: local, 3: 2}", "", ": profile only has an unknown key '3'"),
        ("only: {kind: scheduler}", "", ": profile only has no address: kind scheduler needs one, as in tcp://host:8786"),
        ("", "", " must map names of profiles to their keys, as in `laptop: {kind: local, workers: 2}`"),
        ("- kind: local", "", " must map names of profiles to their keys"),
        ("kind: local", "", " must map names of profiles to their keys"),
        ("only: {kind: [", "", " is not plain YAML: "),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused(written, text, name, says):
    path = written(text)
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is what the table is about
        read_profile(path + name)
    assert str(refused.value).startswith(path)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "tag", ["object/apply:os.system ['touch {}']", "object/new:pathlib.Path ['{}']", "name:os.system ''"]
)
def test_a_tag_that_would_run_code_is_refused_and_runs_nothing(written, tmp_path, tag):
    path = written(f"only: {{kind: local, workers: !!python/{tag.format(tmp_path / 'ran')}}}")
    with pytest.raises(ValueError, match="is not plain YAML"):
        read_profile(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["", ":laptop"])
def test_no_file_is_refused(tmp_path, name):
    with pytest.raises(FileNotFoundError) as refused:
        read_profile(f"{tmp_path}/cluster.yaml{name}")
    assert str(refused.value) == (
        f"there is no file {tmp_path}/cluster.yaml: give a cluster.yaml, or cluster.yaml:NAME for one profile of it"
    )


# Connecting


def test_the_current_client_is_found(client):
    assert cluster.current_client() is client


def test_without_a_client_there_is_none():
    assert cluster.current_client() is None


def test_this_process_is_one_worker_with_all_threads():
    assert cluster.threads_here(None) == Workers(1, CPU_COUNT, MEMORY_LIMIT)
    assert cluster.threads_here(300 * MIB) == Workers(1, CPU_COUNT, 300 * MIB)
    assert cluster.threads_here(10 * MEMORY_LIMIT) == Workers(1, CPU_COUNT, MEMORY_LIMIT)


def test_a_scheduler_that_runs_is_connected_to_and_left_running(client):
    address = client.scheduler.address
    with connect(Profile("scheduler", {"address": address})) as connected:
        assert connected is not client
        assert cluster.current_client() is connected
        assert connected.submit(sum, [1, 2]).result() == 3
    assert cluster.current_client() is client
    assert len(client.scheduler_info(n_workers=-1)["workers"]) == 2


def test_a_scheduler_that_is_dead_is_told(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    # Ten seconds are for schedulers that start; here nobody comes.
    monkeypatch.setattr(cluster, "Client", lambda address, timeout, **how: Client(address, timeout="200ms", **how))
    with pytest.raises(ConnectionError) as refused, connect(Profile("scheduler", {"address": address})):
        pass
    assert str(refused.value).startswith(f"no scheduler answers at {address} (")
    assert str(refused.value).endswith("): is it running, and reached from here?")
    assert cluster.current_client() is None


def test_an_address_that_is_none_is_told_and_leaves_no_client():
    profile = Profile("scheduler", {"address": "carrier-pigeon://7"})
    with pytest.raises(ConnectionError, match="no scheduler answers at carrier-pigeon://7"), connect(profile):
        pass
    left = cluster.current_client()
    if left:
        left.close()  # or the tests that follow would use it
    assert left is None


def test_a_local_cluster_is_as_asked_and_ends_with_its_block():
    profile = Profile("local", {"workers": 1, "threads": 2, "memory": "300MiB"})
    with dask.config.set({"distributed.scheduler.work-stealing": True}):
        with connect(profile) as opened:
            assert survey(opened, None) == Workers(1, 2, 300 * MIB, saturation=1.0, stolen=0)
            assert os.getpid() not in opened.run(os.getpid).values(), "workers are processes"
            address = opened.scheduler.address
        assert dask.config.get("distributed.scheduler.work-stealing") is True
    assert cluster.current_client() is None
    with pytest.raises(OSError, match="Timed out"):
        Client(address, timeout="200ms")


def test_a_local_cluster_shares_the_memory_of_the_machine(client):
    workers = survey(client, None)
    assert (workers.count, workers.threads) == (2, 1)
    assert workers.memory == pytest.approx(MEMORY_LIMIT / 2, abs=2)


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
        assert survey(client, None) == Workers(2, 1, 640 * MIB, saturation=1.0, stolen=0)
        assert survey(client, 300 * MIB).memory == 300 * MIB
        assert survey(client, 1000 * MIB).memory == 640 * MIB
    finally:
        client.run(limit, before.memory, workers=addresses[1:])
    assert survey(client, None) == before


def test_a_cluster_of_others_may_load_ahead_and_steal():
    settings = {"distributed.scheduler.worker-saturation": 1.1, "distributed.scheduler.work-stealing": True}
    with dask.config.set(settings), in_process(n_workers=1, threads_per_worker=3, memory_limit=0) as opened:
        assert survey(opened, None) == Workers(1, 3, MEMORY_LIMIT, saturation=1.1, stolen=1)


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

    client.unregister_worker_plugin(cluster.OneBlasThread.name) if registered(client) else None
    client.run(threads, 2)
    with threadpool_limits(limits=2, user_api="blas"):
        assert list(client.run(threads).values()) == [{2}, {2}]
        with set_up(client, 1), set_up(client, 1):  # two factorizations on one cluster
            assert list(client.run(threads).values()) == [{1}, {1}]
            assert blas_threads() == {1}
        assert blas_threads() == {2}


def registered(client):
    """Whether workers have the plugin by now."""
    return client.run_on_scheduler(lambda dask_scheduler: cluster.OneBlasThread.name in dask_scheduler.worker_plugins)


def test_a_worker_that_joins_later_has_one_blas_thread_too(monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "2")  # Dask starts workers with 1 where nothing is said
    with local_cluster(workers=1) as opened, set_up(opened, 1):
        opened.cluster.scale(2)
        opened.wait_for_workers(2, timeout=30)
        assert list(opened.run(lambda: blas_threads()).values()) == [{1}, {1}]
