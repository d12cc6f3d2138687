"""`dnmf status`."""

import click

import dnmf
from dnmf.cli.output import say


@click.command()
@click.argument("run")
def status(run: str) -> None:
    """Tell how a run stands, from the run alone: the pass, the loss, the time left, whether it is alive."""
    say(dnmf.status(run))
