"""First factors of a run: the caller's, random ones, or from a sample of X's rows that one read of X gives.

From the sample comes the short factor alone; the first pass then solves the long one against it. With init "sample" it
is factorized in memory: seven random starts and one from its singular vectors (NNDSVDa) are followed for ten
iterations, side by side, and the three best for twenty more, on 2000 of its rows and columns where it has more of them;
the best of these is followed to its end on all. For losses other than least squares their own rule takes over there.
Where most of X is zero it does after the first ten: all eight go on by it for ten iterations on some rows of the
sample, the three best for ten more, and what the best one was before that is followed to its end.
Measured on nine matrices (images, text, speech, counts, low rank with noise, rare components, rows in order; rank 4 to
25) against 200 iterations of scikit-learn, better of nndsvda and random:

- after the second read of X the error was at most 1.0013 times theirs, after the third at most 1.0003 times;
- a sample of 8000 rows took 0.5 to 1.5 s, whatever the size of X; followed to a tolerance of 1e-5 instead of 1e-4 over
  ten iterations the factors ended no better;
- with three random starts one seed of three ended 0.3 % higher on speech, in another local minimum; of seven the best
  was within 0.1 % of the best of twelve, for four seeds on six matrices;
- following all eight for thirty iterations took a third longer and ended no better (seven matrices, three seeds);
- compared on 2000 rows and columns instead of all, starts took a third of the processor's time for sparse counts of
  50 000 × 50 000, and errors were 0.9994 to 1.0016 times those before (low rank, rare components, counts, topics; five
  seeds each); on 1000, digits ended up to 0.9 % higher;
- of counts of topics (20 000 × 10 000, 8000 × 5000) the start that least squares put first ended 0.5 and 0.2 % above
  the one that was ahead by Kullback–Leibler, of four other kinds of counts within 0.3 %; of matrices without zeros
  (expression of genes, spectra) it ended up to 4 % below it;
- Kullback–Leibler of counts was 1.8 % below 200 iterations of scikit-learn's mu after the second read;
- where only every second group of 16 384 rows was read for the sample, the third read ended up to 0.2 % higher, and
  failed where rows were sorted by component: the first read is one of all of X.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from dnmf.arrays.draws import random_rows
from dnmf.arrays.excerpt import Excerpt, excerpt
from dnmf.arrays.extent import merge_extents, times_power
from dnmf.arrays.products import gram
from dnmf.arrays.rows import Array, aligned
from dnmf.arrays.sample import Sample, merge, stand_in
from dnmf.arrays.sketch import Sketch, nndsvd
from dnmf.engine.blocks import Draw
from dnmf.engine.protocol import Engine, Source
from dnmf.events import Sampled, Saved, Started
from dnmf.factorization.job import Iterate, Job
from dnmf.factorization.known import explained, solve_to_the_end, with_known
from dnmf.factorization.reads import Drawing, extent_for
from dnmf.factorization.sampling import draw_sample
from dnmf.factorization.warm import LONG, TOL, warm_factor
from dnmf.losses.extrapolation import Fit
from dnmf.losses.least_squares.in_memory import affordable, alternate, random_start
from dnmf.losses.protocol import AnySurrogate, Trial
from dnmf.losses.scale import factor_exponent
from dnmf.parameters import SAMPLED
from dnmf.rules import Penalty, coordinate_descent
from dnmf.rules.from_scratch import from_scratch, lift_zeros
from dnmf.run.arrays import scaled_array
from dnmf.run.factors import write_blocks
from dnmf.run.generations import new_generation
from dnmf.run.history import History
from dnmf.run.kept_sample import StoredSample
from dnmf.run.record import Start

RANDOM_STARTS, FIRST_STREAM = 7, 10

# Of the factorization of the sample: iterations of every start, and of those that are ahead then.
SHORT, FURTHER, FINALISTS = 10, 20, 3

# Sweeps by which a factor that was found on an excerpt is solved on all of the sketch.
EXTENDED = 3


def _first_iterate(job: Job) -> Iterate:
    """The first factors, before the first pass."""
    source = job.engine.open(job.matrix)
    if job.known is not None and job.parameters.all_known:
        return Iterate(0, source, None, job.known, first_move(job), Start(0.0, 0))
    if job.given is not None:
        return _given(job, source)
    return _sampled(job, source) if job.parameters.init in SAMPLED else _random(job, source)


def _given(job: Job, source: Source[Any]) -> Iterate:
    """The caller's, written to the run first: the long one may be larger than memory."""
    assert job.given is not None
    axis = job.plan.axis
    long, short = job.given if axis == 0 else job.given[::-1]
    at = new_generation(job.group, 0)
    S = np.ascontiguousarray(np.asarray(short if axis == 0 else short.T), job.matrix.dtype)
    # Where it could not be squared, the long one takes the rest of its size; their product is what was given.
    shift = 0 if job.loss.penalized or job.known is not None else factor_exponent(S)
    S, written = times_power(with_known(job.known, S, sized=False), shift), job.keeper.long.array(job.group, at)
    write_blocks(scaled_array(written, shift), long)
    job.keeper.long.publish(job.group, at)
    L = job.engine.load(job.long_at(at))
    return Iterate(0, source, L, S, job.loss.update, Start(0.0, 0), at=at)


def _random(job: Job, source: Source[Any]) -> Iterate:
    """Drawn by row index, and scaled in the first pass."""
    cut, rank, dtype = job.plan, job.parameters.rank, job.matrix.dtype
    rows = partial(random_rows, job.parameters.seed, cut.axis, rank=rank, dtype=dtype)
    L = job.engine.draw(Draw(rows, rank, dtype))
    S = random_rows(job.parameters.seed, 1 - cut.axis, 0, cut.width, rank, dtype)
    S = with_known(job.known, S, sized=True)
    return Iterate(0, source, L, S, job.loss.scale_and_update, Start(0.0, 0))


def _sampled(job: Job, source: Source[Any]) -> Iterate:
    """From the sample, which is drawn now, or was kept by another run."""
    began, loss, size = time.perf_counter(), job.loss, job.plan.sample
    kept, norm, source = _kept(job.kept, job, source) if job.kept and not job.before else draw(job, source)
    sample = kept.sample
    job.tell(Sampled(kept.rows, kept.seconds or time.perf_counter() - began, kept.bytes_read))
    observed = job.observe(kept.observed)
    # A sample that was drawn for another loss does not tell the norm; the first pass does.
    norm = norm if sample.beta == loss.beta else math.nan
    if job.kept is None or job.before:
        job.keeper.keep_sample(kept)
    drawn = stand_in(sample, size, rank=job.parameters.rank, seed=job.parameters.seed)
    surrogate = job.loss_of_all.surrogate(drawn)
    if job.warm is None:
        S, share = _short_factor(job, drawn.sketch, surrogate, sample)
    else:
        S, share = warm_factor(job, job.warm, drawn.sketch, surrogate)
    error = None if share is None else math.sqrt(share)
    start = Start(time.perf_counter() - began, kept.bytes_read, drawn.sketch.rows, error)
    job.tell(Started(start.seconds, error))
    return Iterate(
        iteration=0,
        source=source,
        L=None,
        S=_ready(job, S),
        move=first_move(job),
        start=start,
        surrogate=surrogate,
        loss=share * norm if share and not math.isnan(norm) else None,
        norm=norm,
        observed=observed,
        checksums=kept.checksums,
    )


def _kept(kept: StoredSample, job: Job, source: Source[Any]) -> tuple[StoredSample, float, Source[Any]]:
    """A sample that is there, of X as it is computed with; the norm of X; and X as it was."""
    kept = kept.scaled(job.matrix.exponent)
    return kept, kept.sample.norm, source


def draw(job: Job, source: Source[Any]) -> tuple[StoredSample, float, Source[Any]]:
    """Read X for its sample; the norm of X; and X for the passes after that.

    Where rows come before those of X, the sample that is kept is one of these: merged with it, it is one of all rows.
    """
    old = job.kept.scaled(job.matrix.exponent).sample if job.before and job.kept else None
    how = Drawing(
        job.parameters.seed, job.plan.sample, beta=job.loss.beta if old is None else old.beta, before=job.before,
        seen=job.loss.beta,
    )  # fmt: skip
    kept, extent, source = draw_sample(job.engine, source, job.matrix, job.plan, how=how, tick=job.ticker(0))
    norm = kept.sample.norm
    if old is not None:
        if len(old.keys):
            extent = merge_extents([extent, extent_for(old.rows, job.loss.beta)])
        kept = replace(kept, sample=merge([old, kept.sample], size=how.size))
    job.check_range(extent)
    return kept, norm, source


def _short_factor(job: Job, small: Sketch, model: AnySurrogate, sample: Sample) -> tuple[Array, float | None]:
    """The short factor, and the sample's relative loss where it was factorized."""
    if job.begun is not None and job.known is None and job.parameters.init == "sample":
        return job.begun, None
    rank, seed, init = job.parameters.rank, job.parameters.seed, job.parameters.init
    # Of X with entries below 0 the mean may be one of these; factors have none.
    mean, dtype = max(sample.total, 0.0) / (job.plan.length * job.plan.width), small.B.dtype
    if small.rows == 0:
        return random_rows(seed, 1, 0, job.plan.width, rank, dtype), None
    if init != "sample":
        small_numbers = mean / 100 * random_rows(seed, 1, 0, job.plan.width, rank, dtype)
        fill: Any = {"nndsvd": 0.0, "nndsvda": mean, "nndsvdar": small_numbers}[init]
        _, left = explained(small, known := _known(job, dtype))
        H = nndsvd(left, rank - len(known))[1]
        return np.vstack(
            [known, np.where(H > 0, H, fill[len(known) :] if init == "nndsvdar" else fill).astype(dtype)]
        ), None
    best = _best_start(job, small, model, mean)
    return model.factorize(best, iterations=LONG, tol=TOL)


def _best_start(job: Job, small: Sketch, model: AnySurrogate, mean: float) -> Fit:
    """The start that is ahead of all others, on all of the sketch."""
    rank, seed = job.parameters.rank, job.parameters.seed
    known = _known(job, small.B.dtype)
    screen = Screen(small, excerpt(small, seed=seed), model.penalties, known)
    follow = partial(_follow, rank=rank, seed=seed, mean=mean)
    fits = job.engine.map(follow, screen, range(RANDOM_STARTS + 1))
    if (trial := model.trial) is not None:
        return _best_on_trial(job.engine, trial, job.engine.map(_extended, screen, fits), known=len(known))
    ends = job.engine.map(_follow_further, screen, _ahead(fits))
    return _extended(screen, _ahead(ends)[0])


def _known(job: Job, dtype: np.dtype[np.floating]) -> Array:
    """Known components (k₀, N) as starts have them, where there are any; their size matters where that is penalized."""
    if job.known is None:
        return np.zeros((0, job.plan.width), dtype)
    return job.known if job.loss.penalized else _at_most_one(job.known)


def _best_on_trial(engine: Engine[Any], trial: Trial, fits: list[Fit], *, known: int) -> Fit:
    """The start that is ahead by the loss itself, after a while on some rows: as it was before that."""
    tried = engine.map(partial(_try, known=known), trial, fits)
    ahead = sorted(range(len(fits)), key=lambda i: tried[i].objective)[:FINALISTS]
    ends = engine.map(_try_further, trial, [tried[i] for i in ahead])
    best = fits[min(zip(ahead, ends, strict=True), key=lambda pair: pair[1].objective)[0]]
    # Singular vectors may be of any length: what could not be squared is scaled here, not in the first pass.
    return replace(best, H=_at_most_one(best.H, known)) if factor_exponent(best.H) else best


def _try(trial: Trial, fit: Fit, *, known: int) -> Fit:
    return trial.begin(_at_most_one(fit.H, known), SHORT)


def _try_further(trial: Trial, fit: Fit) -> Fit:
    return trial.go_on(fit, SHORT)


def _ahead(fits: Sequence[Fit]) -> list[Fit]:
    """The best few, the best one first."""
    return sorted(fits, key=lambda fit: float(fit.objective))[:FINALISTS]


@dataclass(frozen=True, slots=True)
class Screen:
    """What starts are compared on: a sketch, an excerpt of it, the penalties on the factors of the sketch, and the
    components (k₀, N) that all of them begin with.
    """

    whole: Sketch
    part: Excerpt
    penalties: tuple[Penalty, Penalty]
    known: Array


def _follow(screen: Screen, stream: int, *, rank: int, seed: int, mean: float) -> Fit:
    """One start, followed for a while: random for all streams but the last one."""
    part, A, known = screen.part, screen.part.A, aligned(screen.known)
    if stream < RANDOM_STARTS:
        H = part.columns.of_factor(known)
        W, H = random_start(A, rank, seed=seed, stream=FIRST_STREAM + stream, known=H)
    else:
        of_known, left = explained(screen.whole, known)
        W, H = (np.where(F > 0, F, mean).astype(F.dtype) for F in nndsvd(left, rank - len(known)))
        W, H = part.rows.of_factor(np.vstack([of_known, W])), part.columns.of_factor(np.vstack([known, H]))
    most = affordable(A, rank, SHORT, shares=RANDOM_STARTS + 1)
    penalties = part.penalties(screen.penalties)
    return alternate(A, W, H, iterations=most, tol=0, penalties=penalties, known=len(known))


def _follow_further(screen: Screen, fit: Fit) -> Fit:
    """A start that is ahead, followed on."""
    A, penalties = screen.part.A, screen.part.penalties(screen.penalties)
    most = affordable(A, len(fit.H), FURTHER, shares=FINALISTS)
    return alternate(A, fit.W, fit.H, iterations=most, tol=0, penalties=penalties, known=len(screen.known))


def _extended(screen: Screen, fit: Fit) -> Fit:
    """What was found on an excerpt, for all rows by the columns of that, then for all columns."""
    A, part, known = screen.whole, screen.part, aligned(screen.known)
    if part.A is A:
        return fit
    # Without its penalty a component that it has shut down would come back, with entries of any size.
    solve_W, solve_H = (
        from_scratch(partial(coordinate_descent, penalty=penalty), keeps_zeros=False, penalty=penalty)
        for penalty in screen.penalties
    )
    W = solve_W(part.columns.of(A).right(fit.H), gram(fit.H), EXTENDED)
    N, G = A.left(W), gram(W)
    k0 = len(known)
    others = solve_H(N[k0:] - G[k0:, :k0] @ known, G[k0:, k0:], EXTENDED)
    return replace(fit, W=W, H=np.vstack([known, others]))


def _ready(job: Job, S: Array) -> Array:
    """A short factor that the first pass can solve the long one against."""
    loss = job.loss
    if not loss.penalized:
        S = _at_most_one(S)
    return with_known(job.known, lift_zeros(S) if loss.keeps_zeros else S, sized=not loss.penalized)


def _at_most_one(S: Array, known: int = 0) -> Array:
    """Components of like size, but for the first ones, that are known: those that hold next to nothing would vanish in
    the ridge of a least-squares start.
    """
    top = S.max(axis=1, keepdims=True)
    top[:known] = 1
    return S / np.where(top > 0, top, 1)


def first_move(job: Job) -> Callable[..., Array]:
    """How the first pass makes the long factor from scratch: it is the last one where W is all there is to find."""
    return partial(solve_to_the_end, loss=job.loss) if job.parameters.all_known else job.loss.solve


def first_factors(job: Job) -> tuple[Iterate, History]:
    """Where a run begins that holds nothing yet, or nothing but a sample."""
    iterate = _first_iterate(job)
    if job.keeper.keep_start(iterate.at, iterate.start, iterate.checkpoint, iterate.observed):
        job.tell(Saved(0))
    return iterate, History(job.parameters.snapshot_every, job.plan.axis, iterate.S)
