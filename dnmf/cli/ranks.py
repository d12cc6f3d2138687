"""`dnmf ranks`."""

from typing import TYPE_CHECKING, Any

import click

import dnmf
from dnmf.cli.driving import computing
from dnmf.cli.options import Loss, number, option, somewhere, weights
from dnmf.cli.output import say
from dnmf.parameters import COUNT, SEED

if TYPE_CHECKING:
    from dnmf.clusters.kind import Profile


@click.command()
@click.argument("x")
@click.option("--ranks", "asked", help="Ranks to compare, as 5:40 or 4,8,12; 2 to 30, where X allows, if not given.")
@click.option("--out", required=True, help="The comparison to write; one there that was not finished goes on.")
@click.option("--sample", help="An earlier run or comparison on the same X, whose sample is taken: X is not read.")
@number(COUNT, "--starts", default=3, help="Starts of each factorization of a half of the sample.")
@click.option("--verify", help="Ranks, as 8:14, whose loss on all of X is found in one more read, for all of them.")
@click.option("--beta-loss", type=Loss(), default="frobenius", help="The loss; kullback-leibler for counts.")
@number(SEED, "--seed", default=0, help="Of the sample, its halves and the starts.")
@click.option("--layer", help="Of AnnData, the layer that is meant instead of its X.")
@option("missing")
@weights
@option("negative")
@click.option("--quiet", is_flag=True, help="Print nothing.")
@click.option("--overwrite", is_flag=True, help="Replace a comparison at --out.")
@somewhere
def ranks(
    x: str,
    asked: str | None,
    out: str,
    verify: str | None,
    layer: str | None,
    missing: str | None,
    omega: str | None,
    where: "Profile | None",
    quiet: bool,
    **more: Any,
) -> None:
    """Compare numbers of components by what they predict of a sample of X that was held out. X is read once."""
    from dnmf.cli.progress import show_progress
    from dnmf.matrix.opening import open_matrix
    from dnmf.rank_selection.asked import ranks_of

    X = open_matrix(x, layer=layer, missing=missing, weights=omega)
    wanted, checked = None if asked is None else ranks_of(asked), ranks_of(verify) if verify else ()
    place = computing(where, X.grid.nbytes, more["memory_limit"], quiet=quiet)
    with place, show_progress(quiet=quiet) as listeners:
        found = dnmf.ranks(X, wanted, out=out, verify=checked, missing=missing, listeners=listeners, **more)
    if not quiet:
        from dnmf.report.ranking import ranking_lines

        for line in ranking_lines(found):
            say(line)
        said = {"--layer": layer, "--missing": missing, "--weights": omega}
        said["--negative"] = more["negative"] if more["negative"] != "refuse" else None
        same = "".join(f" {flag} {value}" for flag, value in said.items() if value is not None)
        say(f"`dnmf factorize {x} --rank {found.best}{same} --sample {out} --out run.zarr` goes on from here")
