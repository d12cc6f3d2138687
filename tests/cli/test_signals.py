import sys

import pytest

from dnmf.cli.signals import signals_as_exceptions
from dnmf.events import Terminated


class Finalized:
    """Raises an error where Python drops it."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __del__(self) -> None:
        raise self.error


def test_an_ending_that_python_drops_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: told.append(dropped.exc_type))
    with signals_as_exceptions():
        for error in (KeyboardInterrupt, Terminated, ZeroDivisionError):
            Finalized(error)
    assert told == [ZeroDivisionError]
