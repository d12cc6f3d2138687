"""`dnmf demo`."""

import click

from dnmf.cli.output import say
from dnmf.events import Listener


@click.command()
@click.option("--out", default="dnmf-demo", help="Folder to write to.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_obj
def demo(raise_again: Listener, out: str, quiet: bool) -> None:
    """Factorize mixtures of Gaussians, with pictures.

    The experiment of the article: 16 384 mixtures of four Gaussians, the plain rules of Lee and Seung, 256 passes.
    """
    from dnmf.cli.experiment import demo as run_demo
    from dnmf.cli.progress import show_progress

    with show_progress(quiet=quiet) as listeners:
        made = run_demo(out, listeners=(*listeners, raise_again))
    for name, path in made.files.items():
        say(f"{name:16s} {path}")
