"""A job, put together from X, what is asked for and where it is computed; and driven to its end."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any
from uuid import uuid4

from dnmf.clusters.workers import set_up
from dnmf.engine.dask_engine import Expressions
from dnmf.engine.direct import Direct
from dnmf.engine.protocol import Engine
from dnmf.engine.schedulers import Cluster, Threads
from dnmf.events import Listener
from dnmf.factorization.job import Job, Saves, minimized
from dnmf.factorization.loop import First, run
from dnmf.matrix.matrix import Matrix
from dnmf.parameters import Factors, Parameters
from dnmf.plan.memory import Workers
from dnmf.plan.strips import Plan
from dnmf.run.factors import Factor
from dnmf.run.kept_sample import Kept
from dnmf.run.lease import Lease
from dnmf.stores.local_disk import writing
from dnmf.stores.paths import shown

# What generations may cost, as a share of the passes; a byte of a factor that is written, in bytes of X that are read,
# and everything else that a generation costs; and passes between two of them at most, after which a scheduler remembers
# too much of where the long factor came from.
SHARE, WRITTEN, FIXED, MOST = 0.02, 2, 2**27, 10


def job_for(
    matrix: Matrix,
    parameters: Parameters,
    cut: Plan,
    client: Any,
    workers: Workers,
    group: Any,
    listeners: Sequence[Listener],
    *,
    on_disk: bool,
    given: Factors | None = None,
    kept: Kept | None = None,
) -> Job:
    """All that stays the same while X is factorized; `on_disk` says whether the run outlives this process."""
    cut, engine = _engine(matrix, cut, client, workers)
    (m, n), k = matrix.grid.shape, parameters.rank
    if cut.axis == 0:
        long = Factor("W", (m, k), (cut.height, k), matrix.dtype)
        short = Factor("V", (k, n), (k, n), matrix.dtype)
    else:
        long = Factor("V", (k, n), (k, cut.height), matrix.dtype)
        short = Factor("W", (m, k), (m, k), matrix.dtype)
    every = parameters.checkpoint_every or affordable(matrix, cut, k)
    return Job(
        matrix=matrix,
        parameters=parameters,
        plan=cut,
        workers=workers,
        objective=minimized(parameters, matrix, cut.axis),
        engine=engine,
        group=group,
        long=long,
        short=short,
        token=uuid4().hex[:12],
        given=given,
        kept=kept,
        saves=Saves(every=every if on_disk else None, chunks=client is None or on_disk, W=parameters.keep_W),
        check=_nobody_else,
        listeners=tuple(listeners),
    )


def affordable(matrix: Matrix, cut: Plan, rank: int) -> int:
    """Passes from one generation to the next, so that they cost about a fiftieth of the passes."""
    if cut.in_run:
        return 1
    written = WRITTEN * (cut.length + cut.width) * rank * matrix.dtype.itemsize + FIXED
    # A pass over X in memory is about four times as fast.
    read = matrix.grid.nbytes / (4 if cut.cached else 1)
    return max(1, min(MOST, ceil(written / (SHARE * read))))


def drive(job: Job, client: Any, first: First, *, about: Mapping[str, Any] | None = None) -> None:
    """Factorize, from where `first` says that the run stands. Only one process at a time may do so on a stored run.

    `about` is told with every sign of life.
    """
    with writing(shown(job.group.store_path)), set_up(client, job.matrix.grid.in_flight):
        if job.saves.every is None:
            run(job, first)
            return
        with Lease(job.group, about) as lease:
            run(replace(job, check=lease.check, listeners=(lease, *job.listeners)), first)


def _nobody_else() -> None:
    """No other process can drive a run that is in this one's memory."""


def _engine(matrix: Matrix, cut: Plan, client: Any, workers: Workers) -> tuple[Plan, Engine]:
    """What computes, and the plan as it then is: where one strip in this process is all of X, it stays in memory."""
    if client is None and len(cut.heights) == 1 and matrix.kind != "dask":
        cut = replace(cut, cached=True)
        return cut, Direct(cut)
    return cut, Expressions(Cluster(client, cut.lines) if client else Threads(workers.threads), cut)
