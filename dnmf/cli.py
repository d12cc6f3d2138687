"""The command line: demo, convert, factorize, transform, info, plot. It parses, calls one function, and prints."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from dnmf.options import COUNT, SHARE, Beta, somewhere

console = Console(highlight=False, soft_wrap=True)

# What a mistake of the user's or the world's raises: its sentence is shown alone. Anything else is a defect of ours.
EXPECTED = (OSError, ValueError, TypeError, MemoryError, RuntimeError, ImportError, ArithmeticError)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="dnmf")
def cli() -> None:
    """Non-negative matrix factorization, X ≈ W V, of Zarr matrices larger than memory."""


@cli.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("dnmf-demo"), help="Folder to write to.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def demo(out: Path, quiet: bool) -> None:
    """Factorize mixtures of Gaussians, with pictures.

    The experiment of the article: 16 384 mixtures of four Gaussians, the plain rules of Lee and Seung, 256 passes.
    """
    from dnmf.cluster import local_cluster
    from dnmf.demo import demo as run_demo
    from dnmf.terminal import shown

    with local_cluster(), shown(console, quiet=quiet) as listeners, _interrupts() as again:
        made = run_demo(out, listeners=(*listeners, again))
    for name, path in made.files.items():
        console.print(f"{name:16s} {path}")


@cli.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--dataset", help="Matrix in a .npz or .h5 file that has several; in .h5ad, instead of X.")
@click.option("--overwrite", is_flag=True, help="Replace a Zarr array or group at TARGET.")
def convert(source: Path, target: Path, dataset: str | None, overwrite: bool) -> None:
    """Write a matrix file as well-chunked Zarr.

    SOURCE is a .npy, .npz, .csv, .mtx, .h5 or .h5ad file. It is streamed and never whole in memory. What is sparse
    stays sparse.
    """
    from dnmf.convert import convert as run_convert
    from dnmf.convert import described

    made = run_convert(source, target, dataset=dataset, overwrite=overwrite)
    console.print(f"{target}: {described(made)}")


@cli.command()
@click.argument("x")
@click.option("--rank", type=COUNT, required=True, help="Number of components k.")
@click.option("--out", required=True, help="The run to write.")
@click.option("--layer", help="Of AnnData, the layer to factorize instead of its X.")
@click.option("--solver", type=click.Choice(["cd", "mu"]), default="cd", help="Coordinate descent or multiplicative.")
@click.option(
    "--beta-loss",
    type=Beta(),
    default="frobenius",
    help="frobenius, kullback-leibler, itakura-saito, or the β of a β-divergence; all but the first need --solver mu.",
)
@click.option(
    "--alpha-w", "alpha_W", type=click.FloatRange(0), default=0.0, help="Penalty on W, as scikit-learn's alpha_W."
)
@click.option("--alpha-h", "alpha_H", type=click.FloatRange(0), help="Penalty on V; that on W if not given.")
@click.option(
    "--l1-ratio", type=click.FloatRange(0, 1), default=0.0, help="Share of the penalties that is on sums, not squares."
)
@click.option(
    "--init",
    type=click.Choice(["sample", "nndsvd", "nndsvda", "nndsvdar", "random"]),
    default="sample",
    help="First factors; all but random come from a sample of X, which one read of X gives.",
)
@click.option("--max-iter", type=COUNT, default=200, help="Passes over X at most, that of the sample aside.")
@click.option(
    "--tol",
    type=SHARE,
    default=3e-4,
    help="Stop where one more pass would decrease the loss by less than this share of itself; 0: never.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of everything random.")
@click.option("--inner-iter", type=COUNT, help="Updates of a factor per pass; as many as pay if not given.")
@click.option("--snapshot-every", type=COUNT, help="Keep the short factor every so many passes.")
@click.option("--cache/--no-cache", default=True, help="Keep X in memory where it fits in half of it.")
@click.option("--sample", help="An earlier run on the same X, whose sample is taken instead of reading X for one.")
@click.option("--write-back", "back", is_flag=True, help="Also write W and V into the AnnData X, as X_nmf and NMF.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
@click.option("--overwrite", is_flag=True, help="Replace a run at --out, and what --write-back wrote.")
@somewhere
def factorize(x: str, out: str, where: Any, back: bool, quiet: bool, **parameters: Any) -> None:
    """Factorize a matrix in Zarr, X ≈ W V: dense, or sparse as AnnData writes it.

    A member of a group is X.zarr/layers/counts.
    """
    from dnmf.cluster import connect
    from dnmf.factorization import factorize as run_factorize
    from dnmf.matrices import open_matrix
    from dnmf.runs import check_out
    from dnmf.terminal import shown
    from dnmf.write_back import open_anndata, write_back

    parameters["alpha_H"] = "same" if parameters["alpha_H"] is None else parameters["alpha_H"]
    # A wrong path is told before a cluster is started.
    open_matrix(x, layer=parameters["layer"])
    check_out(out, overwrite=parameters["overwrite"])
    if back:
        open_anndata(x, overwrite=parameters["overwrite"])
    with connect(where), shown(console, quiet=quiet) as listeners, _interrupts() as again:
        result = run_factorize(x, out=out, listeners=(*listeners, again), **parameters)
    if back:
        write_back(result, x, overwrite=parameters["overwrite"])
    if not quiet:
        console.print(
            f"{out}: relative error {result.relative_error:.6f}, {result.reads:g} reads of X; "
            f"`dnmf info {out}` tells more"
        )


@cli.command()
@click.argument("x")
@click.option("--model", required=True, help="The run whose V, loss and penalties are taken.")
@click.option("--out", required=True, help="The Zarr group to write W to.")
@click.option("--layer", help="Of AnnData, the layer to transform instead of its X.")
@click.option("--tol", type=SHARE, default=1e-4, help="A row is done when nothing of it moves by more than this share.")
@click.option("--max-iter", type=COUNT, default=200, help="Updates of a row at most.")
@click.option("--overwrite", is_flag=True, help="Replace what transform wrote to --out before.")
@somewhere
def transform(x: str, model: str, where: Any, **parameters: Any) -> None:
    """Find the W of new rows X for the V of a run. X is read once."""
    from dnmf.cluster import connect
    from dnmf.matrices import open_matrix
    from dnmf.results import open_run
    from dnmf.transformation import transform as run_transform

    result = open_run(model)
    open_matrix(x, layer=parameters["layer"])
    with connect(where):
        W = run_transform(x, result, **parameters)
    console.print(f"{parameters['out']}: W of {W.shape[0]} rows and {W.shape[1]} components")


@cli.command()
@click.argument("run")
def info(run: str) -> None:
    """Tell what a run is and why it stopped."""
    from dnmf.facts import facts
    from dnmf.results import open_run

    result = open_run(run)
    for name, text in facts(result.record, result.history, result.reads).items():
        click.echo(f"{name:15s} {text}")


@cli.command()
@click.argument("run")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--x", help="Where X is now, if it has moved since.")
def plot(run: str, out: Path, x: str | None) -> None:
    """Draw loss, components and reconstructions."""
    from dnmf.matrices import open_matrix
    from dnmf.plots import run_figures, save
    from dnmf.results import open_run

    result = open_run(run)
    path = x or result.record["x"]["path"]
    X = None
    try:
        matrix = open_matrix(path)
    except FileNotFoundError:
        console.print(f"X is not at {path}: drawn without reconstructions (--x says where it is)")
    else:
        if matrix.sparse:
            console.print("X is sparse, its rows make no curves: drawn without reconstructions")
        else:
            X = matrix.array
    for name, file in save(run_figures(result, X), out).items():
        console.print(f"{name:16s} {file}")


@contextmanager
def _interrupts() -> Iterator[Callable[[object], None]]:
    """A listener that interrupts again where the first Ctrl-C was lost.

    Python drops an exception that is raised in a finalizer, and Dask's futures have finalizers.
    """
    pressed = False

    def note(*_: object) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    def again(event: object) -> None:
        if pressed:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield again
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _sentences() -> Iterator[None]:
    """Show an expected error as its sentence alone, on stderr, and exit 1."""
    try:
        yield
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except EXPECTED as error:
        click.echo(str(error) or type(error).__name__, err=True)
        sys.exit(1)


def main() -> None:
    """Run the command line."""
    with _sentences():
        try:
            cli(standalone_mode=False)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
