"""The reads of X that a factorization makes: a pass, the sample, rows that are solved. Engines compute them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from dnmf.arrays.rows import Array, Value
from dnmf.arrays.sample import Sample, draw, merge
from dnmf.engine.read import Move, Piece, Read, Total
from dnmf.losses.protocol import AnyLoss, FromColumns, Shared, add
from dnmf.plan.memory import SAMPLE_SPLIT
from dnmf.run.arrays import StoredArray


def pass_over(
    loss: AnyLoss, shared: Shared, move: Callable[..., Array], *, sweeps: int, target: StoredArray | None
) -> Read:
    """A pass: the long factor moves, and gives the sums for the short one; `move` is a method of a loss."""
    rows = partial(_move, move=move, sweeps=sweeps)
    return Read(Total(partial(_sums, loss=loss), add), Move(rows, len(shared.S), target), shared)


def _move(piece: Piece, shared: Shared, *L: Array, move: Callable[..., Array], sweeps: int) -> Array:
    return move(piece.rows, shared, *L, sweeps)


def _sums(piece: Piece, shared: Shared, L: Array, *, loss: AnyLoss) -> Value:
    return loss.sums(piece.rows, shared, L)


def sampling(*, seed: int, size: int, beta: float) -> Read:
    """The read for a sample of `size` rows of Y, drawn by their size, see `dnmf.arrays.sample`."""
    part = partial(_draw, seed=seed, size=size, beta=beta)
    return Read(Total(part, partial(merge, size=size), SAMPLE_SPLIT, numbered=True))


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
    return np.ascontiguousarray(loss.settle(piece.rows, given.S, tol=tol, iterations=iterations).T).T


def adding_columns(columns: FromColumns) -> Total:
    """Add up the sums of strips of columns with a long factor that stays as it is."""
    return Total(partial(_column_sums, columns=columns), add)


def _column_sums(piece: Piece, L: Array, *, columns: FromColumns) -> Value:
    return columns.sums(piece.rows, L)
