"""`dnmf resume`."""

from typing import TYPE_CHECKING, Any

import click

import dnmf
from dnmf.cli.driving import check_lasting, tell_end
from dnmf.cli.errors import console, hint_at_resume
from dnmf.cli.options import changes, drop_none, somewhere
from dnmf.events import Listener

if TYPE_CHECKING:
    from dnmf.clusters.kind import Profile


@click.command()
@click.argument("run")
@click.option("--x", help="Where X is now, if it has moved since.")
@changes
@click.option("--detach", is_flag=True, help="Leave all of it to a cluster that runs already, as submit does.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
@somewhere
@click.pass_obj
def resume(
    raise_again: Listener, /, run: str, x: str | None, where: "Profile", detach: bool, quiet: bool, **asked: Any
) -> None:
    """Go on with a run that was stopped or whose process died, from its last saved state.

    --max-iter, --tol, --cache, --memory-limit, --checkpoint-every and where to compute may be other than before. All
    other parameters may be given, and must be what they were.
    """
    from dnmf.cli.progress_bar import show_progress
    from dnmf.factorization.submit import resume_there
    from dnmf.run.opening import open_group

    changed = drop_none(asked)
    open_group(run)
    if detach:
        check_lasting(where)
        with where.open():
            resume_there(run, x, **changed)
        console.print(f"{run}: goes on; `dnmf status {run}` tells how it stands")
        return
    with where.open(), show_progress(console, quiet=quiet) as listeners, hint_at_resume(run) as note:
        result = dnmf.resume(run, x, listeners=(note, *listeners, raise_again), **changed)
    tell_end(result, run, quiet=quiet)
