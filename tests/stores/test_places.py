"""What is replaced is looked at first, wherever its name leads: X and what else is there stay."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from commands import command
from obstore.store import LocalStore as ObstoreFolder
from pairwise import few
from zarr.storage import FsspecStore, LocalStore, LoggingStore, ObjectStore

import dnmf
from dnmf.cli.experiment import demo
from dnmf.formats.convert import convert
from dnmf.stores.places import location_of

X = np.random.default_rng(0).random((12, 3)) @ np.random.default_rng(1).random((3, 8))
ASKED: dict[str, Any] = {"rank": 2, "max_iter": 1}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `alias` leads to the folder itself, `run` and `run-link` are one run, and `new` is the W of new rows."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alias").symlink_to(".")
    (tmp_path / "sub").mkdir()
    run = dnmf.factorize(X, **ASKED, out="run")
    dnmf.transform(zarr.array(X, store="X.zarr"), run, out="new")
    for name in ("run", "new"):
        (tmp_path / f"{name}-link").symlink_to(name)
        (tmp_path / name / "out").symlink_to("../X.zarr")
    return tmp_path


def stored(store: Any) -> zarr.Array[Any]:
    return zarr.open_array(store, mode="r")


NAMES: dict[str, Callable[[str], object]] = {
    "two dots": lambda out: f"sub/../{out}/W",
    "a folder by a link": lambda out: f"alias/{out}/W",
    "the output by a link": lambda out: f"{out}-link/W",
    "a link in the output": lambda out: f"{out}/out",
    "a URL": lambda out: f"file://{Path.cwd()}/{out}//W/",
    "an array": lambda out: stored(f"alias/{out}/W"),
    "a store that logs": lambda out: stored(LoggingStore(LocalStore(f"alias/{out}/W", read_only=True))),
    "obstore": lambda out: stored(ObjectStore(ObstoreFolder(f"{Path.cwd()}/alias/{out}/W"), read_only=True)),
    "fsspec": lambda out: stored(FsspecStore.from_url(f"file://{Path.cwd()}/alias/{out}/W", read_only=True)),
    "Dask": lambda out: da.from_zarr(f"{out}/W"),
}


@pytest.mark.parametrize("name", few(NAMES, 4))
def test_x_stays_whatever_it_is_called(folder: Path, name: str) -> None:
    before = zarr.open_array("run/W", mode="r")[:]
    error, text = (FileExistsError, "may be made of it") if name == "Dask" else (ValueError, "are inside one another")
    for out in ("run", "run-link"):
        with pytest.raises(error, match=text):
            dnmf.factorize(NAMES[name]("run"), **ASKED, out=out, overwrite=True)
    for out in ("new", "new-link"):
        with pytest.raises(error, match=text):
            dnmf.transform(
                NAMES[name]("new"),
                np.ones((2, 8 if "out" in name and "in the" in name else 2)),
                out=out,
                overwrite=True,
            )
    np.testing.assert_array_equal(zarr.open_array("run/W", mode="r")[:], before)
    assert zarr.open_array("new/W", mode="r").shape == (12, 2)


def test_first_factors_stay(folder: Path) -> None:
    run = dnmf.open_run("run")
    with pytest.raises(FileExistsError, match="a Dask array may be made of it"):
        dnmf.factorize(X, 2, out="run-link", init=(run.W, run.V), overwrite=True)
    before = np.asarray(run.W)
    # What is stored is read before it is replaced.
    first = (zarr.open_array("run/W", mode="r"), zarr.open_array("run/V", mode="r"))
    again = dnmf.factorize(X, 2, out="run-link", init=first, max_iter=1, overwrite=True)
    assert again.loss == dnmf.factorize(X, 2, init=(before, run.V), max_iter=1).loss


@pytest.mark.long
def test_an_output_that_is_a_link_is_what_it_leads_to(folder: Path) -> None:
    Path("nowhere").symlink_to("sub/made")
    for out, real in (("run-link", "run"), ("nowhere", "sub/made")):
        made = dnmf.factorize("X.zarr", **ASKED, out=out, overwrite=True)
        assert Path(out).is_symlink()
        np.testing.assert_array_equal(dnmf.open_run(real).V, made.V)
    np.save("X.npy", X)
    Path("X-link").symlink_to("X.zarr")
    convert("X.npy", "X-link", overwrite=True)
    assert Path("X-link").is_symlink()


def test_beside_x_is_not_inside_it(folder: Path) -> None:
    assert dnmf.factorize("X.zarr", **ASKED, out="X.zarr/../beside").loss >= 0
    assert dnmf.factorize("file://localhost" + str(folder / "X.zarr"), **ASKED, out="a:b.zarr").loss >= 0
    assert dnmf.open_run(Path("a:b.zarr")).record["x"]["path"] == str(folder / "X.zarr")
    with pytest.raises(ValueError, match="are inside one another"):
        dnmf.factorize("X.zarr", **ASKED, out="alias/X.zarr/run")


def test_a_sample_is_of_the_same_x_by_another_name(folder: Path) -> None:
    dnmf.factorize("X.zarr", **ASKED, out="first")
    again = dnmf.factorize("alias/X.zarr", **ASKED, sample="alias/first")
    assert again.reads == 1


def test_convert_keeps_its_source(folder: Path) -> None:
    np.save(folder / "X.zarr" / "x.npy", X)
    for source in ("X.zarr/x.npy", "sub/../X.zarr/x.npy", "alias/X.zarr/x.npy"):
        with pytest.raises(ValueError, match="are inside one another: choose another target"):
            convert(source, "alias/X.zarr", overwrite=True)
    (folder / "X.zarr" / "x.npy").rename(folder / "a:b.npy")
    assert convert(f"file://{folder}/a:b.npy", "a::b.zarr").shape == X.shape


def test_pictures_are_not_written_into_x_a_run_or_through_a_link(folder: Path) -> None:
    dnmf.factorize("X.zarr", **ASKED, out="drawn")
    for run, out in (("run", "alias/run"), ("run-link", "run/figures"), ("drawn", "alias/X.zarr")):
        failed = command("plot", run, "--out", out)
        assert (failed.returncode, failed.stderr.endswith("choose another folder for pictures\n")) == (1, True)
    assert "is a URL" in command("plot", "run", "--out", "s3://bucket/figures").stderr
    (folder / "demo").mkdir()
    (folder / "demo" / "run.zarr").symlink_to("../run")
    with pytest.raises(FileExistsError, match=r"demo/run\.zarr exists and no demo wrote it"):
        demo(f"file://{folder}/demo")


def test_a_store_that_has_no_place_has_none() -> None:
    assert location_of(zarr.array(X)) is None
    assert location_of(X) is None


MOUNTED = """
import subprocess, sys, dnmf
subprocess.run(["mount", "--bind", "X.zarr", "run/below"], check=True)
try:
    dnmf.factorize("X.zarr", 2, out="run", overwrite=True)
except FileExistsError as error:
    print(error)
"""


@pytest.mark.process
def test_what_is_mounted_in_an_output_stays(folder: Path) -> None:
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("this process may not mount")
    (folder / "run" / "below").mkdir()
    done = subprocess.run([*alone, sys.executable, "-c", MOUNTED], capture_output=True, text=True, timeout=120)
    assert f"{folder}/run/below is mounted in {folder}/run, which is therefore" in done.stdout, done.stderr
    np.testing.assert_array_equal(zarr.open_array("X.zarr", mode="r")[:], X)
