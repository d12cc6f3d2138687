"""X, the cluster and its workers: opened and asked once for a command. A job made of them is driven to its end."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from dnmf.arrays.rows import Array
from dnmf.clusters.current import current_client, out_of_the_pool
from dnmf.clusters.here import available, set_up
from dnmf.engine.dask_engine import DaskEngine
from dnmf.engine.direct import Direct
from dnmf.engine.protocol import Engine
from dnmf.engine.schedulers import Scheduler, Threads
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
from dnmf.run.opening import check_out
from dnmf.run.record import Extends, new_record
from dnmf.stores.identity import nested
from dnmf.stores.local_disk import writing
from dnmf.stores.paths import absolute
from dnmf.stores.places import followed, location_of

if TYPE_CHECKING:
    from distributed import Client

# Passes from one generation to the next at most on a cluster: then its scheduler remembers too much of where the long
# factor came from.
MOST = 10


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with: X, opened; the cluster, or None for this process; its workers, who were asked."""

    matrix: Matrix
    client: "Client | None"
    workers: Workers

    @property
    def scheduler(self) -> Scheduler:
        """What computes Dask arrays, where nothing is known of strips."""
        return Threads(self.workers.threads) if self.client is None else _cluster(self.client)

    def engine(self, cut: Plan) -> tuple[Plan, Engine[Any]]:
        """What computes reads, and the plan as it then is: where one strip here is all of X, it stays in memory."""
        if self.client is None and len(cut.heights) == 1 and not self.matrix.lazy:
            cut = replace(cut, cached=True)
            return cut, Direct(cut)
        return cut, DaskEngine(self.scheduler if self.client is None else _cluster(self.client, cut.lines), cut)

    def check_workers(self, out: str | Path | None) -> None:
        """Refuse a cluster of which a worker does not find X, or cannot write to the output."""
        if self.client is not None:
            from dnmf.clusters.workers import check_workers  # noqa: PLC0415, it loads Dask's scheduler

            check_workers(self.client, self.matrix, None if out is None else followed(str(out)))

    def check_apart(self, out: str | Path, *, exists: bool, factors: Iterable[object] = ()) -> None:
        """Refuse an output that is where X or a first factor is, or one that `exists` where one of them may be.

        Raises
        ------
        ValueError, FileExistsError
            Says what would be lost.
        """
        for node in self.matrix.nodes:
            if (where := location_of(node)) and nested(absolute(out), where):
                raise ValueError(f"the output {out} and X at {where} are inside one another: choose another output")
        arrays = (each.array for each in self.matrix.together)
        if exists and any(hasattr(source, "__dask_graph__") for source in (*arrays, *factors)):
            raise FileExistsError(
                f"{out} exists, and a Dask array may be made of it, so it is not overwritten: remove it, or choose "
                f"another"
            )


def _cluster(client: "Client", *lines: Callable[[int], str]) -> Scheduler:
    from dnmf.engine.cluster import Cluster  # noqa: PLC0415, it loads Dask's scheduler

    return Cluster(client, *lines)


@contextmanager
def open_session(
    X: object,
    *,
    out: str | Path | None,
    layer: str | None = None,
    memory_limit: int | None = None,
    missing: str | None = None,
    weights: object = None,
    signed: bool = False,
    here: bool = False,
) -> Iterator[Session]:
    """Open X, ask the workers what they have, and set BLAS and Zarr up, here and there, for the length of a block.

    What the caller has NumPy do about overflows and the like holds elsewhere: what is not finite is looked for here.

    Parameters
    ----------
    X, layer, memory_limit, missing, weights : as `factorize` takes them.
    out : where the block writes to, for the sentence where a disk takes no more.
    signed : whether entries of X below zero are data.
    here : whether it is computed in this process although it has a client, as for X in memory.
    """
    matrix = open_matrix(X, layer=layer, missing=missing, weights=weights).with_signs(signed=signed)
    client = None if here or matrix.in_memory else current_client()
    with nullcontext() if client is None else out_of_the_pool(), np.errstate(all="ignore"), writing(out):
        workers = available(client, memory_limit)
        with set_up(client, matrix.grid.in_flight):
            yield Session(matrix, client, workers)


def check_output(
    session: Session, out: str | Path | None, factors: Factors | None = None, *, overwrite: bool, keep_W: bool
) -> None:
    """Refuse an output that is missing where it is needed, exists, or is where X or a first factor is."""
    if out is not None:
        session.check_apart(out, exists=check_out(out, overwrite=overwrite), factors=factors or ())
    elif session.client is not None and (keep_W or factors is not None):
        raise ValueError(
            "out is None on a cluster, whose workers write W there: give a path that all of them reach, or, where V is "
            "all you need and first factors are not your own, keep_W=False"
        )


def check_held(session: Session, cut: Plan, out: str | Path | None) -> None:
    """Refuse a cluster that can keep the long factor nowhere."""
    if cut.in_run and session.client and out is None:
        raise ValueError("out is None and W does not fit in the workers' memory: give a path that all of them reach")


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
    begun: Array | None = None,
    exponent: int = 0,
    warm: Array | None = None,
    known: Array | None = None,
    extends: Extends | None = None,
) -> Job:
    """The job of factorizing a session's X into a run; `on_disk` says whether that outlives this process.

    It is 2 to the `exponent` times X that is computed with, where that is known before X is read. `extends` says what
    is extended by X, and `warm` is the V of that; `known` are the components that are, see `dnmf.factorization.known`.
    """
    matrix, workers, (cut, engine) = session.matrix.scaled(exponent), session.workers, session.engine(cut)
    record = new_record(matrix, parameters, cut, extends=extends)
    return Job(
        matrix=matrix,
        parameters=parameters,
        plan=cut,
        workers=workers,
        loss=loss_for(parameters, matrix, cut.axis),
        engine=engine,
        keeper=Keeper(group, record, lasting=on_disk),
        given=given,
        kept=kept,
        begun=begun,
        listeners=tuple(listeners),
        by_blocks=session.client is None or on_disk,
        most=None if session.client is None else MOST,
        warm=warm,
        known=known,
    )


def drive(job: Job, first: First, *, leg: int = 0) -> None:
    """Factorize, from where `first` says that the run stands. Only one process at a time may do so on a stored run.

    `leg` is the number of this process in a relay of them.
    """
    if not job.keeper.lasting:
        run(job, first)
        return
    with Lease(job.group, leg=leg) as lease:
        keeper = replace(job.keeper, check=lease.check)
        run(replace(job, keeper=keeper, listeners=(lease, *job.listeners)), first)
