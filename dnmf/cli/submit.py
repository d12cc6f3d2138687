"""`dnmf submit`."""

from typing import TYPE_CHECKING, Any

import click

import dnmf
from dnmf.cli.driving import check_lasting
from dnmf.cli.options import drop_none, parameters, somewhere, weights
from dnmf.cli.output import say

if TYPE_CHECKING:
    from dnmf.clusters.kind import Profile


@click.command()
@click.argument("x")
@click.option("--out", required=True, help="The run to write, which every worker must reach.")
@click.option("--layer", help="Of AnnData, the layer to factorize instead of its X.")
@parameters
@weights
@click.option("--strict", is_flag=True, help="Refuse X that lacks chunks, which Zarr takes for its fill value.")
@click.option("--overwrite", is_flag=True, help="Replace a run at --out.")
@somewhere
def submit(x: str, out: str, omega: str | None, where: "Profile | None", **asked: Any) -> None:
    """Factorize on a cluster that runs already, and do not wait for it: this machine may be turned off."""
    where = check_lasting(where)
    with where.open():
        dnmf.submit(x, out=out, weights=omega, **drop_none(asked))
    say(f"{out}: submitted; `dnmf status {out}` tells how it stands, `dnmf cancel {out}` stops it")
