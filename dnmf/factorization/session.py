"""X, the cluster and its workers: opened and asked once for a command. A job made of them is driven to its end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import zarr
from distributed import Client

from dnmf.clusters.workers import available, check_workers, current_client, set_up
from dnmf.engine.dask_engine import DaskEngine
from dnmf.engine.direct import Direct
from dnmf.engine.protocol import Engine
from dnmf.engine.schedulers import Cluster, Scheduler, Threads
from dnmf.events import Listener
from dnmf.factorization.job import Job, loss_for
from dnmf.factorization.loop import First, run
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.opening import open_matrix
from dnmf.parameters import Factors, Parameters
from dnmf.plan.memory import Workers
from dnmf.plan.strips import Plan
from dnmf.run.keeper import Keeper
from dnmf.run.kept_sample import StoredSample
from dnmf.run.lease import Lease
from dnmf.run.record import new_record
from dnmf.stores.local_disk import writing
from dnmf.stores.paths import absolute, nested

# What generations may cost, as a share of the passes; a byte of a factor that is written, in bytes of X that are read,
# and everything else that a generation costs; and passes between two of them at most, after which a scheduler remembers
# too much of where the long factor came from.
SHARE, WRITTEN, FIXED, MOST = 0.02, 2, 2**27, 10


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with: X, opened; the cluster, or None for this process; its workers, who were asked."""

    matrix: Matrix
    client: Client | None
    workers: Workers

    @property
    def scheduler(self) -> Scheduler:
        """What computes Dask arrays, where nothing is known of strips."""
        return Cluster(self.client) if self.client else Threads(self.workers.threads)

    def engine(self, cut: Plan) -> tuple[Plan, Engine[Any]]:
        """What computes reads, and the plan as it then is: where one strip here is all of X, it stays in memory."""
        if self.client is None and len(cut.heights) == 1 and not self.matrix.lazy:
            cut = replace(cut, cached=True)
            return cut, Direct(cut)
        return cut, DaskEngine(Cluster(self.client, cut.lines) if self.client else self.scheduler, cut)

    def check_workers(self, out: str | Path | None) -> None:
        """Refuse a cluster of which a worker does not find X, or cannot write to the output."""
        if self.client:
            check_workers(self.client, self.matrix, None if out is None else absolute(str(out)))

    def check_apart(self, out: str | Path) -> None:
        """Refuse an output that is where X is."""
        where = self.matrix.location
        if self.matrix.stored and nested(absolute(out), where):
            raise ValueError(f"the output {out} and X at {where} are inside one another: choose another output")


@contextmanager
def open_session(
    X: object, *, out: str | Path | None, layer: str | None = None, memory_limit: int | None = None, here: bool = False
) -> Iterator[Session]:
    """Open X, ask the workers what they have, and set BLAS and Zarr up, here and there, for the length of a block.

    Parameters
    ----------
    X, layer, memory_limit : as `factorize` takes them.
    out : where the block writes to, for the sentence where a disk takes no more.
    here : whether it is computed in this process although it has a client, as for X in memory.
    """
    matrix = open_matrix(X, layer=layer)
    client = None if here or matrix.in_memory else current_client()
    workers = available(client, memory_limit)
    with writing(out), set_up(client, matrix.grid.in_flight):
        yield Session(matrix, client, workers)


def job_for(
    session: Session,
    parameters: Parameters,
    cut: Plan,
    group: zarr.Group,
    listeners: Sequence[Listener],
    *,
    on_disk: bool,
    given: Factors | None = None,
    kept: StoredSample | None = None,
) -> Job:
    """The job of factorizing a session's X into a run; `on_disk` says whether that outlives this process."""
    matrix, workers, (cut, engine) = session.matrix, session.workers, session.engine(cut)
    every = parameters.checkpoint_every or passes_between_generations(matrix, cut, parameters.rank)
    record = new_record(matrix, parameters, cut, every=every if on_disk else None)
    return Job(
        matrix=matrix,
        parameters=parameters,
        plan=cut,
        workers=workers,
        loss=loss_for(parameters, matrix, cut.axis),
        engine=engine,
        keeper=Keeper(group, record),
        given=given,
        kept=kept,
        listeners=tuple(listeners),
        by_blocks=session.client is None or on_disk,
    )


def passes_between_generations(matrix: Matrix, cut: Plan, rank: int) -> int:
    """As many that generations cost about a fiftieth of the passes."""
    if cut.in_run:
        return 1
    written = WRITTEN * (cut.length + cut.width) * rank * matrix.dtype.itemsize + FIXED
    # A pass over X in memory is about four times as fast.
    read = matrix.grid.nbytes / (4 if cut.cached else 1)
    return max(1, min(MOST, ceil(written / (SHARE * read))))


def drive(job: Job, first: First, *, leg: int = 0) -> None:
    """Factorize, from where `first` says that the run stands. Only one process at a time may do so on a stored run.

    `leg` is the number of this process in a relay of them.
    """
    if job.keeper.every is None:
        run(job, first)
        return
    with Lease(job.group, leg=leg) as lease:
        keeper = replace(job.keeper, check=lease.check)
        run(replace(job, keeper=keeper, listeners=(lease, *job.listeners)), first)
