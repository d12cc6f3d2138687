"""`dnmf convert`."""

from pathlib import Path

import click

import dnmf
from dnmf.cli.errors import console


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target")
@click.option("--dataset", help="Matrix in a .npz or .h5 file that has several; in .h5ad, instead of X.")
@click.option("--overwrite", is_flag=True, help="Replace a Zarr array or group at TARGET.")
def convert(source: Path, target: str, dataset: str | None, overwrite: bool) -> None:
    """Write a matrix file as well-chunked Zarr.

    SOURCE is a .npy, .npz, .csv, .mtx, .h5 or .h5ad file. It is streamed and never whole in memory. What is sparse
    stays sparse.
    """
    from dnmf.formats.convert import describe

    made = dnmf.convert(source, target, dataset=dataset, overwrite=overwrite)
    console.print(f"{target}: {describe(made)}")
