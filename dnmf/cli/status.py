"""`dnmf status`."""

import click

import dnmf


@click.command()
@click.argument("run")
def status(run: str) -> None:
    """Tell how a run stands, from the run alone: the pass, the loss, the time left, whether it is alive."""
    click.echo(dnmf.status(run))
