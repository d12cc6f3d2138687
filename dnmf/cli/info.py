"""`dnmf info`."""

import click

import dnmf


@click.command()
@click.argument("path")
def info(path: str) -> None:
    """Tell what a run is and why it stopped, or how a matrix is stored and how many of its chunks are missing."""
    from dnmf.report.facts import facts, is_matrix, matrix_facts

    lines = matrix_facts(path) if is_matrix(path) else facts(dnmf.open_run(path))
    for name, text in lines.items():
        click.echo(f"{name:15s} {text}")
