"""Worker processes on this machine."""

import logging
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing import current_process, resource_tracker

import dask
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster
from distributed.system import MEMORY_LIMIT

from dnmf.clusters.keys import Count, Memory
from dnmf.clusters.kind import SCHEDULING, Profile, allocator
from dnmf.plan.memory import LEAST_LIMIT, MIB

# Samples of the stacks of workers would grow with every second, and no page of a dashboard needs them but one.
UNWATCHED = {"distributed.worker.profile.enabled": False}

# More processes to a core are a slip of the hand.
MOST_PER_CORE = 16


class Local(Profile, frozen=True, kw_only=True, tag="local"):
    """The number of workers, one per core if not given, the threads of each, and its memory."""

    workers: Count | None = None
    threads: Count = 1
    memory: Memory | None = None

    def open(self) -> AbstractContextManager[Client]:
        """A client of the workers."""
        return local_cluster(self.workers, self.threads, self.memory)


@contextmanager
def local_cluster(workers: int | None = None, threads: int = 1, memory: str | int | None = None) -> Iterator[Client]:
    """A client of worker processes on this machine: one of one thread per core, unless said otherwise.

    Parameters
    ----------
    workers : number of processes.
    threads : threads of each.
    memory : limit of each, bytes or a text such as "2GiB"; an equal share of the machine's if None.

    Yields
    ------
    distributed.Client
        It is the current one in the block, and the cluster ends with the block.

    Raises
    ------
    ValueError
        If this machine is too small for what is asked for.
    RuntimeError
        In a worker, which may start no other ones.

    Examples
    --------
    >>> import dnmf
    >>> with dnmf.local_cluster(workers=4, memory="2GiB"):  # doctest: +SKIP
    ...     dnmf.factorize("X.zarr", rank=20, out="run.zarr")
    """
    _check(workers, threads)
    count = workers or max(1, CPU_COUNT // threads)
    limit = MEMORY_LIMIT // count if memory is None else _limit(memory)
    with (
        dask.config.set({**SCHEDULING, **UNWATCHED}),
        _environment(allocator(limit)),
        _whole(count, threads, limit) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _check(workers: int | None, threads: int) -> None:
    """Refuse numbers of workers and threads that make no sense here."""
    for name, number in (("workers", workers), ("threads", threads)):
        if number is not None and number < 1:
            raise ValueError(f"{name} is {number}: an integer of at least 1 is required")
    most = max(1, min(MEMORY_LIMIT // LEAST_LIMIT, MOST_PER_CORE * CPU_COUNT))
    if workers and workers > most:
        raise ValueError(
            f"{workers} workers are asked for, and this machine, with {CPU_COUNT} cores and {MEMORY_LIMIT // MIB} MiB, "
            f"has room for at most {most}: ask for fewer; one per core is fast"
        )
    if current_process().daemon:
        raise RuntimeError("workers cannot be started by a worker: use the cluster that it belongs to")


def _limit(memory: str | int) -> int:
    try:
        return Memory.read(memory)
    except ValueError as required:
        raise ValueError(f"memory is {memory!r}: {required} is required") from None


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Environment variables for processes that are started inside the block, and started again after they died.

    Dask's own setting for that stays in this process's environment, and there it outweighs that of the next cluster.
    """
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


def _whole(workers: int, threads: int, memory: int) -> LocalCluster:
    """A cluster that has started as a whole; where this process is told to end meanwhile, it is closed then.

    Dask cannot close what has half started. Ctrl-C in a terminal reaches workers too, from their first moment on: they
    inherit that it is blocked, and this process ends them in order.
    """
    # Errors of tasks come back to the caller: workers need not print them too.
    start = partial(
        LocalCluster,
        n_workers=workers,
        threads_per_worker=threads,
        memory_limit=memory,
        silence_logs=logging.CRITICAL,
        dashboard_address=":0",
    )
    block = partial(signal.pthread_sigmask, signal.SIG_BLOCK, {signal.SIGINT})
    # Python would start it with the first worker, and unblock Ctrl-C in that worker's thread.
    resource_tracker.ensure_running()
    with ThreadPoolExecutor(1, initializer=block) as thread:
        starting = thread.submit(start)
        try:
            return starting.result()
        except BaseException:
            if starting.exception() is None:
                starting.result().close()
            raise
