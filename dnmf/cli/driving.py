"""How commands that drive a run begin and end."""

from typing import TYPE_CHECKING

import click

from dnmf.cli.errors import console

if TYPE_CHECKING:
    from dnmf.clusters.kind import Profile
    from dnmf.run.result import Factorization


def check_lasting(where: "Profile") -> None:
    """Refuse a cluster that would end with this process."""
    if where.kind != "scheduler":
        raise click.UsageError(
            "only a cluster that runs already goes on when this command ends: give its address with --scheduler, or a "
            "profile of kind scheduler with --cluster"
        )


def tell_end(result: "Factorization", run: str, *, quiet: bool) -> None:
    """Say in one line how a run ended."""
    if not quiet:
        console.print(
            f"{run}: relative error {result.relative_error:.6f}, {result.reads:g} reads of X; "
            f"`dnmf info {run}` tells more"
        )
