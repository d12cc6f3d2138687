"""What benchmarks and tests count with: reads of a store's chunks, tasks of a cluster, the peak memory of a process."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from distributed import SchedulerPlugin
from zarr.storage import LocalStore, WrapperStore


class CountingStore(WrapperStore[LocalStore]):
    """Writes a line for every chunk that is read to a file of the process that reads it."""

    def __init__(self, store: LocalStore, log: str = "") -> None:
        super().__init__(store)
        self.log = log or f"{store.root}.reads"

    def _with_store(self, store: LocalStore) -> "CountingStore":
        return type(self)(store, self.log)

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        """Read, and note the key."""
        if key[0] in "c0123456789":  # keys of chunks in formats 3 and 2
            Path(self.log).mkdir(exist_ok=True)
            with Path(self.log, str(os.getpid())).open("a") as log:
                log.write(key + "\n")
        return await super().get(key, *args, **kwargs)

    def reads(self) -> Counter[str]:
        """How often each chunk was read so far, by all processes together."""
        logs = Path(self.log).iterdir() if Path(self.log).exists() else ()
        return Counter(key for log in logs for key in log.read_text().split())


def peak_memory() -> int:
    """The largest memory of this process so far, bytes, as Linux tells it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


class CountTasks(SchedulerPlugin):
    """Counts the tasks that workers have executed."""

    name = "count-tasks"

    def __init__(self) -> None:
        self.executed = 0

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Called by the scheduler for every change of a task's state."""
        self.executed += start == "processing" and finish == "memory"


def executed(dask_scheduler: Any) -> int:
    """Tasks executed since the plugin was added."""
    return int(dask_scheduler.plugins["count-tasks"].executed)
