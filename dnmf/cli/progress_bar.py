"""Listeners that show a factorization while it runs: a bar on a terminal, plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from dnmf.events import Event, Listener, PassDone, Planned, Sampled, Started, Stopped, StripDone
from dnmf.plan.strips import rows_or_columns

MIB = 2**20


def describe(plan: Planned) -> str:
    """The plan in one line.

    >>> describe(Planned((4, 2), 32, 1, 32, 0, 2, 1, 160 * MIB, 512 * MIB, 10))
    'X 4 × 2, 0.0 MB in 1 strip of rows, 0.0 MiB; 2 workers of 1 thread: 160 of 512 MiB each'
    """
    strips = f"{plan.strips} {'strip' if plan.strips == 1 else 'strips'} of {rows_or_columns(plan.axis)}"
    workers = f"{plan.workers} {'worker' if plan.workers == 1 else 'workers'}"
    threads = f"{plan.threads} {'thread' if plan.threads == 1 else 'threads'}"
    return (
        f"X {plan.shape[0]} × {plan.shape[1]}, {plan.nbytes / 1e6:.1f} MB in {strips}, "
        f"{plan.strip_bytes / MIB:.1f} MiB; {workers} of {threads}: "
        f"{plan.peak / MIB:.0f} of {plan.limit / MIB:.0f} MiB each"
    )


def tell_sample(event: Sampled | Started) -> str:
    """A sample, or the factors that came from it, in one line.

    >>> tell_sample(Sampled(8000, 2.5, 10**9))
    'sample of 8000, 2.50 s  400 MB/s'
    >>> tell_sample(Started(3.25, 0.25))
    'first factors, relative error 0.250000 on the sample, 3.25 s since the start'
    """
    if isinstance(event, Sampled):
        return f"sample of {event.rows}, {event.seconds:.2f} s  {event.bytes_read / event.seconds / 1e6:.0f} MB/s"
    error = "" if event.relative_error is None else f" relative error {event.relative_error:.6f} on the sample,"
    return f"first factors,{error} {event.seconds:.2f} s since the start"


class PlainLines:
    """Writes the plan, a line per pass at growing distances, and the end to a text stream."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._nbytes = stream, 0

    def __call__(self, event: Event) -> None:
        """Write what is worth a line."""
        match event:
            case Planned():
                self._nbytes = event.nbytes
                self._line(describe(event))
            case Sampled() | Started():
                self._line(tell_sample(event))
            case PassDone() if _worth_a_line(event.iteration):
                rate = self._nbytes / event.seconds / 1e6
                self._line(
                    f"pass {event.iteration:4d}  loss {event.loss:.6e}  relative error {event.relative_error:.6f}  "
                    f"{event.seconds:.2f} s  {rate:.0f} MB/s"
                )
            case Stopped():
                self._line(event.reason)

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
                self._progress.console.print(describe(event))
                self._progress.update(self._task, total=event.strips * event.max_iter)
            case StripDone():
                self._progress.update(
                    self._task,
                    completed=max(0, event.iteration - 1) * self._strips + event.done,
                    description=f"pass {event.iteration}" if event.iteration else "sample",
                )
            case Sampled() | Started():
                self._progress.console.print(tell_sample(event))
            case PassDone():
                rate = self._nbytes / event.seconds / 1e6
                self._progress.update(
                    self._task,
                    completed=event.iteration * self._strips,
                    description=f"pass {event.iteration}",
                    facts=f"loss {event.loss:.4e}  relative error {event.relative_error:.5f}  {rate:.0f} MB/s",
                )
            case Stopped():
                self._progress.console.print(event.reason)


@contextmanager
def shown(console: Console, *, quiet: bool) -> Iterator[tuple[Listener, ...]]:
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
