"""`dnmf plot`."""

from collections.abc import Mapping
from pathlib import Path

import click

import dnmf
from dnmf.cli.output import say


@click.command()
@click.argument("run")
@click.option("--out", required=True, help="Folder to write to.")
@click.option("--x", help="Where X is now, if it has moved since.")
def plot(run: str, out: str, x: str | None) -> None:
    """Draw loss, components, their top features, a map of V, and reconstructions; or a comparison of ranks."""
    from dnmf.matrix.foreign import is_given
    from dnmf.matrix.opening import open_matrix
    from dnmf.report.components import component_figures
    from dnmf.report.figures import run_figures, save
    from dnmf.run.ranking import is_ranking
    from dnmf.stores.paths import here

    folder = here(out)
    if is_ranking(run):
        from dnmf.report.rank_figures import ranking_figures

        _tell(save(ranking_figures(dnmf.open_ranks(run)), folder))
        return
    result = dnmf.open_run(run)
    path = x or result.about.x.path
    refuse_inside(folder, {"the run": run, "X": path})
    X = None
    try:
        matrix = open_matrix(path)
    except FileNotFoundError:
        where = f"was {path}" if is_given(path) else f"is not at {path}"
        say(f"X {where}: drawn without reconstructions (--x says where it is)")
    else:
        if matrix.sparse:
            say("X is sparse, its rows make no curves: drawn without reconstructions")
        else:
            X = matrix.numbers
    _tell(save(run_figures(result, X) | component_figures(result), folder))


def _tell(files: Mapping[str, Path]) -> None:
    for name, file in files.items():
        say(f"{name:16s} {file}")


def refuse_inside(target: Path, kept: Mapping[str, str]) -> None:
    """Raise ValueError where pictures would be written into what is kept, by what it is called and where it is."""
    from dnmf.stores.identity import inside
    from dnmf.stores.paths import absolute

    for what, where in kept.items():
        if inside(absolute(target), absolute(where)):
            raise ValueError(f"{target} is in {what} at {where}: choose another folder for pictures")
