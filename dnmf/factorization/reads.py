"""The reads of X that a factorization makes: a pass, the sample, rows that are solved. Engines compute them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import starmap
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.extent import Extent, extent_for_squares, extent_of, merge_extents
from dnmf.arrays.observed import Observed, merge_observed
from dnmf.arrays.products import row_powers
from dnmf.arrays.rows import Array, Rows, Value, in_lines
from dnmf.arrays.sample import ColumnSums, Sized, draw_from, merge
from dnmf.arrays.weighted import Weighted
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
    """What strips add, in the first read of X, how large their entries are, and, where some may be missing, how many
    are observed.
    """

    value: Any
    extent: Extent
    observed: Observed | None = None


class _Look:
    """What is seen of the pieces of a strip, one after the other."""

    def __init__(self) -> None:
        self._extents: list[Extent] = []
        self._observed: list[Observed] = []

    def at(self, rows: Rows, first: int, extent: Extent) -> None:
        """A piece, of which the first row is row `first`."""
        self._extents = [merge_extents([*self._extents, extent])]
        if isinstance(rows, Weighted):
            self._observed = [merge_observed([*self._observed, Observed.of(rows, first)])]

    def seen(self, value: Any) -> Seen:
        """All of it, with what the strip adds."""
        (extent,) = self._extents
        return Seen(value, extent, self._observed[0] if self._observed else None)


def _seen(visits: Iterator[Visit], *, fold: Callable[[Iterator[Visit]], Any], beta: float) -> Seen:
    looks = _Look()

    def look(visit: Visit) -> Visit:
        looks.at(visit.rows, visit.first, extent_for(visit.rows, beta))
        return visit

    return looks.seen(fold(map(look, visits)))


def _merge_seen(parts: Sequence[Seen], *, add: Callable[..., Any]) -> Seen:
    observed = [part.observed for part in parts if part.observed is not None]
    extent = merge_extents([part.extent for part in parts])
    return Seen(add([part.value for part in parts]), extent, merge_observed(observed) if observed else None)


def _move(visit: Visit, *, move: Callable[..., Array], sweeps: int) -> Array:
    """A first pass may solve rows without a long factor."""
    return move(visit.rows, visit.shared, *([] if visit.L is None else [visit.L]), sweeps)


def _sums(visits: Iterator[Visit], *, loss: AnyLoss) -> Value:
    return add_up(map(partial(_sums_of, loss=loss), visits))


def _sums_of(visit: Visit, *, loss: AnyLoss) -> Value:
    return loss.sums(visit.rows, visit.shared, visit.L)


def extent_for(rows: Rows, beta: float, squares: NDArray[np.float64] | None = None) -> Extent:
    """The extremes of rows (h, N), as they matter for a loss; their squared norms (h,) where they are known."""
    if beta != 2:
        return extent_of(rows, beta)
    return extent_for_squares(rows, row_powers(rows, 2) if squares is None else squares)


@dataclass(frozen=True, slots=True)
class Drawing:
    """How a sample of rows of Y is drawn.

    Attributes
    ----------
    seed, size, beta : of the sample, see `dnmf.arrays.sample`.
    width : number of columns of Y, where they are added up one by one; else None.
    before : rows that come before those of Y: rows are drawn by their numbers, which go on from there.
    seen : the β of the loss, where the sample is one for another β.
    weighted : whether entries have weights.
    """

    seed: int
    size: int
    beta: float
    width: int | None = None
    before: int = 0
    seen: float | None = None
    weighted: bool = False


def sampling(how: Drawing) -> Read:
    """The read for a sample of rows of Y, drawn by their size: a `Seen`."""
    add = partial(_merge_seen, add=partial(merge, size=how.size))
    return Read(Total(partial(_draw, how=how), add, SAMPLE_SPLIT))


def _draw(visits: Iterator[Visit], *, how: Drawing) -> Seen:
    looks = _Look()
    columns = None if how.width is None else ColumnSums.of_none(how.width, weighted=how.weighted)
    beta = how.beta if how.seen is None else how.seen

    def look(visit: Visit) -> Sized:
        rows = in_lines(visit.rows)
        sizes = row_powers(rows, how.beta)
        looks.at(rows, visit.first, extent_for(rows, beta, sizes if how.beta == 2 else None))
        return Sized(rows, how.before + visit.first, sizes)

    sample = draw_from(map(look, visits), seed=how.seed, size=how.size, beta=how.beta, columns=columns)
    return looks.seen(sample)


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
