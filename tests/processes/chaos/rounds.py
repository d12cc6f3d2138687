"""One trial: a run that is disturbed, then resumed until it is finished, then compared with the undisturbed answer."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import zarr
from disturbances import KINDS, Kind, small_disk
from outcomes import Result
from programs import LIMIT, Cluster, Place, Program, cluster, until
from undisturbed import INITS, PASSES, Answer, asked, make_matrix, read_answer, record_of

from dnmf.run import lease

NAMES = (*KINDS, "relay")

# Commands of a trial at most, and how often one of a single kind is disturbed at most.
COMMANDS, DISTURBED = 10, 2

# How many of the moments are at any time of a command, its start-up too; all others are while it makes passes.
ANY_TIME = 0.25

# Of how many undisturbed runs of late the shortest counts.
RECENT = 3


class World:
    """X, and undisturbed runs of it, each made when it is first asked for. Nothing is kept of trials that went well."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed, self.X = folder, seed, make_matrix(folder)
        self._answers: dict[str, Answer] = {}
        self._seconds: deque[tuple[float, float]] = deque(maxlen=RECENT)

    def answer(self, init: str) -> Answer:
        """What an undisturbed run holds at its end."""
        if init not in self._answers:
            self._run_undisturbed(init)
        return self._answers[init]

    def durations(self) -> tuple[float, float]:
        """Seconds of an undisturbed run as of late: of all of it, and of its passes alone."""
        if not self._seconds:
            self._run_undisturbed(INITS[0])
        return min(self._seconds)

    def took(self, program: Program) -> None:
        """Note how long one more took: the machine may have others to serve at times."""
        if program.worked is not None:
            now = time.monotonic()
            self._seconds.append((now - program.began, now - program.worked))

    def _run_undisturbed(self, init: str) -> None:
        with place(self.folder, "undisturbed") as here, ExitStack() as stack:
            trial = Trial(self, here, Result("", 0, self.seed, init), np.random.default_rng(self.seed), stack)
            program = trial.begin()
            program.works()
            assert program.wait() == 0, program.errors()
            self.took(program)
            self._answers[init] = read_answer(here.run)

    def trial(self, kind: str, number: int) -> Result:
        """Make a trial, of one kind or of several with + between them. Its folder stays where it did not go well."""
        rng = np.random.default_rng([self.seed, *map(NAMES.index, kind.split("+")), number])
        result = Result(kind, number, self.seed, INITS[number % 2], (None, 1, 3)[number // 2 % 3])
        began = time.monotonic()
        with place(self.folder, f"{kind}-{number}") as here, ExitStack() as stack:
            trial = Trial(self, here, result, rng, stack)
            try:
                (relayed if kind == "relay" else resumed)(trial)
            except AssertionError as error:
                trial.complain(f"the trial was not possible: {error}")
            result.seconds = time.monotonic() - began
            _judge(trial)
            if not result.fine:
                here.keep()
        return result


@contextmanager
def place(folder: Path, name: str) -> Iterator[Place]:
    """The folders of a trial, removed with the block unless they are to be kept."""
    here = Place(folder / name)
    try:
        yield here
    finally:
        here.end()
        here.remove()


@dataclass
class Trial:
    """A trial that goes on: where, with which cluster, and what is known of it so far."""

    world: World
    place: Place
    result: Result
    rng: np.random.Generator
    stack: ExitStack
    clusters: list[Cluster] = field(default_factory=list)

    @property
    def cluster(self) -> Cluster | None:
        """The cluster to compute on, None where the command starts one."""
        return self.clusters[-1] if self.clusters else None

    def start_cluster(self, workers: int) -> None:
        """Start a cluster that commands are told the address of."""
        self.clusters.append(self.stack.enter_context(cluster(self.place, workers)))

    def where(self) -> list[str]:
        """Options that say where to compute."""
        limit = ["--memory-limit", "256MiB"]
        return ["--scheduler", self.cluster.address, *limit] if self.cluster else ["--workers", "2", *limit]

    def begin(self, command: str = "factorize", *more: str) -> Program:
        """Start a new run."""
        wanted = asked(self.result.init, self.result.every)
        return self.place.start(
            "in_strips", command, self.world.X, "--out", self.place.run, *wanted, *self.where(), *more
        )

    def go_on(self) -> Program:
        """Start the command that somebody would give now."""
        record = record_of(self.place.run)
        if self.finished():
            return self.begin("factorize", "--overwrite")
        if record is None:
            return self.begin() if not self.place.run.exists() else self.begin("factorize", "--overwrite")
        if self.result.codes[-1:] == [1] and self.refused():
            # It was stopped before there was anything to go on from.
            self.result.notes.append(f"started again: {self.refused()}")
            if record["at"] is not None:
                self.result.complaints.append("what was saved is refused")
            return self.begin("factorize", "--overwrite")
        return self.place.start("in_strips", "resume", self.place.run, *self.where())

    def refused(self) -> str:
        """What the last command said, if it refused to go on with the run."""
        said = self.place.programs[-1].errors().strip()
        return said if said.endswith("start it again") else ""

    def finished(self) -> bool:
        """Whether the run is."""
        return (record_of(self.place.run) or {}).get("status") == "finished"

    def complain(self, text: str) -> None:
        """Note that something is not as it should be."""
        self.result.complaints.append(text)


def resumed(trial: Trial) -> None:
    """Disturb a factorization, one kind several times or several once, and resume it until it is finished.

    One that finished before its moment had come is started again, with less patience.
    """
    left, saved = _kinds(trial), 0
    for _ in range(COMMANDS):
        _provide_cluster(trial)
        whole, passes = trial.world.durations()
        durations = whole, passes * (1 - saved / PASSES)
        program = trial.go_on()
        if not _disturb(trial, program, left, durations):
            _undisturbed_end(trial, program)
            if not saved:
                trial.world.took(program)
        record = record_of(trial.place.run) or {}
        if record.get("iteration", 0) < saved:
            trial.complain(f"{saved} passes were saved, and {record.get('iteration', 0)} are left")
        saved = record.get("iteration", 0)
        if trial.finished() and not left:
            return
        saved *= not trial.finished()


def _kinds(trial: Trial) -> deque[Kind]:
    """By what a trial is disturbed, in order; the disk that it needs is there then."""
    names = trial.result.kind.split("+")
    if len(names) == 1:
        names *= int(trial.rng.integers(1, DISTURBED + 1))
    if "disk" in names:
        trial.stack.enter_context(small_disk(trial.place.out))
    return deque(KINDS[name] for name in names)


def _provide_cluster(trial: Trial) -> None:
    """Start a cluster where the trial wants one of its own and has none that runs."""
    if trial.result.kind == "scheduler" and not (trial.cluster and not trial.cluster.scheduler.ended):
        trial.start_cluster(2)


def _disturb(trial: Trial, program: Program, left: deque[Kind], durations: tuple[float, float]) -> bool:
    """Disturb a command by the kinds that are left, until one that may end it; whether it was."""
    done: list[Kind] = []
    with ExitStack() as acts:
        while left and not (done and done[-1].ends) and _wait_for_moment(trial, program, durations):
            done.append(left.popleft())
            target = trial.cluster.scheduler if trial.cluster else program
            note = acts.enter_context(done[-1].act(trial.place, target, trial.rng))
            trial.result.notes += [note] if note else []
        if not done:
            return False
        began, phase = time.monotonic(), trial.result.phases[-1]
        trial.result.codes.append(code := program.wait())
        took = time.monotonic() - began
    _see_end(trial, program, done, phase, code, took)
    _see_orphans(trial, program, done[-1])
    return True


def _wait_for_moment(trial: Trial, program: Program, durations: tuple[float, float]) -> bool:
    """Wait until a random moment, of an undisturbed run or of its passes; whether the program still runs then."""
    result, share, (whole, passes) = trial.result, float(trial.rng.random()), durations
    if trial.rng.random() < ANY_TIME:
        program.wait(program.began + share * whole - time.monotonic())
    else:
        program.works()
        program.wait((program.worked or program.began) + share * passes - time.monotonic())
    if program.ended:
        return False
    result.moments.append(round(share, 4))
    result.phases.append(program.phase())
    return True


def _see_end(trial: Trial, program: Program, kinds: list[Kind], phase: str, code: int | None, took: float) -> None:
    """See whether a program that was disturbed ended as it should, the last of the kinds being how it was ended."""
    said, last = program.errors(), kinds[-1]
    # A signal's own code: before the command line is loaded, and when Python is being taken down.
    own = code is not None and any(code in kind.early for kind in kinds)
    early = own and ("start-up" in trial.result.phases or (phase == "end" and trial.finished()))
    if not early and not any(code in kind.codes for kind in kinds):
        trial.complain(f"exit code {code} in {phase}: {said.strip()[-500:]}")
    if code == 1 and len(said.strip().splitlines()) > 2:
        trial.complain(f"it says more than a sentence: {said.strip()[-500:]}")
    if last.within is not None and took > last.within:
        trial.complain(f"it took {took:.1f} s to end, in {phase}")
    if "Traceback" in said and not (early and code is not None and code < 0):
        trial.complain(f"a traceback in {phase}: {said.strip()[-500:]}")
    if code and phase == "passes" and not trial.finished() and last.says not in said:
        trial.complain(f"it does not say {last.says!r}: {said.strip()[-500:]}")


def _see_orphans(trial: Trial, program: Program, kind: Kind) -> None:
    """Measure how long workers outlive their command; after SIGKILL to it go on with half of the runs meanwhile."""
    if kind != KINDS["driver"] or trial.rng.random() < 0.5:
        trial.result.orphans = max(trial.result.orphans, trial.place.seconds_of_orphans(program))


def _undisturbed_end(trial: Trial, program: Program) -> None:
    """Wait for a program that is left alone: it finishes the run, or says that there is nothing to go on from."""
    code = program.wait()
    trial.result.codes.append(code)
    if code != 0 and not trial.refused():
        trial.complain(f"undisturbed, exit code {code}: {program.errors().strip()[-500:]}")


def relayed(trial: Trial) -> None:
    """Leave a factorization to a cluster, and kill the worker that drives it, several times: it ends by itself."""
    result, here = trial.result, trial.place
    _, seconds = trial.world.durations()
    trial.start_cluster(3)
    program = trial.begin("submit")
    code = program.wait()
    result.codes.append(code)
    if code != 0:
        trial.complain(f"submit ended with {code}: {program.errors().strip()[-500:]}")
        return
    for _ in range(trial.rng.integers(2, 5)):
        share = float(trial.rng.random())
        _until(lambda: not _goes_on(here.run), share * seconds / 2)
        if _goes_on(here.run):
            result.moments.append(round(share, 4))
            result.phases.append("passes")
            result.notes.append(_kill_holder(here.run))
    if not _until(lambda: not _goes_on(here.run) and _holder(here.run) is None, LIMIT):
        trial.complain("it did not end by itself")
    if not trial.finished():
        trial.complain(f"the record says {record_of(here.run)}")


def _goes_on(run: Path) -> bool:
    return (record_of(run) or {}).get("status") == "running"


def _holder(run: Path) -> lease.Holder | None:
    return lease.holder(zarr.open_group(str(run), mode="r"))


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait until something holds; whether it does within so many seconds."""
    with suppress(AssertionError):
        until(holds, "", seconds)
    return holds()


def _kill_holder(run: Path) -> str:
    """SIGKILL to the worker that drives a run, as soon as one does."""
    while _goes_on(run):
        holder = _holder(run)
        if holder and holder.free_in > 0:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(holder.pid).kill()
                return f"killed in leg {holder.progress.leg}"
        time.sleep(0.02)
    return "it ended before it was disturbed"


def _judge(trial: Trial) -> None:
    """Compare with the undisturbed answer, and look for what is left behind."""
    result, here = trial.result, trial.place
    for running in trial.clusters:
        running.end()
    result.orphans = max(result.orphans, here.seconds_of_orphans())
    result.complaints += here.left()
    result.left_by_dask = here.left_by_dask()
    if not trial.finished():
        return
    answer = trial.world.answer(result.init)
    try:
        differences = answer.differences(read_answer(here.run))
    except (AssertionError, OSError, ValueError, KeyError) as error:
        differences = [f"differs: {error}"]
    result.outcome = "wrong" if any("differ" in text for text in differences) else "right"
    result.complaints += differences
