"""The places of generations in a run: never used twice, and deleted when a later one is whole."""

import warnings
from collections.abc import Sequence
from uuid import uuid4

import zarr
from zarr.errors import ZarrUserWarning

from dnmf.run.factors import DIMENSIONS
from dnmf.run.history import KEPT
from dnmf.run.kept_sums import SUMS
from dnmf.stores.local_disk import folders

GENERATIONS = "generations"

# What a generation may hold, and so the top of a finished run.
MEMBERS = (*DIMENSIONS, *KEPT, "snapshots", "snapshot_pass", SUMS, "next")


def new_generation(group: zarr.Group, iteration: int) -> str:
    """A path, never used before, for the generation after pass `iteration`; a group there that lists it."""
    path = f"{GENERATIONS}/{iteration:06d}-{uuid4().hex[:8]}"
    group.create_group(path)
    return path


def drop_generations(group: zarr.Group, keep: Sequence[str | None]) -> None:
    """Delete all generations but those named, as far as they are listed: what is missed goes with the next ones."""
    members = group.require_group(GENERATIONS)
    with warnings.catch_warnings():
        # A listing may name what is gone, or half gone.
        warnings.simplefilter("ignore", ZarrUserWarning)
        listed = set(members.group_keys())
    # A process that was killed while it deleted one has left what is no group any more.
    for name in listed | folders(members):
        if f"{GENERATIONS}/{name}" not in keep:
            del members[name]


def drop_all_generations(group: zarr.Group) -> None:
    """Delete all generations, and what is not listed as one any more, as the process was killed that deleted it."""
    del group[GENERATIONS]
    group.create_group(GENERATIONS)


def clear_top(group: zarr.Group) -> None:
    """Delete what lies at the top of a run that goes on: factors that were not finished, or that a generation has."""
    for name in MEMBERS:
        del group[name]
