"""`dnmf convert`."""

import click

import dnmf
from dnmf.cli.output import say


@click.command()
@click.argument("source")
@click.argument("target")
@click.option("--dataset", help="Matrix in a file or in Zarr that has several; of AnnData, instead of X.")
@click.option("--header/--no-header", default=None, help="Whether the first line of a .csv, .tsv or .txt has names.")
@click.option("--transpose", is_flag=True, help="Write the transpose: rows become columns.")
@click.option("--missing", type=click.Choice(["nan"]), help="Write NaN where a table has no number: nothing, NA, null.")
@click.option("--overwrite", is_flag=True, help="Replace a Zarr array or group at TARGET.")
def convert(
    source: str,
    target: str,
    dataset: str | None,
    header: bool | None,
    transpose: bool,
    missing: str | None,
    overwrite: bool,
) -> None:
    """Write a matrix file, or Zarr in other chunks, as well-chunked Zarr.

    SOURCE is a .npy, .npz, .csv, .tsv, .txt, .mtx, .h5, .h5ad, .loom, .mat or .parquet file, or X in Zarr. It is
    streamed and never whole in memory. What is sparse stays sparse. Names of rows and columns go with it.
    """
    from dnmf.formats.convert import describe

    made = dnmf.convert(
        source, target, dataset=dataset, header=header, transpose=transpose, missing=missing, overwrite=overwrite
    )
    say(f"{target}: {describe(made)}")
