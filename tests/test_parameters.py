"""The one list of parameters: what is declared is what is asked for, checked and told."""

import inspect
import logging
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

import dnmf
from dnmf.cli.main import cli
from dnmf.cli.options import drop_none
from dnmf.events import Saved, StripDone
from dnmf.parameters import DECLARED, MAY_CHANGE, Parameters, options_table


def test_factorize_takes_every_parameter_with_its_default():
    asked = inspect.signature(dnmf.factorize).parameters
    assert set(DECLARED) <= set(asked)
    defaults = {name: each.default for name, each in asked.items() if each.default is not inspect.Parameter.empty}
    assert Parameters.of({"rank": 3}) == Parameters.of({"rank": 3, **defaults})
    assert [name for name in DECLARED if name not in defaults] == ["rank"]


@pytest.mark.parametrize("command", ["factorize", "submit", "resume"])
def test_the_command_line_has_every_parameter_that_has_a_flag(command):
    options = {each.name: each for each in cli.commands[command].params if isinstance(each, click.Option)}
    for name, declared in DECLARED.items():
        assert (name in options) == bool(declared.flags)
        if declared.flags:
            assert options[name].help == declared.help
            assert options[name].required == (declared.required and command != "resume")


@pytest.mark.parametrize(
    "wrong", [[], ["--rank", "0"], ["--rank", "2", "--tol", "1"], ["--rank", "2", "--solver", "x"]]
)
def test_a_wrong_use_is_told_before_anything_is_begun(wrong):
    done = CliRunner().invoke(cli, ["factorize", "X.zarr", "--out", "o.zarr", *wrong])
    assert done.exit_code == 2
    assert "Usage: " in done.output


def test_a_run_that_goes_on_is_given_what_is_typed_alone():
    context = cli.commands["resume"].make_context("resume", ["run", "--tol", "0"])
    assert {name: value for name, value in drop_none(context.params).items() if name in DECLARED} == {"tol": 0}


@pytest.mark.parametrize("name", DECLARED)
def test_a_value_that_makes_no_sense_is_refused_in_one_sentence(name):
    value = {"beta_loss": float("nan"), "init": "best", "solver": "hals"}.get(name, -1)
    with pytest.raises(ValueError, match=rf"^{name} is {value!r}: .+ is required$"):
        Parameters.of({"rank": 3, name: value})


def test_penalties_on_v_are_those_on_w_unless_they_are_given():
    assert Parameters.of({"rank": 3, "alpha_W": 0.5}).alpha_H == 0.5
    assert Parameters.of({"rank": 3, "alpha_W": 0.5, "alpha_H": 0.0}).alpha_H == 0.0


def test_a_table_tells_of_all_of_them():
    rows = options_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(DECLARED)
    assert "| `tol` | `--tol` | `0.0003` | Stop where" in options_table()
    page = Path(__file__).parents[1] / "docs" / "guide" / "options.md"
    assert options_table() in page.read_text(encoding="utf-8"), "put the table of the code into the page"


def test_what_may_change_has_no_part_in_a_pass():
    assert MAY_CHANGE == ("max_iter", "tol", "cache", "memory_limit", "checkpoint_every")


def test_a_factorization_is_told_to_the_logger_dnmf(caplog):
    """Quiet unless somebody asks."""
    X = np.random.default_rng(0).random((40, 12))
    with caplog.at_level(logging.DEBUG, logger="dnmf"):
        result = dnmf.factorize(X, 2, max_iter=2, tol=0)
    told = {level: [r.getMessage() for r in caplog.records if r.levelno == level] for level in (10, 20)}
    assert told[20][0].startswith("X 40 × 12, 0.0 MB in 1 strip of rows")
    assert told[20][-1] == result.stopped
    assert [line[:9] for line in told[20] if line.startswith("pass")] == ["pass    1", "pass    2"]
    assert str(StripDone(1, 1, 1)) == "pass 1: strip 1 of 1" in told[10]
    assert str(Saved(0)) == "saved the first factors"
