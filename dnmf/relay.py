"""`submit`: the loop itself runs on the cluster, as a relay of tasks, and this process may go.

A leg is a task that drives the run, from its last generation on, for as long as its worker lives. As it begins, it asks
for the next leg, which waits on some worker for the run to be free. Dask starts a task again whose worker has died, but
gives it up when that has happened some times (`distributed.scheduler.allowed-failures`): a relay is never given up, as
every leg that drives has a successor whose count is zero. What waits for nothing any more, as the run has ended or a
later leg drives it, ends.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from distributed import Client, fire_and_forget, worker_client

from dnmf import cluster, lease, runs, saving
from dnmf.assembly import drive
from dnmf.factorization import factorize
from dnmf.lease import Busy, Lease
from dnmf.paths import absolute
from dnmf.progress import Cancelled, Event, Listener, Paused, Planned
from dnmf.resumption import prepared, restored
from dnmf.runs import Record

# Seconds between two looks at what others do.
LOOK = 0.5


def submit(X: object, rank: int, *, out: str, listeners: Sequence[Listener] = (), **parameters: Any) -> None:
    """Factorize as `factorize` does, but leave all of it to the cluster of the current client, and return.

    Raises
    ------
    RuntimeError
        If there is no current client. All else that `factorize` raises before it begins.
    """
    client = _client()
    try:
        factorize(X, rank, out=out, listeners=[*listeners, _go_no_further], **parameters)
    except Paused:
        _stand_by(client, absolute(out), 1)


def resume_there(run: str | Path, X: object = None, **changes: Any) -> None:
    """Go on with a run as `resume` does, but leave all of it to the cluster of the current client, and return."""
    client, (group, record) = _client(), runs.open_group(run, mode="r+")
    with Lease(group):
        lease.let_go_on(group)
        job, _, _ = prepared(group, record, X, changes, [])
        saving.go_on(job, record)
    _stand_by(client, absolute(str(run)), 1)


def cancel(run: str | Path, *, patience: float = 60.0) -> bool:
    """Ask whoever drives a run to stop; whether it has stopped within so many seconds. It can be resumed.

    Where nobody drives it, it is stopped here.
    """
    group, record = runs.open_group(run, mode="r+")
    lease.cancel(group)
    deadline = time.monotonic() + patience
    while record["status"] == "running":
        holder = lease.holder(group)
        if holder is None or holder.free_in == 0:
            # It may be between two legs: the next one would see the cancellation and do the same.
            with Lease(group):
                saving.set_stopped(group, "was cancelled")
        elif time.monotonic() > deadline:
            return False
        time.sleep(LOOK)
        _, record = runs.open_group(run)
    return True


def _client() -> Client:
    client = cluster.current_client()
    if client is None:
        raise RuntimeError(
            "there is no Dask client in this process: connect to a cluster, which goes on when this process ends"
        )
    return client


def _go_no_further(event: Event) -> None:
    """A listener that leaves a run as soon as it is begun: X and the cluster were found good for it."""
    if isinstance(event, Planned):
        raise Paused


def _stand_by(client: Client, run: str, leg: int) -> None:
    """Have a task on the cluster that drives the run as soon as nobody else does, whatever becomes of this process."""
    # A name of its own each time: Dask counts deaths by it.
    fire_and_forget(client.submit(_run_leg, run, leg, key=f"dnmf-leg-{leg}-{uuid4().hex}", pure=False))


def _run_leg(run: str, leg: int) -> None:
    """Wait for the run, then drive it, in a worker. What goes wrong in that is written to the run."""
    with worker_client() as client:
        while (found := _turn(run, leg)) is not None:
            # Another leg was faster, or a worker left while it was asked: the next look tells.
            with suppress(Busy, Cancelled, ConnectionError):
                _drive(client, *found, run=run, leg=leg)


def _drive(client: Client, group: Any, record: Record, *, run: str, leg: int) -> None:
    """Drive the run, with a successor that waits for the end of this process."""
    try:
        job, _, at = prepared(group, record, None, {}, [])
    except ConnectionError:
        raise
    except (OSError, ValueError, TypeError, MemoryError) as error:
        with Lease(group):
            saving.set_stopped(group, f"failed: {error}")
        raise
    _stand_by(client, run, leg + 1)
    drive(replace(job, relayed=True), client, partial(restored, record=record, at=at), about={"leg": leg})


def _turn(run: str, leg: int) -> tuple[Any, Record] | None:
    """The run, as soon as nobody else drives it; None where it has ended, or a later leg drives it."""
    while True:
        group, record = runs.open_group(run, mode="r+")
        holder = lease.holder(group)
        saving.drop_ended(group, record)
        if record["status"] != "running" or (holder and holder.progress.get("leg", 0) > leg):
            return None
        if holder is None or holder.free_in == 0:
            return group, record
        time.sleep(LOOK)
