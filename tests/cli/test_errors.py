"""What ends a command: a sentence for what was to be expected, a word that it is one for a defect of dnmf."""

import json
import logging
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import zarr
from commands import command
from distributed.protocol import pickle

import dnmf
from dnmf.cli.errors import is_expected
from dnmf.cli.main import main
from dnmf.cli.options import drop_none
from dnmf.parameters import Parameters, check


def raised(call, *arguments):
    """What a call raises."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - any
        call(*arguments)
    return caught.value


@pytest.mark.parametrize(
    "call",
    [
        lambda: Parameters.of({"rank": 0}),
        lambda: Path("nothing").read_text(),
        lambda: import_module("nothing"),
        lambda: json.loads("["),
        lambda: np.empty(2**60),
    ],
    ids=["a sentence of ours", "no file", "no package", "a library that refuses a file", "no memory"],
)
def test_what_says_what_is_wrong_is_expected(call):
    assert is_expected(raised(call))


@pytest.mark.parametrize(
    "call",
    [lambda: check(nothing=1), lambda: drop_none(None), lambda: drop_none({}, {}), lambda: json.loads(None)],
    ids=["no such key", "no such attribute", "a wrong call of ours", "a wrong call of a library"],
)
def test_what_is_raised_without_saying_what_is_wrong_is_a_defect(call):
    assert not is_expected(raised(call))


def test_it_is_told_of_what_comes_from_a_worker_too():
    """Frames come back without their code."""
    for call, expected in ((lambda: Parameters.of({"rank": 0}), True), (lambda: drop_none(None), False)):
        error = pickle.loads(pickle.dumps(raised(call)))
        assert error.__traceback__ is not None
        assert is_expected(error) is expected


def typed(monkeypatch, capsys, *words):
    """`dnmf …` in this process: its exit code and what is on stderr."""
    monkeypatch.setattr("sys.argv", ["dnmf", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


def test_debug_shows_where_an_error_came_from(monkeypatch, capsys, tmp_path):
    says = f"there is no run at {tmp_path}/none: give the --out of a factorization\n"
    assert typed(monkeypatch, capsys, "info", f"{tmp_path}/none") == (1, says)
    code, told = typed(monkeypatch, capsys, "--debug", "info", f"{tmp_path}/none")
    assert code == 1
    assert told.startswith("Traceback (most recent call last):\n")
    assert told.endswith(says)


def test_a_defect_is_told_as_one(monkeypatch, capsys):
    monkeypatch.setattr(dnmf, "status", drop_none, raising=False)
    assert typed(monkeypatch, capsys, "status", "run") == (
        1,
        "AttributeError: 'str' object has no attribute 'items': this is a defect of dnmf: `dnmf --debug …` shows "
        "where; please report it\n",
    )
    assert "in drop_none\n" in typed(monkeypatch, capsys, "--debug", "status", "run")[1]


def test_dask_stays_quiet_after_a_command(monkeypatch, capsys, tmp_path):
    """Threads of a client that has lost its scheduler say so once more while the process ends."""
    logger = logging.getLogger("distributed.client")
    logger.setLevel(logging.WARNING)
    typed(monkeypatch, capsys, "resume", f"{tmp_path}/none", "--workers", 1)
    assert not logger.isEnabledFor(logging.ERROR)


def test_a_sentence_names_options_as_they_are_typed_and_paths_as_they_are(tmp_path):
    zarr.create_array(str(tmp_path / "max_iter.zarr"), data=np.ones((4, 3)))
    asked = ("factorize", "max_iter.zarr", "--rank", 1, "--out", "run.zarr", "--max-iter", 1)
    wrong = command(*asked, "--solver", "cd", "--beta-loss", "kullback-leibler", cwd=tmp_path)
    assert "and --beta-loss is 1: solver 'mu' is required" in wrong.stderr
    assert command(*asked, cwd=tmp_path).returncode == 0
    again = command("resume", "run.zarr", "--max-iter", 1, cwd=tmp_path)
    assert "give a larger --max-iter or a smaller tol" in again.stderr
    taken = command("factorize", "max_iter.zarr", "--rank", 1, "--out", "max_iter.zarr", cwd=tmp_path)
    assert "max_iter.zarr" in taken.stderr
    assert "--max-iter" not in taken.stderr
