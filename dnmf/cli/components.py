"""`dnmf components`."""

import click

import dnmf
from dnmf.cli.output import say, terminal_width
from dnmf.components.features import RANKINGS, By


@click.command()
@click.argument("run")
@click.option("--top", type=click.IntRange(1), default=10, help="Features of each component.")
@click.option("--by", type=click.Choice(RANKINGS), default=RANKINGS[0], help="What ranks features.")
@click.option("--ranks", help="A comparison of ranks of the same X, which says how sure each component is.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values, a column for each feature.")
def components(run: str, top: int, by: By, ranks: str | None, as_csv: bool) -> None:
    """Tell what each component of a run is: shares, sparseness, top features. X is not read.

    Components come in the order of their shares; their numbers are those of the rows of V, from 1.
    """
    from dnmf.run.components import describe
    from dnmf.run.ranking import held_ranks

    agreement = dnmf.open_ranks(ranks) if ranks else held_ranks(run)
    told = describe(dnmf.open_run(run), top=top, by=by, agreement=agreement)
    if as_csv:
        say(told.table.csv().rstrip("\n"))
    else:
        say("\n".join(told.table.known.lines(terminal_width())))
    for note in told.notes:
        say(note.replace("RUN", run), err=as_csv)
