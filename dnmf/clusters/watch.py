"""A scheduler that does not answer: nothing may wait for it for ever.

A scheduler that was killed closes its connections, and Dask says so. One that was stopped, or whose machine or network
is gone, just says nothing. Where nothing was heard for a while, it is asked whether it is there.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeVar

from distributed import Client
from distributed.comm import CommClosedError

# Seconds without a sign of life until the scheduler is asked, seconds that it has for the answer, and seconds from one
# look to the next at whether the connection was lost meanwhile.
PATIENCE, ANSWER, LOOK = 5.0, 25.0, 0.1
T = TypeVar("T")


def awaited(client: Client, queue: "SimpleQueue[T]") -> T:
    """The next item of a queue that is filled when the cluster does something.

    Raises
    ------
    ConnectionError
        If the scheduler is gone, or says nothing any more.
    """
    while True:
        with suppress(Empty):
            return queue.get(timeout=PATIENCE)
        _check_alive(client)


def answered(client: Client, call: Callable[[], T]) -> T:
    """What a call returns that waits for the scheduler, or raises. It is made in a thread of its own.

    Raises
    ------
    ConnectionError
        As `awaited` does.
    """
    try:
        return awaited(client, _outcome(call)).result()
    except CommClosedError as error:
        # One connection closed: whether it is the scheduler that left, the client's own to it tells, maybe only now.
        _check_alive(client)
        raise ConnectionError(f"a worker left while it was asked ({error}): try again") from error
    except Exception as error:
        # A client that has lost its scheduler ends whatever it waits for in many ways; one that has found it again
        # has cancelled all that it waited for, and nobody else cancels.
        if client.status == "running" and not isinstance(error, CancelledError):
            raise
        raise _silent(client, "is gone") from error


def _outcome(call: Callable[[], T]) -> "SimpleQueue[Future[T]]":
    """Where the outcome of a call will be, as soon as there is one."""
    queue: SimpleQueue[Future[T]] = SimpleQueue()

    def make() -> None:
        made: Future[T] = Future()
        try:
            made.set_result(call())
        except BaseException as error:
            made.set_exception(error)
        queue.put(made)

    threading.Thread(target=make, name="dnmf-call", daemon=True).start()
    return queue


def _check_alive(client: Client) -> None:
    """Ask the scheduler for a sign of life."""
    # `scheduler_info` would not raise where the connection is closed.
    answer, deadline = _outcome(partial(client.run_on_scheduler, int)), time.monotonic() + ANSWER
    while client.status == "running":
        with suppress(Empty):
            error = answer.get(timeout=LOOK).exception()
            if error is None:
                return
            raise _silent(client, "is gone") from error
        if time.monotonic() > deadline:
            raise _silent(client, f"has said nothing for {PATIENCE + ANSWER:.0f} s")
    raise _silent(client, "is gone")


def _silent(client: Client, how: str) -> ConnectionError:
    """What to raise where the scheduler does not answer."""
    where = f" at {client.scheduler.address}" if client.scheduler else ""
    return ConnectionError(f"the scheduler{where} {how}: see to it, or start another one, and resume the run")
