"""`dnmf ranks`, and what other commands make of a comparison of ranks."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from commands import command

import dnmf


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ranks")
    rng = np.random.default_rng(0)
    X = rng.gamma(0.5, size=(400, 3)) @ rng.gamma(0.5, size=(3, 20)) * rng.uniform(0.7, 1.3, (400, 20))
    zarr.create_array(str(path / "x.zarr"), shape=X.shape, chunks=(100, 20), dtype="f8")[...] = X
    done = command("ranks", "x.zarr", "--ranks", "2:4", "--out", "ranks.zarr", "--verify", "3", cwd=path)
    assert (done.returncode, done.stderr) == (0, "")
    (path / "told").write_text(done.stdout, encoding="utf-8")
    return path


def test_it_prints_a_table_with_a_mark_and_a_sentence(folder: Path) -> None:
    lines = (folder / "told").read_text(encoding="utf-8").splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("rank  held-out error"))
    assert [line.split()[0] for line in lines[head + 1 : head + 4]] == ["2", "3", "4"]
    assert [line.endswith("←") for line in lines[head + 1 : head + 4]] == [False, True, False]
    assert lines[head + 4].startswith("Held-out error is least at 3; at 3 every component is found by both halves")
    assert lines[-1] == "`dnmf factorize x.zarr --rank 3 --sample ranks.zarr --out run.zarr` goes on from here"
    assert lines[head - 1] == "400 of 400 rows of X in two halves, each of which predicts columns of the other"
    # The same again, without a word of how it was made.
    assert command("info", "ranks.zarr", cwd=folder).stdout.splitlines() == lines[head - 1 : -1]


def test_what_it_says_to_type_next_is_one_read(folder: Path) -> None:
    done = command("factorize", "x.zarr", "--rank", 3, "--sample", "ranks.zarr", "--out", "run.zarr", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 read of X" in done.stdout


def test_what_it_says_to_type_next_says_again_what_x_is(folder: Path) -> None:
    zarr.create_array(str(folder / "o.zarr"), data=np.ones((400, 20)), chunks=(100, 20))
    said = ("--missing", "nan", "--weights", "o.zarr")
    done = command("ranks", "x.zarr", "--ranks", "2", "--starts", 1, *said, "--out", "weighted.zarr", cwd=folder)
    *_, last = done.stdout.splitlines()
    assert last.startswith("`dnmf factorize x.zarr --rank 2 --missing nan --weights o.zarr --sample weighted.zarr")
    again = command(*last.split("`")[1].split()[1:], "--max-iter", 1, "--overwrite", cwd=folder)
    assert (again.returncode, again.stderr) == (0, "")


def test_plot_draws_it(folder: Path) -> None:
    done = command("plot", "ranks.zarr", "--out", "figures", cwd=folder)
    assert done.stdout.split() == ["ranks", str(Path("figures", "ranks.png"))]
    assert (folder / "figures" / "ranks.png").stat().st_size > 5000


def test_the_rank_may_be_left_to_x(folder: Path) -> None:
    done = command("factorize", "x.zarr", "--rank", "2:4", "--out", "auto.zarr", "--max-iter", 1, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "rank 3: Held-out error is least at 3" in done.stdout
    assert dnmf.open_run(folder / "auto.zarr").V.shape == (3, 20)
    assert "Held-out error is least at 3" in dnmf.open_ranks(folder / "auto.zarr").sentence


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ("factorize", "x.zarr", "--rank", "many", "--out", "n.zarr"),
            2,
            "'many' is neither a positive integer",
        ),
        (("factorize", "x.zarr", "--rank", "auto", "--init", "random", "--out", "n.zarr"), 1, "init is 'random'"),
        (("ranks", "x.zarr", "--ranks", "9:2", "--out", "n.zarr"), 1, "ranks are '9:2': some positive integers"),
        (("ranks", "x.zarr", "--ranks", "2:99", "--out", "n.zarr"), 1, "allow 16 at most: ask for smaller ones"),
        (("ranks", "x.zarr", "--out", "ranks.zarr"), 1, "ranks.zarr exists: choose another output"),
        (("ranks", "x.zarr", "--out", "x.zarr", "--overwrite"), 1, "x.zarr exists and is not"),
    ],
)
def test_what_makes_no_sense_ends_in_a_sentence(folder: Path, words: tuple[str, ...], code: int, said: str) -> None:
    done = command(*words, cwd=folder)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
