"""`dnmf transform`."""

from typing import TYPE_CHECKING, Any

import click

import dnmf
from dnmf.cli.driving import computing
from dnmf.cli.options import number, option, somewhere, weights
from dnmf.cli.output import say
from dnmf.parameters import COUNT, MISSING_KINDS, TOLERANCE

if TYPE_CHECKING:
    from dnmf.clusters.kind import Profile


@click.command()
@click.argument("x")
@click.option("--model", required=True, help="The run whose V, loss and penalties are taken.")
@click.option("--out", required=True, help="The Zarr group to write W to.")
@click.option("--layer", help="Of AnnData, the layer to transform instead of its X.")
@click.option(
    "--missing", type=click.Choice(("same", "none", *MISSING_KINDS.names)), default="same",
    help="Entries that are not there; same: as for the run.",
)  # fmt: skip
@weights
@number(TOLERANCE, "--tol", default=1e-4, help="A row is done when nothing of it moves by more than this share.")
@number(COUNT, "--max-iter", default=200, help="Updates of a row at most.")
@option("negative")
@click.option("--overwrite", is_flag=True, help="Replace what transform wrote to --out before.")
@somewhere
def transform(
    x: str, model: str, layer: str | None, omega: str | None, missing: str, where: "Profile | None", **parameters: Any
) -> None:
    """Find the W of new rows X for the V of a run. X is read once."""
    from dnmf.matrix.opening import open_matrix

    result = dnmf.open_run(model)
    X = open_matrix(x, layer=layer)
    with computing(where, X.grid.nbytes, parameters["memory_limit"]):
        W = dnmf.transform(X, result, missing=None if missing == "none" else missing, weights=omega, **parameters)
    say(f"{parameters['out']}: W of {W.shape[0]} rows and {W.shape[1]} components")
