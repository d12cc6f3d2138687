"""`ranks`: which number of components X speaks for, from one read of X, or none where a sample is there.

Every rank is tried on halves of the sample, see `dnmf.rank_selection`: all trials are tasks of their own. Some ranks
may be verified on all of X, all of them in one more read.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from msgspec import structs

from dnmf.engine.protocol import Engine, Source, Tick
from dnmf.engine.schedulers import Scheduler
from dnmf.events import Event, Listener, Ranked, RankTried, Sampled, StripDone, log
from dnmf.factorization.sampling import EarlierSample, along, draw_sample, earlier_sample
from dnmf.factorization.session import Session, open_session
from dnmf.factorization.verification import verify_ranks
from dnmf.losses import SWEEPS, beta_of, solvers_of
from dnmf.losses.choose import loss_of
from dnmf.losses.protocol import AnyLoss
from dnmf.losses.scale import check_fits
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.opening import tell_missing
from dnmf.parameters import COUNT, SEED, Parameters, plain
from dnmf.plan.choose import plan
from dnmf.plan.strips import Plan
from dnmf.rank_selection.asked import USUAL, possible, ranks_of
from dnmf.rank_selection.choice import Comparison, compare, sentence
from dnmf.rank_selection.halves import FOLDS, Halves, halve
from dnmf.rank_selection.held_out import baseline
from dnmf.rank_selection.trials import Question, make_trial, put_together, trials_of
from dnmf.rules import NO_PENALTY
from dnmf.run.kept_sample import StoredSample, has_sample, read_sample, write_sample
from dnmf.run.labels import has_labels, write_labels
from dnmf.run.lease import Lease
from dnmf.run.ranking import (
    RANKS_FORMAT,
    Asked,
    Ranking,
    RankingRecord,
    TriedRank,
    begin_inside,
    check_ranking_out,
    create_ranking,
    finish_ranking,
    has_tried,
    open_ranks,
    read_tried,
    read_verified,
    write_tried,
    write_verified,
)
from dnmf.run.record import state_of, stored_x, versions

# Starts of each factorization, where nothing else is asked for.
STARTS = 3

# Tasks for each thread in a batch of ranks, after which what came of them is kept.
TASKS_EACH = 4


def ranks(
    X: object,
    ranks: object = None,
    *,
    out: str | Path | None = None,
    beta_loss: float | str = 2.0,
    starts: int = STARTS,
    verify: object = (),
    seed: int = 0,
    sample: str | Path | None = None,
    layer: str | None = None,
    memory_limit: int | None = None,
    overwrite: bool = False,
    listeners: Sequence[Listener] = (),
) -> Ranking:
    """Compare numbers of components by how well they predict what was held out of a sample of X.

    X is read once for the sample, whatever the number of ranks; not at all where an earlier run or comparison has one.
    Rows of the sample are cut into two halves. Each half is factorized with every rank; then columns of each row of the
    other half are predicted from its other columns. The smallest rank whose error is within one standard error of the
    least, over pairs of the same rows, is the pick. See `dnmf.rank_selection` for how, and the documentation for when
    it cannot be trusted. Computes where `factorize` does.

    Parameters
    ----------
    X, layer, memory_limit, listeners : as `factorize` takes them.
    ranks : a range, a list, or a text such as 2:30, both ends included. None for 2 to 30, or as many as are possible.
    out : path of a Zarr group to write to, which every worker must reach. One there that was not finished goes on. None
        keeps it in this process's memory.
    beta_loss : β of the loss, or its name, see `factorize`: 1 for counts.
    starts : of each factorization of a half, the best of which is followed to its end.
    verify : of these ranks the exact loss on all of X is found and one exact step made, in one more read of X for all
        of them together. `factorize(X, rank, sample=out)` then begins there.
    seed : of the sample, its halves, and the starts.
    sample : path of an earlier run, or comparison of ranks, on the same X, whose sample is taken.
    overwrite : replace a comparison of ranks at `out`.

    Returns
    -------
    Ranking

    Raises
    ------
    ValueError, TypeError, FileNotFoundError, FileExistsError, MemoryError, RuntimeError
        As `factorize` does; if a rank is larger than the sample allows.

    References
    ----------
    R. Bro et al., Analytical and Bioanalytical Chemistry 390, 2008, doi:10.1007/s00216-007-1790-1.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.gamma(0.5, size=(300, 3)) @ rng.gamma(0.5, size=(3, 40)) * rng.uniform(0.8, 1.2, (300, 40))
    >>> ranks(X, "1:6").best
    3
    """
    wanted = None if ranks is None else ranks_of(ranks)
    checked = () if verify == () else ranks_of(verify)
    beta = _checked(beta_loss, starts, seed)
    with open_session(X, out=out, layer=layer, memory_limit=memory_limit) as session:
        tell_missing(session.matrix)
        earlier = None if sample is None else earlier_sample(sample, session.matrix)
        cut = _plan(session, max(sum(checked), *(wanted or (USUAL,))), earlier)
        session.check_workers(out)
        asked = Asked(ranks=_possible(wanted, cut), verify=checked, beta_loss=beta, starts=starts, seed=seed)
        _check_verified(asked)
        if out is not None:
            session.check_apart(out, exists=check_ranking_out(out, overwrite=overwrite))
        search = Search.of(session, cut, asked, listeners)
        group = create_ranking(out, search.record, overwrite=overwrite)
        with nullcontext() if out is None else Lease(group):
            _search(search, group, earlier)
    return open_ranks(group)


def _checked(beta_loss: float | str, starts: object, seed: object) -> float:
    """β, where all three make sense."""
    for name, value, required in (("starts", starts, COUNT), ("seed", seed, SEED)):
        if not required.holds(plain(value)):
            raise ValueError(f"{name} is {value!r}: {required.words} is required")
    return beta_of(beta_loss)


def _plan(session: Session, rank: int, earlier: EarlierSample | None) -> Plan:
    grid, axes = session.matrix.grid, along(earlier)
    cut = plan(grid, rank=rank, workers=session.workers, cache=False, sampled=True, axes=axes)
    return cut if earlier is None else earlier.plan(cut)


def _possible(wanted: tuple[int, ...] | None, cut: Plan) -> tuple[int, ...]:
    """The ranks that are compared: those that are asked for, or all that the sample allows."""
    return possible(wanted, _most(cut))


def _most(cut: Plan) -> int:
    """The largest rank: not more than there are rows in half of the sample, and columns that are not held out."""
    return min(min(cut.sample, cut.length) // 2, cut.width - ceil(cut.width / FOLDS))


def _allowed(choices: tuple[int, ...], cut: Plan) -> tuple[int, ...]:
    """Those of some ranks that the sample allows: who leaves the choice to it leaves that, too."""
    most = _most(cut)
    return tuple(rank for rank in choices if rank <= most) or _possible(choices, cut)


def _check_verified(asked: Asked) -> None:
    if others := sorted(set(asked.verify) - set(asked.ranks)):
        raise ValueError(
            f"{', '.join(map(str, others))} is to be verified and is none of the ranks that are compared, "
            f"{asked.ranks[0]} to {asked.ranks[-1]}: verify some of these"
        )


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
            format=RANKS_FORMAT, status="running", x=stored_x(matrix), asked=asked,
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
            solvers_of(beta)[0], beta, NO_PENALTY, NO_PENALTY, sparse=self.matrix.sparse, short_sweeps=SWEEPS
        )

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


def _search(search: Search, group: zarr.Group, earlier: EarlierSample | None) -> None:
    """All of a comparison that has a group of its own."""
    if has_sample(group):
        kept, source = read_sample(group), None
    else:
        kept, source = (earlier.cut_as(search.cut), None) if earlier else draw(search)
        write_sample(group, kept)
    if not has_labels(group):
        write_labels(group, search.matrix.labels)
    search = search.scaled(kept.exponent)
    halves = compare_ranks(search, group, kept)
    if search.asked.verify:
        _verify(search, group, kept, source or search.engine.open(search.matrix))
    finish(search, group, halves)


def draw(search: Search) -> tuple[StoredSample, Source[Any]]:
    """Read X for its sample; again, as X times a power of two, where its entries are out of range."""
    began, exponent = time.perf_counter(), 0
    while True:
        matrix = search.matrix.scaled(exponent)
        kept, extent, source = draw_sample(
            search.engine, search.engine.open(matrix), matrix, search.cut,
            seed=search.asked.seed, beta=search.asked.beta_loss, tick=search.ticker(0),
        )  # fmt: skip
        more = check_fits(extent, search.asked.beta_loss, matrix.dtype)
        if not more:
            search.tell(Sampled(kept.rows, time.perf_counter() - began, kept.bytes_read))
            return kept, source
        exponent += more


def compare_ranks(search: Search, group: zarr.Group, kept: StoredSample) -> Halves:
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


def finish(search: Search, group: zarr.Group, halves: Halves) -> Comparison:
    """Compare what all ranks gave, and write the table, the pick and the sentence."""
    asked = search.asked
    tried = {rank: read_tried(group, rank) for rank in asked.ranks}
    whole = halves.whole
    scores = baseline(whole.rows, folds=halves.folds, shares=halves.shares, beta=asked.beta_loss)
    errors = np.array([tried[rank].errors for rank in asked.ranks])
    found = compare(asked.ranks, errors, float(scores @ whole.counts))
    agreement = {rank: tried[rank].agreement for rank in asked.ranks}
    said = sentence(found, agreement, rows=halves.rows)
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


def pick_rank(
    session: Session,
    run: zarr.Group,
    cut: Plan,
    parameters: Parameters,
    choices: tuple[int, ...],
    *,
    kept: StoredSample | None,
    lasting: bool,
    listeners: Sequence[Listener],
) -> tuple[int, StoredSample]:
    """The rank that X speaks for, for a run that holds the comparison, and the sample that it goes on from.

    `lasting` says whether the run outlives this process.
    """
    ranks, seed = _allowed(choices, cut), parameters.seed
    asked = Asked(ranks=ranks, verify=(), beta_loss=parameters.beta_loss, starts=STARTS, seed=seed)
    search = Search.of(session, cut, asked, listeners)
    with Lease(run) if lasting else nullcontext():
        group = begin_inside(run, search.record)
        if kept is None:
            kept, _ = draw(search)
        search = search.scaled(kept.exponent)
        return finish(search, group, compare_ranks(search, group, kept)).pick, kept
