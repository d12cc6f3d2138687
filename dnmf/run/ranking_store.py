"""What is kept of a comparison of ranks: a Zarr group that xarray opens, resumable rank by rank, checked like a run.

dnmf_ranks   JSON attribute: X, what was asked for, how X is cut, and when all is there, the pick and a sentence
sample       of X, as a run keeps it; of a comparison that a run holds, that of the run
tried        a group for each rank: the short factor of the sample, held-out errors of its rows, agreement
verified     a group for each rank that was verified on all of X: its short factor after an exact step
rank, held_out, standard_error, fit, worst_agreement, mean_agreement
             the table, when all is there
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import zarr
from msgspec import Meta
from msgspec.structs import replace
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from dnmf.arrays.rows import Array
from dnmf.matrix.missing import Missing
from dnmf.run.arrays import has, open_array, read_whole, write_array
from dnmf.run.opening import check_out, group_at
from dnmf.run.record import Number, Positive, State, StoredX, as_json, open_below
from dnmf.stores.paths import absolute
from dnmf.stores.places import followed, occupied, place
from dnmf.validation import Mismatch, validated

# The attribute of a comparison of ranks; the group of one that a run holds; and their format. Those of format 1 open
# and go on; a dnmf that knows no later one would take what is missing for what is there.
RANKS, INSIDE, RANKS_FORMAT = "dnmf_ranks", "ranks", 2

# More than anybody compares.
MOST_RANK = 2**20

Rank = Annotated[int, Meta(ge=1, le=MOST_RANK)]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for: ranks, ascending; those of them that are verified on all of X; the loss, starts, the seed;
    whether entries of X below zero are data; which entries are missing.
    """

    ranks: tuple[Rank, ...]
    verify: tuple[Rank, ...]
    beta_loss: float
    starts: Positive
    seed: Annotated[int, Meta(ge=0)]
    negative: Literal["refuse", "allow"] = "refuse"
    missing: Missing | None = None


class RankingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison of ranks says of itself; `pick` and `sentence` are there when it is whole."""

    format: Positive
    status: Annotated[Literal["running", "finished"], Meta(description="one of running, finished")]
    x: StoredX
    weights: StoredX | None = None
    asked: Asked
    state: State
    pick: Rank | None = None
    sentence: str | None = None
    versions: dict[str, str]


class _Fit(msgspec.Struct, frozen=True):
    """The attributes of a rank that was tried or verified."""

    relative_error: Number


@dataclass(frozen=True, slots=True)
class TriedRank:
    """What is kept of a rank.

    Attributes
    ----------
    short : (k, N) short factor of the sample: V, or Wᵀ where columns of X were sampled.
    relative_error : of the sample's own factorization.
    errors : (s,) held-out error of every row of the sample.
    agreement : (k,) how well each component of one half of the sample is found in the other, as a cosine.
    """

    short: Array
    relative_error: float
    errors: NDArray[np.float64]
    agreement: NDArray[np.float64]


def create_ranking(out: str | Path | None, record: RankingRecord, *, overwrite: bool) -> zarr.Group:
    """Start a comparison at a path, or in this process's memory; one there that is not whole and asks the same goes on.

    Raises
    ------
    FileExistsError
        If something else is there.
    """
    if out is None:
        return zarr.create_group(MemoryStore(), attributes={RANKS: as_json(record)})
    if not overwrite and (begun := _unfinished(out)) is not None:
        group, before = begun
        if replace(before, versions=record.versions) == record:
            return group
        raise FileExistsError(
            f"{out} holds a comparison of ranks that was not finished, of another X or with other parameters: give "
            f"those again, choose another output, or overwrite it with --overwrite (overwrite=True)"
        )
    exists = check_out(out, overwrite=overwrite, mark=RANKS)
    return zarr.create_group(place(followed(out)), overwrite=exists, attributes={RANKS: as_json(record)})


def check_ranking_out(out: str | Path, *, overwrite: bool) -> bool:
    """Whether there is a comparison at a path that a new one may replace, or that may go on; False for nothing.

    Raises
    ------
    FileExistsError, Busy
        If something else is there, or another process is at work on it.
    """
    if not overwrite and _unfinished(out):
        return False
    return check_out(out, overwrite=overwrite, mark=RANKS)


def _unfinished(out: str | Path) -> tuple[zarr.Group, RankingRecord] | None:
    """The comparison at a path, where there is one that is not whole."""
    path = absolute(out)
    group = group_at(path, "r+") if occupied(path) else None
    if group is None or RANKS not in group.attrs:
        return None
    record = read_ranking_record(group)
    return (group, record) if record.status == "running" else None


def begin_inside(run: zarr.Group, record: RankingRecord) -> zarr.Group:
    """Start a comparison that a run holds, in its group `ranks`."""
    return run.create_group(INSIDE, overwrite=True, attributes={RANKS: as_json(record)})


def read_ranking_record(group: zarr.Group) -> RankingRecord:
    """What a comparison says of itself, as it is in the store now.

    Raises
    ------
    ValueError
        If dnmf did not write it, or a newer one did.
    """
    where = group.store_path

    def refuse(wrong: Mismatch) -> ValueError:
        return ValueError(f"{where} is no comparison of ranks that dnmf wrote: {wrong.of('its record')}")

    record = validated(open_below(group, "").attrs[RANKS], RankingRecord, refuse)
    if record.format > RANKS_FORMAT:
        raise ValueError(
            f"{where} has format {record.format}, this dnmf reads up to {RANKS_FORMAT}: install a newer dnmf to open it"
        )
    return record


def _path(kind: str, rank: int) -> str:
    return f"{kind}/{rank:07d}"


def write_tried(group: zarr.Group, rank: int, tried: TriedRank) -> None:
    """Keep what a rank gave; it is whole when its attributes say so."""
    path = _path("tried", rank)
    there = group.create_group(path, overwrite=True)
    write_array(there, "short", tried.short, ("component", "across"))
    write_array(there, "errors", tried.errors, ("drawn",))
    write_array(there, "agreement", tried.agreement, ("component",))
    there.update_attributes({"relative_error": tried.relative_error})


def has_tried(group: zarr.Group, rank: int) -> bool:
    """Whether what a rank gave is there."""
    return _attributes(group, _path("tried", rank)) is not None


def read_tried(group: zarr.Group, rank: int) -> TriedRank:
    """What a rank gave.

    Raises
    ------
    OSError, ValueError
        If it is damaged.
    """
    path = _path("tried", rank)
    short = read_whole(open_array(group, f"{path}/short", (rank, None)))
    errors = read_whole(open_array(group, f"{path}/errors", (None,)))
    agreement = read_whole(open_array(group, f"{path}/agreement", (rank,)))
    return TriedRank(short, _fit(group, path).relative_error, errors, agreement)


def write_verified(group: zarr.Group, rank: int, short: Array, relative_error: float) -> None:
    """Keep a short factor after an exact step on all of X, and the relative error before it."""
    there = group.create_group(_path("verified", rank), overwrite=True)
    write_array(there, "short", short, ("component", "across"))
    there.update_attributes({"relative_error": relative_error})


def read_verified(group: zarr.Group, rank: int) -> tuple[Array, float] | None:
    """The short factor (k, N) of a rank that was verified, and its relative error on all of X; None of any other."""
    path = _path("verified", rank)
    if _attributes(group, path) is None:
        return None
    return read_whole(open_array(group, f"{path}/short", (rank, None))), _fit(group, path).relative_error


def _attributes(group: zarr.Group, path: str) -> dict[str, Any] | None:
    """The attributes of a group that is whole."""
    try:
        found = dict(open_below(group, path).attrs)
    except FileNotFoundError:
        return None
    return found if "relative_error" in found else None


def _fit(group: zarr.Group, path: str) -> _Fit:
    def refuse(wrong: Mismatch) -> ValueError:
        return ValueError(f"{wrong.of(f'{group.store_path}/{path}')}: the comparison is damaged; make it again")

    return validated(_attributes(group, path) or {}, _Fit, refuse)


def finish_ranking(group: zarr.Group, record: RankingRecord, table: Mapping[str, NDArray[Any]]) -> None:
    """Write the table, then say that all is there."""
    for name, values in table.items():
        if has(group, name):
            del group[name]
        write_array(group, name, values, ("rank",))
    group.update_attributes({RANKS: as_json(record)})
