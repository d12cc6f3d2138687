import subprocess
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


LEFT_BEHIND = """
import signal
import warnings

from dnmf.cli.signals import signals_as_exceptions

async def written():
    pass

kept = [written()]
with signals_as_exceptions():
    try:
        with warnings.catch_warnings():
            signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_a_coroutine_that_a_signal_left_behind_is_not_told() -> None:
    ended = subprocess.run([sys.executable, "-c", LEFT_BEHIND], capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("interrupted\n", "")
