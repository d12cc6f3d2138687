"""`dnmf plot`."""

import click

import dnmf
from dnmf.cli.output import say


@click.command()
@click.argument("run")
@click.option("--out", required=True, help="Folder to write to.")
@click.option("--x", help="Where X is now, if it has moved since.")
def plot(run: str, out: str, x: str | None) -> None:
    """Draw loss, components and reconstructions."""
    from dnmf.matrix.foreign import is_given
    from dnmf.matrix.opening import open_matrix
    from dnmf.report.figures import run_figures, save
    from dnmf.run.stored_x import open_x
    from dnmf.stores.identity import inside
    from dnmf.stores.paths import absolute, here

    folder = here(out)
    result = dnmf.open_run(run)
    path = x or result.about.x.path
    matrices = [x] if x else [part.path for part in result.about.x.rows]
    for what, where in (("the run", run), *(("X", each) for each in matrices)):
        if inside(absolute(folder), absolute(where)):
            raise ValueError(f"{out} is in {what} at {where}: choose another folder for pictures")
    X = None
    try:
        matrix = open_matrix(x) if x else open_x(result.about.x)
    except FileNotFoundError:
        where = f"was {path}" if is_given(path) else f"is not at {path}"
        say(f"X {where}: drawn without reconstructions (--x says where it is)")
    else:
        if matrix.sparse:
            say("X is sparse, its rows make no curves: drawn without reconstructions")
        else:
            X = matrix.numbers
    for name, file in save(run_figures(result, X), folder).items():
        say(f"{name:16s} {file}")
