"""What is done to a run: one function per kind, a block during which the disturbance lasts."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from programs import Place, Program

# Bytes of the disk that is filled: some four times what a run of this size takes.
DISK = 4 * 2**20


class NotPossibleError(Exception):
    """A kind of disturbance that is not allowed on this machine, and why."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of disturbance.

    Attributes
    ----------
    act : disturbs a program; the block lasts until it has ended.
    codes : exit codes that are right then; 0 is where it had finished.
    early : exit codes that are right too before a run is begun and after it is finished: a signal's own, where the
        command line is not loaded yet, or Python is being taken down.
    within : seconds in which the program must have ended.
    says : what its stderr must tell, once it has a run and where it did not finish.
    """

    act: Callable[[Place, Program, np.random.Generator], AbstractContextManager[str]]
    codes: tuple[int, ...]
    early: tuple[int, ...] = ()
    within: float | None = None
    says: str = ""

    @property
    def ends(self) -> bool:
        """Whether a command may end by it, so that no other disturbance of it may follow."""
        return self.codes != (0,)


@contextmanager
def kill_worker(place: Place, program: Program, rng: np.random.Generator) -> Iterator[str]:
    """SIGKILL to one worker."""
    _signal_worker(program, rng, signal.SIGKILL)
    yield ""


@contextmanager
def kill_driver(place: Place, program: Program, rng: np.random.Generator) -> Iterator[str]:
    """SIGKILL to the command alone."""
    program.process.kill()
    yield ""


@contextmanager
def kill_group(place: Place, program: Program, rng: np.random.Generator) -> Iterator[str]:
    """SIGKILL to the command and its workers."""
    _signal_group(program, signal.SIGKILL)
    yield ""


@contextmanager
def interrupt(place: Place, program: Program, rng: np.random.Generator) -> Iterator[str]:
    """SIGINT to the command and its workers, as a terminal sends it at Ctrl-C."""
    _signal_group(program, signal.SIGINT)
    yield ""


@contextmanager
def terminate(place: Place, program: Program, rng: np.random.Generator) -> Iterator[str]:
    """SIGTERM to the command alone."""
    program.process.terminate()
    yield ""


@contextmanager
def pause_worker(place: Place, program: Program, rng: np.random.Generator) -> Iterator[str]:
    """SIGSTOP to a worker, and SIGCONT after one to three seconds."""
    worker = _signal_worker(program, rng, signal.SIGSTOP)
    time.sleep(rng.uniform(1, 3))
    with suppress(psutil.NoSuchProcess):
        if worker:
            worker.resume()
    yield ""


@contextmanager
def delete_temporary(place: Place, program: Program, rng: np.random.Generator) -> Iterator[str]:
    """Delete a file that is being written, or one of Dask's."""
    end = time.monotonic() + 3
    deleted = None
    while deleted is None and time.monotonic() < end and not program.ended:
        deleted = _deleted(_being_written(place.run), rng)
    deleted = deleted or _deleted([path for path in place.dask.rglob("*") if path.is_file()], rng)
    yield f"deleted {deleted.relative_to(place.folder)}" if deleted else "found nothing to delete"


@contextmanager
def fill_disk(place: Place, program: Program, rng: np.random.Generator) -> Iterator[str]:
    """Fill the disk on which the run is, and keep it full."""
    filler, ended = place.out / "filler", threading.Event()

    def fill() -> None:
        with filler.open("ab", buffering=0) as file:
            while not ended.wait(0.01):
                with suppress(OSError):
                    while file.write(bytes(4096)):
                        pass

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        yield ""
    finally:
        ended.set()
        thread.join()
        filler.unlink()


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of a few MB, mounted at a folder while the block lasts.

    Raises
    ------
    NotPossibleError
        Where nothing may be mounted.
    """
    if shutil.which("mount") is None:
        raise NotPossibleError("there is no mount here")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        raise NotPossibleError(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _signal_group(program: Program, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(program.pid, number)


def _signal_worker(program: Program, rng: np.random.Generator, number: int) -> psutil.Process | None:
    """Send a signal to one worker; which one, or None where the program has ended."""
    workers = program.workers()
    with suppress(psutil.NoSuchProcess):
        if workers:
            worker = workers[rng.integers(len(workers))]
            worker.send_signal(number)
            return worker
    return None


def _being_written(run: Path) -> list[Path]:
    """Files that are being written: those with a temporary name. Whole ones may be named before they are deleted."""
    with suppress(FileNotFoundError):
        return [path for path in run.rglob("*.partial") if path.is_file()]
    return []


def _deleted(files: list[Path], rng: np.random.Generator) -> Path | None:
    """Delete one of these files; which one, or None where there is none any more."""
    with suppress(FileNotFoundError):
        if files:
            file = sorted(files)[rng.integers(len(files))]
            file.unlink()
            return file
    return None


GOES_ON = "dnmf resume"

# Seconds within which a signal ends a command: it gives itself four, and the machine may have others to serve.
SOON = 10

KINDS = {
    "worker": Kind(kill_worker, (0,), (1,)),  # Dask gives up a cluster whose worker dies before it has joined
    "driver": Kind(kill_driver, (0, -signal.SIGKILL)),
    "group": Kind(kill_group, (0, -signal.SIGKILL)),
    "interrupt": Kind(interrupt, (0, 130), (-signal.SIGINT,), SOON, GOES_ON),
    "terminate": Kind(terminate, (0, 143), (-signal.SIGTERM,), SOON, GOES_ON),
    "scheduler": Kind(kill_driver, (0, 1), (), 60, GOES_ON),  # it is the scheduler's program that is killed
    "pause": Kind(pause_worker, (0,)),
    "temporary": Kind(delete_temporary, (0, 1)),
    "disk": Kind(fill_disk, (0, 1), (), 60, "its disk is full"),
}
