"""Where commands compute, and how those that drive a run end."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from dnmf.cli.options import local
from dnmf.cli.output import say

if TYPE_CHECKING:
    from dnmf.clusters.kind import Profile
    from dnmf.run.result import Factorization


# X of so many bytes, and of this share of the memory, is computed with in this process unless a cluster is asked for:
# worker processes take some seconds to start and to end, in which that much is read three times.
HERE, SHARE = 2**31, 8


@contextmanager
def computing(where: "Profile | None", nbytes: int, memory_limit: int | None, *, quiet: bool = True) -> Iterator[None]:
    """Compute where that is asked for; else in this process, where that pays for X of so many bytes; else in workers.

    Where there is a cluster, and a dashboard of it, tell where that is.
    """
    from dnmf.clusters.here import memory_here

    if where is None and nbytes <= min(HERE, memory_here() // SHARE):
        yield
        return
    where = where or local(None, memory_limit)
    with where.open() as client:
        # Dask gives an address where it has nothing to show, too.
        if not quiet and client.dashboard_link and (where.kind == "scheduler" or find_spec("bokeh")):
            say(f"dashboard at {client.dashboard_link}")
        yield


def check_lasting(where: "Profile | None") -> "Profile":
    """A cluster that does not end with this process; anything else is refused."""
    if where is None or where.kind != "scheduler":
        raise click.UsageError(
            "only a cluster that runs already goes on when this command ends: give its address with --scheduler, or a "
            "profile of kind scheduler with --cluster"
        )
    return where


def tell_end(result: "Factorization", run: str, *, quiet: bool) -> None:
    """Say in one line how a run ended."""
    if not quiet:
        reads = "1 read" if result.reads == 1 else f"{result.reads:g} reads"
        say(f"{run}: relative error {result.relative_error:.6f}, {reads} of X; `dnmf info {run}` tells more")
