"""Runs that estimators of this process wrote: one that is fitted again replaces its own run, and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dnmf.run.opening import check_out, identity_at
from dnmf.stores.paths import absolute

# By where they are: what tells them from any other run. So a clone, too, knows them.
WRITTEN: dict[str, str | None] = {}


@contextmanager
def own_run(out: str | Path | None) -> Iterator[bool]:
    """Whether the run at a path was written by an estimator of this process, which writes another for a block's length.

    Raises
    ------
    FileExistsError
        If something else is there.
    """
    if out is None:
        yield False
        return
    place = absolute(out)
    there = identity_at(place)
    own = there is not None and WRITTEN.get(place) == there
    try:
        check_out(out, overwrite=own)
    except FileExistsError as error:
        raise FileExistsError(
            f"{out} exists and no estimator of this process wrote it, so it is not replaced: give another out, or "
            f"remove it"
        ) from error
    try:
        yield own
    finally:
        # There was no other one before.
        WRITTEN[place] = identity_at(place)
