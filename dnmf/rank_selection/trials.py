"""A rank, tried on the halves of a sample: each trial is a task of its own, and they are put together afterwards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.matching import match
from dnmf.arrays.rows import Array, align
from dnmf.arrays.sample import StandIn
from dnmf.losses.protocol import AnyLoss
from dnmf.rank_selection.fitting import factorize_part
from dnmf.rank_selection.halves import Halves
from dnmf.rank_selection.held_out import held_out_errors, largest_weights

# The first stream of random starts, and how many there are for each part of the sample.
FIRST_STREAM, STREAMS = 100, 50


@dataclass(frozen=True, slots=True)
class Question:
    """What trials share: the halves, the loss, starts of each factorization, and the seed."""

    halves: Halves
    loss: AnyLoss
    starts: int
    seed: int


class Trial(NamedTuple):
    """A rank and a part of the sample: a half of a split (2 · split, or one more), or -1 for all of it."""

    rank: int
    part: int


@dataclass(frozen=True, slots=True)
class Tried:
    """What a rank gave.

    Attributes
    ----------
    short : (k, N) short factor, from all of the sample.
    fit : its loss relative to the sample's norm.
    errors : (s,) held-out error of every row.
    agreement : (k,) how well each component of the one half is found in the other, as a cosine.
    """

    short: Array
    fit: float
    errors: NDArray[np.float64]
    agreement: NDArray[np.float64]


def trials_of(rank: int, splits: int) -> Iterator[Trial]:
    """All trials of a rank."""
    return (Trial(rank, part) for part in range(-1, 2 * splits))


def make_trial(question: Question, trial: Trial) -> tuple[Array, float, NDArray[np.float64]]:
    """A part's short factor (k, N), its relative loss, and the held-out error of every row of the other half."""
    halves, (rank, part) = question.halves, trial
    split, second = divmod(max(part, 0), 2)
    parts = (halves.whole,) if part < 0 else halves.splits[split][:: -1 if second else 1]
    own, *others = map(_aligned, parts)
    stream = FIRST_STREAM + (part + 1) * STREAMS
    S, fit = factorize_part(own, question.loss, rank=rank, starts=question.starts, seed=question.seed, stream=stream)
    if not others:
        return S, fit, np.empty(0)
    (other,) = others
    most = largest_weights(own.rows, S, question.loss)
    errors = held_out_errors(other.rows, S, question.loss, most=most, folds=halves.folds, shares=halves.shares)
    return S, fit, errors * other.counts


def _aligned(part: StandIn) -> StandIn:
    """Some rows, as they were before they came from another process."""
    return replace(align(part), sketch=align(part.sketch))


def put_together(halves: Halves, made: Sequence[tuple[Array, float, NDArray[np.float64]]]) -> Tried:
    """What a rank gave, from all of its trials, in the order of `trials_of`."""
    (short, fit, _), *parts = made
    errors, alike = np.zeros(halves.first.shape[1]), []
    for split, first in enumerate(halves.first):
        (A, _, of_second), (B, _, of_first) = parts[2 * split : 2 * split + 2]
        errors[~first] += of_second
        errors[first] += of_first
        # In the order of the components that all of the sample gave.
        alike.append(match(A, B).cosines[match(short, A).order])
    return Tried(short, fit, errors / len(halves.first), np.mean(alike, axis=0))
