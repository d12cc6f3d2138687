"""`dnmf factorize`."""

from typing import TYPE_CHECKING, Any

import click

import dnmf
from dnmf.cli.driving import computing, tell_end
from dnmf.cli.errors import hint_at_resume
from dnmf.cli.options import check_asked, drop_none, parameters, somewhere, weights
from dnmf.events import Listener

if TYPE_CHECKING:
    from dnmf.clusters.kind import Profile


@click.command()
@click.argument("x")
@click.option("--out", required=True, help="The run to write.")
@click.option("--layer", help="Of AnnData, the layer to factorize instead of its X.")
@parameters
@weights
@click.option("--sample", help="An earlier run on the same X, whose sample is taken instead of reading X for one.")
@click.option("--write-back", "back", is_flag=True, help="Also write W and V into the AnnData X, as X_nmf and NMF.")
@click.option("--strict", is_flag=True, help="Refuse X that lacks chunks, which Zarr takes for its fill value.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
@click.option("--overwrite", is_flag=True, help="Replace a run at --out, and what --write-back wrote.")
@somewhere
@click.pass_obj
def factorize(
    raise_again: Listener,
    /,
    x: str,
    out: str,
    layer: str | None,
    omega: str | None,
    where: "Profile | None",
    back: bool,
    overwrite: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Factorize a matrix in Zarr, X ≈ W V: dense, or sparse as AnnData writes it.

    A member of a group is X.zarr/layers/counts.
    """
    from dnmf.cli.progress import show_progress
    from dnmf.matrix.opening import open_matrix
    from dnmf.run.opening import check_out
    from dnmf.run.to_anndata import check_apart, open_anndata, write_back

    # What is wrong with a path or a parameter is told before a cluster is started.
    X = open_matrix(x, layer=layer, missing=asked["missing"], weights=omega)
    check_out(out, overwrite=overwrite)
    if back:
        open_anndata(x, overwrite=overwrite)
        check_apart(x, out)
    check_asked(asked)
    place = computing(where, X.grid.nbytes, asked["memory_limit"], quiet=quiet)
    with place, show_progress(quiet=quiet) as listeners, hint_at_resume(out) as note:
        result = dnmf.factorize(
            X, out=out, overwrite=overwrite, listeners=(note, *listeners, raise_again), **drop_none(asked)
        )
    if back:
        write_back(result, x, overwrite=overwrite)
    tell_end(result, out, quiet=quiet)
