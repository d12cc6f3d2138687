"""First factors of a run: the caller's, random ones, or from a sample of X's rows that one read of X gives.

From the sample comes the short factor alone; the first pass then solves the long one against it. With init "sample" it
is factorized in memory: seven random starts and one from its singular vectors (NNDSVDa) are followed for ten
iterations, side by side, the three best for twenty more, and the best of these to its end; for losses other than least
squares their own rule takes over there. Measured on nine matrices (images, text, speech, counts, low rank with noise,
rare components, rows in order; rank 4 to 25) against 200 iterations of scikit-learn, better of nndsvda and random:

- after the second read of X the error was at most 1.0013 times theirs, after the third at most 1.0003 times;
- a sample of 8000 rows took 0.5 to 1.5 s, whatever the size of X; followed to a tolerance of 1e-5 instead of 1e-4 over
  ten iterations the factors ended no better;
- with three random starts one seed of three ended 0.3 % higher on speech, in another local minimum; of seven the best
  was within 0.1 % of the best of twelve, for four seeds on six matrices;
- following all eight for thirty iterations took a third longer and ended no better (seven matrices, three seeds);
- Kullback–Leibler of counts was 1.8 % below 200 iterations of scikit-learn's mu after the second read;
- where only every second group of 16 384 rows was read for the sample, the third read ended up to 0.2 % higher, and
  failed where rows were sorted by component: the first read is one of all of X.
"""

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from dnmf.arrays.draws import random_rows
from dnmf.arrays.rows import Array
from dnmf.engine.protocol import Source
from dnmf.events import Sampled, Saved, Started
from dnmf.factorization.job import Job, Point
from dnmf.factorization.reads import sampling
from dnmf.factorization.trials import _short_factor, model_of
from dnmf.parameters import SAMPLED
from dnmf.run.factors import write_factor
from dnmf.run.generations import new_generation
from dnmf.run.history import History
from dnmf.run.kept_sample import StoredSample
from dnmf.run.record import Start

# An entry that must not be zero is at least this share of its component's mean.
LEAST_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class RandomRows:
    """A random factor, whose rows are drawn by their number: see `random_rows`."""

    seed: int
    stream: int
    rank: int
    dtype: np.dtype[np.floating]

    def __call__(self, first: int, rows: int) -> Array:
        """Rows `first` … `first + rows − 1`, (rank, rows)."""
        return random_rows(self.seed, self.stream, first, rows, self.rank, self.dtype)


def first_point(job: Job) -> Point:
    """The first factors, before the first pass."""
    source = job.engine.open(job.matrix)
    if job.given is not None:
        return _given(job, source)
    return _sampled(job, source) if job.parameters.init in SAMPLED else _random(job, source)


def _given(job: Job, source: Source[Any]) -> Point:
    """The caller's, written to the run first: the long one may be larger than memory."""
    assert job.given is not None
    axis = job.plan.axis
    long, short = job.given if axis == 0 else job.given[::-1]
    at = new_generation(job.group, 0)
    write_factor(job.keeper.long, job.group, at, long)
    L = job.engine.load(job.keeper.long.array(job.group, at))
    S = np.ascontiguousarray(np.asarray(short if axis == 0 else short.T), job.matrix.dtype)
    return Point(0, source, L, S, job.objective.update, Start(0.0, 0), at=at)


def _random(job: Job, source: Source[Any]) -> Point:
    """Drawn by row index, and scaled in the first pass."""
    cut, rank, dtype = job.plan, job.parameters.rank, job.matrix.dtype
    L = job.engine.draw(RandomRows(job.parameters.seed, cut.axis, rank, dtype))
    S = random_rows(job.parameters.seed, 1 - cut.axis, 0, cut.width, rank, dtype)
    return Point(0, source, L, S, job.objective.scale_and_update, Start(0.0, 0))


def _sampled(job: Job, source: Source[Any]) -> Point:
    """From the sample, which is drawn now, or was kept by another run."""
    began, objective, kept, size = time.perf_counter(), job.objective, job.kept, job.plan.sample
    if kept is None:
        seed, beta, read = job.parameters.seed, objective.beta, job.matrix.grid.stored_nbytes
        pending = job.engine.read(source, None, sampling(seed=seed, size=size, beta=beta), job.ticker(0))
        outcome, source = pending.wait(), pending.source
        kept = StoredSample(outcome.value, job.plan.axis, size, read, job.checked(None, outcome.checksums))
    sample = kept.sample
    job.tell(Sampled(min(len(sample.keys), size), time.perf_counter() - began, kept.bytes_read))
    # A sample that was drawn for another loss does not tell the norm; the first pass does.
    norm = sample.norm if sample.beta == objective.beta else math.nan
    objective.check_range(norm, job.plan.length * job.plan.width, job.matrix.dtype, sample.total)
    if job.kept is None:
        job.keeper.keep_sample(kept)
    small, model = model_of(job, sample)
    S, share = _short_factor(job, small, model, sample)
    if not objective.penalized:
        # Components of like size: those that hold next to nothing would vanish in the ridge of a least-squares start.
        top = S.max(axis=1, keepdims=True)
        S = S / np.where(top > 0, top, 1)
    if objective.keeps_zeros:
        S = np.maximum(S, LEAST_SHARE * S.mean(axis=1, keepdims=True))
    error = None if share is None else math.sqrt(share)
    start = Start(time.perf_counter() - began, kept.bytes_read, small.rows, error)
    job.tell(Started(start.seconds, error))
    expected = share * norm if share and not math.isnan(norm) else None
    return Point(
        iteration=0,
        source=source,
        L=None,
        S=S,
        update=objective.solve,
        start=start,
        model=model,
        loss=expected,
        norm=norm,
        checksums=kept.checksums,
    )


def first_factors(job: Job) -> tuple[Point, History]:
    """Where a run begins that holds nothing yet, or nothing but a sample."""
    point = first_point(job)
    if job.keeper.keep_start(point.at, point.start, point.checkpoint):
        job.tell(Saved(0))
    return point, History(job.parameters.snapshot_every, job.plan.axis, point.S)
