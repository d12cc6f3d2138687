"""`dnmf demo`."""

from pathlib import Path

import click

import dnmf
from dnmf.cli.errors import console, quiet_dask
from dnmf.events import Listener


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("dnmf-demo"), help="Folder to write to.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_obj
def demo(raise_again: Listener, out: Path, quiet: bool) -> None:
    """Factorize mixtures of Gaussians, with pictures.

    The experiment of the article: 16 384 mixtures of four Gaussians, the plain rules of Lee and Seung, 256 passes.
    """
    from dnmf.cli.experiment import demo as run_demo
    from dnmf.cli.progress_bar import show_progress

    quiet_dask()
    with dnmf.local_cluster(), show_progress(console, quiet=quiet) as listeners:
        made = run_demo(out, listeners=(*listeners, raise_again))
    for name, path in made.files.items():
        console.print(f"{name:16s} {path}")
