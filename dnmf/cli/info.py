"""`dnmf info`."""

import click


@click.command()
@click.argument("path")
def info(path: str) -> None:
    """Tell what a run is and why it stopped, or how a matrix is stored and how many of its chunks are missing."""
    from dnmf.report.facts import facts, is_matrix, matrix_facts
    from dnmf.run.result import open_run

    if is_matrix(path):
        lines = matrix_facts(path)
    else:
        result = open_run(path)
        lines = facts(result)
    for name, text in lines.items():
        click.echo(f"{name:15s} {text}")
