"""`dnmf predict`."""

import click

import dnmf
from dnmf.cli.output import say


@click.command()
@click.argument("run")
@click.option("--rows", help="Numbers from 0, ranges or names, such as 0:10 or 3,5; all if not given.")
@click.option("--columns", help="The same of columns.")
@click.option("--mask", help="Instead of both a matrix in Zarr of the shape of X: where it is not 0.")
@click.option("--out", required=True, help="The Zarr array, or sparse matrix for a mask, to write.")
@click.option("--overwrite", is_flag=True, help="Replace a Zarr array or group at --out.")
def predict(run: str, rows: str | None, columns: str | None, mask: str | None, out: str, overwrite: bool) -> None:
    """Write what the model of a run says of entries of X, such as those of which nothing was seen. X is not read."""
    from dnmf.formats.convert import describe

    made = dnmf.predict(run, rows=rows, columns=columns, mask=mask, out=out, overwrite=overwrite)
    say(f"{out}: {describe(made)}")
