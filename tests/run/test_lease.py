"""The lease of a run: one process at a time, on one machine and on several."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import zarr
from msgspec import to_builtins

from dnmf.events import Cancelled, PassDone, Planned, StripDone
from dnmf.run import lease
from dnmf.run.lease import Busy, Holder, Lease

HOLD = """
import sys, time, zarr
from dnmf.run.lease import Lease
with Lease(zarr.open_group(sys.argv[1], mode="r+")):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def group(tmp_path: Path) -> zarr.Group:
    return zarr.create_group(str(tmp_path / "run.zarr"))


def another(host: str | None = None, **changes: Any) -> Holder:
    """What another living process on this machine, or one elsewhere, would have written."""
    process = psutil.Process(os.getppid())
    mine = Holder("another", lease.host(), process.pid, process.create_time(), time.time(), {})
    return replace(mine, host=host or mine.host, **changes)


def write(group: zarr.Group, holder: Holder) -> None:
    zarr.open_group(group.store, path="lease", mode="a").update_attributes(asdict(holder))


def test_it_is_held_while_its_block_runs(group: zarr.Group) -> None:
    with Lease(group) as held:
        found = lease.holder(group)
        assert found is not None
        assert (found.pid, found.host, found.here) == (os.getpid(), lease.host(), True)
        held.check()
    assert lease.holder(group) is None
    with Lease(group):
        pass


def test_a_second_one_is_refused_here(group: zarr.Group, tmp_path: Path) -> None:
    with (
        Lease(group),
        pytest.raises(Busy, match=rf"^process {os.getpid()} on .* is at work on the run {tmp_path}/run.zarr: wait for"),
        Lease(group),
    ):
        pass


def test_it_is_free_at_once_when_its_process_is_killed(group: zarr.Group, tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLD, str(tmp_path / "run.zarr")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(Busy, match=f"process {process.pid} on"), Lease(group):
            pass
        # Stopped is not ended.
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(Busy), Lease(group):
            pass
        process.kill()
        process.wait()
    with Lease(group):
        pass


def test_a_process_with_the_number_of_a_dead_one_does_not_hold_it(group: zarr.Group) -> None:
    write(group, another())
    with pytest.raises(Busy):
        lease.check_free(group)
    write(group, another(started=another().started - 100))
    lease.check_free(group)


def test_elsewhere_it_is_free_a_minute_after_the_last_beat(group: zarr.Group) -> None:
    write(group, another("elsewhere", beat=time.time() - lease.EXPIRES + 20))
    with pytest.raises(Busy, match=r"process \d+ on elsewhere is at work on .*, or was 4\d s ago: the run is free in"):
        lease.check_free(group)
    write(group, another("elsewhere", beat=time.time() - lease.EXPIRES - 1))
    lease.check_free(group)


def test_who_lost_it_writes_nothing_more(group: zarr.Group) -> None:
    with Lease(group) as held:
        held.check()
        write(group, another("elsewhere"))
        with pytest.raises(RuntimeError, match="another process has taken over the run"):
            held.check()
    found = lease.holder(group)
    assert found is not None
    assert found.token == "another", "it is not given back by one that does not hold it"


def test_its_beats_tell_where_the_run_stands(group: zarr.Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.05)
    with Lease(group, leg=3) as held:
        held(Planned((4, 2), 32, 7, 32, 0, 2, 1, 160, 512, 10))
        held(PassDone(4, 1.5, 1.5, 0.25, 0.1, 0.1, 1, 2.0, 32, None))
        held(StripDone(5, 2, 7))
        time.sleep(0.5)
        found = lease.holder(group)
    assert found is not None
    assert found.silence < 0.4
    told = to_builtins(found.progress)
    assert told.pop("since") <= time.time()
    assert told == {
        "leg": 3, "strips": 7, "nbytes": 32, "max_iter": 10, "passes": 4, "loss": 1.5, "relative_error": 0.25,
        "seconds": 2.0, "iteration": 5, "done": 2,
    }  # fmt: skip


def test_a_cancellation_is_raised_at_the_next_event(group: zarr.Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.05)
    with Lease(group) as held:
        held(StripDone(1, 1, 7))
        lease.cancel(group)
        time.sleep(0.5)
        with pytest.raises(Cancelled):
            held(StripDone(1, 2, 7))
    assert lease.is_cancelled(group)
    lease.let_go_on(group)
    assert not lease.is_cancelled(group)


def test_a_beat_that_cannot_be_written_does_no_harm(
    group: zarr.Group, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.05)
    with Lease(group) as held:
        (tmp_path / "run.zarr" / "lease").rename(tmp_path / "away")
        (tmp_path / "run.zarr" / "lease").write_text("in the way")
        time.sleep(0.3)
        (tmp_path / "run.zarr" / "lease").unlink()
        (tmp_path / "away").rename(tmp_path / "run.zarr" / "lease")
        time.sleep(0.3)
        held.check()
        found = lease.holder(group)
        assert found is not None
        assert found.silence < 0.25


TAKE = """
import sys, time, zarr
from dnmf.run.lease import Busy, Lease
from dnmf.stores.places import place
group = zarr.open_group(place(sys.argv[1]), mode="r+")
print("ready", flush=True)
sys.stdin.readline()
try:
    with Lease(group) as held:
        held.check()
        print("held", flush=True)
        sys.stdin.readline()
except Busy as busy:
    print("busy", flush=True)
"""


@pytest.mark.process
def test_of_many_that_take_it_at_once_one_has_it(group: zarr.Group, tmp_path: Path) -> None:
    words = [sys.executable, "-c", TAKE, str(tmp_path / "run.zarr")]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        all_of_them = [stack.enter_context(subprocess.Popen(words, **pipes)) for _ in range(5)]
        assert [process.stdout.readline() for process in all_of_them if process.stdout] == ["ready\n"] * 5
        for process in all_of_them:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert sorted(process.stdout.readline() for process in all_of_them if process.stdout) == ["busy\n"] * 4 + [
            "held\n"
        ]
        assert lease.holder(group) is not None
        for process in all_of_them:
            process.communicate("go\n")
    assert lease.holder(group) is None
    assert list(zarr.open_group(group.store, path="lease", mode="r").keys()) == []


def test_threads_that_race_for_it_never_hold_it_both(group: zarr.Group) -> None:
    inside, most, taken = [], [], []

    def take(_: int) -> None:
        for _ in range(4):
            with suppress(Busy), Lease(group):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.005)
                inside.pop()
                taken.append(1)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(take, range(6)))
    assert max(most) == 1
    assert taken
    assert lease.holder(group) is None


@pytest.mark.parametrize("when", ["as it claims the turn", "as it says that it holds it"])
def test_one_that_slept_as_it_took_it_does_not_hold_it(
    group: zarr.Group, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two steps of one another takes the lease, works, and gives it back or not."""
    name = "create_if_absent" if when == "as it claims the turn" else "_turn"
    plain, calls = getattr(lease, name), []
    other = Lease(group)

    def slow(*words: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            monkeypatch.setattr(lease, name, plain)
            if name == "_turn":
                found = plain(*words)
            other.__enter__()
            if name == "create_if_absent":
                other.__exit__()
                return plain(*words)
            return found
        return plain(*words)

    monkeypatch.setattr(lease, name, slow)
    with pytest.raises(Busy), Lease(group):
        pass
    if name == "_turn":
        other.check()
        other.__exit__()
    with Lease(group) as held:
        held.check()


def test_who_died_as_it_took_it_is_passed_over(group: zarr.Group) -> None:
    with Lease(group):
        pass
    dead = another(started=another().started - 100, turn=2)
    zarr.create_group(group.store, path=lease.claim(2), attributes=to_builtins(dead))
    found = lease.holder(group)
    assert found is not None
    assert found.free_in == 0
    with Lease(group) as held:
        held.check()
        found = lease.holder(group)
        assert found is not None
        assert found.turn == 3
    living = another(turn=4)
    zarr.create_group(group.store, path=lease.claim(4), attributes=to_builtins(living))
    with pytest.raises(Busy, match="is at work on"), Lease(group):
        pass


def test_a_late_beat_makes_nobody_a_holder(group: zarr.Group) -> None:
    write(group, another("elsewhere", beat=time.time() - lease.EXPIRES - 1, turn=1))
    with Lease(group) as held:
        held.check()
        # The one before was only slow.
        write(group, another("elsewhere", turn=1))
        with pytest.raises(RuntimeError, match="another process has taken over"):
            held.check()
        late = lease.holder(group)
        assert late is not None
        assert late.token == "another"
        slow = Lease(group)
        slow._mine = late
        with pytest.raises(RuntimeError, match="another process has taken over"):
            slow.check()
