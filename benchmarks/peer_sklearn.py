"""The contestants of `peers.py` that are scikit-learn's: NMF with X in memory, MiniBatchNMF fed from Zarr.

A process of its own, started by `peers.py`: its BLAS has a thread per core, or one where matrices are so small
that this is faster.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import sklearn
import zarr
from dask.system import CPU_COUNT
from peer_trace import Round, Rounds, Task, Trace, blocks, follow, repeated, serve
from sklearn.decomposition import NMF, MiniBatchNMF, non_negative_factorization
from threadpoolctl import threadpool_limits

# scikit-learn's own batch.
BATCH_ROWS = 1024

# Of X, for choosing the threads of BLAS.
TRIAL_BYTES = 2**26

# MiniBatchNMF stalls when an epoch takes less than this share of the loss.
STALLED = 1e-3


def in_memory(solver: str, init: str, task: Task) -> dict[str, Any]:
    """NMF, from the first factors on, a few iterations at a time."""
    X = zarr.open_array(task.path, mode="r")[...]
    return contest(task, X, lambda: follow(task, continued(X, task, solver, init), X))


def contest(task: Task, X: Any, run: Callable[[], tuple[Trace, str]]) -> dict[str, Any]:
    """Run up to three times, with the BLAS threads that suit X, or the batches of it."""
    threads = min((1, CPU_COUNT), key=lambda threads: _some_iterations(task, X, threads))
    with threadpool_limits(threads, user_api="blas"):
        return {**repeated(task, run), "blas_threads": threads}


def _some_iterations(task: Task, X: Any, threads: int) -> float:
    """Seconds of some iterations on rows of X, at best: small products lose by being shared among threads."""
    times, part = [], X[: max(1, TRIAL_BYTES * len(X) // X.nbytes)]
    with threadpool_limits(threads, user_api="blas"):
        for _ in range(3):
            began = time.perf_counter()
            non_negative_factorization(part, n_components=task.rank, max_iter=10, tol=0, random_state=0)
            times.append(time.perf_counter() - began)
    return min(times)


def continued(X: Any, task: Task, solver: str, init: str) -> Rounds:
    """Rounds of a fit that goes on from its own factors: the iterates of one fit, as no order is shuffled."""
    call = partial(non_negative_factorization, X, n_components=task.rank, solver=solver, tol=0, random_state=task.seed)
    beside = _beside_iterations(X, task, call)
    step = yield None
    W, H, _ = call(init=init, max_iter=step)
    done, free = step, 0.0
    while True:
        step = yield Round(2 * done, W, H, free=free)
        began = time.perf_counter()
        W, H, _ = call(W=W, H=H, init="custom", max_iter=step)
        done, free = done + step, min(beside, time.perf_counter() - began)


def _beside_iterations(X: Any, task: Task, call: Callable[..., Any]) -> float:
    """Seconds that a call costs beside its iterations: one fit would pay them once, so later rounds get them back."""
    rng, times = np.random.default_rng(task.seed), 2 if X.nbytes > 2**28 else 10

    def seconds(iterations: int) -> float:
        W, H = rng.random((X.shape[0], task.rank), dtype="f8"), rng.random((task.rank, X.shape[1]), dtype="f8")
        began = time.perf_counter()
        call(W=W.astype(X.dtype), H=H.astype(X.dtype), init="custom", max_iter=iterations)
        return time.perf_counter() - began

    one, two = (min(seconds(iterations) for _ in range(times)) for iterations in (1, 2))
    return max(0.0, 2 * one - two)


def by_default(task: Task) -> dict[str, Any]:
    """NMF as it comes."""
    X = zarr.open_array(task.path, mode="r")[...]

    def rounds() -> Rounds:
        yield None
        model = NMF(task.rank, random_state=task.seed)
        W = model.fit_transform(X)
        yield Round(2 * model.n_iter_, W, model.components_)

    return contest(task, X, lambda: follow(task, rounds(), X, lambda trace: "ended"))


def mini_batch(task: Task) -> dict[str, Any]:
    """MiniBatchNMF as it comes, whose loss is that of the best W for its components."""
    X = zarr.open_array(task.path, mode="r")
    return contest(task, next(batches(X)), lambda: follow(task, epochs(X, task), X, stalled))


def batches(X: Any) -> Iterator[Any]:
    """Rows of X (of Xᵀ, where it is wide), in order, read by whole chunks."""
    axis = longer_axis(X)
    for _, Y in blocks(X, axis, BATCH_ROWS * X.shape[1 - axis] * X.dtype.itemsize):
        for start in range(0, len(Y), BATCH_ROWS):
            yield Y[start : start + BATCH_ROWS]


def longer_axis(X: Any) -> int:
    """Along which X is cut."""
    return int(X.shape[0] < X.shape[1])


def epochs(X: Any, task: Task) -> Rounds:
    """Rounds of an epoch each, of more when there were many: every loss costs a read."""
    model, done = MiniBatchNMF(task.rank, random_state=task.seed), 0
    step = yield None
    while True:
        for _ in range(min(step, max(1, done // 8))):
            for Y in batches(X):
                model.partial_fit(Y)
            done += 1
        step = yield Round(done, None, model.components_, axis=longer_axis(X))


def stalled(trace: Trace) -> str | None:
    """Whether the last epochs took too little."""
    if len(trace) < 2:
        return None
    (before, _, high), (now, _, low) = trace[-2:]
    per_epoch = 1 - (low / high) ** (1 / (now - before))
    return "stalled" if per_epoch < STALLED else None


if __name__ == "__main__":
    sklearn.set_config(assume_finite=True)
    serve(
        {
            "scikit-learn cd, nndsvda": partial(in_memory, "cd", "nndsvda"),
            "scikit-learn cd, random": partial(in_memory, "cd", "random"),
            "scikit-learn mu": partial(in_memory, "mu", "nndsvda"),
            "scikit-learn, defaults": by_default,
            "MiniBatchNMF": mini_batch,
        }
    )
