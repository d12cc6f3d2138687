"""The reads of X that a factorization makes: a pass, the sample, rows that are solved. Engines compute them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from dnmf.arrays.extent import Extent, extent_of, merge_extents
from dnmf.arrays.rows import Array, Value
from dnmf.arrays.sample import Sample, draw, merge
from dnmf.engine.read import Move, Piece, Read, Total
from dnmf.losses.protocol import AnyLoss, FromColumns, Shared, add
from dnmf.losses.settle_in_range import settle_in_range
from dnmf.plan.memory import SAMPLE_SPLIT
from dnmf.run.arrays import StoredArray


def pass_over(
    loss: AnyLoss,
    shared: Shared,
    move: Callable[..., Array],
    *,
    sweeps: int,
    target: StoredArray | None,
    first: bool = False,
) -> Read:
    """A pass: the long factor moves, and gives the sums for the short one; `move` is a method of a loss.

    Where it is the first read of X, what comes of it is a `Seen`, whose value are the sums.
    """
    rows, total = partial(_move, move=move, sweeps=sweeps), Total(partial(_sums, loss=loss), add)
    if first:
        rows = partial(_quietly, rows=rows)
        total = Total(partial(_seen, part=total.part, beta=loss.beta), partial(_merge_seen, add=add))
    return Read(total, Move(rows, len(shared.S), target), shared)


@dataclass(frozen=True, slots=True)
class Seen:
    """What pieces add, in the first read of X, and how large their entries are."""

    value: Any
    extent: Extent


def _quietly(piece: Piece, *others: Any, rows: Callable[..., Any]) -> Any:
    """What becomes of a piece of which nobody has seen yet whether its entries are in range: its values may be none."""
    with np.errstate(all="ignore"):
        return rows(piece, *others)


def _seen(piece: Piece, *others: Any, part: Callable[..., Any], beta: float) -> Seen:
    return Seen(_quietly(piece, *others, rows=part), extent_of(piece.rows, beta))


def _merge_seen(parts: Sequence[Seen], *, add: Callable[..., Any]) -> Seen:
    return Seen(add([part.value for part in parts]), merge_extents([part.extent for part in parts]))


def _move(piece: Piece, shared: Shared, *L: Array, move: Callable[..., Array], sweeps: int) -> Array:
    return move(piece.rows, shared, *L, sweeps)


def _sums(piece: Piece, shared: Shared, L: Array, *, loss: AnyLoss) -> Value:
    return loss.sums(piece.rows, shared, L)


def sampling(*, seed: int, size: int, beta: float) -> Read:
    """The read for a sample of `size` rows of Y, drawn by their size, see `dnmf.arrays.sample`: a `Seen`."""
    part = partial(_seen, part=partial(_draw, seed=seed, size=size, beta=beta), beta=beta)
    return Read(Total(part, partial(_merge_seen, add=partial(merge, size=size)), SAMPLE_SPLIT, numbered=True))


def _draw(piece: Piece, *, seed: int, size: int, beta: float) -> Sample:
    assert piece.first is not None
    return draw(piece.rows, piece.first, seed=seed, size=size, beta=beta)


@dataclass(frozen=True, slots=True)
class Given:
    """A short factor (k, N) that stays as it is."""

    S: Array


def solving(loss: AnyLoss, rank: int, *, tol: float, iterations: int) -> Move:
    """Solve rows by themselves to their end, each against a `Given` short factor."""
    return Move(partial(_settle, loss=loss, tol=tol, iterations=iterations), rank)


def _settle(piece: Piece, given: Given, *, loss: AnyLoss, tol: float, iterations: int) -> Array:
    # The block is W's, row by row, as it is written.
    return np.ascontiguousarray(settle_in_range(loss, piece.rows, given.S, tol=tol, iterations=iterations).T).T


def adding_columns(columns: FromColumns) -> Total:
    """Add up the sums of strips of columns with a long factor that stays as it is."""
    return Total(partial(_column_sums, columns=columns), add)


def _column_sums(piece: Piece, L: Array, *, columns: FromColumns) -> Value:
    return columns.sums(piece.rows, L)
