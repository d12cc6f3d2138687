"""Runs that are left to a cluster: submitted, watched, cancelled, and taken over when their drivers die."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import processes
import pytest
import zarr
from commands import command
from distributed import Client
from msgspec.structs import replace
from numpy.testing import assert_array_equal

import dnmf
from dnmf.factorization import submit
from dnmf.run import lease, opening, record

X = processes.low_rank()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return processes.with_x(tmp_path_factory.mktemp("relay"))


def status(folder: Path, run: str) -> dict[str, str]:
    return dnmf.status(folder / run).lines()


def driver(folder: Path, run: str, *, but: int | None = None) -> int | None:
    """The process that drives a run now, unless it is that one."""
    held = lease.holder(zarr.open_group(str(folder / run), mode="r"))
    return held.pid if held and held.free_in > 0 and held.pid != but else None


def same_as_whole(folder: Path, name: str, passes: int) -> None:
    """A run has the answer of one that nothing disturbed, on the workers of the current client."""
    run = dnmf.open_run(folder / name)
    assert run.stopped
    assert run.stopped.startswith(f"reached max_iter = {passes} passes")
    whole = dnmf.factorize(
        folder / "x.zarr", 4, out=folder / f"whole-{passes}.zarr", tol=0, max_iter=passes, cache=False
    )
    assert run.record["state"]["height"] == whole.record["state"]["height"]
    assert_array_equal(run.V, whole.V)
    assert_array_equal(np.asarray(run.W), np.asarray(whole.W))


@pytest.mark.process
def test_a_run_survives_the_death_of_its_driver(folder: Path, tight: Client) -> None:
    """Of several, one after the other: see the trials of kind relay in chaos/."""
    # Long enough for a driver to tell of a pass, which it does every five seconds.
    words = ("x.zarr", "--out", "survivor.zarr", "--rank", 4, "--tol", 0, "--max-iter", 90, "--no-cache",
             "--checkpoint-every", 2, "--scheduler", tight.scheduler.address)  # fmt: skip
    done = command("submit", *words, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    hint = "`dnmf status survivor.zarr` tells how it stands, `dnmf cancel survivor.zarr` stops it"
    assert done.stdout == f"survivor.zarr: submitted; {hint}\n"
    pid = processes.until(lambda: driver(folder, "survivor.zarr"))
    told = processes.until(lambda: "loss" in (now := status(folder, "survivor.zarr")) and now)
    assert told["status"] == "running"
    assert "of at most 90, " in told["pass"]
    assert {"rate", "left", "driver", "saved"} <= told.keys()
    os.kill(pid, signal.SIGKILL)
    other = processes.until(lambda: driver(folder, "survivor.zarr", but=pid))
    # The scheduler may not have noticed yet that a worker is gone.
    assert other in tight.run(os.getpid, on_error="ignore").values()
    processes.until(lambda: status(folder, "survivor.zarr")["status"] == "finished")
    same_as_whole(folder, "survivor.zarr", 90)


@pytest.mark.process
def test_a_run_is_cancelled_and_goes_on(folder: Path, address: str) -> None:
    words = ("--scheduler", address)
    asked = ("--rank", 4, "--tol", 0, "--max-iter", 100000, "--no-cache")
    submitted = processes.done("submit", "x.zarr", "--out", "long.zarr", *asked, *words, folder=folder)
    assert submitted[::2] == (0, "")
    processes.until(lambda: "loss" in status(folder, "long.zarr"))
    done = command("cancel", "long.zarr", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "long.zarr: stopped; `dnmf resume long.zarr` goes on with it\n"
    told = status(folder, "long.zarr")
    assert (told["status"], told["stopped"]) == ("stopped", "was cancelled")
    more = dnmf.open_run(folder / "long.zarr").record["iteration"] + 20
    resumed = command("resume", "long.zarr", "--detach", "--max-iter", more, *words, cwd=folder)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    processes.until(lambda: status(folder, "long.zarr")["status"] == "finished")
    assert dnmf.open_run(folder / "long.zarr").record["iteration"] == more


def test_what_goes_wrong_there_is_written_to_the_run(folder: Path, address: str) -> None:
    bad = X.copy()
    bad[777, 7] = -1
    zarr.create_array(str(folder / "bad.zarr"), data=bad, chunks=(500, 100))
    words = ("--scheduler", address)
    assert command("submit", "bad.zarr", "--rank", 4, "--out", "bad-run.zarr", *words, cwd=folder).returncode == 0
    told: dict[str, Any] = processes.until(
        lambda: (now := status(folder, "bad-run.zarr"))["status"] == "stopped" and now
    )
    assert told["stopped"].startswith("failed: X[777, 7] is -1.0: ")
    # What cannot begin is told at once.
    done = command("submit", "no.zarr", "--rank", 4, "--out", "r.zarr", *words, cwd=folder)
    assert (done.returncode, done.stderr.startswith("there is no Zarr array at no.zarr")) == (1, True)


@pytest.mark.process
def test_a_run_whose_cluster_is_gone_is_called_stalled(folder: Path) -> None:
    with processes.cluster(folder, nannies=False) as cluster:
        asked = ("--rank", 4, "--tol", 0, "--max-iter", 5000, "--no-cache", "--scheduler", cluster.address)
        assert command("submit", "x.zarr", "--out", "lost.zarr", *asked, cwd=folder).returncode == 0
        processes.until(lambda: "loss" in status(folder, "lost.zarr"))
    # A process that was killed takes a moment to go.
    stalled = "stalled: its process is gone; `dnmf resume` goes on with it"
    processes.until(lambda: status(folder, "lost.zarr")["status"] == stalled, seconds=10)
    assert command("cancel", "lost.zarr", cwd=folder).returncode == 0
    assert status(folder, "lost.zarr")["status"] == "stopped"


@pytest.mark.long
def test_a_leg_of_a_run_that_was_replaced_ends(folder: Path) -> None:
    """Else it would drive what is at the path of its run now as soon as the process that does so dies."""
    out, identities = folder / "again.zarr", []
    for _ in range(2):
        dnmf.factorize(folder / "x.zarr", 4, out=out, max_iter=1, tol=0, overwrite=True)
        group = zarr.open_group(str(out), mode="r+")
        record.write_record(group, replace(record.read_record(group), status="running"))
        identities.append(group.attrs[opening.IDENTITY])
    assert [submit._turn(str(out), identity, 1) is not None for identity in identities] == [False, True]


def test_a_cluster_that_would_end_with_the_command_is_refused(folder: Path) -> None:
    done = command("submit", "x.zarr", "--rank", 4, "--out", "no.zarr", cwd=folder)
    assert done.returncode == 2
    assert "only a cluster that runs already goes on when this command ends" in done.stderr
    with pytest.raises(RuntimeError, match="there is no Dask client in this process"):
        dnmf.submit(str(folder / "x.zarr"), 4, out=str(folder / "no.zarr"))


@pytest.mark.process
def test_what_is_known_goes_to_the_cluster_with_a_run(folder: Path, client: Client) -> None:
    known = np.abs(X[:2])
    asked = {"fixed": known, "negative": "allow", "tol": 0, "max_iter": 3, "cache": False}
    dnmf.submit(folder / "x.zarr", 4, out=str(folder / "known.zarr"), **asked)
    processes.until(lambda: status(folder, "known.zarr")["status"] == "finished")
    run, whole = (
        dnmf.open_run(folder / "known.zarr"), dnmf.factorize(folder / "x.zarr", 4, out=folder / "all.zarr", **asked)
    )  # fmt: skip
    assert (run.about.parameters.fixed, run.about.parameters.negative) == (2, "allow")
    assert_array_equal(run.V[:2], known)
    assert_array_equal(run.V, whole.V)
    assert_array_equal(np.asarray(run.W), np.asarray(whole.W))


@pytest.mark.process
def test_a_run_with_weights_is_left_to_a_cluster(folder: Path, client: Client) -> None:
    """Whoever drives it opens them from where they are."""
    seen = np.random.default_rng(0).random(X.shape) > 0.2
    zarr.create_array(str(folder / "omega.zarr"), data=seen, chunks=(100, X.shape[1]))
    how = {"weights": str(folder / "omega.zarr"), "max_iter": 3, "tol": 0}
    with pytest.raises(ValueError, match="give the path of X, that of its weights"):
        dnmf.submit(str(folder / "x.zarr"), 4, out=str(folder / "no.zarr"), weights=seen)
    dnmf.submit(str(folder / "x.zarr"), 4, out=str(folder / "weighted.zarr"), **how)
    processes.until(lambda: dnmf.status(folder / "weighted.zarr").status == "finished", seconds=60)
    run = dnmf.open_run(folder / "weighted.zarr")
    whole = dnmf.factorize(folder / "x.zarr", 4, out=folder / "here.zarr", **how)
    assert_array_equal(run.V, whole.V)
    assert run.about.weights == whole.about.weights
