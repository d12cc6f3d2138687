"""The command line: it parses, calls one function, and prints. What drives a run is in `dnmf.run_commands`."""

import sys
from pathlib import Path
from typing import Any

import click

from dnmf.options import COUNT, SHARE, somewhere
from dnmf.run_commands import cancel, factorize, resume, status, submit
from dnmf.sentences import console, told
from dnmf.signals import caught


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="dnmf")
def cli() -> None:
    """Non-negative matrix factorization, X ≈ W V, of Zarr matrices larger than memory."""


@cli.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("dnmf-demo"), help="Folder to write to.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_obj
def demo(again: Any, out: Path, quiet: bool) -> None:
    """Factorize mixtures of Gaussians, with pictures.

    The experiment of the article: 16 384 mixtures of four Gaussians, the plain rules of Lee and Seung, 256 passes.
    """
    from dnmf.demo import demo as run_demo
    from dnmf.launch import local_cluster
    from dnmf.terminal import shown

    with local_cluster(), shown(console, quiet=quiet) as listeners:
        made = run_demo(out, listeners=(*listeners, again))
    for name, path in made.files.items():
        console.print(f"{name:16s} {path}")


@cli.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target")
@click.option("--dataset", help="Matrix in a .npz or .h5 file that has several; in .h5ad, instead of X.")
@click.option("--overwrite", is_flag=True, help="Replace a Zarr array or group at TARGET.")
def convert(source: Path, target: str, dataset: str | None, overwrite: bool) -> None:
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
@click.option("--model", required=True, help="The run whose V, loss and penalties are taken.")
@click.option("--out", required=True, help="The Zarr group to write W to.")
@click.option("--layer", help="Of AnnData, the layer to transform instead of its X.")
@click.option("--tol", type=SHARE, default=1e-4, help="A row is done when nothing of it moves by more than this share.")
@click.option("--max-iter", type=COUNT, default=200, help="Updates of a row at most.")
@click.option("--overwrite", is_flag=True, help="Replace what transform wrote to --out before.")
@somewhere
def transform(x: str, model: str, where: Any, **parameters: Any) -> None:
    """Find the W of new rows X for the V of a run. X is read once."""
    from dnmf.launch import connect
    from dnmf.matrices import open_matrix
    from dnmf.results import open_run
    from dnmf.transformation import transform as run_transform

    result = open_run(model)
    open_matrix(x, layer=parameters["layer"])
    with connect(where):
        W = run_transform(x, result, **parameters)
    console.print(f"{parameters['out']}: W of {W.shape[0]} rows and {W.shape[1]} components")


@cli.command()
@click.argument("path")
def info(path: str) -> None:
    """Tell what a run is and why it stopped, or how a matrix is stored and how many of its chunks are missing."""
    from dnmf.facts import facts
    from dnmf.inventory import is_matrix, matrix_facts
    from dnmf.results import open_run

    if is_matrix(path):
        lines = matrix_facts(path)
    else:
        result = open_run(path)
        lines = facts(result.record, result.history, result.reads)
    for name, text in lines.items():
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


for command in (factorize, submit, resume, status, cancel):
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    with told(), caught() as again:
        try:
            sys.exit(cli(standalone_mode=False, obj=again))
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
