"""What computes Dask arrays: Dask's threads in this process. A cluster is in `dnmf.engine.cluster`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from uuid import uuid4

import dask
import dask.array as da
from dask.callbacks import Callback
from dask.delayed import Delayed

from dnmf.engine.protocol import Item, Result, Shared, Tick


@dataclass(frozen=True, slots=True)
class Running:
    """Arrays that are being computed as one graph.

    Attributes
    ----------
    arrays : the arrays, persisted.
    wait : waits for all of them, and gives the block of the last one. Errors of tasks are raised here or before.
    """

    arrays: list[da.Array]
    wait: Callable[[], Any]


class Scheduler(Protocol):
    """A place where Dask arrays are computed."""

    def place(self, value: object) -> Delayed:
        """A small value that every strip needs, as one of its own."""
        ...

    def start(self, arrays: Sequence[da.Array], tick: Tick) -> Running:
        """Persist arrays as one graph; `tick` is told how many blocks of the first one are done."""
        ...

    def map(self, function: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]) -> list[Result]:
        """`function(shared, item)` for each item, as parallel tasks."""
        ...


@dataclass(frozen=True, slots=True)
class Threads:
    """Dask's threads in this process."""

    threads: int

    def place(self, value: object) -> Delayed:
        """The value, wrapped."""
        return dask.delayed(value, name=f"shared-{uuid4().hex}", traverse=False)

    def start(self, arrays: Sequence[da.Array], tick: Tick) -> Running:
        """Persist: here that is all the work."""
        name, done = arrays[0].name, 0

        def count(key: object, *_: object) -> None:
            nonlocal done
            if isinstance(key, tuple) and key[0] == name:
                done += 1
                tick(done)

        with Callback(posttask=count):
            persisted = list(dask.persist(*arrays, scheduler="threads", num_workers=self.threads))
        return Running(persisted, partial(persisted[-1].compute, scheduler="threads"))

    def map(self, function: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]) -> list[Result]:
        """`function(shared, item)` for each item, as many at a time as there are threads."""
        value = dask.delayed(shared, traverse=False)
        calls = [dask.delayed(function, pure=False)(value, item) for item in items]
        return list(dask.compute(*calls, scheduler="threads", num_workers=self.threads))
