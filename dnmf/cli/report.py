"""`dnmf report`."""

import click

from dnmf.cli.output import say


@click.command()
@click.argument("run")
@click.option("--out", required=True, help="The file to write, such as report.html.")
def report(run: str, out: str) -> None:
    """Write a page on a run: its components, how it was made, what to do next. One file, which opens offline."""
    from dnmf.report.page import write_report

    say(f"{'report':16s} {write_report(run, out)}")
