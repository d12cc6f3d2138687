"""The command line as it is typed: what it prints, where, and how it exits. Each command is once a real process."""

import os
import re
import signal
import subprocess
import sys
import time
import warnings
from io import StringIO
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import processes
import pytest
import zarr
from commands import Done, command
from scipy import sparse

import dnmf
from dnmf.run.components import describe

RNG = np.random.default_rng(0)
X = (RNG.random((600, 4)) @ RNG.random((4, 50)) + 0.1 * RNG.random((600, 50))).astype("f4")


def run(*words: object, cwd: Path, code: int = 0) -> Done:
    """`dnmf …` in a folder, in this process; its exit code is checked."""
    done = command(*words, cwd=cwd)
    assert done.returncode == code, done.stderr
    return done


def typed(*words: object, cwd: Path) -> str:
    """`dnmf …` in a folder, as a process that ends well and says nothing on stderr: what it prints."""
    code, out, errors = processes.done(*words, folder=cwd)
    assert (code, errors) == (0, "")
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, address: str) -> Path:
    """X.npy, X.zarr made of it by the command line, and a run made of that on the shared cluster."""
    path = tmp_path_factory.mktemp("cli")
    np.save(path / "X.npy", X)
    done = run("convert", "X.npy", "X.zarr", cwd=path)
    assert done.stdout.strip() == "X.zarr: 600 × 50 float32, chunks of 600 × 50"
    done = run(
        "factorize", "X.zarr", "--rank", 4, "--out", "run.zarr", "--seed", 3, "--max-iter", 12, "--tol", 0,
        "--snapshot-every", 5, "--memory-limit", "1GiB", "--scheduler", address, cwd=path,
    )  # fmt: skip
    assert done.stderr == ""
    assert "X 600 × 50, 0.1 MB in 1 strip of rows" in done.stdout
    assert len(re.findall(r"^pass +\d+  loss ", done.stdout, flags=re.MULTILINE)) == 10
    assert "reached max_iter = 12 passes" in done.stdout
    return path


def test_the_help_names_every_command_and_loads_no_heavy_library() -> None:
    told = command("--help").stdout
    names = (
        "cancel compare components convert demo extend factorize info plot predict ranks report resume status submit"
    )
    for name in (*names.split(), "transform"):
        assert re.search(rf"^  {name} ", told, flags=re.MULTILINE)
    code = "import sys, dnmf.cli.main; sys.exit(any(name in sys.modules for name in ('dask', 'zarr', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.process
def test_every_command_that_ends_by_itself_runs_as_a_process(folder: Path, address: str, tmp_path: Path) -> None:
    """In a cluster of its own, started by a profile, where it factorizes; the rest where a scheduler runs already."""
    np.save(tmp_path / "X.npy", X)
    (tmp_path / "cluster.yaml").write_text("here: {kind: local, workers: 1, memory: 1GiB}\n")
    there = ("--scheduler", address)
    assert typed("convert", "X.npy", "X.zarr", cwd=tmp_path).startswith("X.zarr: 600 × 50 float32")
    words = ("X.zarr", "--rank", 4, "--out", "run.zarr", "--seed", 3, "--max-iter", 12, "--tol", 0)
    assert "of 1024 MiB each" in typed("factorize", *words, "--cluster", "cluster.yaml", cwd=tmp_path)
    np.testing.assert_array_equal(dnmf.open_run(tmp_path / "run.zarr").V, dnmf.open_run(folder / "run.zarr").V)
    assert "reached max_iter = 14" in typed("resume", "run.zarr", "--max-iter", 14, *there, cwd=tmp_path)
    assert re.search(r"^passes +14$", typed("info", "run.zarr", cwd=tmp_path), flags=re.MULTILINE)
    assert re.search(r"^status +finished$", typed("status", "run.zarr", cwd=tmp_path), flags=re.MULTILINE)
    told = typed("transform", "X.zarr", "--model", "run.zarr", "--out", "W.zarr", *there, cwd=tmp_path)
    assert told == "W.zarr: W of 600 rows and 4 components\n"
    told = typed("predict", "run.zarr", "--rows", "0:10", "--columns", "3,5", "--out", "P.zarr", cwd=tmp_path)
    assert told == "P.zarr: 10 × 2 float32, chunks of 10 × 2\n"
    assert "loss.png" in typed("plot", "run.zarr", "--out", "figures", cwd=tmp_path)
    assert (tmp_path / "figures" / "components.png").stat().st_size > 1000
    assert typed("components", "run.zarr", cwd=tmp_path).startswith("component  share")
    assert "4 of 4 pairs agree" in typed("compare", "run.zarr", "run.zarr", cwd=tmp_path)


@pytest.mark.long
def test_what_was_asked_for_is_what_was_done(folder: Path) -> None:
    run_ = dnmf.open_run(folder / "run.zarr")
    asked = run_.record["parameters"]
    assert (asked["seed"], asked["max_iter"], asked["tol"], asked["memory_limit"]) == (3, 12, 0, 2**30)
    assert list(run_.snapshots) == [0, 5, 10]
    here = dnmf.factorize(X, 4, seed=3, max_iter=12, tol=0)
    # Steps on the sample take the rounding of a pass further than plain ones: the products agree better than V does.
    np.testing.assert_allclose(np.asarray(run_.W) @ run_.V, np.asarray(here.W) @ here.V, rtol=1e-2, atol=1e-3)
    assert run_.loss == pytest.approx(here.loss, rel=1e-4)


@pytest.mark.long
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


@pytest.mark.long
def test_plot_draws_a_run_with_and_without_its_x(folder: Path) -> None:
    run("plot", "run.zarr", "--out", "figures", cwd=folder)
    drawn = ["components.png", "features.png", "loss.png", "map.png"]
    assert sorted(p.name for p in (folder / "figures").iterdir()) == [*drawn, "reconstructions.png"]
    done = run("plot", "run.zarr", "--out", "bare", "--x", "moved.zarr", cwd=folder)
    assert "drawn without reconstructions" in done.stdout
    assert sorted(p.name for p in (folder / "bare").iterdir()) == drawn


def test_components_are_told_as_a_table_and_as_csv(folder: Path) -> None:
    result = dnmf.open_run(folder / "run.zarr")
    done = run("components", "run.zarr", "--top", 3, cwd=folder)
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["component", *["share", "mass", "alone", "sparseness", "V", "sparseness", "W", "features"]]
    assert [int(row.split()[0]) for row in rows] == describe(result).number.tolist()
    done = run("components", "run.zarr", "--by", "marker", "--csv", cwd=folder)
    frame, told = pd.read_csv(StringIO(done.stdout)), describe(result, by="marker")
    np.testing.assert_allclose(frame["share"], told.share, rtol=1e-12)
    assert frame["feature_1"].tolist() == [int(names[0]) for names in told.named_features]
    assert (done.stderr, frame["agreement"].isna().all()) == ("", True)


def test_components_of_a_narrow_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dnmf.cli.components.terminal_width", lambda: 40)
    told = run("components", "run.zarr", "--top", 20, cwd=folder).stdout.splitlines()
    assert max(map(len, told)) <= 40
    assert told[0].startswith("component ")


def test_what_is_not_known_of_components_is_said(folder: Path) -> None:
    dnmf.factorize(X, 2, out=folder / "counts.zarr", solver="mu", beta_loss=1, max_iter=2, overwrite=True)
    done = run("components", "counts.zarr", cwd=folder)
    assert done.stdout.splitlines()[-1].startswith("share and alone are those of least squares")
    assert "alone" not in done.stdout.splitlines()[0]
    assert run("components", "counts.zarr", "--csv", cwd=folder).stderr.startswith("share and alone are those")
    refused = run("components", "counts.zarr", "--by", "marker", cwd=folder, code=1)
    assert refused.stderr.startswith("there are no marker scores: they are those of least squares")


def test_two_runs_are_compared_in_words_and_as_a_picture(folder: Path) -> None:
    dnmf.factorize(X, 2, out=folder / "two.zarr", max_iter=2, overwrite=True)
    done = run("compare", "run.zarr", "two.zarr", "--out", "heat.png", cwd=folder)
    *_, words, picture = done.stdout.splitlines()
    assert re.search("^[012] of 2 pairs agree to a cosine of 0.9 or more; .* without a partner in the first: ", words)
    assert (picture, (folder / "heat.png").stat().st_size > 1000) == ("heat.png", True)
    assert run("compare", "run.zarr", "two.zarr", "--out", "maps", cwd=folder).stdout.endswith("maps/compared.png\n")
    refused = run("compare", "run.zarr", "two.zarr", "--out", "two.zarr/map.png", cwd=folder, code=1)
    assert "is in the second run at two.zarr: choose another folder for pictures" in refused.stderr
    dnmf.factorize(X[:, :20], 2, out=folder / "other.zarr", max_iter=1, overwrite=True)
    refused = run("compare", "run.zarr", "other.zarr", cwd=folder, code=1)
    assert refused.stderr.startswith("the first factorization is of 50 columns and the second of 20")


@pytest.mark.long
def test_quiet_prints_nothing_and_overwrite_replaces(folder: Path, address: str) -> None:
    words = ("factorize", "X.zarr", "--rank", 2, "--out", "quiet.zarr", "--max-iter", 2, "--scheduler", address)
    assert run(*words, "--quiet", cwd=folder).stdout == ""
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
        (["convert", "X.foo", "Y.zarr"], "X.foo has no known suffix"),
    ],
)
def test_an_error_is_its_sentence_alone_on_stderr(folder: Path, words: list[object], sentence: str) -> None:
    done = run(*words, cwd=folder, code=1)
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.process
def test_a_process_that_fails_says_its_sentence_alone(tmp_path: Path) -> None:
    assert processes.done("info", "nowhere.zarr", folder=tmp_path) == (
        1, "", "there is no run at nowhere.zarr: give the --out of a factorization\n",
    )  # fmt: skip


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
def test_a_wrong_use_exits_2(words: list[object], tmp_path: Path) -> None:
    assert "Usage: " in run(*words, cwd=tmp_path, code=2).stderr


def test_a_bad_entry_is_its_sentence_alone_on_stderr(address: str, tmp_path: Path) -> None:
    bad = X.copy()
    bad[17, 5] = -1
    zarr.create_array(str(tmp_path / "bad.zarr"), data=bad, chunks=(100, 50))
    words = ("factorize", "bad.zarr", "--rank", 2, "--out", "bad-run.zarr", "--scheduler", address, "--quiet")
    assert run(*words, cwd=tmp_path, code=1).stderr == (
        "X[17, 5] is -1.0: every entry must be finite and not negative; mend X and start again, or, for least squares, "
        'allow it with --negative allow (negative="allow")\n'
    )


def test_a_running_scheduler_is_used_by_its_address_or_a_profile(folder: Path, address: str) -> None:
    here = dnmf.open_run(folder / "run.zarr")
    words = ("factorize", "X.zarr", "--rank", 4, "--seed", 3, "--max-iter", 12, "--tol", 0, "--quiet")
    (folder / "cluster.yaml").write_text(
        f"there: {{kind: scheduler, address: '{address}'}}\nhere: {{kind: local, workers: 1, memory: 1GiB}}\n"
    )
    run(*words, "--out", "again.zarr", "--cluster", "cluster.yaml:there", cwd=folder)
    np.testing.assert_array_equal(dnmf.open_run(folder / "again.zarr").V, here.V)


@pytest.mark.long
def test_ctrl_c_leaves_a_run_that_says_so(tmp_path: Path) -> None:
    """The signal reaches the whole process group, as from a terminal; workers included."""
    tiled = np.tile(X, (40, 4))
    zarr.create_array(str(tmp_path / "long.zarr"), data=tiled, chunks=(1000, 200))
    process = processes.dnmf(
        "factorize", "long.zarr", "--rank", 8, "--out", "long-run.zarr", "--tol", 0, "--max-iter", 100000,
        "--workers", 1, folder=tmp_path,
    )  # fmt: skip
    try:
        while not process.stdout.readline().startswith("pass   10"):
            assert process.poll() is None
        time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert (process.returncode, errors) == (130, "interrupted\n`dnmf resume long-run.zarr` goes on with it\n")
    kept = dnmf.open_run(tmp_path / "long-run.zarr")
    assert (kept.record["status"], kept.stopped) == ("stopped", "was interrupted")
    exact = tiled.astype("f8")
    residual = exact - np.asarray(kept.W).astype("f8") @ kept.V.astype("f8")
    # A loss that ended no run is the free one, good to some 5e-7 of ‖X‖².
    np.testing.assert_allclose(kept.loss, (residual**2).sum(), atol=1e-6 * (exact**2).sum())


@pytest.mark.long
def test_sparse_files_losses_layers_new_rows_and_anndata(address: str, tmp_path: Path) -> None:
    """From a sparse file to W of new rows: as a user types it."""
    rng = np.random.default_rng(1)
    X = sparse.csr_matrix(rng.poisson(rng.random((80, 3)) @ rng.random((3, 30))).astype("f4"))
    adata = anndata.AnnData(X)
    adata.layers["counts"] = X * 2
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with anndata.settings.override(zarr_write_format=3, auto_shard_zarr_v3=False), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # AnnData's own, of formats to come
        adata.write_zarr(tmp_path / "cells.zarr")
    told = run("convert", "cells.h5ad", "counts.zarr", "--dataset", "layers/counts", cwd=tmp_path).stdout
    assert told == f"counts.zarr: 80 × 30 float32, {X.nnz} non-zeros in csr\n"
    words = ("--rank", 3, "--solver", "mu", "--beta-loss", "kullback-leibler", "--alpha-w", 1e-4, "--l1-ratio", 0.5)
    options = (*words, "--max-iter", 3, "--tol", 0, "--scheduler", address)
    run("factorize", "counts.zarr", "--out", "counts-run.zarr", *options, cwd=tmp_path)
    run("factorize", "cells.zarr", "--layer", "counts", "--out", "run2.zarr", *options, "--write-back", cwd=tmp_path)
    one, other = (dnmf.open_run(tmp_path / name) for name in ("counts-run.zarr", "run2.zarr"))
    asked = other.record["parameters"]
    assert (asked["beta_loss"], asked["alpha_W"], asked["alpha_H"], asked["l1_ratio"]) == (1.0, 1e-4, 1e-4, 0.5)
    np.testing.assert_allclose(one.V, other.V, rtol=1e-5)
    np.testing.assert_array_equal(anndata.read_zarr(tmp_path / "cells.zarr").varm["NMF"], other.V.T)
    again = run("factorize", "cells.zarr", "--out", "run3.zarr", "--rank", 2, "--write-back", cwd=tmp_path, code=1)
    assert "has obsm/X_nmf" in again.stderr
    drawn = run("plot", "run2.zarr", "--out", "sparse-figures", cwd=tmp_path).stdout
    assert drawn.startswith("X is sparse, its rows make no curves: drawn without reconstructions\n")
    pictures = ["components.png", "features.png", "loss.png", "map.png"]
    assert sorted(p.name for p in (tmp_path / "sparse-figures").iterdir()) == pictures
    there = ("--model", "run2.zarr", "--out", "W.zarr", "--scheduler", address)
    told = run("transform", "cells.zarr", "--layer", "counts", *there, cwd=tmp_path).stdout
    assert told == "W.zarr: W of 80 rows and 3 components\n"
    W = zarr.open_group(tmp_path / "W.zarr", mode="r")["W"][...]
    np.testing.assert_allclose(W, np.asarray(dnmf.transform(X * 2, other)), rtol=1e-5, atol=1e-7)


def test_new_rows_are_taken_into_a_run(folder: Path, address: str, tmp_path: Path) -> None:
    """On a cluster, and from an array that grew; what the run then says of itself."""
    array = zarr.create_array(tmp_path / "X.zarr", shape=(600, 50), chunks=(50, 50), dtype="f4")
    array[...] = X
    run("factorize", "X.zarr", "--rank", 4, "--out", "run.zarr", "--max-iter", 3, "--quiet", cwd=tmp_path)
    array.resize((800, 50))
    array[600:] = X[:200]
    words = ("run.zarr", "X.zarr", "--rank", "+1", "--scheduler", address)
    told = run("extend", *words, "--out", "more.zarr", cwd=tmp_path).stdout
    assert "\nV is that of a sample of all 800 rows, and W of the new ones belongs to it\n" in told
    assert re.search(
        r"^more.zarr: relative error 0.\d+, [12] reads? of X; `dnmf info more.zarr` tells more$", told, re.M
    )
    info = run("info", "more.zarr", cwd=tmp_path).stdout
    assert re.search(r"^X +rows 600 to 799 of \S+X.zarr, 200 × 50 float32", info, re.M)
    assert re.search(
        r"^extends +\S+run.zarr, 600 rows, which W does not hold and the error does not count$", info, re.M
    )
    assert "reconstructions" in run("plot", "more.zarr", "--out", "figures", cwd=tmp_path).stdout
    run("extend", *words, "--out", "exact.zarr", "--exact", "--quiet", cwd=tmp_path)
    assert dnmf.open_run(tmp_path / "exact.zarr").W.shape == (800, 5)
    again = run("resume", "more.zarr", "--max-iter", 9, cwd=tmp_path, code=1).stderr
    assert "it has W of new rows alone, and more passes over these would fit V to them" in again
    assert "it has no new rows" in run("extend", "more.zarr", "X.zarr", "--out", "no.zarr", cwd=tmp_path, code=1).stderr
