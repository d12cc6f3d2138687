"""Where standard streams show or take less than is printed: a command ends as it would."""

import io
import re
import sys
from pathlib import Path

import numpy as np
import processes
import pytest
import zarr

import dnmf
from dnmf.cli.output import lasting_streams, say


class Gone(io.RawIOBase):
    """A pipe whose reader went away."""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "2 × 3 … ‖x‖ ж \\udcff"),
        ("ascii", r"2 x 3 ... ||x|| \u0436 \udcff"),
        ("latin-1", r"2 × 3 ... ||x|| \u0436 \udcff"),
        ("cp1252", r"2 × 3 … ||x|| \u0436 \udcff"),
    ],
)
def test_what_a_stream_cannot_show_is_spelled(monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str) -> None:
    under = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(under, encoding))
    with lasting_streams():
        say("2 × 3 … ‖x‖ ж \udcff")
    assert under.getvalue().decode(encoding) == f"{shown}\n"


def closed() -> io.TextIOWrapper:
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [io.TextIOWrapper(io.BufferedWriter(Gone())), closed(), None])
def test_what_a_stream_does_not_take_is_dropped(monkeypatch: pytest.MonkeyPatch, stream: io.TextIOWrapper) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    with lasting_streams():
        for _ in range(10000):
            say("a line")
    assert sys.stdout is stream


def test_streams_of_others_are_as_they_were_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with lasting_streams():
        say("one")
        say("two", err=True)
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("one\n", "two\n")


@pytest.mark.process
@pytest.mark.parametrize("how", [">&-", "2>&- >&-", "| true", ">/dev/full"])
def test_a_factorization_is_done_whatever_becomes_of_its_output(tmp_path: Path, how: str) -> None:
    X = np.random.default_rng(0).random((60, 20))
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(20, 20))
    words = "factorize x.zarr --rank 2 --out run.zarr --max-iter 3 --tol 0"
    code = f"import os, sys; sys.exit(os.system('exec {sys.executable} -m dnmf {words} {how}') >> 8)"
    done = processes.subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert not re.search("Error|ignored", done.stderr)
    assert dnmf.open_run(tmp_path / "run.zarr").about.status == "finished"
