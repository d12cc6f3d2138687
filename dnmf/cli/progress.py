"""What is shown of a factorization while it runs: a bar on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from dnmf.events import (
    Decided,
    Event,
    Listener,
    Observed,
    PassDone,
    Planned,
    Ranked,
    RankTried,
    Sampled,
    Started,
    Stopped,
)


class PlainLines:
    """Writes the plan, a line per pass at growing distances, and the end to a text stream."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._nbytes = stream, 0

    def __call__(self, event: Event) -> None:
        """Write what is worth a line."""
        match event:
            case Planned():
                self._nbytes = event.nbytes
                self._line(str(event))
            case PassDone() if _worth_a_line(event.iteration):
                self._line(f"{event}  {self._nbytes / event.seconds / 1e6:.0f} MB/s")
            case RankTried() if event.done % 5 == 0 or event.done == event.total:
                self._line(str(event))
            case Sampled() | Observed() | Ranked() | Started() | Decided() | Stopped():
                self._line(str(event))

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def _worth_a_line(iteration: int) -> bool:
    """Passes 1 … 10, then every tenth, then every hundredth."""
    return iteration % int(10 ** (len(str(iteration)) - 1)) == 0


@contextmanager
def show_progress(*, quiet: bool) -> Iterator[tuple[Listener, ...]]:
    """Listeners that write to the standard output: none if quiet, a bar on a terminal, plain lines elsewhere."""
    stream = sys.stdout
    if quiet or stream is None:
        yield ()
    elif not stream.isatty():
        yield (PlainLines(stream),)
    else:
        from dnmf.cli.progress_bar import bar  # what draws it takes a while to load

        with bar(stream) as listener:
            yield (listener,)
