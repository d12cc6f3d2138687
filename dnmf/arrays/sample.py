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
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.draws import random_rows
from dnmf.arrays.products import row_powers, total
from dnmf.arrays.rows import Rows, aligned, is_sparse, stack, with_data
from dnmf.arrays.sketch import Sketch, as_it_is, sketch

STREAM = 2  # of the random numbers: 0 and 1 are those of W and V


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
    """

    rows: Rows
    index: NDArray[np.int64]
    keys: NDArray[np.float64]
    sizes: NDArray[np.float64]
    norm: float
    total: float
    beta: float = 2.0


def draw(y: Rows, first: int, *, seed: int, size: int, beta: float = 2.0, below: float = math.inf) -> Sample:
    """The sample of some rows: those `size` + 1 of smallest keys, as far as these are below a bound.

    Parameters
    ----------
    y : (h, N) rows, non-negative, dense or sparse.
    first : number of the first of them in Y.
    seed : of the keys.
    size : rows of the whole sample.
    beta : of the loss.
    below : a key above which no row can be among the smallest of all.

    Examples
    --------
    >>> sample = draw(np.eye(4), 0, seed=0, size=2)
    >>> sample.rows.shape, sample.norm, sample.total
    ((3, 4), 4.0, 4.0)
    """
    lines = y if is_sparse(y) or y.flags.c_contiguous else np.ascontiguousarray(y)
    sizes = row_powers(lines, beta)
    waits = -np.log1p(-random_rows(seed, STREAM, first, lines.shape[0], 1, np.dtype("f8"))[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        keys = np.where(sizes > 0, waits / sizes, np.inf)
    kept = _smallest(np.where(keys < below, keys, np.inf), size + 1)
    return Sample(
        rows=lines if len(kept) == lines.shape[0] else lines[kept],
        index=kept + first,
        keys=keys[kept],
        sizes=sizes[kept],
        norm=float(sizes.sum()),
        total=total(lines),
        beta=beta,
    )


def draw_from(pieces: Iterable[tuple[Rows, int]], *, seed: int, size: int, beta: float = 2.0) -> Sample:
    """The sample of a strip that comes in pieces, one or more, each with the number of its first row in Y.

    Rows that can no more be among those of smallest keys are left out at once, and all that are kept are copied only
    when a quarter as many as the sample has wait beside it.
    """
    drawn: list[Sample] = []
    below = math.inf
    for rows, first in pieces:
        drawn.append(draw(rows, first, seed=seed, size=size, beta=beta, below=below))
        del rows  # the next piece needs the room
        if sum(len(part.keys) for part in drawn) > size + 1 + size // 4:
            drawn = [merge(drawn, size=size)]
            below = float(drawn[0].keys.max())
    return drawn[0] if len(drawn) == 1 else merge(drawn, size=size)


def merge(parts: Sequence[Sample], *, size: int) -> Sample:
    """The sample of all rows of several parts, given in the order of their rows; none of the parts is changed."""
    starts = np.cumsum([0, *(len(part.keys) for part in parts)])
    keys = np.concatenate([part.keys for part in parts])
    kept = _smallest(keys, size + 1)
    mine = [kept[(kept >= start) & (kept < stop)] - start for start, stop in pairwise(starts)]
    return Sample(
        rows=stack([part.rows for part in parts], mine),
        index=np.concatenate([part.index for part in parts])[kept],
        keys=keys[kept],
        sizes=np.concatenate([part.sizes for part in parts])[kept],
        norm=math.fsum(part.norm for part in parts),
        total=math.fsum(part.total for part in parts),
        beta=parts[0].beta,
    )


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
    """Rows times the roots of their counts, (s, N), so that each counts once in a sum of squares."""
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
    sketch : of the rows, each times the root of its count.
    whole : whether they are all rows that are not zero.
    """

    rows: Rows
    counts: NDArray[np.float64]
    sketch: Sketch
    whole: bool


def stand_in(sample: Sample, size: int, *, rank: int, seed: int) -> StandIn:
    """What stands for Y in a factorization of so many components, in memory and between passes."""
    rows, counts = count_rows(sample, size)
    A = weigh(rows, counts)
    small = sketch(A, rank, seed=seed) if len(counts) else as_it_is(A)
    return StandIn(rows, counts, small, is_whole(sample, size))
