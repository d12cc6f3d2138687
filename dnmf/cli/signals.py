"""Ctrl-C and SIGTERM: they end what is going on, in order where possible, within seconds in any case."""

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from dnmf.events import Terminated

# Seconds from a signal, or from an error that ends a factorization, to the end of this process.
GRACE = 4.0
INTERRUPTED, TERMINATED = 130, 143
WORDS = {INTERRUPTED: "interrupted", TERMINATED: "terminated"}

# Set as soon as it was said why the command ends.
SAID = threading.Event()


@contextmanager
def signals_as_exceptions() -> Iterator[Callable[[object], None]]:
    """Raise KeyboardInterrupt at Ctrl-C and Terminated at SIGTERM. A listener that does so again, where one was lost.

    Python drops an exception that is raised in a finalizer, and Dask's futures have finalizers.
    """
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        if not received:
            end_soon(128 + number)
        received.append(number)
        raise_again()

    def raise_again(*_: object) -> None:
        if received:
            raise KeyboardInterrupt if received[0] == signal.SIGINT else Terminated

    # An exception may come between a coroutine's making and its being awaited, and Python tells of it at the exit. A
    # filter that is set when the signal comes would be lost with the `catch_warnings` around what it ends.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    tell = sys.unraisablehook
    sys.unraisablehook = partial(_tell_unless_ended, tell)
    try:
        yield raise_again
    finally:
        sys.unraisablehook = tell
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell_unless_ended(tell: Callable[[Any], object], dropped: Any) -> None:
    """Tell of an exception that Python dropped, unless it is one of those that end a command, and are raised again."""
    if not isinstance(dropped.exc_value, KeyboardInterrupt | Terminated):
        tell(dropped)


def end_soon(code: int) -> None:
    """End this process and those that it started after some seconds, whatever it still waits for then.

    A client may wait long for a scheduler that does not answer. All that is to be saved is saved by then.
    """
    timer = threading.Timer(GRACE, _end, [code])
    timer.daemon = True
    timer.start()


def _end(code: int) -> None:
    import psutil  # most commands end without it

    warnings.simplefilter("ignore")  # Python's own, of its tracker of resources that is killed here
    try:
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
        if not SAID.is_set() and code in WORDS:
            os.write(2, f"{WORDS[code]}\n".encode())
    finally:
        os._exit(code)
