"""What is kept of a comparison of ranks: a Zarr group that xarray opens, resumable rank by rank, checked like a run.

dnmf_ranks   JSON attribute: X, what was asked for, how X is cut, and when all is there, the pick and a sentence
sample       of X, as a run keeps it; of a comparison that a run holds, that of the run
tried        a group for each rank: the short factor of the sample, held-out errors of its rows, agreement
verified     a group for each rank that was verified on all of X: its short factor after an exact step
rank, held_out, standard_error, fit, worst_agreement, mean_agreement
             the table, when all is there
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import zarr
from msgspec import Meta
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from dnmf.arrays.matching import match
from dnmf.arrays.rows import Array
from dnmf.matrix.labels import Labels
from dnmf.rank_selection.choice import ALIKE
from dnmf.run.arrays import has, open_array, read_whole, write_array
from dnmf.run.labels import read_labels
from dnmf.run.opening import check_out, group_at
from dnmf.run.record import Number, Positive, State, StoredX, as_json, open_below
from dnmf.run.result import Factorization
from dnmf.stores.paths import absolute
from dnmf.stores.places import followed, occupied, place
from dnmf.validation import Mismatch, validated

# The attribute of a comparison of ranks; the group of one that a run holds; and their format.
RANKS, INSIDE, RANKS_FORMAT = "dnmf_ranks", "ranks", 1

# More than anybody compares.
MOST_RANK = 2**20

Rank = Annotated[int, Meta(ge=1, le=MOST_RANK)]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for: ranks, ascending; those of them that are verified on all of X; the loss, starts, the seed."""

    ranks: tuple[Rank, ...]
    verify: tuple[Rank, ...]
    beta_loss: float
    starts: Positive
    seed: Annotated[int, Meta(ge=0)]


class RankingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison of ranks says of itself; `pick` and `sentence` are there when it is whole."""

    format: Positive
    status: Annotated[Literal["running", "finished"], Meta(description="one of running, finished")]
    x: StoredX
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


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranks, compared by columns of a sample of X that were held out.

    Attributes
    ----------
    ranks : (r,) numbers of components, ascending.
    held_out : (r,) what share of the sample is not predicted, of rows and columns that took no part in the prediction:
        of its sum of squares for β = 2, of what row totals times column shares leave for other losses.
    standard_error : (r,) of the difference to the least of them, over pairs of the same rows.
    fit : (r,) relative error of the factorization of the sample.
    agreement : by rank, (k,) how well each component of one half of the sample is found in the other, as a cosine.
    components : by rank, (k, N) those of the sample, as rows: of V, or of Wᵀ where columns of X were sampled. Where the
        rank was verified, after one exact step on all of X.
    verified : by rank, the relative error on all of X.
    about : what the comparison says of itself, as a typed value.
    named : gives the names of X's rows and columns, when they are asked for.
    """

    ranks: NDArray[np.int64]
    held_out: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    fit: NDArray[np.float64]
    agreement: Mapping[int, NDArray[np.float64]]
    components: Mapping[int, Array]
    verified: Mapping[int, float]
    about: RankingRecord
    named: Callable[[], Labels] = field(default=Labels, kw_only=True, compare=False, repr=False)

    @property
    def best(self) -> int:
        """The smallest rank whose held-out error is within one standard error of the least."""
        assert self.about.pick is not None
        return self.about.pick

    @property
    def sentence(self) -> str:
        """What the comparison says, and how far it can be trusted."""
        return self.about.sentence or ""

    @property
    def worst(self) -> NDArray[np.float64]:
        """(r,) agreement of the component that is found worst."""
        return np.array([self.agreement[int(rank)].min() for rank in self.ranks])

    @property
    def mean(self) -> NDArray[np.float64]:
        """(r,) mean agreement."""
        return np.array([self.agreement[int(rank)].mean() for rank in self.ranks])

    def agreement_with(self, run: Factorization) -> NDArray[np.float64] | None:
        """(k,) how well both halves of the sample find what each component of a run is in the sample.

        NaN for components that are not found in the sample; None where this rank was not compared.

        Raises
        ------
        ValueError
            If the run is one of another X.
        """
        x, mine, rank = run.about.x, self.about.x, len(run.V)
        if (x.shape, x.fingerprint) != (mine.shape, mine.fingerprint):
            raise ValueError(
                f"the ranks are of {mine.path} {mine.shape}, and the run is of {x.path} {x.shape}, or X has changed "
                f"between them: give a comparison of ranks of this X"
            )
        if rank not in self.components:
            return None
        short = run.V if self.about.state.axis == 0 else np.asarray(run.W).T
        order, alike = match(short, self.components[rank])
        return np.where(alike >= ALIKE, self.agreement[rank][order], np.nan)

    @property
    def labels(self) -> Labels:
        """The names of X's rows (m,) and columns (n,); None where X had none."""
        return self.named()

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """The table, by column; NaN where a rank was not verified."""
        found = {
            "rank": self.ranks,
            "held_out": self.held_out,
            "difference": self.held_out - self.held_out.min(),
            "standard_error": self.standard_error,
            "worst_agreement": self.worst,
            "mean_agreement": self.mean,
            "fit": self.fit,
        }
        exact = [self.verified.get(int(rank), np.nan) for rank in self.ranks]
        return {**found, "relative_error": np.array(exact)} if self.verified else found

    @property
    def table(self) -> Any:
        """The table, one row per rank: a pandas DataFrame where pandas is installed, else a dict of its columns."""
        try:
            import pandas as pd  # noqa: PLC0415, whoever has it gets a DataFrame
        except ImportError:
            return self.columns
        return pd.DataFrame(self.columns).set_index("rank")


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
        if (before.x, before.asked, before.state) == (record.x, record.asked, record.state):
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


def held_ranks(run: str | Path) -> Ranking | None:
    """The comparison of ranks that a run holds, where it was left to X; else None."""
    group = group_at(absolute(run)) if occupied(absolute(run)) else None
    return open_ranks(group) if group is not None and has(group, INSIDE) else None


def open_ranks(path: str | Path | zarr.Group) -> Ranking:
    """Open a comparison of ranks, by its own path or that of a run that holds one.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or one that is not whole yet, or none that dnmf wrote.
    OSError
        If a part of it is damaged.
    """
    group, top = _opened(path)
    record = read_ranking_record(group)
    if record.status != "finished":
        raise ValueError(
            f"{path} holds a comparison of ranks that is not finished: give the command that began it again, it goes on"
        )
    ranks = record.asked.ranks
    tried = {rank: read_tried(group, rank) for rank in ranks}
    verified = {rank: found for rank in ranks if (found := read_verified(group, rank))}
    held_out, standard_error = (
        read_whole(open_array(group, name, (len(ranks),))) for name in ("held_out", "standard_error")
    )
    return Ranking(
        ranks=np.array(ranks, "i8"),
        held_out=held_out,
        standard_error=standard_error,
        fit=np.array([tried[rank].relative_error for rank in ranks]),
        agreement={rank: tried[rank].agreement for rank in ranks},
        components={rank: verified[rank][0] if rank in verified else tried[rank].short for rank in ranks},
        verified={rank: error for rank, (_, error) in verified.items()},
        about=record,
        named=partial(read_labels, top, record.x.shape),
    )


def is_ranking(path: str | Path) -> bool:
    """Whether there is a comparison of ranks at a path, and not a run that holds one."""
    group = group_at(absolute(path)) if occupied(absolute(path)) else None
    return group is not None and RANKS in group.attrs


def open_ranking(path: str | Path) -> zarr.Group:
    """The group of the comparison of ranks at a path, whole or not."""
    return _opened(path)[0]


def _opened(path: str | Path | zarr.Group) -> tuple[zarr.Group, zarr.Group]:
    """A comparison, and what holds the names of X's rows and columns: itself, or the run that it is in."""
    if isinstance(path, zarr.Group):
        top: zarr.Group | None = path
    elif occupied(absolute(path)):
        top = group_at(absolute(path))
    else:
        raise FileNotFoundError(f"there is no comparison of ranks at {path}: give the --out of `dnmf ranks`")
    group = top
    if top is not None and RANKS not in top.attrs and has(top, INSIDE):
        group = open_below(top, INSIDE)
    if top is None or group is None or RANKS not in group.attrs:
        raise ValueError(f"{path} is no comparison of ranks: give the --out of `dnmf ranks`, or a run of --rank auto")
    return group, top
