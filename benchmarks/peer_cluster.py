"""The contestants of `peers.py` that use Dask: dnmf, and what a Dask user writes by hand.

A process of its own, started by `peers.py`: BLAS has one thread in it and in its workers.
"""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from statistics import median
from typing import Any

import dask
import dask.array as da
import zarr
from counters import peak_memory
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster, wait
from peer_trace import Round, Rounds, Task, Trace, follow, loss, repeated, serve

import dnmf
from dnmf.clusters.local import local_cluster
from dnmf.events import PassDone

READ_BYTES = 2**26

# Keeps 0 / 0 out of the rules that are written by hand.
TINY = 1e-12


def with_dnmf(task: Task) -> dict[str, Any]:
    """`dnmf.factorize`, its bare reads of X in turn with it, and its loss checked."""
    here: AbstractContextManager[Any] = local_cluster() if task.cluster else nullcontext()
    with here as client:
        runs, reads = [], []
        for _ in range(task.repeats):
            if task.on_disk:
                reads.append(bare_read(task.path))
            runs.append(one_run(task))
        # The peak before anything is checked: checking is not dnmf's work.
        peak = memory_of_all(client)
        seconds, trace, result = sorted(runs, key=lambda run: run[0])[len(runs) // 2]
        return {
            "trace": trace,
            "end": "ended",
            "seconds": [run[0] for run in runs],
            "peak": peak,
            "loss": checked(task, result),
            "total": seconds,
            "bare_read": median(reads) if reads else None,
        }


def one_run(task: Task) -> tuple[float, Trace, dnmf.Factorization]:
    """Seconds from the call to its return, a point per pass, and what came of it."""
    trace: Trace = []

    def listen(event: Any) -> None:
        if isinstance(event, PassDone):
            # The read for the sample comes first.
            trace.append((event.iteration + 1, time.perf_counter() - began, event.loss))

    began = time.perf_counter()
    result = dnmf.factorize(
        task.path,
        task.rank,
        out=f"{task.path}.run",
        seed=task.seed,
        cache=not task.on_disk,
        overwrite=True,
        listeners=[listen],
    )
    return time.perf_counter() - began, trace, result


def checked(task: Task, result: dnmf.Factorization) -> float:
    """dnmf's loss, computed anew.

    Raises
    ------
    ValueError
        If it is not the one that dnmf reports.
    """
    exact = loss(zarr.open_array(task.path, mode="r"), Round(0, result.W, result.V), task.norm)
    if abs(exact - result.loss) > 1e-4 * exact + 1e-9 * task.norm:
        raise ValueError(f"dnmf reports a loss of {result.loss:.8g}, and that of its W and V is {exact:.8g}")
    return exact


def bare_read(path: str) -> float:
    """Seconds in which one plain process per core reads all of X, and does nothing with it."""
    with multiprocessing.get_context("spawn").Pool(CPU_COUNT) as pool:
        pool.map(time.sleep, [0.1] * CPU_COUNT, chunksize=1)  # all of them are up
        began = time.perf_counter()
        pool.starmap(read, [(path, first, CPU_COUNT) for first in range(CPU_COUNT)], chunksize=1)
        return time.perf_counter() - began


def read(path: str, first: int, step: int) -> None:
    """Read every `step`-th part of X, of whole chunks, as fast as zarr can from a local disk."""
    zarr.config.set({"async.concurrency": 1})
    X = zarr.open_array(path, mode="r")
    chunk = X.chunks[0] * X.shape[1] * X.dtype.itemsize
    height = max(1, READ_BYTES // chunk) * X.chunks[0]
    for start in range(first * height, X.shape[0], step * height):
        X[start : start + height]


def by_hand(task: Task) -> dict[str, Any]:
    """Lee and Seung's rules as one writes them with Dask arrays."""
    here: AbstractContextManager[Any] = plain_cluster() if task.cluster else nullcontext()
    with here as client:
        X = zarr.open_array(task.path, mode="r")
        result = repeated(task, lambda: follow(task, written_out(task), X))
        return {**result, "peak": memory_of_all(client)}


@contextmanager
def plain_cluster() -> Iterator[Client]:
    """A worker of one thread per core, with Dask's own settings."""
    with (
        LocalCluster(n_workers=CPU_COUNT, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as c,
    ):
        yield c


def written_out(task: Task) -> Rounds:
    """Rounds of the rules, each of which reads X."""
    step = yield None
    X = da.from_zarr(task.path, chunks=handy_chunks(zarr.open_array(task.path, mode="r")))
    if not task.on_disk:
        (X,) = dask.persist(X)
    rng, done = da.random.default_rng(task.seed), 0
    W = rng.random((X.shape[0], task.rank), chunks=(X.chunks[0], task.rank)).astype(X.dtype)
    V = rng.random((task.rank, X.shape[1]), chunks=(task.rank, X.chunks[1])).astype(X.dtype)
    W, V = dask.persist(W, V)
    while True:
        for _ in range(step):
            W = W * (X @ V.T) / (W @ (V @ V.T) + TINY)
            (W,) = dask.persist(W)
            V = V * (W.T @ X) / ((W.T @ W) @ V + TINY)
            (V,) = dask.persist(V)
        if task.cluster:
            wait(V)
        done += step
        step = yield Round(2 * done, W, V)


def handy_chunks(X: Any) -> tuple[int, int]:
    """Stored chunks put together along the longer axis: up to 64 MiB, and four to a core where there are so many."""
    axis = int(X.shape[0] < X.shape[1])
    line = X.shape[1 - axis] * X.dtype.itemsize
    lines = min(READ_BYTES // line, X.shape[axis] // (4 * CPU_COUNT))
    length = min(X.shape[axis], max(1, lines // X.chunks[axis]) * X.chunks[axis])
    return (length, X.shape[1]) if axis == 0 else (X.shape[0], length)


def memory_of_all(client: Client | None) -> int:
    """Peak memory of this process and of its workers, added up, bytes."""
    return peak_memory() + (sum(client.run(peak_memory).values()) if client else 0)


if __name__ == "__main__":
    serve({"dnmf": with_dnmf, "Dask mu, by hand": by_hand})
