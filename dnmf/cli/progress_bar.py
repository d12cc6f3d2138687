"""A listener that draws a factorization while it runs, as a bar on a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

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
    StripDone,
)


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
            case RankTried():
                self._progress.update(self._task, total=event.total, completed=event.done, description="ranks")
            case Sampled() | Observed() | Ranked() | Started() | Decided() | Stopped():
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
def bar(stream: IO[str], **options: Any) -> Iterator[Listener]:
    """A listener that draws a bar on a terminal, for the length of a block; `options` are those of rich's Console."""
    # Nothing in a path is markup.
    console = Console(file=stream, highlight=False, soft_wrap=True, markup=False, emoji=False, **options)
    spinner = SpinnerColumn() if console.encoding.startswith("utf") else SpinnerColumn("line")
    columns = (
        spinner, TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[facts]}"),
        TextColumn("at most"), TimeRemainingColumn(), TextColumn("left"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress, progress.add_task("starting", total=None, facts=""))
