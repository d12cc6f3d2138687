"""`dnmf plot`."""

from pathlib import Path

import click

import dnmf
from dnmf.cli.errors import console


@click.command()
@click.argument("run")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--x", help="Where X is now, if it has moved since.")
def plot(run: str, out: Path, x: str | None) -> None:
    """Draw loss, components and reconstructions."""
    from dnmf.matrix.opening import open_matrix
    from dnmf.report.figures import run_figures, save

    result = dnmf.open_run(run)
    path = x or result.about.x.path
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
