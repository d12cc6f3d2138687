"""What every contestant of `peers.py` goes through: rounds on the clock, exact losses beside it, until it is enough.

A contestant runs in a process of its own, which is given one `Task` and leaves its result as JSON.
"""

import json
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from counters import peak_memory

from dnmf.rules import coordinate_descent

Trace = list[tuple[float, float, float]]  # reads of X so far, seconds so far, ‖X − W V‖²

# Runs that take longer than this, seconds, are not repeated.
REPEATABLE = 30.0

# Bytes of X that are looked at at a time for an exact loss: little, so that it does not show in the peak of memory.
BLOCK_BYTES = 2**24


@dataclass(frozen=True, slots=True)
class Task:
    """What a contestant is to do.

    Attributes
    ----------
    contestant : its name in `peers.py`.
    path : X, a Zarr array.
    rank, seed : k; of everything random.
    norm : ‖X‖².
    goal : the loss to reach.
    iterations : made at least.
    limit : seconds on the clock after which it is stopped; 0: after `iterations`.
    wall : seconds of real time after which it is stopped, exact losses included.
    repeats : runs, if the first one reaches the goal soon.
    on_disk : whether X stands for one that does not fit in memory.
    cluster : whether contestants that use Dask do so on worker processes.
    """

    contestant: str
    path: str
    rank: int
    seed: int
    norm: float
    goal: float
    iterations: int
    limit: float
    wall: float
    repeats: int
    on_disk: bool
    cluster: bool


@dataclass(frozen=True, slots=True)
class Round:
    """Where a contestant stands after some iterations.

    Attributes
    ----------
    reads : reads of X so far.
    L : (m, k) long factor of X, or of Xᵀ where `axis` is 1; None for the best one that goes with S.
    S : (k, n) short factor.
    axis : 0 for X ≈ L S, 1 for Xᵀ ≈ L S.
    free : seconds of this round that do not count: what only this benchmark's way of looking on has cost.
    """

    reads: int
    L: Any
    S: Any
    axis: int = 0
    free: float = 0.0


Rounds = Generator[Round | None, int, None]  # is sent the iterations to make; what comes before the first is no work
Ending = Callable[[Trace], str | None]


def follow(task: Task, rounds: Rounds, X: Any, ending: Ending | None = None) -> tuple[Trace, str]:
    """Let a contestant make rounds until the goal, a limit, or an ending of its own; its trace, and which it was."""
    trace: Trace = []
    seconds, done, step, began, end = 0.0, 0, 1, time.perf_counter(), None
    next(rounds)
    while end is None:
        started = time.perf_counter()
        at = rounds.send(step)
        seconds += time.perf_counter() - started - at.free
        trace.append((at.reads, seconds, loss(X, at, task.norm)))
        done += step
        step = _next_step(task, done, seconds)
        if done >= task.iterations:
            own = ending(trace) if ending else "reached" if trace[-1][2] <= task.goal else None
            timed_out = seconds >= task.limit or time.perf_counter() - began > task.wall
            end = own or ("limit" if timed_out else None)
    rounds.close()
    return trace, end


def _next_step(task: Task, done: int, seconds: float) -> int:
    """Iterations of the next round: a quarter of those done, at most a twentieth of the limit; meets `iterations`."""
    step = max(1, done // 4)
    if task.limit and seconds > 0:
        step = max(1, min(step, int(0.05 * task.limit * done / seconds)))
    return min(step, task.iterations - done) if done < task.iterations else step


def repeated(task: Task, run: Callable[[], tuple[Trace, str]]) -> dict[str, Any]:
    """Run up to `repeats` times; the run of median time, its ending, and the seconds of all."""
    began = time.perf_counter()
    runs = [run()]
    while len(runs) < task.repeats and _worth_repeating(task, *runs[0]) and time.perf_counter() - began < task.wall / 2:
        runs.append(run())
    trace, end = sorted(runs, key=lambda run: run[0][-1][1])[len(runs) // 2]
    return {"trace": trace, "end": end, "seconds": [trace[-1][1] for trace, _ in runs], "peak": peak_memory()}


def _worth_repeating(task: Task, trace: Trace, end: str) -> bool:
    return trace[-1][1] < REPEATABLE and (end != "limit" or task.limit == 0)


def loss(X: Any, at: Round, norm: float) -> float:
    """‖X − L S‖², formed entry by entry: in float64 where it is small beside ‖X‖²."""
    L, S = at.L if at.L is None else np.asarray(at.L), np.asarray(at.S)
    total = _loss(X, L, S, at.axis, X.dtype)
    return total if total > 1e-4 * norm else _loss(X, L, S, at.axis, np.dtype("f8"))


def _loss(X: Any, L: Any, S: Any, axis: int, dtype: Any) -> float:
    S, total = np.asarray(S, dtype), 0.0
    for start, Y in blocks(X, axis):
        Y = np.asarray(Y, dtype)
        R = (best_long(Y, S) if L is None else np.asarray(L[start : start + len(Y)], dtype)) @ S
        R -= Y
        total += float(np.einsum("ij,ij->i", R, R).sum(dtype="f8"))
    return total


def blocks(X: Any, axis: int, nbytes: int = BLOCK_BYTES) -> Iterator[tuple[int, Any]]:
    """Parts of X (of Xᵀ, for axis 1), of whole rows and whole chunks, with the number of their first row."""
    row = X.shape[1 - axis] * X.dtype.itemsize
    chunk = X.chunks[axis] if hasattr(X, "chunks") else 1
    height = max(1, nbytes // (row * chunk)) * chunk
    for start in range(0, X.shape[axis], height):
        part = slice(start, start + height)
        yield start, np.asarray(X[part]) if axis == 0 else np.asarray(X[:, part]).T


def squared_norm(X: Any) -> float:
    """‖X‖²."""
    return sum(float(np.einsum("ij,ij->i", Y, Y, dtype="f8").sum()) for _, Y in blocks(X, 0))


def best_long(Y: Any, S: Any) -> Any:
    """The non-negative L of least ‖Y − L S‖², by coordinate descent until 20 sweeps take less than 10⁻⁵ of the loss."""
    N, G = np.ascontiguousarray(S @ Y.T), S @ S.T
    F, before, norm = np.zeros_like(N), np.inf, float(np.einsum("ij,ij->i", Y, Y).sum(dtype="f8"))
    for _ in range(100):
        F = coordinate_descent(F, N, G, 20)
        wide = F.astype("f8")
        now = norm - 2 * float((wide * N).sum()) + float((wide @ wide.T * G).sum())
        if before - now <= 1e-5 * abs(now):
            break
        before = now
    return F.T


def serve(contestants: dict[str, Callable[[Task], dict[str, Any]]]) -> None:
    """The main program of a contestant's process: `SCRIPT task-as-json result-file`."""
    task = Task(**json.loads(sys.argv[1]))
    result = contestants[task.contestant](task)
    partial = Path(f"{sys.argv[2]}.partial")
    partial.write_text(json.dumps(result))
    partial.replace(sys.argv[2])
