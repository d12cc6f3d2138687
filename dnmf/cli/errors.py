"""What the command line says when something ends early: one sentence on stderr, and an exit code."""

import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from linecache import getline

import click

from dnmf.cli.output import say
from dnmf.cli.signals import INTERRUPTED, SAID, TERMINATED, WORDS, end_soon
from dnmf.events import Event, Planned, Terminated

# What the world does: disks, networks, memory, packages that are missing.
WORLD = (OSError, MemoryError, ImportError)

# What a mistake of the user's or the world's raises; not all that is of these types is one, see `is_expected`.
EXPECTED = (*WORLD, ValueError, TypeError, RuntimeError, ArithmeticError)


def is_expected(error: BaseException) -> bool:
    """Whether an error says what is wrong with what was asked for, or with the world; else it is a defect of ours.

    A `raise` of ours is a sentence of ours. What our lines raise without one is a defect, and so is what a library
    says of a call that is none; but libraries also refuse values, such as those of a damaged file.
    """
    if isinstance(error, WORLD):
        return True
    if not isinstance(error, EXPECTED) or error.__traceback__ is None:
        return False
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    module = frame.f_globals.get("__name__", "")
    if module.partition(".")[0] == "dnmf":
        return _raises(module, line)
    return not isinstance(error, TypeError)


def _raises(module: str, line: int) -> bool:
    """Whether a line begins with `raise`. Frames of workers come without their code, but with these two."""
    return getline(import_module(module).__file__ or "", line).split()[:1] == ["raise"]


def _tell(error: BaseException) -> int | None:
    """Say on stderr what ended a command, and give its exit code; None where it is nothing to tell of."""
    if isinstance(error, click.exceptions.Exit | click.ClickException):
        return None
    if isinstance(error, KeyboardInterrupt | click.exceptions.Abort):
        sentence, code = WORDS[INTERRUPTED], INTERRUPTED
    elif isinstance(error, Terminated):
        sentence, code = WORDS[TERMINATED], TERMINATED
    elif isinstance(error, Exception):
        sentence, code = _sentence(error), 1
    else:
        return None
    context = click.get_current_context(silent=True)
    if context and context.find_root().params.get("debug"):
        say("".join(traceback.format_exception(error)).rstrip("\n"), err=True)
    SAID.set()
    say(sentence, err=True)
    return code


def _sentence(error: Exception) -> str:
    if is_expected(error):
        return _as_typed(str(error)) or type(error).__name__
    return f"{type(error).__name__}: {error}: this is a defect of dnmf: `dnmf --debug …` shows where; please report it"


def _as_typed(sentence: str) -> str:
    """A sentence with options of the command that runs for the names that these have in Python, but for plain words."""
    for name, option in _options():
        sentence = re.sub(rf"(?<![\w/]){name}(?![\w/.])", option, sentence, flags=re.IGNORECASE)
    return sentence


def _options() -> Iterator[tuple[str, str]]:
    """Names and options of the command that runs, where a name is no word."""
    context = click.get_current_context(silent=True)
    command = context.command if context else None
    if context and isinstance(command, click.Group) and context.invoked_subcommand:
        command = command.commands[context.invoked_subcommand]
    for option in command.params if command else ():
        if option.name and "_" in option.name and option.opts[0].startswith("--"):
            yield option.name, option.opts[0]


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Show what ends a command as one sentence, on stderr, and exit."""
    try:
        yield
    except BaseException as error:
        code = _tell(error)
        if code is None:
            raise
        sys.exit(code)


@contextmanager
def hint_at_resume(run: str, after: type[Event] = Planned) -> Iterator[Callable[[Event], None]]:
    """Say at once why a run ended early and how to go on with it; and end soon, where its cluster may not answer.

    Gives a listener, which notes by an event that the run can go on by itself. Wrong values, such as a negative entry
    of X, will not be right the next time.
    """
    begun = False

    def note(event: Event) -> None:
        nonlocal begun
        begun = begun or isinstance(event, after)

    try:
        yield note
    except BaseException as error:
        code = _tell(error)
        if code is None:
            raise
        if begun and not isinstance(error, ValueError):
            say(f"`dnmf resume {run}` goes on with it", err=True)
        if isinstance(error, ConnectionError):
            end_soon(code)
        raise click.exceptions.Exit(code) from error


def quiet_dask() -> None:
    """Keep Dask from printing errors, which come back to us: to the end of the process, where its threads may be last.

    Dask sets the levels of its loggers when it is loaded: it must be loaded by then.
    """
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
