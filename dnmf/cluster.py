"""Clusters: what workers there are, what they may hold, whether they see what they must; and cluster.yaml.

Everything that talks to Dask's distributed scheduler about workers is here; what they compute is not.
"""

import logging
import math
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import dask
import yaml
import zarr
from dask.system import CPU_COUNT
from dask.utils import parse_bytes
from distributed import Client, LocalCluster, WorkerPlugin, get_client
from distributed.system import MEMORY_LIMIT
from threadpoolctl import threadpool_limits

from dnmf.matrices import Matrix, same_matrix
from dnmf.memory import ALLOCATOR_SLACK, MIB, Workers

KINDS = {"local": {"workers", "threads", "memory"}, "scheduler": {"address"}}


def current_client() -> Client | None:
    """The client that this process has made current, or None."""
    try:
        return get_client()
    except ValueError:
        return None


def threads_here(memory_limit: int | None) -> Workers:
    """This process's threads as one worker; `memory_limit` in bytes, all of the machine's (or container's) if None."""
    return Workers(count=1, threads=CPU_COUNT, memory=min(memory_limit or MEMORY_LIMIT, MEMORY_LIMIT))


def survey(client: Client, memory_limit: int | None) -> Workers:
    """What the workers of a cluster have: the smallest limit and the most threads count for all of them.

    Raises
    ------
    RuntimeError
        If the cluster has no workers.
    """
    info = client.scheduler_info(n_workers=-1)
    workers = info["workers"]
    if not workers:
        raise RuntimeError(
            f"the cluster at {info['address']} has no workers: start some, or wait until they have joined"
        )
    hosts = Counter(worker["host"] for worker in workers.values())
    memory = client.run(_memory, MEMORY_LIMIT // max(hosts.values()))
    saturation, stealing = client.run_on_scheduler(_scheduling)
    threads = max(worker["nthreads"] for worker in workers.values())
    smallest = min(memory_limit or math.inf, *(limit for limit, _ in memory.values()))
    slack = max(ALLOCATOR_SLACK, *(kept for _, kept in memory.values()))
    # An infinite saturation sends all strips at once: no plan can hold then, so it is made for two per thread.
    return Workers(len(workers), threads, int(smallest), min(saturation, 2.0), int(stealing), slack)


def _memory(share: int, dask_worker: Any) -> tuple[int, int]:
    """A worker's limit (`share` where it has none), and what its allocator keeps before it gives memory back, bytes."""
    kept = os.environ.get("MALLOC_TRIM_THRESHOLD_", "")
    return int(dask_worker.memory_manager.memory_limit or share), min(int(kept) if kept.isdecimal() else 0, 64 * MIB)


def _scheduling(dask_scheduler: Any) -> tuple[float, bool]:
    return float(dask_scheduler.WORKER_SATURATION), "stealing" in dask_scheduler.extensions


def check_workers(client: Client, matrix: Matrix, out: str | None) -> None:
    """Ask every worker whether it finds X and can write beside `out`, and look here for what they wrote.

    Raises
    ------
    RuntimeError
        Names the first worker that does not, and what to do.
    """
    if matrix.stored:
        sees = client.run(same_matrix, matrix)
        if blind := sorted(worker for worker, found in sees.items() if not found):
            raise RuntimeError(
                f"worker {blind[0]} does not find X at {matrix.location} ({len(blind)} of {len(sees)} workers do not): "
                f"X must be on a path or store that every worker reaches"
            )
    if out is not None:
        _check_output(client, out)


def _check_output(client: Client, out: str) -> None:
    probe = f"{out}.probe-{uuid4().hex[:8]}"
    group = zarr.create_group(probe)
    try:
        for worker, (name, error) in sorted(client.run(_write_probe, group).items()):
            if error or name not in group:
                raise RuntimeError(
                    f"worker {worker} cannot write to {out} ({error or 'what it wrote is not seen here'}): the output "
                    f"must be on a path or store that every worker and this process share"
                )
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def _write_probe(group: zarr.Group) -> tuple[str, str | None]:
    name = uuid4().hex
    try:
        group.create_group(name)
    except OSError as error:
        return name, f"{type(error).__name__}: {error}"
    return name, None


class OneBlasThread(WorkerPlugin):
    """Keeps BLAS at one thread per Dask thread in every worker, those that join later too.

    It stays: another factorization on the same cluster may need it, and Dask's own workers start that way.
    """

    name = "dnmf-one-blas-thread"

    def setup(self, worker: Any) -> None:
        """Called in the worker when it is registered or joins."""
        threadpool_limits(limits=1, user_api="blas")


class IgnoreInterrupts(WorkerPlugin):
    """Keeps workers of our own clusters going at Ctrl-C, which reaches them too: this process ends them in order."""

    name = "dnmf-ignore-interrupts"

    def setup(self, worker: Any) -> None:
        """Called in the main thread of every worker process."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True, slots=True)
class ChunksInFlight(WorkerPlugin):
    """Sets how many chunks of a read zarr fetches and decodes at the same time, in every worker. It stays."""

    count: int
    name = "dnmf-chunks-in-flight"

    def setup(self, worker: Any) -> None:
        """Called in the worker when it is registered or joins."""
        zarr.config.set({"async.concurrency": self.count})


@contextmanager
def set_up(client: Client | None, chunks_in_flight: int) -> Iterator[None]:
    """Settings for a factorization, here and in every worker: one BLAS thread, and how zarr reads.

    Results differ with the number of BLAS threads, and more are slower.
    """
    if client is not None:
        client.register_plugin(OneBlasThread())
        client.register_plugin(ChunksInFlight(chunks_in_flight))
    with threadpool_limits(limits=1, user_api="blas"), zarr.config.set({"async.concurrency": chunks_in_flight}):
        yield


@dataclass(frozen=True, slots=True)
class Profile:
    """A named cluster of cluster.yaml: its kind and the options of that kind."""

    kind: str
    options: dict[str, Any]


def read_profile(where: str) -> Profile:
    """Read one profile: "cluster.yaml" (its only profile, or the one named `default`) or "cluster.yaml:NAME".

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file or profile, or a kind or key is unknown.
    """
    path, _, name = where.partition(":") if not Path(where).exists() else (where, "", "")
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"there is no file {path}: give a cluster.yaml, or cluster.yaml:NAME for one profile of it"
        )
    try:
        profiles = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not plain YAML: {error}") from None
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise ValueError(
            f"{path} must map names of profiles to their keys, as in `laptop: {{kind: local, workers: 2}}`"
        )
    name = name or (next(iter(profiles)) if len(profiles) == 1 else "default")
    if name not in profiles:
        raise ValueError(f"{path} has no profile {name!r}: it has {', '.join(map(str, profiles)) or 'none'}")
    return _profile(path, name, dict(profiles[name]))


def _profile(path: str, name: str, keys: dict[str, Any]) -> Profile:
    kind = keys.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"{path}: profile {name} has kind {kind!r}: known kinds are {', '.join(KINDS)}")
    if unknown := sorted(map(str, set(keys) - KINDS[kind])):
        raise ValueError(
            f"{path}: profile {name} has an unknown key {unknown[0]!r}: kind {kind} has {sorted(KINDS[kind])}"
        )
    if kind == "scheduler" and "address" not in keys:
        raise ValueError(f"{path}: profile {name} has no address: kind scheduler needs one, as in tcp://host:8786")
    for key in ("workers", "threads"):
        if not isinstance(keys.get(key, 1), int) or keys.get(key, 1) < 1:
            raise ValueError(f"{path}: profile {name} has {key}: {keys[key]!r}: an integer of at least 1 is required")
    return Profile(kind, keys)


@contextmanager
def connect(profile: Profile) -> Iterator[Client]:
    """A client of the cluster that a profile describes; a local cluster is started here and ended with the block.

    Raises
    ------
    ConnectionError
        If no scheduler answers at the address.
    """
    if profile.kind == "local":
        with local_cluster(**profile.options) as client:
            yield client
        return
    address = profile.options["address"]
    try:
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no scheduler answers at {address} ({error}): is it running, and reached from here?"
        ) from None
    with client, client.as_current():
        yield client


def _allocator(limit: int) -> dict[str, str]:
    """Settings of a worker's allocator, as environment variables, for a limit in bytes.

    Dask's own make it give every freed buffer back to the system. A pass frees a decoded chunk every few milliseconds,
    and getting the pages again made it 1.3 to 1.7 times as slow. One arena, or every thread that decodes would keep
    some. In workers of less than 512 MiB every page counts, and strips are as small as chunks: Dask's settings stay.
    """
    trim, mmap = (16 * MIB, 16 * MIB) if limit >= 512 * MIB else (2**16, 2**17)
    return {"MALLOC_TRIM_THRESHOLD_": str(trim), "MALLOC_MMAP_THRESHOLD_": str(mmap), "MALLOC_ARENA_MAX": "1"}


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Environment variables for processes that are started inside the block, and started again after they died."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def local_cluster(workers: int | None = None, threads: int = 1, memory: str | int | None = None) -> Iterator[Client]:
    """A client of worker processes on this machine: one of one thread per core, unless said otherwise.

    Parameters
    ----------
    workers : number of processes.
    threads : threads of each.
    memory : limit of each, bytes or a text such as "2GiB"; an equal share of the machine's if None.
    """
    count = workers or max(1, CPU_COUNT // threads)
    limit = parse_bytes(memory) if memory is not None else MEMORY_LIMIT // count
    # One strip per thread at a time, computed with where it was loaded: half the memory of Dask's defaults, and no
    # slower where strips are large.
    settings = {"distributed.scheduler.worker-saturation": 1.0, "distributed.scheduler.work-stealing": False}
    # Errors of tasks come back to the caller: workers need not print them too.
    quiet = {"silence_logs": logging.CRITICAL, "dashboard_address": ":0"}
    with (
        dask.config.set(settings),
        _environment(_allocator(limit)),
        LocalCluster(n_workers=count, threads_per_worker=threads, memory_limit=limit, **quiet) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(IgnoreInterrupts())
        yield client
