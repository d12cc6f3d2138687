"""Starts on a sample: which are tried, how far they are followed, and the short factor of the best one."""

from functools import partial
from typing import Any

import numpy as np

from dnmf.arrays.draws import random_rows
from dnmf.arrays.products import gram
from dnmf.arrays.rows import Array
from dnmf.arrays.sample import Sample
from dnmf.arrays.sketch import Sketch, nndsvd
from dnmf.factorization.job import Job
from dnmf.losses.extrapolation import Fit
from dnmf.losses.least_squares.in_memory import affordable, alternate
from dnmf.losses.protocol import AnySurrogate
from dnmf.rules import Penalty, coordinate_descent
from dnmf.rules.from_scratch import from_scratch

RANDOM_STARTS, FIRST_STREAM = 7, 10

# Of the factorization of the sample: iterations of every start, of those that are ahead then, of the best one at most,
# and its tolerance.
SHORT, FURTHER, FINALISTS, LONG, TOL = 10, 20, 3, 1000, 1e-4


def short_factor(job: Job, small: Sketch, model: AnySurrogate, sample: Sample) -> tuple[Array, float | None]:
    """The short factor, and the sample's relative loss where it was factorized."""
    rank, seed, init = job.parameters.rank, job.parameters.seed, job.parameters.init
    mean, dtype = sample.total / (job.plan.length * job.plan.width), small.B.dtype
    if small.rows == 0:
        return random_rows(seed, 1, 0, job.plan.width, rank, dtype), None
    if init != "sample":
        small_numbers = mean / 100 * random_rows(seed, 1, 0, job.plan.width, rank, dtype)
        fill: Any = {"nndsvd": 0.0, "nndsvda": mean, "nndsvdar": small_numbers}[init]
        H = nndsvd(small, rank)[1]
        return np.where(H > 0, H, fill).astype(dtype), None
    penalties = model.penalties
    follow = partial(_follow, rank=rank, seed=seed, mean=mean, penalties=penalties)
    fits = job.engine.map(follow, small, range(RANDOM_STARTS + 1))
    ahead = sorted(fits, key=lambda fit: float(fit.objective))[:FINALISTS]
    further = partial(_follow_further, penalties=penalties)
    best = min(job.engine.map(further, small, ahead), key=lambda fit: float(fit.objective))
    return model.factorize(best, iterations=LONG, tol=TOL)


def _follow(A: Sketch, stream: int, *, rank: int, seed: int, mean: float, penalties: tuple[Penalty, Penalty]) -> Fit:
    """One start, followed for a while: random for all streams but the last one."""
    if stream < RANDOM_STARTS:
        H = random_rows(seed, FIRST_STREAM + stream, 0, A.B.shape[1], rank, A.B.dtype)
        solve = from_scratch(coordinate_descent, keeps_zeros=False)
        W = solve(A.right(H), gram(H), 1)
    else:
        W, H = (np.where(F > 0, F, mean).astype(F.dtype) for F in nndsvd(A, rank))
    most = affordable(A, rank, SHORT, shares=RANDOM_STARTS + 1)
    return alternate(A, W, H, iterations=most, tol=0, penalties=penalties)


def _follow_further(A: Sketch, fit: Fit, *, penalties: tuple[Penalty, Penalty]) -> Fit:
    """A start that is ahead, followed on."""
    most = affordable(A, len(fit.H), FURTHER, shares=FINALISTS)
    return alternate(A, fit.W, fit.H, iterations=most, tol=0, penalties=penalties)
