"""The short factor of a sample from one that is there: that of a run which is extended by new rows.

Its components are those of the old rows, which most of the sample are, too. They are followed to their end on the
sample of all rows. Components that are added begin at random, several times; the start that is ahead after a while is
followed to its end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from dnmf.arrays.draws import random_rows
from dnmf.arrays.products import gram
from dnmf.arrays.rows import Array
from dnmf.arrays.sketch import Sketch
from dnmf.factorization.job import Job
from dnmf.losses.extrapolation import Fit
from dnmf.losses.protocol import AnySurrogate
from dnmf.rules import coordinate_descent
from dnmf.rules.from_scratch import from_scratch

# Of the best start: iterations at most, and its tolerance.
LONG, TOL = 1000, 1e-4

# Starts with added components, their streams of random numbers, and iterations of each.
STARTS, STREAM, SHORT = 4, 100, 20

# Sweeps by which the sample's long factor is solved against a short one.
SOLVED = 20


@dataclass(frozen=True, slots=True)
class Sampled:
    """What starts are followed on: the sample's sketch, and the sample as the loss knows it."""

    small: Sketch
    model: AnySurrogate


def warm_factor(job: Job, V: Array, small: Sketch, model: AnySurrogate) -> tuple[Array, float | None]:
    """The short factor (k, N) from V (at most k, N), and the sample's relative loss; None where it holds no rows."""
    starts = first_rows(V, rank=job.parameters.rank, seed=job.parameters.seed, free=not job.loss.penalized)
    starts = [np.ascontiguousarray(start, small.B.dtype) for start in starts]
    if small.rows == 0:
        return starts[0], None
    sampled = Sampled(small, model)
    if len(starts) > 1:
        ends = job.engine.map(_follow, sampled, starts)
        starts = [min(ends, key=lambda end: end[1])[0]]
    return model.factorize(_begin(sampled, starts[0]), iterations=LONG, tol=TOL)


def first_rows(V: Array, *, rank: int, seed: int, free: bool) -> Sequence[Array]:
    """V (k₀, N) with random rows below it, as often as there are starts: (rank, N) each; V alone where none are added.

    Where the size of a component is `free`, the largest entry of each is 1.
    """
    tops = V.max(axis=1, keepdims=True)
    tops = np.where(tops > 0, tops, 1)
    V, size = (V / tops, 1.0) if free else (V, float(tops.mean()))
    if rank == len(V):
        return [V]
    added = partial(random_rows, seed, first=0, rows=V.shape[1], rank=rank - len(V), dtype=V.dtype)
    return [np.vstack([V, size * added(STREAM + start)]) for start in range(STARTS)]


def _follow(sampled: Sampled, H: Array) -> tuple[Array, float]:
    """A start after a while, and its loss; where trials are enough, as it was before one."""
    if (trial := sampled.model.trial) is not None:
        return H, trial.begin(H, SHORT).objective
    return sampled.model.factorize(_begin(sampled, H), iterations=SHORT, tol=0)


def _begin(sampled: Sampled, H: Array) -> Fit:
    """A short factor with the long one that belongs to it by least squares; losses of other kinds make their own."""
    A, (on_W, _) = sampled.small, sampled.model.penalties
    solve = from_scratch(partial(coordinate_descent, penalty=on_W), keeps_zeros=False, penalty=on_W)
    return Fit(solve(np.maximum(A.right(H), 0), gram(H), SOLVED), H, np.inf, np.inf)
