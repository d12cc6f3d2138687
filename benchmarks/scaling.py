"""How the cost of a pass grows with the number of strips: scheduling, scheduler memory, the reduction.

    python benchmarks/scaling.py                 20, 200 and 2000 strips, about five minutes
    python benchmarks/scaling.py --strips 20 200 2000 20000

Strips are a few kilobytes here, so that reading and arithmetic cost nothing: what is left is what a large X in large
strips costs beside its own work. Rows: seconds of a pass (median, the first one aside); milliseconds per strip and per
task; tasks per strip; memory that the process of scheduler and client gained, per strip; seconds from the last block
of the long factor to the total of all sums. Lines are fitted through the seconds and the memory of all sizes.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from counters import CountTasks, executed
from distributed import Client, SchedulerPlugin

import dnmf
from dnmf import datasets
from dnmf.clusters.local import local_cluster
from dnmf.events import PassDone, Planned
from dnmf.plan.sizes import Sizes, using

ROWS, COLUMNS = 256, 64


class LastFinished(SchedulerPlugin):
    """Notes when a block of a long factor, and when any task, was last done."""

    name = "last-finished"

    def __init__(self) -> None:
        self.block = self.any = 0.0

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Called by the scheduler for every change of a task's state."""
        if start == "processing" and finish == "memory":
            self.any = time.perf_counter()
            if isinstance(key, tuple) and key[0].startswith(("L-", "written-")):
                self.block = self.any


def last_finished(dask_scheduler: Any) -> float:
    """Seconds from the last block to the last task."""
    plugin = dask_scheduler.plugins["last-finished"]
    return float(plugin.any - plugin.block)


def resident() -> int:
    """Memory of this process, which scheduler and client share, bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(client: Client, folder: str, count: int, passes: int) -> dict[str, float]:
    """One factorization of X in so many strips."""
    path = f"{folder}/{count}.zarr"
    datasets.low_rank(path, (count * ROWS, COLUMNS), 5, chunks=(ROWS, COLUMNS), compressors=None)
    seconds: list[float] = []
    tasks: list[int] = []
    reductions: list[float] = []
    planned: list[Planned] = []

    def listen(event: Any) -> None:
        if isinstance(event, Planned):
            planned.append(event)
        if isinstance(event, PassDone):
            seconds.append(event.seconds)
            tasks.append(client.run_on_scheduler(executed))
            reductions.append(client.run_on_scheduler(last_finished))

    before = resident()
    dnmf.factorize(
        path, 5, out=f"{folder}/{count}.run", init="random", max_iter=passes, tol=0, cache=False, listeners=[listen]
    )
    (plan,) = planned
    if plan.strips != count:
        raise RuntimeError(f"X was cut in {plan.strips} strips where {count} were wanted: the plan has changed")
    per_strip = median(np.diff(tasks)) / count
    return {
        "strips": count,
        "pass s": median(seconds[1:]),
        "ms / strip": 1e3 * median(seconds[1:]) / count,
        "tasks / strip": per_strip,
        "ms / task": 1e3 * median(seconds[1:]) / count / per_strip,
        "memory MiB": max(0, resident() - before) / 2**20,
        "reduction s": median(reductions[1:]),
    }


def show(rows: Sequence[dict[str, float]]) -> None:
    """Print a Markdown table, one column a size, and the fitted lines."""
    for name in rows[0]:
        print(f"| {name:13s} | " + " | ".join(f"{row[name]:9.3f}" for row in rows) + " |", flush=True)
    counts = [row["strips"] for row in rows]
    for name, unit in (("pass s", 1e3), ("memory MiB", 1024)):
        slope, constant = np.polyfit(counts, [row[name] for row in rows], 1)
        label = {"pass s": "ms", "memory MiB": "KiB"}[name]
        print(f"{name}: {constant:.3f} + {slope * unit:.2f} {label} for every strip")


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strips", type=int, nargs="+", default=[20, 200, 2000])
    parser.add_argument("--passes", type=int, default=6)
    asked = parser.parse_args()
    # Strips of one chunk each, which no plan for real memory would choose.
    sizes = Sizes.of_strips(ROWS * COLUMNS * 4)
    rows = []
    with using(sizes), tempfile.TemporaryDirectory() as folder, local_cluster() as client:
        client.register_plugin(CountTasks())
        client.register_plugin(LastFinished())
        for count in asked.strips:
            rows.append(measure(client, folder, count, asked.passes))
    show(rows)


if __name__ == "__main__":
    main()
