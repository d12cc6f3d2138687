"""A warning of ours is one line on stderr; those of others stay what they are."""

import warnings

import pytest

from dnmf.cli.warned import warnings_as_lines


def warn_twice() -> None:
    warnings.warn("X lacks 1 of 3 chunks", stacklevel=1)
    warnings.warn("theirs", DeprecationWarning, stacklevel=1)


def test_a_warning_of_ours_is_its_sentence_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(DeprecationWarning, match="theirs"), warnings_as_lines():
        warn_twice()
    assert capsys.readouterr().err == "warning: X lacks 1 of 3 chunks\n"
