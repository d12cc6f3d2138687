"""A Dask cluster, through its client, as what computes Dask arrays: see `dnmf.engine.schedulers`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any
from uuid import uuid4

import dask
import dask.array as da
from dask.delayed import Delayed
from distributed import Client, Future, KilledWorker, futures_of

from dnmf.clusters.watch import answered, awaited
from dnmf.engine.protocol import Item, Result, Shared, Tick
from dnmf.engine.schedulers import Running


def _strip(block: int) -> str:
    """A block in words, where nobody says which rows or columns it holds."""
    return f"strip {block}"


def _large_values() -> Any:
    """What is sent to the scheduler once, on purpose, may be large."""
    return dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"})


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Dask cluster, through its client.

    Attributes
    ----------
    client : of the cluster.
    lines : the rows or columns of X that belong to the block of a number, in words.
    """

    client: Client
    lines: Callable[[int], str] = _strip

    def place(self, value: object) -> Delayed:
        """Send the value ahead of the pass. The scheduler keeps it: it outlives the worker that was given it."""
        with _large_values():
            return self.client.persist(dask.delayed(value, name=f"shared-{uuid4().hex}", traverse=False))

    def start(self, arrays: Sequence[da.Array], tick: Tick) -> Running:
        """Persist: returns at once."""
        persisted = list(self.client.persist(list(arrays)))
        return Running(persisted, partial(self._finish, persisted, tick))

    def _finish(self, arrays: list[da.Array], tick: Tick) -> Any:
        """Wait for all arrays, then fetch the block of the last one; where that fails, give up the rest."""
        (total,) = futures_of(arrays[-1])
        try:
            with self._deaths_as_sentences():
                self._wait(futures_of(arrays[0]) if len(arrays) > 1 else [], total, tick)
                return answered(self.client, total.result)
        finally:
            if not all(future.done() for future in futures_of(arrays)):
                for future in futures_of(arrays):
                    future.release()

    def _wait(self, blocks: Sequence[Future[Any]], total: Future[Any], tick: Tick) -> None:
        """Wait until all blocks and the total are there, or one of them has failed."""
        settled: SimpleQueue[Future[Any]] = SimpleQueue()
        waiting, done = {future.key for future in (*blocks, total)}, 0
        for future in (*blocks, total):
            future.add_done_callback(settled.put)
        while waiting:
            future = awaited(self.client, settled)
            if future.status == "error":
                return
            if future.key in waiting and future.key != total.key:
                done += 1
                tick(done)
            waiting.discard(future.key)

    @contextmanager
    def _deaths_as_sentences(self) -> Iterator[None]:
        """Say in a sentence that workers died over a task."""
        try:
            yield
        except KilledWorker as error:
            block = error.task[1] if isinstance(error.task, tuple) and len(error.task) > 1 else None
            where = f"{self.lines(block)} of X" if isinstance(block, int) else "X"
            raise RuntimeError(
                f"{error.allowed_failures + 1} workers died, one after the other, while they worked on {where} "
                f"({error.task}), most likely for want of memory: give them more, or plan for less with --memory-limit "
                f"(memory_limit=)"
            ) from error

    def map(self, function: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]) -> list[Result]:
        """`function(shared, item)` for each item, one task each; what they share is sent once, ahead of them."""
        with _large_values():
            value = self.client.persist(dask.delayed(shared, traverse=False))
            futures = self.client.compute([dask.delayed(function, pure=False)(value, item) for item in items])
        with self._deaths_as_sentences():
            return list(answered(self.client, lambda: self.client.gather(futures)))
