"""`dnmf info`."""

import click

import dnmf
from dnmf.cli.output import say


@click.command()
@click.argument("path")
def info(path: str) -> None:
    """Tell what a run is and why it stopped, how ranks compare, or how a matrix is stored and what of it is missing."""
    from dnmf.report.facts import facts, is_matrix, matrix_facts
    from dnmf.run.ranking import is_ranking

    if is_ranking(path):
        from dnmf.report.ranking import ranking_lines

        for line in ranking_lines(dnmf.open_ranks(path)):
            say(line)
        return
    if is_matrix(path):
        lines = matrix_facts(path)
    else:
        from dnmf.run.result import open_without_W

        lines = facts(open_without_W(path))
    for name, text in lines.items():
        say(f"{name:15s} {text}")
