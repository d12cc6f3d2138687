"""The commands that a report tells are ones that dnmf takes, and make the run again."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import zarr
from commands import command
from numpy.testing import assert_array_equal
from report_data import parts

import dnmf
from dnmf.cli.main import cli
from dnmf.report.again import made_again, next_commands
from dnmf.report.rank_chapters import ranks_page_of

ASKED = {
    "defaults": {},
    "cd": {"init": "nndsvd", "seed": 3, "alpha_W": 0.25, "alpha_H": 0.0, "l1_ratio": 0.5, "max_iter": 3, "tol": 0.0},
    "mu": {"solver": "mu", "beta_loss": 1, "max_iter": 2, "inner_iter": 3, "cache": False, "memory_limit": 2**30},
    "beta": {"solver": "mu", "beta_loss": 1.5, "max_iter": 2, "snapshot_every": 1, "checkpoint_every": 1},
}


def _check(typed: str) -> None:
    for line in typed.split(" && "):
        first, verb, *words = shlex.split(line)
        assert first == "dnmf"
        cli.commands[verb].make_context(verb, words)


@pytest.fixture
def x(tmp_path: Path) -> str:
    path = str(tmp_path / "it's X.zarr")
    zarr.create_array(path, data=parts(60, 12, 2), chunks=(20, 12))
    return path


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_a_command_makes_the_run_again(asked, x, tmp_path):
    run = dnmf.factorize(x, 2, out=tmp_path / "run.zarr", **asked)
    typed = made_again(run.about, str(tmp_path / "again.zarr")).text
    assert command(*shlex.split(typed)[1:]).returncode == 0
    again = dnmf.open_run(tmp_path / "again.zarr")
    assert again.about.parameters == run.about.parameters
    assert_array_equal(again.V, run.V)
    for each in next_commands(run.about, "run.zarr"):
        if each.text.startswith("dnmf "):
            _check(each.text)


@pytest.mark.parametrize(
    "asked", [{"keep_W": False}, {"shuffle": True}, {"init": (np.ones((60, 2)), parts(12, 2, 2).T)}]
)
def test_what_no_command_says_is_said_in_python(asked, x, tmp_path):
    run = dnmf.factorize(x, 2, out=tmp_path / "run.zarr", max_iter=2, **asked)
    text = made_again(run.about, str(tmp_path / "again.zarr")).text
    space = {"dnmf": dnmf, "W": asked.get("init", (0, 0))[0], "V": asked.get("init", (0, 0))[1]}
    again = eval(text, space)  # it is Python
    assert_array_equal(again.V, run.V)
    assert not [each for each in next_commands(run.about, "run.zarr") if "dnmf factorize" in each.text]


def test_an_array_in_memory_is_given_by_its_name(tmp_path):
    X = parts(60, 12, 2)
    run = dnmf.factorize(X, 2, out=tmp_path / "run.zarr")
    told = made_again(run.about, str(tmp_path / "again.zarr"))
    assert "X was an array in memory" in told.what
    assert_array_equal(eval(told.text, {"dnmf": dnmf, "X": X}).V, run.V)


def test_commands_after_a_comparison_of_ranks(ranked):
    page = ranks_page_of(dnmf.open_ranks(ranked), str(ranked))
    for each in (page.again, *page.then):
        _check(each.text)
    assert page.then[0].what.startswith("Factorize X")


def test_weights_and_what_is_missing_are_said_again(x, tmp_path):
    zarr.create_array(tmp_path / "o.zarr", data=np.arange(720).reshape(60, 12) % 3.0, chunks=(20, 12))
    run = dnmf.factorize(x, 2, out=tmp_path / "run.zarr", missing="nan", weights=str(tmp_path / "o.zarr"), max_iter=2)
    typed = made_again(run.about, str(tmp_path / "again.zarr")).text
    assert command(*shlex.split(typed)[1:]).returncode == 0
    assert_array_equal(dnmf.open_run(tmp_path / "again.zarr").V, run.V)
    told = [*next_commands(run.about, "run.zarr"), *_of_ranks(x, tmp_path)]
    read_x = [each.text for each in told if "dnmf factorize" in each.text or "dnmf ranks" in each.text]
    assert len(read_x) == 4
    for text in read_x:
        assert f"--weights {tmp_path}/o.zarr" in text
        assert "--missing nan" in text
        _check(text)


def _of_ranks(x, tmp_path):
    """The commands on a page on ranks of the same X."""
    weights = str(tmp_path / "o.zarr")
    found = dnmf.ranks(x, [2], out=tmp_path / "ranks.zarr", missing="nan", weights=weights, starts=1)
    page = ranks_page_of(found, "ranks.zarr")
    return page.again, page.then[0]


def test_weights_in_memory_are_said_in_python(x):
    run = dnmf.factorize(x, 2, weights=np.ones((60, 12)), max_iter=1)
    assert made_again(run.about, "run.zarr").text.endswith("weights=weights)")
    assert not any("dnmf ranks" in each.text for each in next_commands(run.about, "run.zarr"))
