"""The command line as it is typed: what it prints, where, and how it exits. Every call is a real process."""

import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import anndata
import numpy as np
import pytest
import zarr
from scipy import sparse

import dnmf
from dnmf.clusters.local import local_cluster

RNG = np.random.default_rng(0)
X = (RNG.random((600, 4)) @ RNG.random((4, 50)) + 0.1 * RNG.random((600, 50))).astype("f4")


def run(*words: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """`python -m dnmf …` in a folder; its exit code is checked."""
    done = subprocess.run(
        [sys.executable, "-m", "dnmf", *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """X.npy, X.zarr made of it by the command line, and a run made of that."""
    path = tmp_path_factory.mktemp("cli")
    np.save(path / "X.npy", X)
    done = run("convert", "X.npy", "X.zarr", cwd=path)
    assert done.stdout.strip() == "X.zarr: 600 × 50 float32, chunks of 600 × 50"
    done = run(
        "factorize", "X.zarr", "--rank", 4, "--out", "run.zarr", "--seed", 3, "--max-iter", 12, "--tol", 0,
        "--snapshot-every", 5, "--memory-limit", "1GiB", "--workers", 1, cwd=path,
    )  # fmt: skip
    assert done.stderr == ""
    assert "X 600 × 50, 0.1 MB in 1 strip of rows" in done.stdout
    assert len(re.findall(r"^pass +\d+  loss ", done.stdout, flags=re.MULTILINE)) == 10
    assert "reached max_iter = 12 passes" in done.stdout
    return path


def test_the_help_names_every_command_and_loads_no_heavy_library(folder: Path) -> None:
    done = run("--help", cwd=folder)
    for command in ("convert", "demo", "factorize", "info", "plot"):
        assert re.search(rf"^  {command} ", done.stdout, flags=re.MULTILINE)
    code = "import sys, dnmf.cli; sys.exit(any(name in sys.modules for name in ('dask', 'zarr', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_what_was_asked_for_is_what_was_done(folder: Path) -> None:
    run_ = dnmf.open_run(folder / "run.zarr")
    asked = run_.record["parameters"]
    assert (asked["seed"], asked["max_iter"], asked["tol"], asked["memory_limit"]) == (3, 12, 0, 2**30)
    assert list(run_.snapshots) == [0, 5, 10]
    here = dnmf.factorize(X, 4, seed=3, max_iter=12, tol=0)
    # Steps on the sample take the rounding of a pass further than plain ones: the products agree better than V does.
    np.testing.assert_allclose(np.asarray(run_.W) @ run_.V, np.asarray(here.W) @ here.V, rtol=1e-2, atol=1e-3)
    assert run_.loss == pytest.approx(here.loss, rel=1e-4)


def test_info_tells_all_that_a_run_knows(folder: Path) -> None:
    told = dict(
        re.split(r" {2,}", line, maxsplit=1) for line in run("info", "run.zarr", cwd=folder).stdout.splitlines()
    )
    record = dnmf.open_run(folder / "run.zarr")
    assert told["status"] == "finished"
    assert told["X"] == f"{(folder / 'X.zarr').resolve()}, 600 × 50 float32, chunks of 600 × 50"
    assert "rank 4" in told["parameters"]
    assert "solver cd" in told["parameters"]
    assert told["passes"] == "12"
    assert float(told["loss"]) == pytest.approx(record.loss, rel=1e-6)
    assert told["reads"] == "1 of X"
    assert told["start"].startswith(f"{record.record['start']['seconds']:.2f} s for a sample of 600 rows, relative err")
    assert float(told["gradient"].split(",")[0]) == pytest.approx(record.history["gradient"][-1], rel=1e-3)
    assert told["stopped"] == record.stopped


def test_plot_draws_a_run_with_and_without_its_x(folder: Path) -> None:
    run("plot", "run.zarr", "--out", "figures", cwd=folder)
    assert sorted(p.name for p in (folder / "figures").iterdir()) == [
        "components.png",
        "loss.png",
        "reconstructions.png",
    ]
    done = run("plot", "run.zarr", "--out", "bare", "--x", "moved.zarr", cwd=folder)
    assert "drawn without reconstructions" in done.stdout
    assert sorted(p.name for p in (folder / "bare").iterdir()) == ["components.png", "loss.png"]


def test_quiet_prints_nothing_and_overwrite_replaces(folder: Path) -> None:
    words = ("factorize", "X.zarr", "--rank", 2, "--out", "quiet.zarr", "--max-iter", 2, "--workers", 1, "--quiet")
    assert run(*words, cwd=folder).stdout == ""
    refused = run(*words, cwd=folder, code=1)
    assert (
        refused.stderr
        == "quiet.zarr exists: choose another output, or overwrite it with --overwrite (overwrite=True)\n"
    )
    assert refused.stdout == ""
    run(*words, "--overwrite", cwd=folder)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["info", "nowhere.zarr"], "there is no run at nowhere.zarr: give the --out of a factorization"),
        (["status", "X.zarr"], "X.zarr is not a run of dnmf: give the --out of a factorization"),
        (
            ["factorize", "nowhere.zarr", "--rank", 2, "--out", "o.zarr"],
            "there is no Zarr array at nowhere.zarr: give the path of one, or make one with `dnmf convert`",
        ),
        (["factorize", "X.zarr", "--rank", 2, "--out", "o.zarr", "--cluster", "no.yaml"], "there is no file no.yaml"),
        (["convert", "X.txt", "Y.zarr"], "X.txt has no known suffix"),
    ],
)
def test_an_error_is_its_sentence_alone_on_stderr(folder: Path, words: list[object], sentence: str) -> None:
    done = run(*words, cwd=folder, code=1)
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ["factorize", "X.zarr", "--out", "o.zarr"],
        ["factorize", "X.zarr", "--rank", 0, "--out", "o.zarr"],
        ["factorize", "X.zarr", "--rank", 2, "--out", "o.zarr", "--tol", 1],
        ["factorize", "X.zarr", "--rank", 2, "--out", "o.zarr", "--memory-limit", "-1GiB"],
        ["factorize", "X.zarr", "--rank", "two", "--out", "o.zarr"],
        ["factorize", "X.zarr", "--rank", 2, "--out", "o.zarr", "--solver", "hals"],
        ["factorize", "X.zarr", "--rank", 2, "--out", "o.zarr", "--memory-limit", "lots"],
        ["factorize", "X.zarr", "--rank", 2, "--out", "o.zarr", "--workers", 1, "--scheduler", "tcp://127.0.0.1:1"],
        ["frobnicate"],
    ],
)
def test_a_wrong_use_exits_2(folder: Path, words: list[object]) -> None:
    assert "Usage: " in run(*words, cwd=folder, code=2).stderr


def test_a_bad_entry_is_its_sentence_alone_on_stderr(folder: Path) -> None:
    bad = X.copy()
    bad[17, 5] = -1
    zarr.create_array(str(folder / "bad.zarr"), data=bad, chunks=(100, 50))
    words = ("factorize", "bad.zarr", "--rank", 2, "--out", "bad-run.zarr", "--workers", 1, "--quiet")
    assert run(*words, cwd=folder, code=1).stderr == (
        "X[17, 5] is -1.0: every entry must be finite and not negative; mend X and start again\n"
    )


def test_a_running_scheduler_and_a_profile_are_used(folder: Path) -> None:
    here = dnmf.open_run(folder / "run.zarr")
    words = ("factorize", "X.zarr", "--rank", 4, "--seed", 3, "--max-iter", 12, "--tol", 0, "--quiet", "--overwrite")
    with local_cluster(workers=1) as client:
        address = client.scheduler_info()["address"]
        (folder / "cluster.yaml").write_text(
            f"there: {{kind: scheduler, address: '{address}'}}\nhere: {{kind: local, workers: 1, memory: 1GiB}}\n"
        )
        for where in (
            ("--scheduler", address),
            ("--cluster", "cluster.yaml:there"),
            ("--cluster", "cluster.yaml:here"),
        ):
            run(*words, "--out", "again.zarr", *where, cwd=folder)
            np.testing.assert_array_equal(dnmf.open_run(folder / "again.zarr").V, here.V)


def test_ctrl_c_leaves_a_run_that_says_so(folder: Path) -> None:
    """The signal reaches the whole process group, as from a terminal; workers included."""
    zarr.create_array(str(folder / "long.zarr"), data=np.tile(X, (40, 4)), chunks=(1000, 200))
    process = subprocess.Popen(
        [sys.executable, "-m", "dnmf", "factorize", "long.zarr", "--rank", "8", "--out", "long-run.zarr", "--tol", "0",
         "--max-iter", "100000", "--workers", "1"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    while not process.stdout.readline().startswith("pass   10"):
        assert process.poll() is None
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in errors
    record = zarr.open_group(folder / "long-run.zarr", mode="r").attrs["dnmf"]
    assert (record["status"], record["stopped"]) == ("stopped", "was interrupted")
    kept = dnmf.open_run(folder / "long-run.zarr")
    tiled = np.tile(X, (40, 4)).astype("f8")
    residual = tiled - np.asarray(kept.W).astype("f8") @ kept.V.astype("f8")
    # A loss that ended no run is the free one, good to some 5e-7 of ‖X‖².
    np.testing.assert_allclose(kept.loss, (residual**2).sum(), atol=1e-6 * (tiled**2).sum())


def test_sparse_files_losses_layers_new_rows_and_anndata(folder: Path) -> None:
    """From a sparse file to W of new rows: as a user types it."""
    rng = np.random.default_rng(1)
    X = sparse.csr_matrix(rng.poisson(rng.random((80, 3)) @ rng.random((3, 30))).astype("f4"))
    adata = anndata.AnnData(X)
    adata.layers["counts"] = X * 2
    adata.write_h5ad(folder / "cells.h5ad")
    with anndata.settings.override(zarr_write_format=3, auto_shard_zarr_v3=False), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # AnnData's own, of formats to come
        adata.write_zarr(folder / "cells.zarr")
    told = run("convert", "cells.h5ad", "counts.zarr", "--dataset", "layers/counts", cwd=folder).stdout
    assert told == f"counts.zarr: 80 × 30 float32, {X.nnz} non-zeros in csr\n"
    words = ("--rank", 3, "--solver", "mu", "--beta-loss", "kullback-leibler", "--alpha-w", 1e-4, "--l1-ratio", 0.5)
    options = (*words, "--max-iter", 3, "--tol", 0, "--workers", 1)
    run("factorize", "counts.zarr", "--out", "counts-run.zarr", *options, cwd=folder)
    run("factorize", "cells.zarr", "--layer", "counts", "--out", "run2.zarr", *options, "--write-back", cwd=folder)
    one, other = (dnmf.open_run(folder / name) for name in ("counts-run.zarr", "run2.zarr"))
    asked = other.record["parameters"]
    assert (asked["beta_loss"], asked["alpha_W"], asked["alpha_H"], asked["l1_ratio"]) == (1.0, 1e-4, 1e-4, 0.5)
    np.testing.assert_allclose(one.V, other.V, rtol=1e-5)
    np.testing.assert_array_equal(anndata.read_zarr(folder / "cells.zarr").varm["NMF"], other.V.T)
    again = run("factorize", "cells.zarr", "--out", "run3.zarr", "--rank", 2, "--write-back", cwd=folder, code=1)
    assert "has obsm/X_nmf" in again.stderr
    drawn = run("plot", "run2.zarr", "--out", "sparse-figures", cwd=folder).stdout
    assert drawn.startswith("X is sparse, its rows make no curves: drawn without reconstructions\n")
    assert sorted(p.name for p in (folder / "sparse-figures").iterdir()) == ["components.png", "loss.png"]
    told = run(
        "transform", "cells.zarr", "--layer", "counts", "--model", "run2.zarr", "--out", "W.zarr", cwd=folder
    ).stdout
    assert told == "W.zarr: W of 80 rows and 3 components\n"
    W = zarr.open_group(folder / "W.zarr", mode="r")["W"][...]
    np.testing.assert_allclose(W, np.asarray(dnmf.transform(X * 2, other)), rtol=1e-5, atol=1e-7)
