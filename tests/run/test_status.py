"""How a run stands, as a value and in words, from what the run says of itself."""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import zarr
from msgspec import to_builtins
from msgspec.structs import replace

import dnmf
from dnmf.run import lease
from dnmf.run.lease import Holder, Progress
from dnmf.run.record import Record, write_record
from dnmf.run.status import Status

TOLD = {"strips": 7, "nbytes": 4 * 10**9, "max_iter": 10, "passes": 4, "loss": 1.5, "relative_error": 0.25,
        "seconds": 2.0, "iteration": 5, "done": 2}  # fmt: skip


def hold(group: zarr.Group, *, ago: float = 0.0, silence: float = 1.0, **changes: Any) -> None:
    """Write what another living process would, whose last strip was done some seconds ago."""
    process, now = psutil.Process(os.getppid()), time.time()
    progress = Progress(**({**TOLD, "since": now - ago}))
    mine = Holder("t", lease.host(), process.pid, process.create_time(), now - silence, progress)
    written = to_builtins(mine) | changes
    zarr.open_group(group.store, path="lease", mode="a").attrs.put(written)


def test_a_run_that_goes_on_is_a_value_that_prints_in_words(out: Path, group: zarr.Group, record: Record) -> None:
    write_record(group, record)
    hold(group, ago=3)
    status = dnmf.status(out)
    pid, machine = os.getppid(), lease.host().partition("@")[0]
    assert isinstance(status, Status)
    assert (status.status, status.why, status.saved, status.relative_error, status.stopped) == (
        "running", "", 2, 0.25, None,
    )  # fmt: skip
    assert status.driver is not None
    now = status.driver.progress
    assert (status.driver.pid, status.driver.machine, now.iteration, now.done, now.strips) == (pid, machine, 5, 2, 7)
    assert (now.loss, now.relative_error, status.rate, status.left) == (1.5, 0.25, 2e9, timedelta(seconds=12))
    assert (status.silence, status.since_strip) == (pytest.approx(1, abs=0.4), pytest.approx(3, abs=0.4))
    assert str(status).splitlines() == [
        "status          running",
        "pass            pass 5 of at most 10, 2 of 7 strips, the last one 3 s ago",
        "loss            1.500000e+00, relative error 0.250000",
        "rate            2000 MB/s, 2.00 s a pass",
        "left            0:00:12 at most",
        f"driver          process {pid} on {machine}, last heard of 1 s ago",
        "saved           pass 2, relative error 0.250000",
    ]


def test_a_driver_that_has_told_little_is_told_of(out: Path, group: zarr.Group, record: Record) -> None:
    hold(group, progress={})
    assert list(dnmf.status(out).lines()) == ["status", "driver", "saved"]
    assert dnmf.status(out).lines()["saved"] == "no pass"
    hold(group, progress={"strips": 7, "nbytes": 1, "max_iter": 10})
    assert dnmf.status(out).lines()["pass"] == "sample, 0 of 7 strips"
    hold(group, progress=TOLD | {"seconds": 0})
    assert dnmf.status(out).rate is None
    assert "loss" not in dnmf.status(out).lines()


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (None, "waiting: nobody drives it at this moment"),
        ({"pid": 2**31}, "stalled: its process is gone; `dnmf resume` goes on with it"),
        ({"silence": 90}, "stalled: its process is there, but was last heard of 90 s ago"),
        ({"ago": 700}, "stalled: no strip was done for 700 s; does its cluster have workers?"),
        ({"ago": 700, "progress": TOLD | {"done": 7, "since": 1.0}}, "running"),
        ({"ago": 30}, "running"),
    ],
)
def test_why_a_run_does_not_go_on(
    out: Path, group: zarr.Group, record: Record, held: dict[str, Any] | None, said: str
) -> None:
    write_record(group, record)
    if held is not None:
        hold(group, **held)
    assert dnmf.status(out).lines()["status"] == said


@pytest.mark.parametrize("word", ["finished", "stopped"])
def test_a_run_that_ended_says_why_and_nothing_of_a_driver(
    out: Path, group: zarr.Group, record: Record, word: str
) -> None:
    write_record(group, replace(record, status=word, stopped="was cancelled"))
    hold(group)
    assert str(dnmf.status(out)).splitlines() == [
        f"status          {word}",
        "saved           pass 2, relative error 0.250000",
        "stopped         was cancelled",
    ]


def test_what_is_no_lease_is_told(out: Path, group: zarr.Group) -> None:
    hold(group, pid="7")
    with pytest.raises(ValueError, match="its lease has pid '7', and an integer of at least 1 and at most 2147483648"):
        dnmf.status(out)
