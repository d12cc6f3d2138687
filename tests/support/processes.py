"""A scheduler and workers as processes of their own, to be killed and stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from distributed import Client
from numpy.typing import NDArray


def low_rank() -> NDArray[np.float32]:
    """X (24000, 100) of rank 4 with noise."""
    rng = np.random.default_rng(2)
    X = rng.gamma(0.5, size=(24000, 4)) @ rng.gamma(0.5, size=(4, 100)) + 0.1 * rng.random((24000, 100))
    return X.astype("f4")


def with_x(folder: Path) -> Path:
    """A folder, with that X in x.zarr."""
    zarr.create_array(str(folder / "x.zarr"), data=low_rank(), chunks=(500, 100))
    return folder


@dataclass
class Processes:
    """A cluster of processes, whose scheduler is at `address`."""

    folder: Path
    nannies: bool = True
    address: str = ""
    scheduler: Any = None
    workers: list[Any] = field(default_factory=list)

    def start_scheduler(self, *, failures: int = 3) -> None:
        """A scheduler on a free port."""
        where = self.folder / "scheduler.json"
        where.unlink(missing_ok=True)
        settings = {
            "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0",
            "DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING": "False",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(failures),
        }
        words = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(where)]
        self.scheduler = self._start(words, settings)
        while not where.exists() or not where.read_text().endswith("}"):
            time.sleep(0.05)
        self.address = next(line.split('"')[3] for line in where.read_text().splitlines() if '"address"' in line)

    def start_worker(self) -> Any:
        """A worker of one thread and 400 MiB, with a nanny that starts it again when it dies, or with none."""
        words = ["worker", self.address, "--nthreads", "1", "--memory-limit", "400MiB", "--no-dashboard"]
        words += [] if self.nannies else ["--no-nanny"]
        self.workers.append(self._start([*words, "--local-directory", str(self.folder)], {}))
        return self.workers[-1]

    def wait_for_workers(self) -> None:
        """Until all that were started have joined."""
        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(len(self.workers), timeout=60)

    def _start(self, words: list[str], settings: dict[str, str]) -> Any:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{words[0]}", *words[1:]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | settings,
            start_new_session=True,
        )

    def end(self) -> None:
        """Kill all: workers first, which would else hear of the scheduler's end; those that did have ended by then."""
        for process in (*self.workers, self.scheduler):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def cluster(folder: Path, *, workers: int = 2, failures: int = 3, nannies: bool = True) -> Iterator[Processes]:
    """A scheduler and so many workers, for the length of a block; those without nannies start sooner."""
    processes = Processes(folder, nannies)
    try:
        processes.start_scheduler(failures=failures)
        for _ in range(workers):
            processes.start_worker()
        processes.wait_for_workers()
        yield processes
    finally:
        processes.end()


def dnmf(*words: object, folder: Path, **others: Any) -> Any:
    """`dnmf …` as a process, in a group of its own as a terminal makes one."""
    return subprocess.Popen(
        [sys.executable, "-m", "dnmf", *map(str, words)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **others,
    )


def done(*words: object, folder: Path, timeout: float = 120) -> tuple[int, str, str]:
    """Exit code and output of `dnmf …`."""
    process = dnmf(*words, folder=folder)
    try:
        out, errors = process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return process.returncode, out, errors


def until(ready: Any, *, seconds: float = 180) -> Any:
    """What a function gives as soon as that is true; an error after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := ready():
            return found
        time.sleep(0.05)
    raise TimeoutError(f"not within {seconds} s")
