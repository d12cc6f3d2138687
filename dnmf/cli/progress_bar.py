"""Listeners that show a factorization while it runs: a bar on a terminal, plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from dnmf.events import Event, Listener, PassDone, Planned, Sampled, Started, Stopped, StripDone


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
            case Sampled() | Started() | Stopped():
                self._line(str(event))

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def _worth_a_line(iteration: int) -> bool:
    """Passes 1 … 10, then every tenth, then every hundredth."""
    return iteration % int(10 ** (len(str(iteration)) - 1)) == 0


class Bar:
    """Drives a rich progress bar: strips of the running pass, loss, relative error, MB/s, the longest time left."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task
        self._strips, self._nbytes = 1, 0

    def __call__(self, event: Event) -> None:
        """Move the bar."""
        match event:
            case Planned():
                self._strips, self._nbytes = event.strips, event.nbytes
                self._progress.console.print(str(event))
                self._progress.update(self._task, total=event.strips * event.max_iter)
            case StripDone():
                self._progress.update(
                    self._task,
                    completed=max(0, event.iteration - 1) * self._strips + event.done,
                    description=f"pass {event.iteration}" if event.iteration else "sample",
                )
            case Sampled() | Started() | Stopped():
                self._progress.console.print(str(event))
            case PassDone():
                rate = self._nbytes / event.seconds / 1e6
                self._progress.update(
                    self._task,
                    completed=event.iteration * self._strips,
                    description=f"pass {event.iteration}",
                    facts=f"loss {event.loss:.4e}  relative error {event.relative_error:.5f}  {rate:.0f} MB/s",
                )


@contextmanager
def show_progress(console: Console, *, quiet: bool) -> Iterator[tuple[Listener, ...]]:
    """Listeners for a console: none if quiet, a bar on a terminal, plain lines elsewhere."""
    if quiet:
        yield ()
    elif not console.is_terminal:
        yield (PlainLines(console.file),)
    else:
        columns = (
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[facts]}"),
            TextColumn("at most"), TimeRemainingColumn(), TextColumn("left"),
        )  # fmt: skip
        with Progress(*columns, console=console, transient=True) as progress:
            yield (Bar(progress, progress.add_task("starting", total=None, facts="")),)
