"""`dnmf info`."""

from collections.abc import Iterable, Mapping

import click

import dnmf
from dnmf.cli.output import say


@click.command()
@click.argument("path")
def info(path: str) -> None:
    """Tell what a run is and why it stopped, how ranks compare, or how a matrix is stored and what of it is missing."""
    from dnmf.report.facts import is_matrix, matrix_facts

    lines = _named(matrix_facts(path)) if is_matrix(path) else _kept(path)
    for line in lines:
        say(line)


def _kept(path: str) -> Iterable[str]:
    """What a run or a comparison of ranks is."""
    from dnmf.report.facts import facts
    from dnmf.report.ranking import ranking_lines
    from dnmf.run.ranking import is_ranking
    from dnmf.run.result import open_without_W

    return ranking_lines(dnmf.open_ranks(path)) if is_ranking(path) else _named(facts(open_without_W(path)))


def _named(facts: Mapping[str, str]) -> Iterable[str]:
    return (f"{name:15s} {text}" for name, text in facts.items())
