"""What the command line says when something ends early: one sentence on stderr, and an exit code."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console

from dnmf.cli.signals import INTERRUPTED, TERMINATED, end_soon
from dnmf.events import Event, Planned, Terminated

console = Console(highlight=False, soft_wrap=True)


# What a mistake of the user's or the world's raises: its sentence is shown alone. Anything else is a defect of ours.
EXPECTED = (OSError, ValueError, TypeError, MemoryError, RuntimeError, ImportError, ArithmeticError)


def _sentence(error: BaseException) -> tuple[str, int] | None:
    """What to say of an error, and the exit code; None where nobody expected it."""
    if isinstance(error, KeyboardInterrupt | click.exceptions.Abort):
        return "interrupted", INTERRUPTED
    if isinstance(error, Terminated):
        return "terminated", TERMINATED
    if isinstance(error, EXPECTED) and not isinstance(error, click.exceptions.Exit):
        return str(error) or type(error).__name__, 1
    return None


@contextmanager
def told() -> Iterator[None]:
    """Show an expected error as its sentence alone, on stderr, and exit."""
    try:
        yield
    except BaseException as error:
        found = _sentence(error)
        if found is None:
            raise
        click.echo(found[0], err=True)
        sys.exit(found[1])


@contextmanager
def resumable(run: str) -> Iterator[Callable[[Event], None]]:
    """Say at once why a run ended early and how to go on with it; and end soon, where its cluster may not answer.

    Gives a listener, which notes that the run is begun. Wrong values, such as a negative entry of X, will not be right
    the next time.
    """
    # What goes wrong comes back as an error: Dask need not print it too.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    begun = False

    def note(event: Event) -> None:
        nonlocal begun
        begun = begun or isinstance(event, Planned)

    try:
        yield note
    except BaseException as error:
        found = _sentence(error)
        if found is None:
            raise
        click.echo(found[0], err=True)
        if begun and not isinstance(error, ValueError):
            click.echo(f"`dnmf resume {run}` goes on with it", err=True)
        if isinstance(error, ConnectionError):
            end_soon(found[1])
        raise click.exceptions.Exit(found[1]) from error
