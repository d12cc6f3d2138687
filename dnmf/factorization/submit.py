"""`submit`: the loop itself runs on the cluster, as a relay of tasks, and this process may go.

A leg is a task that drives the run, from its last generation on, for as long as its worker lives. As it begins, it asks
for the next leg, which waits on some worker for the run to be free. Dask starts a task again whose worker has died, but
gives it up when that has happened some times (`distributed.scheduler.allowed-failures`): a relay is never given up, as
every leg that drives has a successor whose count is zero. What waits for nothing any more, as the run has ended or a
later leg drives it, ends.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import zarr
from distributed import Client, fire_and_forget, worker_client

from dnmf.clusters.current import current_client
from dnmf.events import Cancelled, Event, Listener, Paused, Planned
from dnmf.factorization.factorize import factorize
from dnmf.factorization.restore import check_unchanged, restore
from dnmf.factorization.resume import open_job
from dnmf.factorization.session import drive
from dnmf.run import lease
from dnmf.run.lease import Busy, Lease, let_go_on
from dnmf.run.opening import IDENTITY, open_group
from dnmf.run.record import Begun, full_record, set_stopped
from dnmf.stores.paths import absolute, shown

# Seconds between two looks at what others do.
LOOK = 0.5


def submit(X: object, rank: Any, *, out: str, listeners: Sequence[Listener] = (), **parameters: Any) -> None:
    """Factorize as `factorize` does, but leave all of it to the cluster of the current client, and return.

    Raises
    ------
    RuntimeError
        If there is no current client. All else that `factorize` raises before it begins.
    """
    client, init = _client(), parameters.get("init", "sample")
    there = isinstance(X, str | Path) and isinstance(parameters.get("weights"), str | Path | None)
    if not there or not isinstance(init, str) or parameters.get("sample") is not None:
        raise ValueError(
            "a cluster that drives a run by itself reads X from its path, its weights and its first factors too: give "
            "the path of X, that of its weights, an init by name, and no sample of another run"
        )
    try:
        factorize(X, rank, out=out, listeners=[*listeners, _go_no_further], **parameters)
    except Paused:
        group, _ = open_group(out)
        _stand_by(client, absolute(out), group.attrs[IDENTITY], 1)


def resume_there(run: str | Path, X: object = None, *, weights: object = None, **changes: Any) -> None:
    """Go on with a run as `resume` does, but leave all of it to the cluster of the current client, and return."""
    client, (group, begun) = _client(), open_group(run, mode="r+")
    with Lease(group) as held:
        let_go_on(group)
        record = full_record(begun, run)
        with open_job(group, record, X, changes, [], weights=weights) as job:
            keeper = replace(job.keeper, check=held.check)
            check_unchanged(keeper, record)
            keeper.go_on(record)
    _stand_by(client, absolute(str(run)), group.attrs.get(IDENTITY), 1)


def cancel(run: str | Path, *, patience: float = 60.0) -> bool:
    """Ask whoever drives a run to stop; whether it has stopped within so many seconds. It can be resumed.

    Where nobody drives it, it is stopped here.
    """
    group, record = open_group(run, mode="r+")
    lease.cancel(group)
    deadline = time.monotonic() + patience
    # Whoever drives it says at once why it ends, then saves its last pass, then lets go of it.
    while record.status == "running" or _is_driven(group):
        if not _is_driven(group):
            # It may be between two legs: the next one would see the cancellation and do the same.
            with suppress(Busy), Lease(group):
                set_stopped(group, "was cancelled")
        elif time.monotonic() > deadline:
            return record.status != "running"
        time.sleep(LOOK)
        _, record = open_group(run)
    return True


def _is_driven(group: zarr.Group) -> bool:
    """Whether a process that may be alive holds the lease of a run."""
    holder = lease.holder(group)
    return holder is not None and holder.free_in > 0


def _client() -> Client:
    client = current_client()
    if client is None:
        raise RuntimeError(
            "there is no Dask client in this process: connect to a cluster, which goes on when this process ends"
        )
    return client


def _go_no_further(event: Event) -> None:
    """A listener that leaves a run as soon as it is begun: X and the cluster were found good for it."""
    if isinstance(event, Planned):
        raise Paused


def _stand_by(client: Client, run: str, identity: object, leg: int) -> None:
    """Have a task on the cluster that drives the run as soon as nobody else does, whatever becomes of this process."""
    # A name of its own each time: Dask counts deaths by it.
    fire_and_forget(client.submit(_run_leg, run, identity, leg, key=f"dnmf-leg-{leg}-{uuid4().hex}", pure=False))


def _run_leg(run: str, identity: object, leg: int) -> None:
    """Wait for the run, then drive it, in a worker. What goes wrong in that is written to the run."""
    with worker_client() as client:
        succeeded = False
        while (found := _turn(run, identity, leg)) is not None:
            # Another leg was faster, or a worker left while it was asked: the next look tells.
            with suppress(Busy, Cancelled, ConnectionError):
                if not succeeded:
                    _stand_by(client, run, identity, leg + 1)
                    succeeded = True
                _drive(*found, leg=leg)
            time.sleep(LOOK)


def _drive(group: zarr.Group, begun: Begun, *, leg: int) -> None:
    """Drive the run for as long as this process lives."""
    # Other legs that wait would ask the workers the same at the same time, and sweep each other's questions away.
    with ExitStack() as session:
        with Lease(group):
            try:
                record = full_record(begun, shown(group.store_path))
                job = session.enter_context(open_job(group, record, None, {}, []))
            except ConnectionError:
                raise
            except (OSError, ValueError, TypeError, MemoryError) as error:
                set_stopped(group, f"failed: {error}")
                raise
        drive(replace(job, relayed=True), partial(restore, record=record), leg=leg)


def _turn(run: str, identity: object, leg: int) -> tuple[zarr.Group, Begun] | None:
    """The run, as soon as nobody else drives it; None where it has ended, was replaced, or a later leg drives it."""
    while True:
        try:
            group, record = open_group(run, mode="r+")
            holder = lease.holder(group)
        except FileNotFoundError:
            return None
        except OSError:
            # A store that does not answer now may do so at the next look.
            time.sleep(10 * LOOK)
            continue
        if record.status != "running" or group.attrs.get(IDENTITY) != identity:
            return None
        if holder and holder.progress.leg > leg:
            return None
        if holder is None or holder.free_in == 0:
            return group, record
        time.sleep(LOOK)
