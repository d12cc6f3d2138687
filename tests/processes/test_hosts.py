"""Two hosts, as network namespaces of this machine: a scheduler, workers on both, one cut off in mid-run."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import zarr
from programs import STRIPS

import dnmf

pytestmark = pytest.mark.process

FIRST, SECOND = "10.213.77.1", "10.213.77.2"
PORT = 8786
# How long Dask waits for what does not answer: minutes if nothing is said. Less than 11 s of TCP's it refuses.
SHORT = {
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
}


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@dataclass(frozen=True)
class Host:
    """A network namespace with one address."""

    name: str
    link: str

    @contextmanager
    def running(self, *words: object, cwd: Path, out: IO[str] | int) -> Iterator[subprocess.Popen[str]]:
        """`python -m …` on this host, ended with the block; X has strips enough for every host."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, sys.executable, "-m", *map(str, words)],
            cwd=cwd, stdout=out, stderr=subprocess.STDOUT, text=True, env={**os.environ, **SHORT, **STRIPS},
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def cut_off(self) -> None:
        """No packet comes or goes from here on."""
        ip("-n", self.name, "link", "set", self.link, "down")


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts with a cable between them."""
    if shutil.which("ip") is None:
        pytest.skip("iproute2 is not here")
    first, second = (Host(f"dnmf-{os.getpid()}-{side}", f"v{os.getpid()}{side}") for side in "ab")
    with ExitStack() as stack:
        for host in (first, second):
            try:
                ip("netns", "add", host.name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"network namespaces are not allowed here: {error.stderr.strip()}")
            stack.callback(ip, "netns", "delete", host.name)  # and with it its end of the cable
        ip("-n", first.name, "link", "add", first.link, "type", "veth", "peer", second.link, "netns", second.name)
        for host, address in ((first, FIRST), (second, SECOND)):
            ip("-n", host.name, "address", "add", f"{address}/24", "dev", host.link)
            for link in ("lo", host.link):
                ip("-n", host.name, "link", "set", link, "up")
        yield first, second


@contextmanager
def cluster(first: Host, second: Host, folder: Path) -> Iterator[Path]:
    """A scheduler on the first host and a worker on each: the scheduler's log."""
    server = ("distributed.cli.dask_scheduler", "--host", FIRST, "--port", PORT, "--no-dashboard")
    worker = (
        "distributed.cli.dask_worker",
        f"tcp://{FIRST}:{PORT}",
        "--no-nanny",
        "--nthreads",
        1,
        "--no-dashboard",
        "--host",
    )
    with ExitStack() as stack:
        logs = []
        for host, words in ((first, server), (first, (*worker, FIRST)), (second, (*worker, SECOND))):
            logs.append(folder / f"{len(logs)}.log")
            out = stack.enter_context(logs[-1].open("w"))
            stack.enter_context(host.running(*words, cwd=folder, out=out))
        end = time.monotonic() + 60
        while sum("Registered to" in log.read_text() for log in logs) < 2:
            assert time.monotonic() < end, "the workers do not join"
            time.sleep(0.1)
        yield logs[0]


def factorize(host: Host, folder: Path, out: str, cut_off: Host | None = None) -> str:
    """`dnmf factorize` on a host, another one being cut off after some passes: what it printed."""
    words = ("in_strips", "factorize", "X.zarr", "--rank", 4, "--out", out, "--scheduler", f"tcp://{FIRST}:{PORT}",
             "--max-iter", 30, "--tol", 0, "--inner-iter", 1, "--memory-limit", "300MiB")  # fmt: skip
    with host.running(*words, cwd=folder, out=subprocess.PIPE) as process:
        assert process.stdout is not None
        printed = []
        for line in process.stdout:
            printed.append(line)
            if cut_off is not None and line.startswith("pass    8"):
                cut_off.cut_off()
        assert process.wait(10) == 0, "".join(printed)
    return "".join(printed)


def test_a_host_that_is_cut_off_changes_nothing(hosts: tuple[Host, Host], tmp_path: Path) -> None:
    first, second = hosts
    rng = np.random.default_rng(0)
    X = (rng.random((80_000, 4)) @ rng.random((4, 60)) + 0.1 * rng.random((80_000, 60))).astype("f4")
    zarr.create_array(str(tmp_path / "X.zarr"), data=X, chunks=(5000, 60))  # 19 MB, ten strips
    with cluster(first, second, tmp_path) as log:
        told = factorize(first, tmp_path, "whole.zarr")
        assert "2 workers" in told
        began = time.monotonic()
        told = factorize(first, tmp_path, "cut.zarr", cut_off=second)
        assert time.monotonic() - began < 90
        assert "2 workers" in told
        assert f"Remove worker addr: tcp://{SECOND}" in log.read_text()
    whole, cut = dnmf.open_run(tmp_path / "whole.zarr"), dnmf.open_run(tmp_path / "cut.zarr")
    np.testing.assert_array_equal(cut.V, whole.V)
    np.testing.assert_array_equal(cut.W.compute(), whole.W.compute())
    assert list(cut.history["loss"]) == list(whole.history["loss"])
