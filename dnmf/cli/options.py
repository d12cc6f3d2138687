"""Options of the command line that several commands have, and their types."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dnmf.cli.errors import quiet_dask
from dnmf.parameters import COUNT, DECLARED, LOSS, Declared, Names, Parameters, Range

if TYPE_CHECKING:
    from dnmf.clusters.kind import Profile

Command = Callable[..., None]
T = TypeVar("T")


class Loss(click.ParamType[float | str]):
    """The name of a loss, or its β."""

    name = "loss"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """The name, or the number."""
        if value in LOSS.names:
            return value
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither {', '.join(LOSS.names)} nor a number", param, ctx)


class Bytes(click.ParamType[int]):
    """A number of bytes with a unit, such as 2GiB or 640MiB."""

    name = "size"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes of a text."""
        from dnmf.clusters.keys import Memory

        try:
            return int(Memory.read(value))
        except ValueError as required:
            missing = f", {value} bytes," if value.isdecimal() else ""
            self.fail(f"{value!r}{missing} is not possible: {required} is required", param, ctx)


class Rank(click.ParamType[int | str]):
    """A number of components, auto, or ranks to choose from."""

    name = "rank"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """The number, or the text."""
        from dnmf.rank_selection.asked import ranks_of

        if value == "auto":
            return value
        try:
            asked = ranks_of(value)
        except ValueError:
            self.fail(f"{value!r} is neither a positive integer, nor auto, nor a range such as 5:40", param, ctx)
        return asked[0] if value.isdecimal() else value


def type_of(check: Range | Names) -> click.ParamType[Any] | None:
    """How the command line reads what a check takes; None for a flag."""
    if check is LOSS:
        return Loss()
    match check:
        case Range(of=kind, least=least, most=most, open=open_):
            return (click.IntRange if kind is int else click.FloatRange)(least, most, max_open=open_)
        case Names(names=names):
            return click.Choice(names) if names else None


def number(check: Range, *flags: str, **more: Any) -> Callable[[Command], Command]:
    """An option that takes numbers."""
    return click.option(*flags, type=type_of(check), **more)


def _option(name: str, declared: Declared, *, first: bool) -> Callable[[Command], Command]:
    """The option of a parameter, where a run begins with it or goes on."""
    # The default of alpha_H is no number: it is that of alpha_W. What is required must not have one, not even None.
    default = declared.default if first and declared.check.holds(declared.default) else None
    more: dict[str, Any] = {"required": True} if first and declared.required else {"default": default}
    # A run that begins may leave the rank to X; one that goes on has one.
    kind = Rank() if name == "rank" and first else click.STRING if name == "fixed" else type_of(declared.check)
    return click.option(*declared.flags, name, type=kind, help=declared.help, **more)


def option(name: str) -> Callable[[Command], Command]:
    """The option of one parameter, for a command that has not all of them."""
    return _option(name, DECLARED[name], first=True)


def _options(command: Command, *, first: bool) -> Command:
    for name, declared in reversed(DECLARED.items()):
        if declared.flags and name != "memory_limit":  # which says where to compute, too
            command = _option(name, declared, first=first)(command)
    return command


def parameters(command: Command) -> Command:
    """The options of a new factorization."""
    return _options(command, first=True)


def changes(command: Command) -> Command:
    """The same options, none of which has a default: what a run that goes on may be given."""
    return _options(command, first=False)


def weights(command: Command) -> Command:
    """The option that says where weights of the entries of X are; the command gets `omega`, a path or None."""
    told = "Weights of the entries of X, a matrix of its shape; 0: missing, above 0: observed."
    return click.option("--weights", "omega", help=told)(command)


def check_asked(options: Mapping[str, Any]) -> None:
    """Raise ValueError for the first parameter that makes no sense; a rank that is still to be chosen does."""
    from dnmf.factorization.known import known_components

    rank, known = options["rank"], known_components(options["fixed"])
    most = 1 if known is None else len(known)
    Parameters.of({**drop_none(options), "rank": most if isinstance(rank, str) else rank, "fixed": known})


def drop_none(options: Mapping[str, T | None]) -> dict[str, T]:
    """The options that were given or have a default."""
    return {name: value for name, value in options.items() if value is not None}


def somewhere(command: Command) -> Command:
    """The options that say where to compute; the command gets `where`, a profile or None, and `memory_limit`."""

    @click.option("--cluster", "profile", help="A cluster.yaml, or cluster.yaml:NAME for one of its profiles.")
    @click.option("--scheduler", help="Address of a Dask scheduler that runs already, such as tcp://host:8786.")
    @number(COUNT, "--workers", help="Worker processes here; if not given, one per core where X is large.")
    @click.option("--memory-limit", type=Bytes(), help=DECLARED["memory_limit"].help)
    @wraps(command)
    def with_profile(
        workers: int | None, scheduler: str | None, profile: str | None, memory_limit: int | None, **others: Any
    ) -> None:
        command(where=_cluster(workers, memory_limit, scheduler, profile), memory_limit=memory_limit, **others)

    return with_profile


def _cluster(workers: int | None, memory: int | None, scheduler: str | None, profile: str | None) -> "Profile | None":
    """The cluster that the options name: at most one of the three ways; None where they name none."""
    ways = {"--workers": workers, "--scheduler": scheduler, "--cluster": profile}
    named = [name for name, value in ways.items() if value is not None]
    if not named:
        return None
    if len(named) > 1:
        raise click.UsageError(f"{named[0]} and {named[1]} both say where to compute: give one of them")
    if not str(ways[named[0]]).strip():
        raise click.UsageError(f"{named[0]} has an empty value: say where to compute, or leave it out")
    from dnmf.clusters.keys import Address
    from dnmf.clusters.profiles import read_profile
    from dnmf.clusters.scheduler import Scheduler

    quiet_dask()
    if profile:
        return read_profile(profile)
    return Scheduler(address=Address(scheduler)) if scheduler else local(workers, memory)


def local(workers: int | None, memory: int | None) -> "Profile":
    """Worker processes here, each with so many bytes of memory."""
    from dnmf.clusters.keys import Memory
    from dnmf.clusters.local import Local

    quiet_dask()
    return Local(workers=workers, memory=None if memory is None else Memory(memory))
