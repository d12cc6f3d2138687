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


# What a factorization is asked for, but for X and where its results go.
PARAMETERS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("--rank",), {"type": COUNT, "required": True, "help": "Number of components k."}),
    (
        ("--solver",),
        {"type": click.Choice(["cd", "mu"]), "default": "cd", "help": "Coordinate descent or multiplicative."},
    ),
    (
        ("--beta-loss",),
        {
            "type": Beta(),
            "default": "frobenius",
            "help": "frobenius, kullback-leibler, itakura-saito, or the β of a β-divergence; all but the first need "
            "--solver mu.",
        },
    ),
    (
        ("--alpha-w", "alpha_W"),
        {"type": click.FloatRange(0), "default": 0.0, "help": "Penalty on W, as scikit-learn's alpha_W."},
    ),
    (("--alpha-h", "alpha_H"), {"type": click.FloatRange(0), "help": "Penalty on V; that on W if not given."}),
    (
        ("--l1-ratio",),
        {
            "type": click.FloatRange(0, 1),
            "default": 0.0,
            "help": "Share of the penalties that is on sums, not squares.",
        },
    ),
    (
        ("--init",),
        {
            "type": click.Choice(["sample", "nndsvd", "nndsvda", "nndsvdar", "random"]),
            "default": "sample",
            "help": "First factors; all but random come from a sample of X, which one read of X gives.",
        },
    ),
    (
        ("--max-iter",),
        {"type": COUNT, "default": 200, "help": "Passes over X at most, that of the sample aside."},
    ),
    (
        ("--tol",),
        {
            "type": SHARE,
            "default": 3e-4,
            "help": "Stop where one more pass would decrease the loss by less than this share of itself; 0: never.",
        },
    ),
    (("--seed",), {"type": click.IntRange(min=0), "default": 0, "help": "Of everything random."}),
    (("--inner-iter",), {"type": COUNT, "help": "Updates of a factor per pass; as many as pay if not given."}),
    (("--snapshot-every",), {"type": COUNT, "help": "Keep the short factor every so many passes."}),
    (
        ("--checkpoint-every",),
        {
            "type": COUNT,
            "help": "Passes from one saved state to the next; if not given, as many as keep the cost near 2 %.",
        },
    ),
    (("--cache/--no-cache",), {"default": True, "help": "Keep X in memory where it fits in half of it."}),
]


def parameters(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a new factorization."""
    for names, given in reversed(PARAMETERS):
        command = click.option(*names, **given)(command)
    return command


def changes(command: Callable[..., None]) -> Callable[..., None]:
    """The same options, none of which has a default: what a run that goes on may be given."""
    for names, given in reversed(PARAMETERS):
        command = click.option(*names, **(given | {"default": None, "required": False}))(command)
    return command


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
    from dnmf.clusters.profiles import Profile, read_profile

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
