"""`dnmf status` and `dnmf cancel`."""

import click


@click.command()
@click.argument("run")
def status(run: str) -> None:
    """Tell how a run stands, from the run alone: the pass, the loss, the time left, whether it is alive."""
    from dnmf.run.status import status as run_status

    click.echo(run_status(run))


@click.command()
@click.argument("run")
def cancel(run: str) -> None:
    """Stop a run, wherever it is driven. It can be resumed."""
    from dnmf.factorization.submit import cancel as run_cancel

    if not run_cancel(run):
        raise RuntimeError(f"{run} was asked to stop and has not done so yet: see `dnmf status {run}`")
    click.echo(f"{run}: stopped; `dnmf resume {run}` goes on with it")
