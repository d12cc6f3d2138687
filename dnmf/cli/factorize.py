"""The commands that drive a run, and those that ask how it stands."""

from typing import Any

import click

from dnmf.cli.errors import console, resumable
from dnmf.cli.options import changes, parameters, somewhere


@click.command()
@click.argument("x")
@click.option("--out", required=True, help="The run to write.")
@click.option("--layer", help="Of AnnData, the layer to factorize instead of its X.")
@parameters
@click.option("--sample", help="An earlier run on the same X, whose sample is taken instead of reading X for one.")
@click.option("--write-back", "back", is_flag=True, help="Also write W and V into the AnnData X, as X_nmf and NMF.")
@click.option("--strict", is_flag=True, help="Refuse X that lacks chunks, which Zarr takes for its fill value.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
@click.option("--overwrite", is_flag=True, help="Replace a run at --out, and what --write-back wrote.")
@somewhere
@click.pass_obj
def factorize(again: Any, /, x: str, out: str, where: Any, back: bool, quiet: bool, **asked: Any) -> None:
    """Factorize a matrix in Zarr, X ≈ W V: dense, or sparse as AnnData writes it.

    A member of a group is X.zarr/layers/counts.
    """
    from dnmf.cli.progress_bar import shown
    from dnmf.clusters.connect import connect
    from dnmf.factorization.factorize import factorize as run_factorize
    from dnmf.run.to_anndata import open_anndata, write_back

    _check(x, out, asked)
    if back:
        open_anndata(x, overwrite=asked["overwrite"])
    with connect(where), shown(console, quiet=quiet) as listeners, resumable(out) as note:
        result = run_factorize(x, out=out, listeners=(note, *listeners, again), **asked)
    if back:
        write_back(result, x, overwrite=asked["overwrite"])
    _tell(result, out, quiet=quiet)


@click.command()
@click.argument("x")
@click.option("--out", required=True, help="The run to write, which every worker must reach.")
@click.option("--layer", help="Of AnnData, the layer to factorize instead of its X.")
@parameters
@click.option("--strict", is_flag=True, help="Refuse X that lacks chunks, which Zarr takes for its fill value.")
@click.option("--overwrite", is_flag=True, help="Replace a run at --out.")
@somewhere
def submit(x: str, out: str, where: Any, **asked: Any) -> None:
    """Factorize on a cluster that runs already, and do not wait for it: this machine may be turned off."""
    from dnmf.clusters.connect import connect
    from dnmf.factorization.submit import submit as run_submit

    _check_lasting(where)
    _check(x, out, asked)
    with connect(where):
        run_submit(x, out=out, **asked)
    console.print(f"{out}: submitted; `dnmf status {out}` tells how it stands, `dnmf cancel {out}` stops it")


@click.command()
@click.argument("run")
@click.option("--x", help="Where X is now, if it has moved since.")
@changes
@click.option("--detach", is_flag=True, help="Leave all of it to a cluster that runs already, as submit does.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
@somewhere
@click.pass_obj
def resume(again: Any, /, run: str, x: str | None, where: Any, detach: bool, quiet: bool, **given: Any) -> None:
    """Go on with a run that was stopped or whose process died, from its last saved state.

    --max-iter, --tol, --checkpoint-every, --cache and where to compute may be other than before. All other parameters
    may be given, and must be what they were.
    """
    from dnmf.cli.progress_bar import shown
    from dnmf.clusters.connect import connect
    from dnmf.factorization.resume import resume as run_resume
    from dnmf.factorization.submit import resume_there
    from dnmf.run.opening import open_group

    changed = {name: value for name, value in given.items() if value is not None}
    open_group(run)
    if detach:
        _check_lasting(where)
        with connect(where):
            resume_there(run, x, **changed)
        console.print(f"{run}: goes on; `dnmf status {run}` tells how it stands")
        return
    with connect(where), shown(console, quiet=quiet) as listeners, resumable(run) as note:
        result = run_resume(run, x, listeners=(note, *listeners, again), **changed)
    _tell(result, run, quiet=quiet)


def _check(x: str, out: str, asked: dict[str, Any]) -> None:
    """Tell of a wrong path before a cluster is started."""
    from dnmf.matrix.opening import open_matrix
    from dnmf.run.opening import check_out

    asked["alpha_H"] = "same" if asked["alpha_H"] is None else asked["alpha_H"]
    open_matrix(x, layer=asked["layer"])
    check_out(out, overwrite=asked["overwrite"])


def _check_lasting(where: Any) -> None:
    """Refuse a cluster that would end with this process."""
    if where.kind != "scheduler":
        raise click.UsageError(
            "only a cluster that runs already goes on when this command ends: give its address with --scheduler, or a "
            "profile of kind scheduler with --cluster"
        )


def _tell(result: Any, run: str, *, quiet: bool) -> None:
    """The end, in one line."""
    if not quiet:
        console.print(
            f"{run}: relative error {result.relative_error:.6f}, {result.reads:g} reads of X; "
            f"`dnmf info {run}` tells more"
        )
