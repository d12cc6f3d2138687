"""The standard streams, as a command needs them: whatever becomes of what is printed, a factorization goes on.

A stream may be unable to show a character (it is spelled), closed from the start, a pipe whose reader went away, or a
full disk (what is written is dropped).
"""

import codecs
import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import click

# What our own words need of characters that are not in ASCII.
SPELLED = {
    "×": "x",
    "−": "-",
    "–": "-",
    "≈": "~",
    "≥": ">=",
    "±": "+-",
    "←": "<-",
    "…": "...",
    "β": "beta",
    "‖": "||",
    "√": "sqrt",
    "²": "^2",
}


class Binary(Protocol):
    """What takes bytes."""

    def write(self, data: bytes, /) -> int | None:
        """How many of them were taken."""


class Lossy(io.RawIOBase):
    """Takes all bytes for another stream, and drops those that it does not take."""

    def __init__(self, stream: Binary) -> None:
        self._stream = stream

    def writable(self) -> bool:
        """It is only written to."""
        return True

    def fileno(self) -> int:
        """Of the other stream."""
        return int(self._stream.fileno())  # type: ignore[attr-defined]

    def isatty(self) -> bool:
        """Whether the other stream is a terminal."""
        with suppress(OSError, ValueError):
            return bool(self._stream.isatty())  # type: ignore[attr-defined]
        return False

    def write(self, data: object) -> int:
        """Pass bytes on as far as that is possible."""
        rest = bytes(memoryview(data))  # type: ignore[arg-type]
        size = len(rest)
        # A closed stream raises ValueError.
        with suppress(OSError, ValueError):
            while rest and (taken := self._stream.write(rest)):
                rest = rest[taken:]
        return size


def spell(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: our own signs in ASCII, other characters as Python escapes them."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(SPELLED.get(c) or c.encode("ascii", "backslashreplace").decode() for c in signs), error.end


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Standard output and errors that never raise, for the length of a block."""
    codecs.register_error("dnmf.spell", spell)
    _fill_descriptors()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_lasting, before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.flush()
        sys.stdout, sys.stderr = before


def _lasting(stream: object) -> object:
    """A text stream that never raises, in front of one of Python's own; any other as it is."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    with suppress(OSError, ValueError):
        stream.flush()
    under: Any = getattr(stream.buffer, "raw", stream.buffer)
    raw = Lossy(under)
    return io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, "dnmf.spell", line_buffering=stream.line_buffering)


def _fill_descriptors() -> None:
    """Where standard streams are closed, let no file that is opened later have their numbers: workers print there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free: this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def say(text: object, *, err: bool = False) -> None:
    """Print a line, to standard output or to the stream of errors."""
    # Given a stream, click takes it as it is; its own choice would take one that says ASCII for a mistake.
    click.echo(text, file=sys.stderr if err else sys.stdout)


def terminal_width() -> int | None:
    """Cells of a line of the terminal that standard output is shown on; None where it goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
