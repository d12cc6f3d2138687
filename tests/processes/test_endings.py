"""How a run ends that is not let finish: signals, a scheduler that is lost, workers that die; and workers that join."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import processes
import psutil
import pytest
import zarr
from commands import command
from distributed import Client
from numpy.testing import assert_array_equal
from resize import Resize

import dnmf
from dnmf.clusters import watch
from dnmf.events import PassDone, StripDone

X = processes.low_rank()
# Seconds in which a signal ends a command: it gives itself four, and the machine may have others to serve.
SOON = 10
LONG = ["--rank", 4, "--tol", 0, "--max-iter", 100000, "--no-cache", "--checkpoint-every", 2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return processes.with_x(tmp_path_factory.mktemp("endings"))


@pytest.fixture(scope="module", name="_theirs")
def theirs(folder: Path) -> Iterator[processes.Processes]:
    with processes.cluster(folder, workers=1, nannies=False) as cluster:
        yield cluster


@pytest.fixture
def mortal(_theirs: processes.Processes) -> Iterator[processes.Processes]:
    """A cluster whose scheduler a test may stop, then it goes on, or kill, then there is another one."""
    if _theirs.scheduler.poll() is not None:
        _theirs.end()
        _theirs.workers.clear()
        _theirs.start_scheduler()
        _theirs.start_worker()
        _theirs.wait_for_workers()
    yield _theirs
    _theirs.scheduler.send_signal(signal.SIGCONT)


def saved(folder: Path, run: str) -> int:
    """Passes that a run has saved."""
    try:
        return int(dnmf.open_run(folder / run).record["iteration"])
    except (FileNotFoundError, ValueError):
        return 0


def begun(run: str, *words: object, folder: Path) -> Any:
    """`dnmf factorize` that has saved some passes."""
    process = processes.dnmf("factorize", "x.zarr", "--out", run, *LONG, *words, folder=folder)
    try:
        processes.until(lambda: saved(folder, run) >= 4 or process.poll() is not None)
        assert process.poll() is None, process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process


def ended(process: Any, *, within: float) -> tuple[int, str]:
    """Exit code and errors; no process of its group is left then."""
    began = time.monotonic()
    try:
        _, errors = process.communicate(timeout=within + 60)
        assert time.monotonic() - began < within
        return process.returncode, errors
    finally:
        # What only waits for its parent's end, as Python's own tracker of resources does, needs a moment.
        try:
            processes.until(lambda: not _of_group(process.pid), seconds=3)
        finally:
            for left in _of_group(process.pid):
                left.kill()


def _of_group(group: int) -> list[psutil.Process]:
    """The processes of a group that are alive."""
    return [process for process in psutil.process_iter() if _in_group(process, group)]


def _in_group(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


SIGNALS = {"interrupt": (signal.SIGINT, 130, "interrupted"), "terminate": (signal.SIGTERM, 143, "terminated")}


def assert_leaves_a_run_that_goes_on(folder: Path, name: str, where: tuple[object, ...]) -> None:
    """A signal ends `dnmf factorize` in order, and `dnmf resume` goes on, in this process."""
    number, code, said = SIGNALS[name]
    run = f"{said}.zarr"
    process = begun(run, *where, folder=folder)
    # Ctrl-C in a terminal reaches the workers too, `kill` reaches the process alone.
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    assert ended(process, within=SOON) == (code, f"{said}\n`dnmf resume {run}` goes on with it\n")
    kept = dnmf.open_run(folder / run)
    assert (kept.record["status"], kept.stopped) == ("stopped", f"was {said}")
    more = kept.record["iteration"] + 3
    done = command("resume", run, "--max-iter", more, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"reached max_iter = {more} passes" in done.stdout
    assert len(dnmf.open_run(folder / run).history["loss"]) == more


@pytest.mark.process
def test_a_process_that_is_told_to_end_leaves_a_run_that_goes_on(folder: Path, address: str) -> None:
    assert_leaves_a_run_that_goes_on(folder, "terminate", ("--scheduler", address))


@pytest.mark.process
@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_leaves_a_run_that_goes_on_though_workers_hear_it(tmp_path: Path, name: str) -> None:
    assert_leaves_a_run_that_goes_on(processes.with_x(tmp_path), name, ("--workers", 2))


@pytest.mark.process
@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_leaves_a_run_that_goes_on_where_it_is_computed_in_its_own_process(tmp_path: Path, name: str) -> None:
    assert_leaves_a_run_that_goes_on(processes.with_x(tmp_path), name, ())


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["interrupt", "terminate"])
def test_a_signal_while_a_cluster_starts_ends_in_a_word(folder: Path, number: int) -> None:
    """At whatever moment: Dask has no way to end what has half started."""
    said = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[signal.Signals(number)]
    for moment in range(8):
        run = f"{said}-early-{moment}.zarr"
        process = processes.dnmf("factorize", "x.zarr", "--out", run, *LONG, "--workers", 1, folder=folder)
        processes.until(partial(_has_child, process.pid, "resource_tracker"))
        time.sleep(0.2 * moment)
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        code, errors = ended(process, within=SOON)
        told, *more = errors.strip().splitlines()
        assert (code, told) == (128 + number, said)
        assert set(more) <= {f"`dnmf resume {run}` goes on with it"}


def _has_child(pid: int, name: str) -> bool:
    return any(name in " ".join(child.cmdline()) for child in psutil.Process(pid).children())


@pytest.mark.process
def test_ctrl_c_ends_in_time_where_the_scheduler_says_nothing(folder: Path, mortal: processes.Processes) -> None:
    process = begun("silent.zarr", "--scheduler", mortal.address, folder=folder)
    mortal.scheduler.send_signal(signal.SIGSTOP)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    assert ended(process, within=SOON) == (130, "interrupted\n`dnmf resume silent.zarr` goes on with it\n")
    assert dnmf.open_run(folder / "silent.zarr").stopped == "was interrupted"


@pytest.mark.process
@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGSTOP, "has said nothing for 30 s"), (signal.SIGKILL, "is gone")]
)
def test_a_scheduler_that_is_lost_ends_the_client(
    folder: Path, mortal: processes.Processes, number: int, said: str
) -> None:
    run = f"lost-{number}.zarr"
    process = begun(run, "--scheduler", mortal.address, folder=folder)
    mortal.scheduler.send_signal(number)
    code, errors = ended(process, within=60)
    sentence, _, hint = errors.partition("\n")
    assert (code, hint) == (1, f"`dnmf resume {run}` goes on with it\n")
    # A client that was told of the end may have forgotten where the scheduler was.
    assert sentence.replace(f" at {mortal.address}", "") == (
        f"the scheduler {said}: see to it, or start another one, and resume the run"
    )
    kept = dnmf.open_run(folder / run)
    assert (kept.record["status"], kept.stopped) == ("stopped", f"failed: {sentence}")
    assert saved(folder, run) >= 4


@pytest.mark.process
def test_a_second_process_on_a_run_is_refused_and_a_killed_one_is_not_in_the_way(folder: Path) -> None:
    process = begun("twice.zarr", folder=folder)
    second = command("resume", "twice.zarr", cwd=folder)
    assert second.returncode == 1
    assert second.stderr.startswith(f"process {process.pid} on ")
    assert f"is at work on the run {folder}/twice.zarr: wait for it, or end it with `dnmf cancel`" in second.stderr
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert dnmf.status(folder / "twice.zarr").lines()["status"].startswith("stalled: its process is gone")
    more = saved(folder, "twice.zarr") + 2
    assert command("resume", "twice.zarr", "--max-iter", more, "--quiet", cwd=folder).returncode == 0


@pytest.mark.long
def test_a_driver_that_lost_its_lease_commits_nothing(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"

    def steal(event: Any) -> None:
        if isinstance(event, PassDone) and event.iteration == 3:
            group = zarr.open_group(out / "lease", mode="a")
            group.update_attributes(dict(group.attrs) | {"token": "another", "host": "elsewhere"})

    with pytest.raises(RuntimeError, match="another process has taken over the run"):
        dnmf.factorize(folder / "x.zarr", 4, out=out, tol=0, max_iter=9, checkpoint_every=1, listeners=[steal])
    kept = dnmf.open_run(out)
    assert (kept.record["iteration"], kept.record["status"]) == (2, "running")


@pytest.mark.process
def test_workers_that_die_cost_time_and_change_nothing(
    tight: Client, folder: Path, tmp_path: Path, sizes: Resize
) -> None:
    sizes(small_strip=2**20, worthwhile_strip=2**20)
    asked: dict[str, Any] = {"tol": 0, "max_iter": 6, "cache": False, "checkpoint_every": 2}
    whole = dnmf.factorize(folder / "x.zarr", 4, out=tmp_path / "whole.zarr", **asked)

    def kill(event: Any) -> None:
        if isinstance(event, StripDone) and (event.iteration, event.done) in ((0, 1), (4, 2)):
            pid = next(iter(tight.run(os.getpid).values()))
            os.kill(pid, signal.SIGKILL)

    disturbed = dnmf.factorize(folder / "x.zarr", 4, out=tmp_path / "run.zarr", listeners=[kill], **asked)
    assert whole.record["state"]["height"] < len(X)
    assert_array_equal(disturbed.V, whole.V)
    assert_array_equal(np.asarray(disturbed.W), np.asarray(whole.W))
    assert_array_equal(disturbed.history["loss"], whole.history["loss"])


def _deadly(block: Any, block_info: Any = None) -> Any:
    if block_info and block_info[0]["array-location"][0][0] == 12000:
        os.kill(os.getpid(), signal.SIGKILL)
    return block


@pytest.mark.process
@pytest.mark.usefixtures("tight")
def test_a_strip_that_kills_its_workers_ends_the_run(tmp_path: Path) -> None:
    deadly = da.from_array(X, chunks=(4000, 100)).map_blocks(_deadly, dtype=X.dtype)
    died = r"4 workers died, one after the other, while they worked on rows 12000 to 1\d+"
    with pytest.raises(RuntimeError, match=died):
        dnmf.factorize(deadly, 4, out=tmp_path / "run.zarr", max_iter=3, memory_limit=2**28)
    record = zarr.open_group(tmp_path / "run.zarr", mode="r").attrs["dnmf"]
    assert record["status"] == "stopped"
    assert record["stopped"].startswith("failed: 4 workers died")


@pytest.mark.process
def test_workers_that_join_late_are_used(folder: Path, tmp_path: Path, sizes: Resize) -> None:
    sizes(strip=2**16)
    worked: set[str] = set()
    with (
        processes.cluster(tmp_path, workers=1, nannies=False) as cluster,
        Client(cluster.address, set_as_default=False) as client,
        client.as_current(),
    ):

        def join(event: Any) -> None:
            if isinstance(event, PassDone) and event.iteration == 2:
                cluster.start_worker()
                client.wait_for_workers(2)
            if isinstance(event, PassDone) and event.iteration > 2:
                tasks = client.run(lambda dask_worker: dask_worker.state.executed_count)
                worked.update(address for address, count in tasks.items() if count)

        result = dnmf.factorize(
            folder / "x.zarr", 4, out=tmp_path / "run.zarr", tol=0, max_iter=12, cache=False, listeners=[join]
        )
    assert len(result.history["loss"]) == 12
    assert len(worked) == 2


@pytest.mark.process
def test_a_silent_scheduler_is_told_from_a_busy_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PATIENCE", 0.2)
    monkeypatch.setattr(watch, "ANSWER", 3.0)
    with (
        processes.cluster(tmp_path, workers=1, nannies=False) as cluster,
        Client(cluster.address, set_as_default=False) as client,
    ):
        # Nothing is heard for longer than the patience, but the scheduler answers when it is asked.
        slow = client.submit(time.sleep, 1, pure=False)
        assert watch.answered(client, slow.result) is None
        with pytest.raises(ZeroDivisionError):
            watch.answered(client, client.submit(lambda: 1 // 0).result)
        never = client.submit(time.sleep, 60, pure=False)
        cluster.scheduler.send_signal(signal.SIGSTOP)
        with pytest.raises(
            ConnectionError, match="has said nothing for 3 s: see to it, or start another one, and resume"
        ):
            watch.answered(client, never.result)
        cluster.scheduler.send_signal(signal.SIGCONT)
        cluster.scheduler.send_signal(signal.SIGKILL)
        with pytest.raises(ConnectionError, match="is gone: see to it"):
            watch.answered(client, lambda: client.run(os.getpid))


@pytest.mark.process
@pytest.mark.parametrize("attempt", range(2))
def test_a_scheduler_that_is_killed_while_it_answers_is_called_gone(tmp_path: Path, attempt: int) -> None:
    """The connection of the answer closes before the client's own is seen to, or after: chance decides."""

    class SlowToSend:
        def __reduce__(self) -> Any:
            time.sleep(3)
            return (int, ())

    with (
        processes.cluster(tmp_path, workers=1, nannies=False) as cluster,
        Client(cluster.address, set_as_default=False) as client,
    ):
        value = client.submit(SlowToSend)
        processes.until(value.done)
        asked = threading.Timer(0.8 + 0.4 * attempt, cluster.scheduler.kill)
        asked.start()
        with pytest.raises(ConnectionError, match="is gone: see to it"):
            watch.answered(client, value.result)
        asked.join()
