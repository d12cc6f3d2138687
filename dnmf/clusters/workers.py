"""Clusters: what workers there are, what they may hold, and whether they have and see what they must.

Everything that talks to Dask's distributed scheduler about workers is here; what starts them, and what they compute,
is not.
"""

import math
import os
import pickle
from collections import Counter
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any
from uuid import uuid4

import zarr
from distributed import Client, Scheduler, Worker, WorkerPlugin
from distributed.system import MEMORY_LIMIT
from threadpoolctl import threadpool_limits

from dnmf.clusters.watch import answered
from dnmf.matrix.matrix import Matrix, finds
from dnmf.plan.memory import ALLOCATOR_SLACK, MIB, Workers
from dnmf.stores.paths import is_url
from dnmf.stores.places import place, remove

# What computes, or decides how results are stored and sent: the same version is needed everywhere.
SAME = ("dnmf", "dask", "distributed", "numpy", "zarr")


def survey(client: Client, memory_limit: int | None) -> Workers:
    """What the workers of a cluster have: the smallest limit and the most threads count for all of them.

    Raises
    ------
    RuntimeError
        If the cluster has no workers, or the scheduler or a worker has other versions than this process.
    """
    check_versions(client)
    info = answered(client, lambda: client.scheduler_info(n_workers=-1))
    workers = info["workers"]
    if not workers:
        raise RuntimeError(
            f"the cluster at {info['address']} has no workers: start some, or wait until they have joined"
        )
    hosts = Counter(worker["host"] for worker in workers.values())
    memory = answered(client, lambda: client.run(_memory, MEMORY_LIMIT // max(hosts.values())))
    saturation, stealing = answered(client, lambda: client.run_on_scheduler(_scheduling))
    threads = max(worker["nthreads"] for worker in workers.values())
    smallest = min(memory_limit or math.inf, *(limit for limit, _ in memory.values()))
    slack = max(ALLOCATOR_SLACK, *(kept for _, kept in memory.values()))
    # An infinite saturation sends all strips at once: no plan can hold then, so it is made for two per thread.
    return Workers(len(workers), threads, int(smallest), min(saturation, 2.0), int(stealing), slack)


def check_versions(client: Client) -> None:
    """Compare what scheduler and workers have installed with what this process has.

    Raises
    ------
    RuntimeError
        Names the first that differs, the package, both versions, and what to do.
    """
    # Dask answers, also where there is no dnmf.
    versions: Any = answered(client, lambda: client.get_versions(packages=list(SAME)))
    ours = versions["client"]["packages"]
    others = {"the scheduler": versions["scheduler"]}
    others |= {f"worker {address}": told for address, told in sorted(versions["workers"].items())}
    for who, told in others.items():
        for package in SAME:
            theirs, needed = told["packages"][package], ours[package]
            if theirs != needed:
                raise RuntimeError(
                    f"{who} has {f'{package} {theirs}' if theirs else f'no {package}'}, and this process has "
                    f"{needed or 'none'}: the same version is needed everywhere, install {package}=={needed} there"
                )


def _memory(share: int, dask_worker: Worker) -> tuple[int, int]:
    """A worker's limit (`share` where it has none), and what its allocator keeps before it gives memory back, bytes."""
    kept = os.environ.get("MALLOC_TRIM_THRESHOLD_", "")
    return int(dask_worker.memory_manager.memory_limit or share), min(int(kept) if kept.isdecimal() else 0, 64 * MIB)


def _scheduling(dask_scheduler: Scheduler) -> tuple[float, bool]:
    return float(dask_scheduler.WORKER_SATURATION), "stealing" in dask_scheduler.extensions


def check_workers(client: Client, matrix: Matrix, out: str | None) -> None:
    """Ask every worker whether it finds X and can write beside `out`, and look here for what they wrote.

    Raises
    ------
    RuntimeError
        Names the first worker that does not, and what to do.
    """
    if matrix.nodes:
        nodes = pickle.dumps(matrix.nodes)
        told = answered(client, lambda: client.run(_tell_whether_found, nodes))
        if blind := sorted((worker, why) for worker, why in told.items() if why is not None):
            raise RuntimeError(
                f"worker {blind[0][0]} does not find X at {matrix.location} ({len(blind)} of {len(told)} workers do "
                f"not): {blind[0][1]}"
            )
    if out is not None:
        _check_output(client, out)


def _tell_whether_found(nodes: bytes) -> str | None:
    """Why X's arrays and groups are not found here, or None. They come as bytes: to open a store of theirs may fail."""
    try:
        found = finds(pickle.loads(nodes))
    except (OSError, ImportError) as error:
        return str(error)
    return None if found else "X must be on a path or store that every worker reaches"


def _check_output(client: Client, out: str) -> None:
    probe = f"{out}.probe-{uuid4().hex[:8]}"
    if not is_url(out):
        # What a process left that was killed while it asked.
        for old in Path(out).parent.glob(f"{escape(Path(out).name)}.probe-*"):
            remove(str(old))
    try:
        group = zarr.create_group(place(probe))
        for worker, (name, error) in sorted(answered(client, lambda: client.run(_write_probe, probe)).items()):
            if error or name not in group:
                raise RuntimeError(
                    f"worker {worker} cannot write to {out} ({error or 'what it wrote is not seen here'}): the output "
                    f"must be on a path or store that every worker and this process share"
                )
    finally:
        remove(probe)


def _write_probe(probe: str) -> tuple[str, str | None]:
    name = uuid4().hex
    try:
        zarr.open_group(place(probe), mode="r+").create_group(name)
    except (OSError, ImportError) as error:
        return name, f"{type(error).__name__}: {error}"
    return name, None


class OneBlasThread(WorkerPlugin):
    """Keeps BLAS at one thread per Dask thread in every worker, those that join later too.

    It stays: another factorization on the same cluster may need it, and Dask's own workers start that way.
    """

    name = "dnmf-one-blas-thread"

    def setup(self, worker: Worker) -> None:
        """Called in the worker when it is registered or joins."""
        threadpool_limits(limits=1, user_api="blas")


@dataclass(frozen=True, slots=True)
class ChunksInFlight(WorkerPlugin):
    """Sets how many chunks of a read zarr fetches and decodes at the same time, in every worker. It stays."""

    count: int
    name = "dnmf-chunks-in-flight"

    def setup(self, worker: Worker) -> None:
        """Called in the worker when it is registered or joins."""
        zarr.config.set({"async.concurrency": self.count})


def equip(client: Client, chunks_in_flight: int) -> None:
    """Give every worker the settings of a factorization, those that join later too."""
    answered(client, lambda: client.register_plugin(OneBlasThread()))
    answered(client, lambda: client.register_plugin(ChunksInFlight(chunks_in_flight)))
