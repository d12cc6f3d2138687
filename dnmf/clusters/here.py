"""This process as the one worker, and the settings of a factorization. Dask's scheduler is loaded for a client only."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import zarr
from dask.system import CPU_COUNT
from threadpoolctl import threadpool_limits

from dnmf.plan.memory import Workers

if TYPE_CHECKING:
    from distributed import Client

# Where Linux says what a container may use, in bytes, if it may not use all.
CGROUPS = (
    "memory/memory.limit_in_bytes", "memory/memory.soft_limit_in_bytes", "memory.max", "memory.high", "memory.low",
)  # fmt: skip


def memory_here() -> int:
    """Bytes that this machine, container or process may use: what Dask takes for it, too."""
    limits = [psutil.virtual_memory().total, resource.getrlimit(resource.RLIMIT_RSS)[1]]
    for name in CGROUPS:
        with suppress(OSError, ValueError):
            limits.append(int(Path("/sys/fs/cgroup", name).read_text()))
    return min(limit for limit in limits if limit > 0)


def threads_here(memory_limit: int | None) -> Workers:
    """This process's threads as one worker; `memory_limit` in bytes, all of the machine's (or container's) if None."""
    memory = memory_here()
    return Workers(count=1, threads=CPU_COUNT, memory=min(memory_limit or memory, memory))


def available(client: "Client | None", memory_limit: int | None) -> Workers:
    """The workers of a cluster, or this process's threads where there is no client."""
    if client is None:
        return threads_here(memory_limit)
    from dnmf.clusters.workers import survey  # noqa: PLC0415, it loads Dask's scheduler

    return survey(client, memory_limit)


@contextmanager
def set_up(client: "Client | None", chunks_in_flight: int) -> Iterator[None]:
    """Settings for a factorization, here and in every worker: one BLAS thread, and how zarr reads.

    Results differ with the number of BLAS threads, and more are slower.
    """
    if client is not None:
        from dnmf.clusters.workers import equip  # noqa: PLC0415, it loads Dask's scheduler

        equip(client, chunks_in_flight)
    with threadpool_limits(limits=1, user_api="blas"), zarr.config.set({"async.concurrency": chunks_in_flight}):
        yield
