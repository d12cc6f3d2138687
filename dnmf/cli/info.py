"""`dnmf info`."""

import click

from dnmf.cli.output import say


@click.command()
@click.argument("path")
def info(path: str) -> None:
    """Tell what a run is and why it stopped, or how a matrix is stored and how many of its chunks are missing."""
    from dnmf.report.facts import facts, is_matrix, matrix_facts

    if is_matrix(path):
        lines = matrix_facts(path)
    else:
        from dnmf.run.result import open_without_W

        lines = facts(open_without_W(path))
    for name, text in lines.items():
        say(f"{name:15s} {text}")
