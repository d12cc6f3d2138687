"""Real processes of a trial: each in a session of its own, with temporary folders of the trial's own."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from undisturbed import files_below

# Seconds that a program may take, on a machine that others use too.
LIMIT = 240.0

# Seconds after which a process that outlives its command is an orphan that nobody ends.
ORPHANS = 10.0

# What our own clusters set: strips are as high only where no more of them are loaded ahead.
SCHEDULING = {
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0",
    "DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING": "False",
}

# All programs find `in_strips`, and workers load it first.
STRIPS = {
    "DASK_DISTRIBUTED__WORKER__PRELOAD": '["in_strips"]',
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]),
}


@dataclass
class Program:
    """A command in a session of its own, and when it began and was seen to work; stdout and stderr are files."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path
    began: float = field(default_factory=time.monotonic)
    worked: float | None = None

    @property
    def pid(self) -> int:
        """Number of the process, and of its session and process group."""
        return self.process.pid

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def wait(self, seconds: float = LIMIT) -> int | None:
        """The exit code (negative: the signal that ended it); None if it still runs after so many seconds."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(max(0.0, seconds))
        return None

    def errors(self) -> str:
        """What it wrote to stderr so far."""
        return self.err.read_text()

    def phase(self) -> str:
        """Where a factorization stands, by what it has printed."""
        text = self.out.read_text()
        if "reached max_iter" in text or self.ended:
            return "end"
        return "passes" if " strips of rows" in text else "start-up"

    def works(self) -> None:
        """Wait until a factorization is past its start-up."""
        while self.phase() == "start-up":
            time.sleep(0.02)
        if self.worked is None:
            self.worked = time.monotonic()

    def workers(self) -> list[psutil.Process]:
        """Worker processes of the cluster that it has started, as soon as there are any."""
        while not self.ended:
            with suppress(psutil.NoSuchProcess):
                children = psutil.Process(self.pid).children(recursive=True)
                if found := [child for child in children if is_worker(child)]:
                    return found
            time.sleep(0.02)
        return []


def is_worker(process: psutil.Process) -> bool:
    """Whether a process was spawned by a nanny of Dask's."""
    try:
        return any("spawn_main" in word for word in process.cmdline())
    except psutil.Error:
        return False


@dataclass
class Place:
    """The folders of a trial, and what runs there."""

    folder: Path
    programs: list[Program] = field(default_factory=list)
    kept: bool = False

    def __post_init__(self) -> None:
        for folder in (self.out, self.temporary, self.dask, self.logs):
            folder.mkdir(parents=True)

    @property
    def out(self) -> Path:
        """The folder in which nothing but the run may be."""
        return self.folder / "out"

    @property
    def run(self) -> Path:
        """The run."""
        return self.out / "run.zarr"

    @property
    def temporary(self) -> Path:
        """What the system's temporary folder is to the programs."""
        return self.folder / "tmp"

    @property
    def dask(self) -> Path:
        """Where Dask's workers have their local directories."""
        return self.folder / "dask"

    @property
    def logs(self) -> Path:
        """What programs print."""
        return self.folder / "logs"

    def start(self, *words: object) -> Program:
        """Start `python -m …`."""
        own = {"TMPDIR": str(self.temporary), "DASK_TEMPORARY_DIRECTORY": str(self.dask), **SCHEDULING, **STRIPS}
        out, err = (self.logs / f"{len(self.programs):02d}.{kind}" for kind in ("out", "err"))
        with out.open("w") as stdout, err.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", *map(str, words)], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=stdout,
                stderr=stderr, env={**os.environ, **own}, start_new_session=True,
            )  # fmt: skip
        self.programs.append(Program(process, out, err))
        return self.programs[-1]

    def processes(self, *programs: Program) -> list[psutil.Process]:
        """Processes of the sessions of these programs, of all if none is given, or with our temporary folder."""
        sessions = {program.pid for program in programs or self.programs}
        return [process for process in psutil.process_iter() if self._is_ours(process, sessions, every=not programs)]

    def _is_ours(self, process: psutil.Process, sessions: set[int], *, every: bool) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            mine = os.getsid(process.pid) in sessions
            return mine or (every and process.environ().get("TMPDIR") == str(self.temporary))
        except (psutil.Error, OSError):
            return False

    def seconds_of_orphans(self, *programs: Program) -> float:
        """Seconds until no process of the sessions of programs that have ended is left, at most those of ORPHANS.

        Python's own resource tracker ends some milliseconds after the process that it belongs to.
        """
        began = time.monotonic()
        while self.processes(*programs) and time.monotonic() - began < ORPHANS:
            time.sleep(0.05)
        return time.monotonic() - began

    def left(self) -> list[str]:
        """What nobody cleaned up: processes, what is beside the run, temporary files that are not Dask's own."""
        processes = [f"orphan process: {' '.join(process.cmdline())[:200]}" for process in self.processes()]
        beside = [f"beside the run: {path.name}" for path in self.out.iterdir() if path != self.run]
        return [*processes, *beside, *(f"temporary file: {file}" for file in files_below(self.temporary))]

    def left_by_dask(self) -> int:
        """Files in the local directories of workers."""
        return len(files_below(self.dask))

    def end(self) -> None:
        """End all that still runs."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for program in self.programs:
            program.process.wait()

    def keep(self) -> None:
        """Let the folders stay: the run is copied, as it may be on a disk that goes with the trial."""
        self.kept = True
        if self.run.exists():
            shutil.copytree(self.run, self.folder / "kept.zarr")

    def remove(self) -> None:
        """Delete the folders, unless they are kept."""
        if not self.kept:
            shutil.rmtree(self.folder)


@dataclass(frozen=True)
class Cluster:
    """A scheduler that runs already, as somebody else would have started it, and its workers."""

    scheduler: Program
    workers: Program
    address: str

    def end(self) -> None:
        """End both."""
        for program in (self.workers, self.scheduler):
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGTERM)
        for program in (self.workers, self.scheduler):
            if program.wait(20) is None:
                os.killpg(program.pid, signal.SIGKILL)
                program.wait()


@contextmanager
def cluster(place: Place, workers: int) -> Iterator[Cluster]:
    """A cluster of worker processes of one thread, ended with the block."""
    file = place.folder / f"scheduler-{len(place.programs)}.json"
    common = ("--no-dashboard", "--scheduler-file", file)
    scheduler = place.start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", 0, *common)
    started = place.start(
        "distributed.cli.dask_worker", *common, "--nworkers", workers, "--nthreads", 1, "--memory-limit", "1GiB",
    )  # fmt: skip
    until(lambda: started.errors().count("Registered to") >= workers, "the workers have not joined")
    line = next(line for line in scheduler.errors().splitlines() if "Scheduler at:" in line)
    made = Cluster(scheduler, started, line.split()[-1])
    try:
        yield made
    finally:
        made.end()


def until(holds: Callable[[], bool], complaint: str, seconds: float = 180.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, complaint
        time.sleep(0.05)
