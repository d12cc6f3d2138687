"""The contestant of `peers.py` that is nmf-torch's: HALS with X in memory, on the CPU.

A process of its own, started by `peers.py` where nmf-torch is installed.
"""

import io
import time
from contextlib import redirect_stdout
from typing import Any

import zarr
from nmf import run_nmf
from peer_trace import Round, Rounds, Task, Trace, follow, repeated, serve

# It looks at its loss every ten iterations, and fails if it makes fewer.
FIRST = 10


def hals(task: Task) -> dict[str, Any]:
    """`run_nmf` with its default algorithm."""
    X = zarr.open_array(task.path, mode="r")[...]
    return repeated(task, lambda: follow(task, longer_runs(X, task), X, ending(task)))


def longer_runs(X: Any, task: Task) -> Rounds:
    """It cannot go on from given factors: every round is a whole run of half as many iterations again."""
    iterations, before = FIRST, 0.0
    precision = "double" if X.dtype == "f8" else "float"
    yield None
    while True:
        began = time.perf_counter()
        with redirect_stdout(io.StringIO()):
            W, V, _ = run_nmf(
                X,
                task.rank,
                algo="halsvar",
                tol=0,
                batch_max_iter=iterations,
                random_state=task.seed,
                fp_precision=precision,
            )
        took = time.perf_counter() - began
        yield Round(2 * iterations, W, V, free=before)
        iterations, before = iterations * 3 // 2, took


def ending(task: Task) -> Any:
    """The goal, or where its own rule for tol=0 has ended two runs alike."""

    def end(trace: Trace) -> str | None:
        if trace[-1][2] <= task.goal:
            return "reached"
        return "ended" if len(trace) > 1 and trace[-1][2] == trace[-2][2] else None

    return end


if __name__ == "__main__":
    serve({"nmf-torch HALS": hals})
