"""Where commands compute: as asked, in this process, or in workers that they start."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr
from commands import command

import dnmf
from dnmf.cli import driving
from dnmf.clusters import here

X = np.random.default_rng(0).random((60, 20))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(20, 20))
    return tmp_path


def test_small_x_is_computed_with_here_and_gives_what_a_cluster_gives(folder: Path, address: str) -> None:
    words = ("factorize", "x.zarr", "--rank", 2, "--max-iter", 3, "--tol", 0)
    told = command(*words, "--out", "here.zarr", cwd=folder).stdout
    assert "; 1 worker of " in told
    assert "dashboard" not in told
    assert command(*words, "--out", "there.zarr", "--scheduler", address, "--quiet", cwd=folder).stdout == ""
    one, other = (dnmf.open_run(folder / name) for name in ("here.zarr", "there.zarr"))
    np.testing.assert_allclose(one.V, other.V, rtol=1e-6)
    assert "reached max_iter = 5" in command("resume", "here.zarr", "--max-iter", 5, cwd=folder).stdout
    told = command("transform", "x.zarr", "--model", "here.zarr", "--out", "W.zarr", cwd=folder).stdout
    assert told == "W.zarr: W of 60 rows and 2 components\n"


@pytest.mark.parametrize(
    ("nbytes", "memory", "alone"), [(2**31, 2**40, True), (2**31 + 1, 2**40, False), (2**30, 2**31, False)]
)
def test_large_x_gets_workers(monkeypatch: pytest.MonkeyPatch, nbytes: int, memory: int, alone: bool) -> None:
    started: list[Any] = []

    @contextmanager
    def opened() -> Any:
        yield SimpleNamespace(dashboard_link=None)

    def local(*asked: Any) -> Any:
        started.append(asked)
        return SimpleNamespace(open=opened, kind="local")

    monkeypatch.setattr(here, "memory_here", lambda: memory)
    monkeypatch.setattr(driving, "local", local)
    with driving.computing(None, nbytes, 2**30):
        assert started == ([] if alone else [(None, 2**30)])


def test_what_needs_no_scheduler_loads_none(folder: Path) -> None:
    """Nor Dask, nor SciPy, where a matrix is looked at."""
    code = (
        "import sys; from dnmf.cli.main import main\n"
        "sys.argv = ['dnmf', 'info', 'x.zarr']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = ('dask', 'distributed', 'scipy', 'sklearn', 'rich', 'msgspec', 'psutil')\n"
        "sys.exit(str([name for name in heavy if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert "60 × 20 float64" in done.stdout
    assert done.stderr == "[]\n"
