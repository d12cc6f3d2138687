"""Options of the command line that several commands have, and their types."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

COUNT, SHARE = click.IntRange(min=1), click.FloatRange(0, 1, max_open=True)


class Beta(click.ParamType[float | str]):
    """The name of a loss, or its β."""

    name = "loss"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """The name, or the number."""
        if value in ("frobenius", "kullback-leibler", "itakura-saito"):
            return str(value)
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither frobenius, kullback-leibler, itakura-saito nor a number", param, ctx)


class Bytes(click.ParamType[int]):
    """A number of bytes with a unit, such as 2GiB or 640MiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes of a text."""
        from dask.utils import parse_bytes

        try:
            size = int(parse_bytes(value))
        except ValueError:
            size = 0
        if size < 1:
            self.fail(f"{value!r} is not a size: give a number with a unit, such as 2GiB", param, ctx)
        return size


def somewhere(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say where to compute; the command gets `where`, a profile, and `memory_limit`."""

    @wraps(command)
    def with_profile(
        workers: int | None, scheduler: str | None, profile: str | None, memory_limit: int | None, **others: Any
    ) -> None:
        where = _cluster(workers, memory_limit, scheduler, profile)
        command(where=where, memory_limit=memory_limit, **others)

    for option in (
        click.option("--cluster", "profile", help="A cluster.yaml, or cluster.yaml:NAME for one of its profiles."),
        click.option("--scheduler", help="Address of a Dask scheduler that runs already, such as tcp://host:8786."),
        click.option("--workers", type=COUNT, help="Worker processes here; one per core if not given."),
        click.option("--memory-limit", type=Bytes(), help="Per worker, such as 2GiB."),
    ):
        with_profile = option(with_profile)
    return with_profile


def _cluster(workers: int | None, memory: int | None, scheduler: str | None, profile: str | None) -> Any:
    """The cluster that the options name: at most one of the three ways."""
    from dnmf.cluster import Profile, read_profile

    given = [
        name for name, value in (("--workers", workers), ("--scheduler", scheduler), ("--cluster", profile)) if value
    ]
    if len(given) > 1:
        raise click.UsageError(f"{given[0]} and {given[1]} both say where to compute: give one of them")
    if profile:
        return read_profile(profile)
    if scheduler:
        return Profile("scheduler", {"address": scheduler})
    return Profile("local", {"workers": workers, "memory": memory})
