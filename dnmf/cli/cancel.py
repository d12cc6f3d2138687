"""`dnmf cancel`."""

import click

import dnmf
from dnmf.cli.output import say


@click.command()
@click.argument("run")
def cancel(run: str) -> None:
    """Stop a run, wherever it is driven. It can be resumed."""
    if not dnmf.cancel(run):
        raise RuntimeError(f"{run} was asked to stop and has not done so yet: see `dnmf status {run}`")
    say(f"{run}: stopped; `dnmf resume {run}` goes on with it")
