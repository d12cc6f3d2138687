"""`dnmf report`."""

import click

from dnmf.cli.output import say


@click.command()
@click.argument("run")
@click.option("--out", required=True, help="The file to write, such as report.html.")
@click.option("--ranks", help="A comparison of ranks of the same X, which says why the run has so many components.")
def report(run: str, out: str, ranks: str | None) -> None:
    """Write a page on a run or a comparison of ranks: one HTML file, which opens offline. X is not read."""
    from dnmf.report.page import write_report

    say(f"{'report':16s} {write_report(run, out, ranks=ranks)}")
