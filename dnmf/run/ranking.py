"""Ranks that were compared, as a value, and how a comparison is opened: by its own path, or that of a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from dnmf.arrays.matching import match
from dnmf.arrays.rows import Array
from dnmf.matrix.labels import Labels
from dnmf.rank_selection.choice import ALIKE
from dnmf.run.arrays import has, open_array, read_whole
from dnmf.run.labels import read_labels
from dnmf.run.opening import group_at
from dnmf.run.ranking_store import INSIDE, RANKS, RankingRecord, read_ranking_record, read_tried, read_verified
from dnmf.run.record import open_below
from dnmf.run.result import Factorization
from dnmf.stores.paths import absolute
from dnmf.stores.places import occupied


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
