"""`dnmf resume`."""

from typing import TYPE_CHECKING, Any

import click

import dnmf
from dnmf.cli.driving import check_lasting, computing, tell_end
from dnmf.cli.errors import hint_at_resume
from dnmf.cli.options import changes, drop_none, somewhere
from dnmf.cli.output import say
from dnmf.events import Listener

if TYPE_CHECKING:
    from dnmf.clusters.kind import Profile


@click.command()
@click.argument("run")
@click.option("--x", help="Where X is now, if it has moved since.")
@click.option("--weights", help="Where the weights of X are now, if they have moved since.")
@changes
@click.option("--detach", is_flag=True, help="Leave all of it to a cluster that runs already, as submit does.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
@somewhere
@click.pass_obj
def resume(
    raise_again: Listener,
    /,
    run: str,
    x: str | None,
    weights: str | None,
    where: "Profile | None",
    detach: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Go on with a run that was stopped or whose process died, from its last saved state.

    --max-iter, --tol, --cache, --memory-limit, --checkpoint-every and where to compute may be other than before. All
    other parameters may be given, and must be what they were.
    """
    from dnmf.cli.progress import show_progress
    from dnmf.run.opening import open_group
    from dnmf.run.record import Record

    changed = drop_none(asked)
    _, begun = open_group(run)
    if detach:
        from dnmf.factorization.submit import resume_there

        where = check_lasting(where)
        with where.open():
            resume_there(run, x, weights=weights, **changed)
        say(f"{run}: goes on; `dnmf status {run}` tells how it stands")
        return
    nbytes = begun.x.nbytes if isinstance(begun, Record) else 0
    place = computing(where, nbytes, asked["memory_limit"], quiet=quiet)
    with place, show_progress(quiet=quiet) as listeners, hint_at_resume(run) as note:
        result = dnmf.resume(run, x, weights=weights, listeners=(note, *listeners, raise_again), **changed)
    tell_end(result, run, quiet=quiet)
