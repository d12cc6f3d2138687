"""`dnmf plot`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

import dnmf
from dnmf.cli.output import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dnmf.report.figures import Drawable


@click.command()
@click.argument("run")
@click.option("--out", required=True, help="Folder to write to.")
@click.option("--x", help="Where X is now, if it has moved since.")
def plot(run: str, out: str, x: str | None) -> None:
    """Draw loss, components, their top features, a map of V, and reconstructions; or a comparison of ranks."""
    from dnmf.report.figures import save
    from dnmf.run.ranking import is_ranking
    from dnmf.stores.paths import here

    folder = here(out)
    figures = _of_ranks(run, folder) if is_ranking(run) else _of_a_run(run, folder, x)
    for name, file in save(figures, folder).items():
        say(f"{name:16s} {file}")


def _of_ranks(path: str, folder: Path) -> "dict[str, Figure]":
    from dnmf.report.rank_figures import ranking_figures

    refuse_inside(folder, "the comparison", path)
    return ranking_figures(dnmf.open_ranks(path))


def _of_a_run(path: str, folder: Path, x: str | None) -> "dict[str, Figure]":
    from dnmf.report.components import component_figures
    from dnmf.report.figures import run_figures

    result = dnmf.open_run(path)
    refuse_inside(folder, "the run", path)
    for each in [x] if x else [part.path for part in result.about.x.rows]:
        refuse_inside(folder, "X", each)
    return run_figures(result, _numbers(result, x)) | component_figures(result)


def _numbers(result: "dnmf.Factorization", x: str | None) -> "Drawable | None":
    """X, to draw reconstructions of, where it is found and has rows that make curves; else None, and a word why."""
    from dnmf.matrix.foreign import is_given
    from dnmf.matrix.opening import open_matrix
    from dnmf.run.stored_x import open_x

    try:
        matrix = open_matrix(x) if x else open_x(result.about.x)
    except FileNotFoundError:
        path = x or result.about.x.path
        where = f"was {path}" if is_given(path) else f"is not at {path}"
        say(f"X {where}: drawn without reconstructions (--x says where it is)")
        return None
    if matrix.sparse:
        say("X is sparse, its rows make no curves: drawn without reconstructions")
        return None
    numbers: Drawable = matrix.numbers
    return numbers


def refuse_inside(target: Path, what: str, where: str) -> None:
    """Raise ValueError where pictures would be written into what is kept: what that is, and where."""
    from dnmf.stores.identity import inside
    from dnmf.stores.paths import absolute

    if inside(absolute(target), absolute(where)):
        raise ValueError(f"{target} is in {what} at {where}: choose another folder for pictures")
