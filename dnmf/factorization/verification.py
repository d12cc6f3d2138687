"""Many ranks in one read of X: the exact loss of each, and an exact step of its short factor."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from dnmf.arrays.rows import Array
from dnmf.engine.protocol import Engine, Source, Tick
from dnmf.engine.read import Read, Total, Visit
from dnmf.losses import SWEEPS
from dnmf.losses.protocol import AnyLoss, Known, Shared, add, add_up, relative_error


@dataclass(frozen=True, slots=True)
class Stack:
    """Short factors of several ranks, one below the other, (Σk, N)."""

    S: Array


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rank, and what is known of its loss before the read."""

    rank: int
    known: Known


def verify_ranks(
    engine: Engine[Any],
    source: Source[Any],
    loss: AnyLoss,
    shorts: Mapping[int, Array],
    *,
    norm: float,
    shares: Mapping[int, float],
    tick: Tick,
) -> dict[int, tuple[Array, float]]:
    """The short factor of each rank after an exact step, and its relative error on all of X before it.

    Rows of the long factors are solved and let go of, piece by piece: only sums stay.

    Parameters
    ----------
    shorts : by rank, (k, N).
    norm : Σ x^β, NaN where it is not known.
    shares : by rank, the loss that is expected, relative to the norm.
    """
    candidates = [Candidate(rank, Known(shares[rank] * norm, norm, exact=True)) for rank in shorts]
    fold = partial(_fold, loss=loss, candidates=candidates)
    stack = Stack(np.concatenate(list(shorts.values())))
    pending = engine.read(source, None, Read(Total(fold, _add), shared=stack), tick)
    sums, found = pending.wait().value, {}
    for each, shared, total in zip(candidates, _prepared(loss, candidates, stack), sums, strict=True):
        evaluation = loss.evaluate(total, shared)
        found[each.rank] = evaluation.step(), relative_error(evaluation.loss, evaluation.norm)
    return found


def _prepared(loss: AnyLoss, candidates: Sequence[Candidate], stack: Stack) -> list[Shared]:
    ends = np.cumsum([each.rank for each in candidates])[:-1]
    parts = np.split(stack.S, ends)
    return [loss.prepare(S, each.known) for S, each in zip(parts, candidates, strict=True)]


def _fold(visits: Iterator[Visit], *, loss: AnyLoss, candidates: Sequence[Candidate]) -> list[Any]:
    """The sums of each rank over a strip."""
    totals: list[Any] = []
    prepared: list[Shared] = []
    for visit in visits:
        prepared = prepared or _prepared(loss, candidates, visit.shared)
        sums = [loss.sums(visit.rows, shared, loss.solve(visit.rows, shared, SWEEPS)) for shared in prepared]
        # In place: sums of many ranks are large, and there is one of each for every piece.
        totals = list(map(add_up, zip(totals, sums, strict=True))) if totals else sums
        del visit  # the next one needs the room
    return totals


def _add(parts: Sequence[list[Any]]) -> list[Any]:
    return [add(of_rank) for of_rank in zip(*parts, strict=True)]
