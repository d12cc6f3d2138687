"""A weighted sample of the rows of Y, drawn in one read: the part of X from which first factors are computed.

Rows are drawn by their size, that in which the loss of a row grows with its unit: Σ_j y_ij^β, its squared norm for
β = 2, its sum for β = 1, the same for all rows for β = 0. Row i draws E_i from the exponential distribution, by its
index, and has the key E_i / size_i. The s rows with the smallest keys are the sample (bottom-k sampling). With τ the
(s + 1)-th smallest key, row i had the chance p_i = 1 − exp(−τ size_i) and counts 1/p_i times, so that the sample's loss
is that of all rows in expectation; for β = 2 rows may be multiplied by 1/√p_i instead. Keys do not depend on the cut,
and the s + 1 smallest keys of all rows are among the s + 1 smallest of every part: samples of strips are merged in a
tree. Rows of zeros are never drawn, but for β = 0.

P. S. Efraimidis and P. G. Spirakis, Information Processing Letters 97, 2006, doi:10.1016/j.ipl.2005.11.003; E. Cohen
and H. Kaplan, PODC 2007, doi:10.1145/1281100.1281133.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.draws import random_rows
from dnmf.arrays.filling import LEAST_SHARE, fill_by_means, observed_share
from dnmf.arrays.products import add_columns, add_weights, row_powers, total
from dnmf.arrays.rows import Rows, aligned, in_lines, is_sparse, stack, with_data
from dnmf.arrays.sketch import Sketch, as_it_is, sketch
from dnmf.arrays.weighted import Weighted

STREAM = 2  # of the random numbers: 0 and 1 are those of W and V


@dataclass(frozen=True, slots=True, eq=False)
class ColumnSums:
    """Σ y and Σ y² of each column of some rows, (N,) and (N,): their means and deviations follow.

    Of rows with weights Σ ω y and Σ ω y², and `weights`, Σ ω (N,); None where every entry counts once.
    """

    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None

    @classmethod
    def of_none(cls, width: int, *, weighted: bool = False) -> "ColumnSums":
        """Those of no rows at all."""
        return cls(np.zeros(width), np.zeros(width), np.zeros(width) if weighted else None)

    def add(self, y: Rows) -> None:
        """Add rows (h, N). Changes the sums."""
        add_columns(y, self.sums, self.squares)
        if self.weights is not None:
            add_weights(y, self.weights)

    def times_power(self, exponent: int) -> "ColumnSums":
        """Those of the rows times 2 to an exponent."""
        return ColumnSums(np.ldexp(self.sums, exponent), np.ldexp(self.squares, 2 * exponent), self.weights)


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows with the smallest keys, of a strip or of all of Y.

    Attributes
    ----------
    rows : (s, N), as they are in Y: dense or sparse.
    index : (s,) their numbers in Y, ascending.
    keys : (s,) their keys.
    sizes : (s,) their sizes.
    norm : size of all rows that were seen: for β = 2 it is ‖Y‖².
    total : sum of all entries that were seen.
    beta : of the loss for which rows were drawn.
    columns : sums of all rows that were seen, column by column, where they were asked for.
    """

    rows: Rows
    index: NDArray[np.int64]
    keys: NDArray[np.float64]
    sizes: NDArray[np.float64]
    norm: float
    total: float
    beta: float = 2.0
    columns: ColumnSums | None = None


@dataclass(frozen=True, slots=True)
class Sized:
    """Some rows of Y.

    Attributes
    ----------
    rows : (h, N), non-negative, dense or sparse, one after another in memory.
    first : number of the first of them in Y.
    sizes : (h,) their sizes, `row_powers(rows, beta)`.
    """

    rows: Rows
    first: int
    sizes: NDArray[np.float64]


def draw(y: Rows, first: int, *, seed: int, size: int, beta: float = 2.0) -> Sample:
    """The sample of some rows: those `size` + 1 of smallest keys.

    Parameters
    ----------
    y : (h, N) rows, non-negative, dense or sparse.
    first : number of the first of them in Y.
    seed : of the keys.
    size : rows of the whole sample.
    beta : of the loss.

    Examples
    --------
    >>> sample = draw(np.eye(4), 0, seed=0, size=2)
    >>> sample.rows.shape, sample.norm, sample.total
    ((3, 4), 4.0, 4.0)
    """
    lines = in_lines(y)
    return draw_from([Sized(lines, first, row_powers(lines, beta))], seed=seed, size=size, beta=beta)


def draw_from(
    pieces: Iterable[Sized], *, seed: int, size: int, beta: float = 2.0, columns: ColumnSums | None = None
) -> Sample:
    """The sample of a strip that comes in pieces, one or more, in their order; its rows in any order.

    Where `columns` are given, all rows are added to them, column by column: they change, and are the sample's.
    """
    drawing, norms, totals = _Drawing(size + 1), [], []
    for piece in pieces:
        if columns is not None:
            columns.add(piece.rows)
        drawing.add(piece, _keys(piece, seed))
        norms.append(float(piece.sizes.sum()))
        totals.append(total(piece.rows))
        del piece  # the next one needs the room
    return replace(drawing.sample(math.fsum(norms), math.fsum(totals), beta), columns=columns)


def _keys(piece: Sized, seed: int) -> NDArray[np.float64]:
    """The key of each row (h,), infinite for those of no size."""
    waits = -np.log1p(-random_rows(seed, STREAM, piece.first, len(piece.sizes), 1, np.dtype("f8"))[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(piece.sizes > 0, waits / piece.sizes, np.inf)


class _Drawing:
    """The rows of smallest keys so far, at most `count`: each stays where it was put until it is driven out."""

    def __init__(self, count: int) -> None:
        self._count, self._kept = count, 0
        self._rows: Rows = None
        self._index, self._keys, self._sizes = np.empty(count, "i8"), np.empty(count), np.empty(count)

    def add(self, piece: Sized, keys: NDArray[np.float64]) -> None:
        """Take the rows of a piece that are among those of smallest keys."""
        before = self._kept
        smallest = _smallest(np.concatenate([self._keys[:before], keys]), self._count)
        self._kept, new = len(smallest), smallest[smallest >= before] - before
        free = np.setdiff1d(np.arange(self._kept), smallest[smallest < before], assume_unique=True)
        self._index[free], self._keys[free], self._sizes[free] = piece.first + new, keys[new], piece.sizes[new]
        if _is_sparse(piece.rows):
            self._rows = self._joined(piece.rows[new], free)
            return
        if self._rows is None:
            self._rows = _room_for(piece.rows, self._count)
        for room, rows in zip(_arrays_of(self._rows), _arrays_of(piece.rows), strict=True):
            # One by one, for many of them at a time would be copied twice.
            for place, row in zip(free.tolist(), new.tolist(), strict=True):
                room[place] = rows[row]

    def _joined(self, rows: Rows, places: NDArray[np.intp]) -> Rows:
        """What is kept with sparse rows in their places, as a copy."""
        if self._rows is None:
            return rows
        order = np.arange(self._kept)
        order[places] = self._rows.shape[0] + np.arange(len(places))
        return stack([self._rows, rows], [np.arange(part.shape[0]) for part in (self._rows, rows)])[order]

    def sample(self, norm: float, total: float, beta: float) -> Sample:
        """What is kept."""
        kept = slice(self._kept)
        return Sample(self._rows[kept], self._index[kept], self._keys[kept], self._sizes[kept], norm, total, beta)


def _is_sparse(rows: Rows) -> bool:
    return rows.sparse if isinstance(rows, Weighted) else is_sparse(rows)


def _arrays_of(rows: Rows) -> tuple[NDArray[Any], ...]:
    """What there is of dense rows."""
    return (rows.values, rows.weights) if isinstance(rows, Weighted) else (rows,)


def _room_for(rows: Rows, count: int) -> Rows:
    """So many rows like these dense ones, of which nothing is set."""
    room = [np.empty((count, a.shape[1]), a.dtype) for a in _arrays_of(rows)]
    return Weighted(*room) if isinstance(rows, Weighted) else room[0]


def merge(parts: Sequence[Sample], *, size: int) -> Sample:
    """The sample of all rows of several parts, given in the order of their rows; none of the parts is changed."""
    starts = np.cumsum([0, *(len(part.keys) for part in parts)])
    keys, index = (np.concatenate([getattr(part, name) for part in parts]) for name in ("keys", "index"))
    kept = _smallest(keys, size + 1)
    kept = kept[np.argsort(index[kept])]
    mine = [kept[(kept >= start) & (kept < stop)] - start for start, stop in pairwise(starts)]
    return Sample(
        rows=stack([part.rows for part in parts], mine),
        index=index[kept],
        keys=keys[kept],
        sizes=np.concatenate([part.sizes for part in parts])[kept],
        norm=math.fsum(part.norm for part in parts),
        total=math.fsum(part.total for part in parts),
        beta=parts[0].beta,
        columns=_added([part.columns for part in parts]),
    )


def _added(parts: Sequence[ColumnSums | None]) -> ColumnSums | None:
    """Sums by column of several parts; None where one of them has none."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    sums, squares = (np.add.reduce([getattr(part, name) for part in known]) for name in ("sums", "squares"))
    weights = [part.weights for part in known if part.weights is not None]
    return ColumnSums(sums, squares, np.add.reduce(weights) if weights else None)


def _smallest(keys: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Positions of the `count` smallest finite keys, ascending by position."""
    kept = np.sort(np.argpartition(keys, count - 1)[:count]) if len(keys) > count else np.arange(len(keys))
    return kept[np.isfinite(keys[kept])]


def is_whole(sample: Sample, size: int) -> bool:
    """Whether the sample holds every row that is not zero."""
    return len(sample.keys) <= size


def count_rows(sample: Sample, size: int) -> tuple[Rows, NDArray[np.float64]]:
    """The drawn rows (s, N), and how many times each of them counts (s,): a matrix that stands for Y."""
    rows = aligned(sample.rows)
    if is_whole(sample, size):
        return rows, np.ones(rows.shape[0])
    last = int(np.argmax(sample.keys))
    others = np.delete(np.arange(len(sample.keys)), last)
    return rows[others], 1 / -np.expm1(-sample.keys[last] * sample.sizes[others])


def weigh(rows: Rows, counts: NDArray[np.float64]) -> Rows:
    """Rows times the roots of their counts, (s, N), so that each counts once in a sum of squares.

    Rows with weights stay what they are, and their weights are multiplied by the counts.
    """
    if isinstance(rows, Weighted):
        return rows.times(counts)
    if (counts == 1).all():
        return rows
    weights = np.sqrt(counts).astype(rows.dtype)
    return (
        with_data(rows, rows.data * np.repeat(weights, np.diff(rows.indptr)))
        if is_sparse(rows)
        else rows * weights[:, None]
    )


@dataclass(frozen=True, slots=True)
class StandIn:
    """The drawn rows, as a matrix that stands for Y.

    Attributes
    ----------
    rows : (s, N), as they are in Y.
    counts : (s,) how many times each of them counts.
    sketch : of the rows, each times the root of its count; of rows with weights, of these as a model of one component
        completes them, or, where most entries are missing, with 0 in their places.
    whole : whether they are all rows that are not zero.
    seed : of the factorization.
    """

    rows: Rows
    counts: NDArray[np.float64]
    sketch: Sketch
    whole: bool
    seed: int = 0


def stand_in(sample: Sample, size: int, *, rank: int, seed: int) -> StandIn:
    """What stands for Y in a factorization of so many components, in memory and between passes."""
    rows, counts = count_rows(sample, size)
    A = weigh(_completed(rows) if isinstance(rows, Weighted) else rows, counts)
    small = sketch(A, rank, seed=seed) if len(counts) else as_it_is(A)
    return StandIn(rows, counts, small, is_whole(sample, size), seed)


def _completed(rows: Weighted) -> Rows:
    """Rows with something in the place of every entry that is missing."""
    return fill_by_means(rows) if observed_share(rows) >= LEAST_SHARE else rows.values
