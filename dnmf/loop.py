"""The loop: first factors, passes, stopping, saving. It knows neither formulas nor graphs nor how to draw.

An iteration moves the long factor, then the short one. Where strips are whole rows of X that is W, then V, the order of
Lee and Seung and of scikit-learn. Where strips are whole columns it is V, then W: the same iteration on Xᵀ.
"""

import math
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf import passes, runs, state
from dnmf.initialise import random_rows, scaled
from dnmf.matrices import Matrix
from dnmf.progress import Event, History, Listener, PassDone, Stopped, StripDone
from dnmf.rules import RULES
from dnmf.strips import SPLIT_EVERY, Plan

# Every so many passes the factors are written to the run and read back under a new name: it is a checkpoint, and it
# cuts the provenance that a scheduler keeps, which otherwise grows by a task per strip and pass.
WRITE_EVERY = 5

Factors = tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class Parameters:
    """What was asked for. See `factorize`."""

    rank: int
    solver: str
    init: str
    max_iter: int
    tol: float
    seed: int
    inner_iter: int
    snapshot_every: int | None
    cache: bool
    memory_limit: int | None

    def __post_init__(self) -> None:
        """Raise ValueError for the first parameter that makes no sense."""
        for name in ("rank", "max_iter", "inner_iter", "snapshot_every", "memory_limit"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ValueError(f"{name} is {value!r}: an integer of at least 1 is required")
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed is {self.seed!r}: an integer of at least 0 is required")
        if not isinstance(self.tol, int | float) or not 0 <= self.tol < 1:
            raise ValueError(f"tol is {self.tol!r}: a number from 0 (never stop early) to below 1 is required")
        if self.solver not in RULES:
            raise ValueError(f"solver is {self.solver!r}: one of {', '.join(RULES)} is required")


@dataclass(frozen=True, slots=True)
class Job:
    """All that stays the same from the first pass to the last."""

    matrix: Matrix
    parameters: Parameters
    plan: Plan
    engine: passes.Engine
    group: Any
    long: runs.Factor
    short: runs.Factor
    token: str
    random_start: bool
    listeners: tuple[Listener, ...]

    def tell(self, event: Event) -> None:
        """Emit an event."""
        for listener in self.listeners:
            listener(event)


@dataclass(frozen=True, slots=True)
class Point:
    """Where the factorization stands between two passes.

    `Y` is X as a Dask array of strips, `L` the long factor (M × k, Dask), `S` the short one (k × N, NumPy), `decrease`
    that of the loss in the last pass relative to itself, `norm` ‖X‖², `at` the generation that holds L and S, or None.
    """

    iteration: int
    Y: Any
    L: Any
    S: NDArray[np.floating]
    loss: float | None = None
    decrease: float = math.inf
    norm: float = math.nan
    at: str | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """A pass that the engine was given: what it computes, the sums last; the base of the sums; since when.

    `bytes_read` is what it reads of X, decoded.
    """

    arrays: list[Any]
    base: NDArray[np.floating] | None
    began: float
    bytes_read: int


def run(job: Job, factors: Factors | None) -> None:
    """All passes, from the first factors to a finished run; a run that ends early says why."""
    reason = None
    try:
        point = _first(job, factors)
        history = History(job.parameters.snapshot_every, job.plan.axis, point.S)
        job = replace(job, listeners=(history, *job.listeners))
        runs.write_record(job.group, _record(job, point, "running", None))
        while reason is None:
            # Rebinding `point` lets go of the old long factor while the pass goes on.
            point, begun = _begin(job, point)
            sums = job.engine.finish(begun.arrays, _ticker(job, point.iteration))
            point, reason = _complete(job, point, begun, sums, history)
        _finish(job, point, history, reason)
    except BaseException as error:
        record = job.group.attrs["dnmf"]
        if record["status"] == "running":
            why = "was interrupted" if isinstance(error, KeyboardInterrupt) else f"failed: {error}"
            runs.write_record(job.group, {**record, "status": "stopped", "stopped": why})
            # A worker may be writing to the generation that was given up: then it stays, and nothing names it.
            with suppress(OSError):
                runs.drop_generations(job.group, [record["at"]])
        raise
    job.tell(Stopped(reason))


def _first(job: Job, factors: Factors | None) -> Point:
    """The first factors, drawn by row index or given by the user, before any read of X."""
    cut, seed, rank, dtype = job.plan, job.parameters.seed, job.parameters.rank, job.matrix.dtype
    Y = passes.strips_of(job.matrix, cut, name=f"X-{job.token}-checked", check=True)
    if factors is None:
        draw = partial(random_rows, seed, cut.axis, rank=rank, dtype=dtype)
        L = passes.drawn(cut, rank, draw, name=f"L-{job.token}-0", dtype=dtype)
        return Point(0, Y, L, random_rows(seed, 1 - cut.axis, 0, cut.width, rank, dtype))
    long, short = factors if cut.axis == 0 else factors[::-1]
    at = runs.new_generation(job.group, 0)
    runs.write_rows(job.long, job.group, at, long)
    L = passes.stored(job.long.array(job.group, at), cut.axis, name=f"L-{job.token}-0")
    return Point(0, Y, L, np.ascontiguousarray(np.asarray(short if cut.axis == 0 else short.T), dtype))


def _begin(job: Job, point: Point) -> tuple[Point, Begun]:
    """Hand a pass to the engine. The point that comes back has the new long factor and still the old short one."""
    began, iteration, cut = time.perf_counter(), point.iteration + 1, job.plan
    name = f"{job.token}-{iteration}"
    at = runs.new_generation(job.group, iteration) if cut.in_run or iteration % WRITE_EVERY == 0 else None
    base = state.base(point.S, point.loss, point.norm, exact=at is not None or _may_be_last(job, point))
    S = job.engine.place(point.S, name=f"S-{name}")
    B = None if base is None else job.engine.place(base, name=f"B-{name}")
    gram = job.engine.place(state.gram(point.S), name=f"SS-{name}")
    rule = RULES[job.parameters.solver]
    if iteration == 1 and job.random_start:
        rule = scaled(rule)
    L = passes.update(point.Y, point.L, S, gram, rule=rule, inner=job.parameters.inner_iter, name=f"L-{name}")
    wanted = {"L": L}
    if at is not None:
        target = job.long.array(job.group, at)
        if cut.in_run:
            wanted = {"saved": passes.saved(L, target, cut.axis, name=f"saved-{name}")}
        else:
            L = wanted["L"] = passes.written(L, target, cut.axis, name=f"written-{name}")
    wanted |= {"Y": point.Y, "sums": passes.totals(point.Y, L, B, name=f"sums-{name}")}
    if not (cut.cached and iteration == 1):
        del wanted["Y"]
    begun = dict(zip(wanted, job.engine.start(list(wanted.values()), _ticker(job, iteration)), strict=True))
    L = begun["L"] if at is None else passes.stored(target, cut.axis, name=f"L-{name}-stored")
    Y = begun.get(
        "Y", point.Y if iteration > 1 else passes.strips_of(job.matrix, cut, name=f"X-{job.token}", check=False)
    )
    bytes_read = job.matrix.grid.stored_nbytes if iteration == 1 or not cut.cached else 0
    return (
        replace(point, iteration=iteration, Y=Y, L=L, at=at),
        Begun(list(begun.values()), base, began, bytes_read),
    )


def _complete(job: Job, point: Point, begun: Begun, sums: state.Sums, history: History) -> tuple[Point, str | None]:
    """Move the short factor, tell and save what is known now; and why this pass was the last one, or None."""
    norm = sums.norm if point.iteration == 1 else point.norm
    state.check_range(norm, math.prod(job.matrix.grid.shape), job.matrix.dtype)
    S = state.moved(RULES[job.parameters.solver], job.parameters.inner_iter, sums, begun.base, point.S)
    loss = state.loss(sums, begun.base, S, norm)
    state.check_finite(loss)
    decrease = (point.loss - loss) / point.loss if point.loss else math.inf
    point = replace(point, S=S, loss=loss, decrease=decrease, norm=norm)
    seconds = time.perf_counter() - begun.began
    job.tell(PassDone(point.iteration, loss, state.relative_error(loss, norm), seconds, begun.bytes_read, S))
    if point.at is not None:
        _commit(job, point, history)
    # Only a loss that is good to six digits ends a run.
    return point, None if begun.base is None else _reason(job.parameters, point)


def _may_be_last(job: Job, point: Point) -> bool:
    """Whether the pass after this point may end the run, so that its loss must be exact."""
    tol, known = job.parameters.tol, point.loss
    if point.iteration + 1 == job.parameters.max_iter:
        return True
    return (
        tol > 0
        and known is not None
        and (point.decrease < 2 * tol or state.is_noisy(tol, known, point.norm, job.matrix.dtype))
    )


def _reason(parameters: Parameters, point: Point) -> str | None:
    """Why to stop after a pass, as a sentence, or None to go on."""
    iteration, decrease = point.iteration, point.decrease
    if point.loss == 0:
        return f"after {iteration} passes the loss is 0: X is factorized exactly"
    if parameters.tol > 0 and decrease < parameters.tol:
        return (
            f"after {iteration} passes the loss decreased by {max(decrease, 0):.1e} of itself in one pass, "
            f"less than tol = {parameters.tol:g}"
        )
    if iteration == parameters.max_iter:
        last = f"; in the last one the loss decreased by {decrease:.1e} of itself" if iteration > 1 else ""
        return f"reached max_iter = {iteration} passes{last}"
    return None


def _ticker(job: Job, iteration: int) -> passes.Tick:
    total = len(job.plan.heights)
    return lambda done: job.tell(StripDone(iteration, done, total))


def _commit(job: Job, point: Point, history: History) -> None:
    """Make a generation whose long factor is written the one that the record names; keep the one before."""
    assert point.at is not None
    before = job.group.attrs["dnmf"]["at"]
    _write_all(job, point, point.at, history)
    runs.write_record(job.group, _record(job, point, "running", None))
    runs.drop_generations(job.group, [point.at, before])


def _finish(job: Job, point: Point, history: History, reason: str) -> None:
    """Write the last factors to the top of the run, name them, and delete the generations."""
    flags = passes.saved(point.L, job.long.array(job.group, ""), job.plan.axis, name=f"saved-{job.token}")
    job.engine.finish(job.engine.start([flags, flags.all()], lambda done: None), lambda done: None)
    final = replace(point, at="")
    _write_all(job, final, "", history)
    runs.write_record(job.group, _record(job, final, "finished", reason))
    runs.drop_generations(job.group, [])


def _write_all(job: Job, point: Point, at: str, history: History) -> None:
    """Beside the chunks of the long factor: the short factor, the history, snapshots; then list the long factor."""
    runs.write_rows(job.short, job.group, at, point.S if job.plan.axis == 0 else point.S.T)
    runs.write_history(job.group, at, history.passes)
    if history.snapshots:
        runs.write_snapshots(job.group, at, job.short.name, history.snapshots)
    job.long.publish(job.group, at)


def _record(job: Job, point: Point, status: str, stopped: str | None) -> runs.Record:
    matrix, known = job.matrix, point.loss is not None
    return {
        "format": runs.FORMAT,
        "status": status,
        "stopped": stopped,
        "at": point.at,
        "iteration": point.iteration,
        "relative_error": state.relative_error(point.loss, point.norm) if point.loss is not None else None,
        "x": {
            "path": matrix.location,
            "shape": list(matrix.grid.shape),
            "dtype": str(matrix.array.dtype),
            "chunks": list(matrix.grid.chunk),
            "fingerprint": matrix.fingerprint,
            "norm": point.norm if known else None,
        },
        "parameters": asdict(job.parameters),
        "state": {
            "axis": job.plan.axis,
            "height": job.plan.height,
            "dtype": str(matrix.dtype),
            "loss": point.loss,
            "split_every": SPLIT_EVERY,
            "token": job.token,
        },
        "versions": {name: version(name) for name in ("dnmf", "dask", "numpy", "zarr")},
    }
