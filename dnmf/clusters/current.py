"""The Dask client that is the current one where dnmf is called, and the thread that it is called in.

Dask's scheduler is not loaded here: where nobody has loaded it, there is no client.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client


def current_client() -> "Client | None":
    """The client that is current where this is called: that of the process, of a block, or in a task its worker's.

    Raises
    ------
    RuntimeError
        If it is an asynchronous one: whoever waits for it here keeps it from answering.
    """
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        client: Client = distributed.get_client()
    except ValueError:
        return None
    if client.asynchronous:
        where = f" of {client.scheduler.address}" if client.scheduler else ""
        raise RuntimeError(
            f"the current Dask client{where} is asynchronous, and this call waits for its cluster in the thread of its "
            f"event loop: call it in another thread, as in await asyncio.to_thread(dnmf.factorize, ...), or with a "
            f"Client that is not asynchronous"
        )
    return client


@contextmanager
def out_of_the_pool() -> Iterator[None]:
    """In a Dask task, leave the worker's threads to the tasks that are waited for in the block; elsewhere nothing.

    Else as many tasks that wait as there are threads would wait for ever.
    """
    import distributed  # noqa: PLC0415, it takes long to load, and there is a client only where it is loaded

    left = True
    try:
        distributed.secede()
    except (ValueError, KeyError, AttributeError):
        # This is no task, or one that has left already, or what has a thread of its own.
        left = False
    try:
        yield
    finally:
        if left:
            distributed.rejoin()
