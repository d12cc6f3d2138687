"""`dnmf extend`."""

from typing import TYPE_CHECKING, Any

import click

import dnmf
from dnmf.cli.driving import computing, tell_end
from dnmf.cli.errors import hint_at_resume
from dnmf.cli.options import drop_none, somewhere, weights
from dnmf.events import Listener, Saved

if TYPE_CHECKING:
    from dnmf.clusters.kind import Profile


@click.command()
@click.argument("run")
@click.argument("x")
@click.option("--out", required=True, help="The run to write.")
@click.option("--rank", help="Number of components; +1 for one more than RUN has; as many if not given.")
@click.option("--exact", is_flag=True, help="Go on with passes over all rows, old and new; W is then that of all.")
@click.option("--layer", help="Of AnnData, the layer that holds the new rows instead of its X.")
@weights
@click.option("--strict", is_flag=True, help="Refuse X that lacks chunks, which Zarr takes for its fill value.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
@click.option("--overwrite", is_flag=True, help="Replace a run at --out.")
@somewhere
@click.pass_obj
def extend(
    raise_again: Listener, /, run: str, x: str, out: str, where: "Profile | None", layer: str | None, quiet: bool,
    omega: str | None, **asked: Any,
) -> None:  # fmt: skip
    """Take new rows X into a run: V of old and new rows, W of the new ones. The old rows are not read.

    X are rows with the columns of the run's X, or the same array, to which rows were appended since.
    """
    from dnmf.cli.progress import show_progress
    from dnmf.matrix.opening import open_matrix
    from dnmf.run.opening import check_out, open_whole

    check_out(out, overwrite=asked["overwrite"])
    _, record = open_whole(run)
    X = open_matrix(x, layer=layer, missing=record.parameters.missing)
    nbytes = X.grid.nbytes + (record.x.nbytes if asked["exact"] else 0)
    place = computing(where, nbytes, asked["memory_limit"], quiet=quiet)
    with place, show_progress(quiet=quiet) as listeners, hint_at_resume(out, after=Saved) as note:
        result = dnmf.extend(
            run, X, out=out, weights=omega, listeners=(note, *listeners, raise_again), **drop_none(asked)
        )
    tell_end(result, out, quiet=quiet)
