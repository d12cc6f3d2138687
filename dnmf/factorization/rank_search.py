"""A comparison of ranks that is going on: the sample, all trials, verification, the table."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
import zarr
from msgspec import structs

from dnmf.engine.protocol import Engine, Source, Tick
from dnmf.engine.schedulers import Scheduler
from dnmf.events import Event, Listener, Ranked, RankTried, Sampled, StripDone, log
from dnmf.factorization.reads import Drawing
from dnmf.factorization.sampling import EarlierSample, draw_sample
from dnmf.factorization.session import Session
from dnmf.factorization.verification import verify_ranks
from dnmf.losses import SWEEPS, solvers_of
from dnmf.losses.choose import loss_of
from dnmf.losses.protocol import AnyLoss
from dnmf.losses.scale import check_fits
from dnmf.matrix.matrix import Matrix
from dnmf.plan.strips import Plan, rows_or_columns
from dnmf.rank_selection.choice import Comparison, compare, sentence
from dnmf.rank_selection.halves import Halves, halve
from dnmf.rank_selection.held_out import baseline
from dnmf.rank_selection.trials import Question, make_trial, put_together, trials_of
from dnmf.rules import NO_PENALTY
from dnmf.run.kept_sample import StoredSample, has_sample, read_sample, write_sample
from dnmf.run.labels import has_labels, write_labels
from dnmf.run.ranking_store import (
    RANKS_FORMAT,
    Asked,
    RankingRecord,
    TriedRank,
    begin_inside,
    finish_ranking,
    has_tried,
    read_tried,
    read_verified,
    write_tried,
    write_verified,
)
from dnmf.run.record import state_of, stored_weights, stored_x, versions

# Tasks for each thread in a batch of ranks, after which what came of them is kept.
TASKS_EACH = 4


@dataclass(frozen=True, slots=True)
class Search:
    """A comparison of ranks that is going on.

    Attributes
    ----------
    matrix, cut, engine : X, how it is cut, and what reads it.
    scheduler, lanes : what computes trials, and how many of them side by side.
    record : what the comparison says of itself.
    listeners : are told of what is done.
    """

    matrix: Matrix
    cut: Plan
    engine: Engine[Any]
    scheduler: Scheduler
    lanes: int
    record: RankingRecord
    listeners: Sequence[Listener]

    @classmethod
    def of(cls, session: Session, cut: Plan, asked: Asked, listeners: Sequence[Listener]) -> "Search":
        """A comparison that begins."""
        matrix, workers, (cut, engine) = session.matrix, session.workers, session.engine(cut)
        record = RankingRecord(
            format=RANKS_FORMAT, status="running", x=stored_x(matrix), weights=stored_weights(matrix), asked=asked,
            state=state_of(matrix, cut), versions=versions(),
        )  # fmt: skip
        return cls(matrix, cut, engine, session.scheduler, workers.count * workers.threads, record, listeners)

    @property
    def asked(self) -> Asked:
        """What was asked for."""
        return self.record.asked

    @property
    def loss(self) -> AnyLoss:
        """What is minimized, without penalties."""
        beta = self.asked.beta_loss
        return loss_of(
            solvers_of(beta)[0], beta, NO_PENALTY, NO_PENALTY, sparse=self.matrix.sparse, short_sweeps=SWEEPS,
            signed=self.matrix.signed, weighted=self.matrix.weighted,
        )  # fmt: skip

    def tell(self, event: Event) -> None:
        """Emit an event."""
        for listener in (log, *self.listeners):
            listener(event)

    def ticker(self, iteration: int) -> Tick:
        """What tells of every strip of a read that is done."""
        total = len(self.cut.heights)
        return lambda done: self.tell(StripDone(iteration, done, total))

    def scaled(self, exponent: int) -> "Search":
        """The same on X times 2 to an exponent."""
        return replace(self, matrix=self.matrix.scaled(exponent))


def search_ranks(search: Search, group: zarr.Group, earlier: EarlierSample | None) -> None:
    """All of a comparison that has a group of its own."""
    if has_sample(group):
        kept, source = read_sample(group), None
    else:
        kept, source = (earlier.cut_as(search.cut), None) if earlier else _draw(search)
        search.tell(Sampled(kept.rows, kept.seconds, kept.bytes_read))
        write_sample(group, kept)
    if not has_labels(group):
        write_labels(group, search.matrix.labels)
    search = search.scaled(kept.exponent)
    halves = _try_ranks(search, group, kept)
    if search.asked.verify:
        _verify(search, group, kept, source or search.engine.open(search.matrix))
    _finish(search, group, halves)


def search_inside(search: Search, run: zarr.Group, kept: StoredSample | None) -> tuple[int, StoredSample]:
    """A comparison that a run holds, on its sample, if there is one: the pick, and the sample."""
    group = begin_inside(run, search.record)
    if kept is None:
        kept, _ = _draw(search)
    search = search.scaled(kept.exponent)
    return _finish(search, group, _try_ranks(search, group, kept)).pick, kept


def _draw(search: Search) -> tuple[StoredSample, Source[Any]]:
    """Read X for its sample; again, as X times a power of two, where its entries are out of range."""
    exponent = 0
    how = Drawing(search.asked.seed, search.cut.sample, search.asked.beta_loss)
    while True:
        matrix = search.matrix.scaled(exponent)
        kept, extent, source = draw_sample(
            search.engine, search.engine.open(matrix), matrix, search.cut, how=how, tick=search.ticker(0)
        )
        more = check_fits(extent, search.asked.beta_loss, matrix.dtype)
        if not more:
            return kept, source
        exponent += more


def _try_ranks(search: Search, group: zarr.Group, kept: StoredSample) -> Halves:
    """Try all ranks that are not tried yet, the largest first, and keep what they give."""
    asked, began = search.asked, time.perf_counter()
    halves = halve(kept.sample, kept.size, rank=asked.ranks[-1], seed=asked.seed)
    question, splits = Question(halves, search.loss, asked.starts, asked.seed), len(halves.splits)
    left = [rank for rank in reversed(asked.ranks) if not has_tried(group, rank)]
    done = len(asked.ranks) - len(left)
    for batch in _batches(left, ceil(TASKS_EACH * search.lanes / (1 + 2 * splits))):
        trials = [trial for rank in batch for trial in trials_of(rank, splits)]
        made, each = search.scheduler.map(make_trial, question, trials), 1 + 2 * splits
        for number, rank in enumerate(batch):
            tried = put_together(halves, made[number * each : (number + 1) * each])
            write_tried(group, rank, TriedRank(tried.short, tried.fit**0.5, tried.errors, tried.agreement))
            done += 1
            search.tell(RankTried(rank, done, len(asked.ranks), time.perf_counter() - began))
    return halves


def _batches(ranks: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (ranks[start : start + size] for start in range(0, len(ranks), size))


def _verify(search: Search, group: zarr.Group, kept: StoredSample, source: Source[Any]) -> None:
    """Read X once for all ranks that are not verified yet."""
    tried = {rank: read_tried(group, rank) for rank in search.asked.verify if read_verified(group, rank) is None}
    if not tried:
        return
    sample = kept.sample
    found = verify_ranks(
        search.engine,
        source,
        search.loss,
        {rank: each.short for rank, each in tried.items()},
        norm=sample.norm if sample.beta == search.asked.beta_loss else float("nan"),
        shares={rank: each.relative_error**2 for rank, each in tried.items()},
        tick=search.ticker(1),
    )
    for rank, (short, error) in found.items():
        write_verified(group, rank, short, error)


def _finish(search: Search, group: zarr.Group, halves: Halves) -> Comparison:
    """Compare what all ranks gave, and write the table, the pick and the sentence."""
    asked = search.asked
    tried = {rank: read_tried(group, rank) for rank in asked.ranks}
    whole = halves.whole
    scores = baseline(whole.rows, folds=halves.folds, shares=halves.shares, beta=asked.beta_loss)
    errors = np.array([tried[rank].errors for rank in asked.ranks])
    found = compare(asked.ranks, errors, float(scores @ whole.counts))
    agreement = {rank: tried[rank].agreement for rank in asked.ranks}
    said = sentence(found, agreement, rows=halves.rows, lines=rows_or_columns(search.cut.axis))
    finish_ranking(
        group,
        structs.replace(search.record, status="finished", pick=found.pick, sentence=said),
        {
            "rank": np.array(asked.ranks, "i8"),
            "held_out": found.held_out,
            "standard_error": found.standard_error,
            "fit": np.array([tried[rank].relative_error for rank in asked.ranks]),
            "worst_agreement": np.array([agreement[rank].min() for rank in asked.ranks]),
            "mean_agreement": np.array([agreement[rank].mean() for rank in asked.ranks]),
        },
    )
    search.tell(Ranked(found.pick, said))
    return found
