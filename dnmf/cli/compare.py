"""`dnmf compare`."""

import click

import dnmf
from dnmf.cli.output import say, terminal_width
from dnmf.cli.plot import refuse_inside


@click.command()
@click.argument("first")
@click.argument("second")
@click.option("--out", help="Picture (.png) of all cosines to write, or a folder for it.")
def compare(first: str, second: str, out: str | None) -> None:
    """Match the components of two runs, and tell how alike they are. X is not read.

    Both are of the same columns of X, matched by their names where they have some; ranks may differ.
    """
    from dnmf.run.components import pairs, pairs_in_words
    from dnmf.stores.paths import here

    one, two = dnmf.open_run(first), dnmf.open_run(second)
    picture = None if out is None else here(out)
    if picture is not None:
        refuse_inside(picture, {"the first run": first, "the second run": second})
    say("\n".join(pairs(one, two).lines(terminal_width())))
    say(pairs_in_words(one, two))
    if picture is not None:
        from dnmf.report.components import compared
        from dnmf.report.figures import save

        picture = picture if picture.suffix == ".png" else picture / "compared.png"
        say(*save({picture.stem: compared(one, two, names=(first, second))}, picture.parent).values())
