"""What a pass costs: seconds against its floor, reads of X, tasks, memory; for 1, 2 and 4 times the size.

    python benchmarks/passes.py                        2.1 GB, 20 components, about ten minutes and 8 GB of disk
    python benchmarks/passes.py --rows 16384 --sizes 1
    python benchmarks/passes.py --sizes 1 --cached     X stays in memory: the floor is the two products alone

The floor is one plain Python loop per core, without Dask: read X piece by piece, or strip by strip where that is
faster, form X Vᵀ and Wᵀ X, nothing else. Floor and passes alternate in one run, so that the ratio holds when the
machine's speed drifts. Both have the allocator settings of dnmf's workers, and read through the operating system's page
cache, which is warm for both.
"""

import argparse
import importlib
import multiprocessing
import os
import shutil
import tempfile
import time
from functools import cache
from statistics import median
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import zarr
from counters import CountingStore, CountTasks, executed, peak_memory
from distributed import Client
from zarr.codecs import BloscCodec
from zarr.storage import LocalStore

import dnmf
from dnmf import datasets
from dnmf.clusters.local import local_cluster
from dnmf.events import PassDone, Planned
from dnmf.plan.sizes import Sizes, using

MIB = 2**20

CODECS: dict[str, Any] = {"raw": {"compressors": None}, "zstd": {}, "blosc": {"compressors": BloscCodec(cname="lz4")}}


def idle_memory() -> int:
    """The largest memory so far of a worker that has imported what a pass needs and has done nothing yet, bytes."""
    for module in ("dask.array", "dnmf.factorization.reads", "scipy.sparse"):
        importlib.import_module(module)
    np.ones((64, 64)) @ np.ones((64, 64))
    return peak_memory()


@cache
def held(path: str, start: int, height: int) -> Any:
    """Rows that stay in this process's memory."""
    return np.asarray(zarr.open_array(path, mode="r")[start : start + height])


def sweep(path: str, height: int, rank: int, cached: bool, first: int, step: int) -> None:
    """The floor's work in one process: every `step`-th of as many rows from `first` on."""
    zarr.config.set({"async.concurrency": 1})  # as dnmf reads
    array = zarr.open_array(path, mode="r")
    rng = np.random.default_rng(0)
    V = rng.random((rank, array.shape[1]), dtype="f4")
    W = rng.random((rank, height), dtype="f4")
    for start in range(first * height, array.shape[0], step * height):
        x = held(path, start, height) if cached else np.asarray(array[start : start + height])
        V @ x.T
        W[:, : len(x)] @ x


def floor(pool: Any, path: str, height: int, rank: int, *, cached: bool) -> float:
    """Seconds of one sweep over X by all processes of a pool."""
    count = pool._processes
    began = time.perf_counter()
    pool.starmap(sweep, [(path, height, rank, cached, i, count) for i in range(count)], chunksize=1)
    return time.perf_counter() - began


def measure(client: Client, pool: Any, path: str, rank: int, passes: int, *, cached: bool) -> dict[str, float]:
    """One factorization, floors between its passes; medians over its passes after the first."""
    X = zarr.open_array(path, mode="r")
    plans: list[Planned] = []
    seconds: list[float] = []
    floors: list[float] = []
    tasks: list[int] = []
    chunk, row = X.chunks[0], X.shape[1] * X.dtype.itemsize
    heights = [max(1, Sizes().piece // (row * chunk)) * chunk]

    def listen(event: Any) -> None:
        if isinstance(event, Planned):
            plans.append(event)
            heights.append(-(-event.shape[0] // event.strips))
        if isinstance(event, PassDone):
            seconds.append(event.seconds)
            tasks.append(client.run_on_scheduler(executed))
            floors.append(min(floor(pool, path, h, rank, cached=cached) for h in heights * (1 + cached)))

    client.restart()
    idle = max(client.run(idle_memory).values())
    before = client.run_on_scheduler(executed)
    dnmf.factorize(
        path,
        rank,
        out=f"{path}.run",
        init="random",
        max_iter=passes,
        tol=0,
        cache=cached,
        overwrite=True,
        listeners=[listen],
    )
    plan = plans[0]
    per_pass = np.diff([before, *tasks])
    return {
        "GB": X.nbytes / 1e9,
        "strips": plan.strips,
        "strip MiB": plan.strip_bytes / MIB,
        "pass s": median(seconds[1:-1]),
        "floor s": median(floors[1:-1]),
        "pass / floor": median(p / f for p, f in zip(seconds[1:-1], floors[1:-1], strict=True)),
        "first / floor": seconds[0] / floors[0],
        "tasks / strip": max(per_pass) / plan.strips,
        "peak MiB": max(client.run(peak_memory).values()) / MIB,
        "projected": plan.peak / MIB,
        "above idle": (max(client.run(peak_memory).values()) - idle) / MIB,
    }


def count_reads(path: str, rank: int) -> float:
    """Reads of every chunk per pass, on the cluster, over three passes, by a store that counts."""
    store = CountingStore(LocalStore(path))
    shutil.rmtree(store.log, ignore_errors=True)
    array = zarr.open_array(store, mode="r")
    dnmf.factorize(array, rank, out=f"{path}.run", init="random", max_iter=3, tol=0, cache=False, overwrite=True)
    return store.reads().total() / array.nchunks / 3


def show(rows: list[dict[str, float]]) -> None:
    """Print a Markdown table, one column a size."""
    for name in rows[0]:
        print(f"| {name:14s} | " + " | ".join(f"{row[name]:8.2f}" for row in rows) + " |", flush=True)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=131_072)
    parser.add_argument("--columns", type=int, default=4096)
    parser.add_argument("--rank", type=int, default=20)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--passes", type=int, default=7)
    parser.add_argument("--codec", choices=sorted(CODECS), default="zstd")
    parser.add_argument("--cached", action="store_true", help="keep X in memory, and its floor too")
    parser.add_argument("--strip", type=float, help="MiB of a strip, instead of what the plan would choose")
    parser.add_argument("--memory", help="limit of a worker, such as 1GiB")
    parser.add_argument("--folder", help="where X is written; a temporary folder if not given")
    asked = parser.parse_args()
    storage = CODECS[asked.codec]
    sizes = Sizes.of_strips(int(asked.strip * MIB)) if asked.strip else Sizes()
    rows = []
    with (
        using(sizes),
        tempfile.TemporaryDirectory(dir=asked.folder) as folder,
        local_cluster(memory=asked.memory) as client,
        multiprocessing.get_context("spawn").Pool() as pool,
    ):
        client.register_plugin(CountTasks())
        for size in asked.sizes:
            path = f"{folder}/{size}.zarr"
            datasets.low_rank(path, (size * asked.rows, asked.columns), asked.rank, **storage)
            reads = count_reads(path, asked.rank)
            rows.append(
                {**measure(client, pool, path, asked.rank, asked.passes, cached=asked.cached), "reads / pass": reads}
            )
            shutil.rmtree(path)
    show(rows)


if __name__ == "__main__":
    main()
