"""The sample of X: drawn in one read, or that of an earlier run or comparison of ranks."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import zarr

from dnmf.arrays.extent import Extent
from dnmf.arrays.rows import Array
from dnmf.engine.protocol import Engine, Source, Tick
from dnmf.factorization.reads import Drawing, sampling
from dnmf.matrix.matrix import Matrix
from dnmf.plan.strips import Plan, rows_or_columns
from dnmf.run.kept_sample import StoredSample, read_sample
from dnmf.run.opening import open_group
from dnmf.run.ranking import is_ranking, open_ranking
from dnmf.run.ranking_store import read_ranking_record, read_verified
from dnmf.run.record import State, StoredX, full_record
from dnmf.stores.identity import same


def draw_sample(
    engine: Engine[Any], source: Source[Any], matrix: Matrix, cut: Plan, *, how: Drawing, tick: Tick
) -> tuple[StoredSample, Extent, Source[Any]]:
    """Read X for its sample; also how large its entries are, and X for the reads after that."""
    # Where strips are columns of X, those of Y are its rows, of which nobody asks.
    how = replace(how, width=cut.width if cut.axis == 0 else None, weighted=matrix.weighted)
    began = time.perf_counter()
    pending = engine.read(source, None, sampling(how), tick)
    outcome = pending.wait()
    checksums = outcome.checksums if matrix.repeats else None
    kept = StoredSample(
        outcome.value.value,
        cut.axis,
        cut.sample,
        matrix.grid.stored_nbytes,
        checksums,
        matrix.exponent,
        seconds=time.perf_counter() - began,
        observed=outcome.value.observed,
    )
    return kept, outcome.value.extent, pending.source


@dataclass(frozen=True, slots=True)
class EarlierSample:
    """The sample that an earlier run or comparison of ranks kept, and how X was cut for it.

    Attributes
    ----------
    path : where it is.
    kept : the sample, which costs no read of X now.
    state : how X was cut.
    ranking : the comparison of ranks, or None where it is a run's.
    """

    path: str | Path
    kept: StoredSample
    state: State
    ranking: zarr.Group | None = None

    def plan(self, cut: Plan) -> Plan:
        """How X is cut, with as many rows of a sample.

        Raises
        ------
        ValueError
            If it is cut along the other axis.
        """
        if self.kept.axis != cut.axis:
            raise ValueError(
                f"the sample in {self.path} is one of {rows_or_columns(self.kept.axis)}, and X is now cut along its "
                f"{rows_or_columns(cut.axis)}: give no sample"
            )
        return replace(cut, sample=self.kept.size)

    def cut_as(self, cut: Plan) -> StoredSample:
        """The sample for an X that is cut so now: what strips were then, they have to be now, if they are the same."""
        return self.kept if cut.reads_as(self.state.plan) else replace(self.kept, checksums=None)

    def verified(self, rank: int) -> Array | None:
        """The short factor (k, N) of a rank that was verified on all of X, or None."""
        found = None if self.ranking is None else read_verified(self.ranking, rank)
        return None if found is None else found[0]


def earlier_sample(path: str | Path, matrix: Matrix) -> EarlierSample:
    """The sample at a path, if it was drawn from this X.

    Raises
    ------
    ValueError, FileNotFoundError
        If there is none, or one of another X.
    """
    if not matrix.stored:
        raise ValueError(f"a sample is given and X is {matrix.location}: only stored X is known to be the same again")
    group, x, state, ranking = _origin(path)
    if not same(x.path, matrix.location) or x.fingerprint != matrix.fingerprint:
        raise ValueError(
            f"the sample in {path} is of {x.path} and not of {matrix.location} as it is now: name a run "
            f"on this X, with the same entries missing and the same weights, or give no sample"
        )
    return EarlierSample(path, replace(read_sample(group), bytes_read=0), state, ranking)


def _origin(path: str | Path) -> tuple[zarr.Group, StoredX, State, zarr.Group | None]:
    """The group that a sample is in, the X that it is of, how that was cut, and the comparison of ranks."""
    if is_ranking(path):
        group = open_ranking(path)
        ranked = read_ranking_record(group)
        return group, ranked.x, ranked.state, group
    group, begun = open_group(path)
    record = full_record(begun, path)
    if record.before:
        raise ValueError(
            f"the sample in {path} is one of all rows that it extends, and X are the new ones alone: give no sample"
        )
    return group, record.x, record.state, None


def along(earlier: EarlierSample | None) -> tuple[int, ...]:
    """The axes along which X may be cut: that of a sample that is given."""
    return (0, 1) if earlier is None else (earlier.kept.axis,)
