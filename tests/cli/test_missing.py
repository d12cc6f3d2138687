"""Missing entries and weights as they are typed."""

import re
from pathlib import Path

import numpy as np
import pytest
import zarr
from commands import Done, command

import dnmf

RNG = np.random.default_rng(0)
TRUTH = RNG.random((60, 2)) @ RNG.random((2, 20))
SEEN = RNG.random(TRUTH.shape) > 0.3
SEEN[7] = False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("missing")
    zarr.create_array(str(path / "nan.zarr"), data=np.where(SEEN, TRUTH, np.nan))
    zarr.create_array(str(path / "x.zarr"), data=TRUTH)
    zarr.create_array(str(path / "omega.zarr"), data=SEEN)
    return path


def run(*words: object, cwd: Path, code: int = 0) -> Done:
    done = command(*words, cwd=cwd)
    assert done.returncode == code, done.stderr
    return done


def test_what_is_missing_is_typed_told_and_predicted(folder: Path) -> None:
    told = run("factorize", "nan.zarr", "--rank", 2, "--missing", "nan", "--out", "run.zarr", cwd=folder).stdout
    nothing = "nothing is known of 1 row (7): they get zeros"
    assert nothing in told
    assert "the short factor moves by" in told
    info = run("info", "run.zarr", cwd=folder).stdout
    assert re.search(r"^parameters +.*missing nan", info, flags=re.MULTILINE)
    assert re.search(
        rf"^observed +{SEEN.sum()} of 1200 entries are observed, .*{re.escape(nothing)}$", info, re.MULTILINE
    )
    assert f"{SEEN.sum()} of 1200" in run("status", "run.zarr", cwd=folder).stdout
    run("predict", "run.zarr", "--mask", "omega.zarr", "--out", "P.zarr", cwd=folder)
    assert zarr.open_group(str(folder / "P.zarr"), mode="r")["data"].size == SEEN.sum()
    run("transform", "nan.zarr", "--model", "run.zarr", "--out", "W.zarr", cwd=folder)
    assert not zarr.open_group(str(folder / "W.zarr"), mode="r")["W"][7].any()
    refused = run(
        "transform", "nan.zarr", "--model", "run.zarr", "--missing", "none", "--out", "V.zarr", cwd=folder, code=1
    )
    assert "every entry must be finite" in refused.stderr


def test_weights_are_typed_and_where_they_are_now(folder: Path, tmp_path: Path) -> None:
    words = ("--rank", 2, "--weights", folder / "omega.zarr", "--alpha-w", 0.001, "--alpha-scale", "observed")
    run("factorize", folder / "x.zarr", *words, "--max-iter", 2, "--out", "run.zarr", cwd=tmp_path)
    again = ("--max-iter", 4, "--tol", 0, "--weights", folder / "omega.zarr")
    run("resume", "run.zarr", *again, cwd=tmp_path)
    found = dnmf.open_run(tmp_path / "run.zarr").about
    assert (found.iteration, found.parameters.alpha_scale) == (4, "observed")
    assert re.search(r"^weights +.*omega.zarr, bool$", run("info", "run.zarr", cwd=tmp_path).stdout, flags=re.MULTILINE)
    run(
        "transform",
        folder / "x.zarr",
        "--model",
        "run.zarr",
        "--weights",
        folder / "omega.zarr",
        "--out",
        "W.zarr",
        cwd=tmp_path,
    )


def test_what_cannot_be_is_refused_before_anything_is_begun(folder: Path, tmp_path: Path) -> None:
    words = ("factorize", folder / "x.zarr", "--rank", 2, "--out", "run.zarr")
    assert "is dense" in run(*words, "--missing", "zeros", cwd=tmp_path, code=1).stderr
    assert "Usage" in run(*words, "--missing", "holes", cwd=tmp_path, code=2).stderr
    assert "missing nan" in run("factorize", folder / "nan.zarr", *words[2:], cwd=tmp_path, code=1).stderr
