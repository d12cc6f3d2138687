"""The two contestants of `sparse_peers.py`, dnmf and scikit-learn's NMF, and the exact loss of what they find."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from counters import peak_memory
from distributed import Client
from passes import idle_memory
from scipy.special import xlogy
from sklearn.decomposition import non_negative_factorization

import dnmf
from dnmf.events import Planned

# Runs that take longer than this, seconds, are not repeated.
REPEATABLE, REPEATS = 30.0, 3

# Iterations that are timed take this long together, seconds, or are so many.
ENOUGH_SECONDS, MOST_TIMED = 2.0, 100

# Non-zeros (entries, of dense X) that an exact loss is computed of at a time.
PIECE = 2**18

Trace = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Case:
    """A loss and a rule.

    Attributes
    ----------
    solver, beta_loss : as `dnmf.factorize` and scikit-learn name them.
    rank, seed : k; of everything random.
    """

    solver: str
    beta_loss: str
    rank: int
    seed: int


@dataclass(frozen=True, slots=True)
class Ours:
    """What dnmf did.

    Attributes
    ----------
    seconds : from the call to its return, its sample and start included.
    pass_seconds : median of the passes after the first one (of all, where there is one).
    start_seconds : of its sample and what follows from it.
    trace : reads of X so far (also where it was kept in memory), and the loss, of every pass.
    read : how often X was read from where it is.
    exact : the loss of W and V in float64; NaN where X was not given.
    peak_in_all, peak : memory of the worker with the largest peak, and how much that is above an idle one, bytes; 0
        without workers.
    planned : the cut and its projected peak.
    """

    seconds: float
    pass_seconds: float
    start_seconds: float
    trace: Trace
    read: float
    exact: float
    peak_in_all: int
    peak: int
    planned: Planned


@dataclass(frozen=True, slots=True)
class Theirs:
    """What scikit-learn did, from one init.

    Attributes
    ----------
    iteration : seconds of one.
    start : seconds of its first factors, and of what else a fit does beside its iterations.
    trace : iterations so far and the exact loss.
    """

    iteration: float
    start: float
    trace: Trace

    def until(self, goal: float) -> float | None:
        """Seconds of a fit until its loss is no more than this; None if it never was."""
        reached = [done for done, loss in self.trace if loss <= goal]
        return self.start + reached[0] * self.iteration if reached else None

    @property
    def seconds(self) -> float:
        """That it was followed for, if it had been one fit."""
        return self.start + self.trace[-1][0] * self.iteration


def with_dnmf(source: Any, X: Any, case: Case, out: Path | None, client: Client | None, **options: Any) -> Ours:
    """`dnmf.factorize` of a path or of X itself, a median of three where that is soon done. Writes `out`.

    X is for the exact loss; None leaves that out. Workers must have done nothing before: peaks are those of a process.
    """
    idle = max(client.run(idle_memory).values()) if client is not None else 0
    runs = repeated(lambda: _one_run(source, case, out, options), lambda run: run[0])
    peak = max(client.run(peak_memory).values()) if client is not None else 0
    seconds, result, planned = sorted(runs, key=lambda run: run[0])[len(runs) // 2]
    losses = result.history["loss"].tolist()
    per_run = [median(run[1].history["seconds"][1:].tolist() or run[1].history["seconds"].tolist()) for run in runs]
    return Ours(
        seconds=seconds,
        pass_seconds=median(per_run),
        start_seconds=result.record["start"]["seconds"],
        trace=[(2.0 + number, loss) for number, loss in enumerate(losses)],
        read=result.reads,
        exact=math.nan if X is None else exact_loss(X, np.asarray(result.W), result.V, case.beta_loss),
        peak_in_all=peak,
        peak=peak - idle,
        planned=planned,
    )


def _one_run(
    source: Any, case: Case, out: Path | None, options: dict[str, Any]
) -> tuple[float, dnmf.Factorization, Planned]:
    """Seconds, what came of it, and its plan."""
    plans: list[Planned] = []
    seconds = time.perf_counter()
    result = dnmf.factorize(
        source,
        case.rank,
        out=out,
        solver=case.solver,
        beta_loss=case.beta_loss,
        seed=case.seed,
        overwrite=True,
        listeners=[lambda event: plans.append(event) if isinstance(event, Planned) else None],
        **options,
    )
    return time.perf_counter() - seconds, result, plans[0]


def repeated(run: Callable[[], Any], seconds: Callable[[Any], float]) -> list[Any]:
    """What three runs gave, or one where it takes long."""
    runs = [run()]
    while len(runs) < REPEATS and seconds(runs[0]) < REPEATABLE:
        runs.append(run())
    return runs


def with_sklearn(X: Any, case: Case, init: str, goal: float, *, least: int, limit: float) -> Theirs:
    """scikit-learn's NMF, until it has a loss and made some iterations, but no longer than a limit, seconds.

    Every call goes on from the factors of the last one, so that nothing is computed twice. The seconds that count are
    those of one fit: its start, and so many times the seconds of an iteration.
    """
    call = partial(
        non_negative_factorization, X, n_components=case.rank, solver=case.solver, beta_loss=case.beta_loss,
        tol=0, random_state=case.seed,
    )  # fmt: skip

    def timed(init: str, iterations: int) -> tuple[float, Any, Any]:
        began = time.perf_counter()
        W, H, _ = call(init=init, max_iter=iterations)
        return time.perf_counter() - began, W, H

    iteration = _seconds_of_iteration(lambda iterations: timed("random", iterations)[0])
    first = repeated(lambda: timed(init, 2), lambda run: run[0])
    start, done = max(0.0, median(run[0] for run in first) - 2 * iteration), 2
    W, H = first[0][1:]
    trace = [(2.0, exact_loss(X, W, H, case.beta_loss))]
    while (done < least or trace[-1][1] > goal) and (done < least or start + done * iteration < limit):
        step = max(1, done // 4)
        step = min(step, least - done) if done < least else step
        W, H, _ = call(W=W, H=H, init="custom", max_iter=step)
        done += step
        trace.append((float(done), exact_loss(X, W, H, case.beta_loss)))
    return Theirs(iteration, start, trace)


def _seconds_of_iteration(timed: Callable[[int], float]) -> float:
    """Seconds of one iteration, from fits of 2 and of more; these take a while, or their difference would be noise.

    Raises
    ------
    RuntimeError
        If more iterations were no slower.
    """
    two = repeated(lambda: timed(2), float)
    more = 2 + (2 if min(two) > REPEATABLE else max(4, min(MOST_TIMED, round(ENOUGH_SECONDS / min(two)))))
    seconds = (median(repeated(lambda: timed(more), float)) - median(two)) / (more - 2)
    if seconds <= 0:
        raise RuntimeError(
            f"{more} iterations took no longer than 2: let the machine do nothing else, and run it again"
        )
    return seconds


def exact_loss(X: Any, W: Any, V: Any, beta_loss: str) -> float:
    """‖X − W V‖², or twice the Kullback–Leibler divergence, in float64."""
    W, V = W.astype("f8"), V.astype("f8")
    turned, squared = np.ascontiguousarray(V.T), beta_loss == "frobenius"
    total = float(np.vdot(W.T @ W, V @ V.T)) if squared else 2 * float(W.sum(axis=0) @ V.sum(axis=1))
    height = max(1, PIECE * X.shape[0] // (X.nnz if hasattr(X, "nnz") else X.size))
    for start in range(0, X.shape[0], height):
        x, w = X[start : start + height].astype("f8"), W[start : start + height]
        if squared:
            data = x.data if hasattr(x, "nnz") else x
            total += float(np.vdot(data, data)) - 2 * float(np.vdot(w, x @ turned))
        else:
            data, model = _entries(x, w, turned)
            total += 2 * float((xlogy(data, data) - xlogy(data, model) - data).sum())
    return total


def _entries(x: Any, W: Any, turned: Any) -> tuple[Any, Any]:
    """Entries of rows of X, and of their model: of sparse rows the non-zeros only."""
    if not hasattr(x, "nnz"):
        return x, W @ turned.T
    rows = np.repeat(W, np.diff(x.indptr), axis=0)
    return x.data, np.einsum("pk,pk->p", rows, turned.take(x.indices, axis=0))


def size_of(X: Any, beta_loss: str) -> float:
    """‖X‖², or ΣX: what a loss is relative to."""
    data = (X.data if hasattr(X, "nnz") else X).astype("f8").ravel()
    return float(data @ data if beta_loss == "frobenius" else data.sum())


def error_of(loss: float, size: float) -> float:
    """The relative error, as `dnmf.Factorization` defines it."""
    return math.sqrt(max(loss, 0.0) / size)
