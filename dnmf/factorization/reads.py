"""The reads of X that a factorization makes: a pass, the sample, rows that are solved. Engines compute them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import starmap
from operator import attrgetter
from typing import Any

from dnmf.arrays.extent import Extent, extent_for_squares, extent_of, merge_extents
from dnmf.arrays.products import row_powers
from dnmf.arrays.rows import Array, Value, in_lines
from dnmf.arrays.sample import ColumnSums, Sized, draw_from, merge
from dnmf.engine.read import Move, Read, Total, Visit
from dnmf.losses.protocol import AnyLoss, FromColumns, Shared, add, add_up
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
        seen = partial(_seen, fold=total.fold, beta=loss.beta)
        total = replace(total, fold=seen, add=partial(_merge_seen, add=total.add))
    return Read(total, Move(rows, len(shared.S), target), shared)


@dataclass(frozen=True, slots=True)
class Seen:
    """What strips add, in the first read of X, and how large their entries are."""

    value: Any
    extent: Extent


def _seen(visits: Iterator[Visit], *, fold: Callable[[Iterator[Visit]], Any], beta: float) -> Seen:
    extents: list[Extent] = []

    def look(visit: Visit) -> Visit:
        rows = visit.rows
        found = extent_for_squares(rows, row_powers(rows, 2)) if beta == 2 else extent_of(rows, beta)
        extents[:] = [merge_extents([*extents, found])]
        return visit

    value = fold(map(look, visits))
    return Seen(value, *extents)


def _merge_seen(parts: Sequence[Seen], *, add: Callable[..., Any]) -> Seen:
    return Seen(add([part.value for part in parts]), merge_extents([part.extent for part in parts]))


def _move(visit: Visit, *, move: Callable[..., Array], sweeps: int) -> Array:
    """A first pass may solve rows without a long factor."""
    return move(visit.rows, visit.shared, *([] if visit.L is None else [visit.L]), sweeps)


def _sums(visits: Iterator[Visit], *, loss: AnyLoss) -> Value:
    return add_up(map(partial(_sums_of, loss=loss), visits))


def _sums_of(visit: Visit, *, loss: AnyLoss) -> Value:
    return loss.sums(visit.rows, visit.shared, visit.L)


def sampling(*, seed: int, size: int, beta: float, width: int | None = None) -> Read:
    """The read for a sample of `size` rows of Y, drawn by their size, see `dnmf.arrays.sample`: a `Seen`.

    Columns of Y are added up one by one where their number is given as `width`.
    """
    drawn = partial(_draw, seed=seed, size=size, beta=beta, width=width)
    return Read(Total(drawn, partial(_merge_seen, add=partial(merge, size=size)), SAMPLE_SPLIT))


def _draw(visits: Iterator[Visit], *, seed: int, size: int, beta: float, width: int | None) -> Seen:
    extents: list[Extent] = []
    columns = None if width is None else ColumnSums.of_none(width)

    def look(visit: Visit) -> Sized:
        rows = in_lines(visit.rows)
        sizes = row_powers(rows, beta)
        found = extent_for_squares(rows, sizes) if beta == 2 else extent_of(rows, beta)
        extents[:] = [merge_extents([*extents, found])]
        return Sized(rows, visit.first, sizes)

    sample = draw_from(map(look, visits), seed=seed, size=size, beta=beta, columns=columns)
    return Seen(sample, *extents)


@dataclass(frozen=True, slots=True)
class Given:
    """A short factor (k, N) that stays as it is."""

    S: Array


def solving(loss: AnyLoss, S: Array, *, tol: float, iterations: int) -> Read:
    """Solve rows by themselves to their end, each against a short factor, which is what they share."""
    move = Move(partial(_settle, loss=loss, tol=tol, iterations=iterations), len(S))
    return Read(Total(_nothing, _nothing), move, Given(S))


def _nothing(visits: Iterable[object]) -> None:
    """Come to all of them, and keep none."""
    deque(visits, maxlen=0)


def _settle(visit: Visit, *, loss: AnyLoss, tol: float, iterations: int) -> Array:
    return settle_in_range(loss, visit.rows, visit.shared.S, tol=tol, iterations=iterations)


def adding_columns(columns: FromColumns) -> Read:
    """Add up the sums of strips of columns with a long factor that stays as it is."""
    return Read(Total(partial(_column_sums, columns=columns), add))


def _column_sums(visits: Iterator[Visit], *, columns: FromColumns) -> Value:
    return add_up(starmap(columns.sums, map(attrgetter("rows", "L"), visits)))
