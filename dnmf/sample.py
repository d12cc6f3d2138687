"""A weighted sample of the rows of Y, drawn in one read: the part of X from which first factors are computed.

Rows are drawn by their squared norms: row i draws E_i from the exponential distribution, by its index, and has the key
E_i / ‖y_i‖². The s rows with the smallest keys are the sample (bottom-k sampling). With τ the (s + 1)-th smallest key,
row i had the chance p_i = 1 − exp(−τ ‖y_i‖²) and enters with the weight 1/√p_i, so that the sample's Gram matrix is
that of all rows in expectation. Keys do not depend on the cut, and the s + 1 smallest keys of all rows are among the
s + 1 smallest of every part: samples of strips are merged in a tree. Rows of zeros are never drawn.

P. S. Efraimidis and P. G. Spirakis, Information Processing Letters 97, 2006, doi:10.1016/j.ipl.2005.11.003; E. Cohen
and H. Kaplan, PODC 2007, doi:10.1145/1281100.1281133.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf.initialise import random_rows
from dnmf.state import settled

STREAM = 2  # of the random numbers: 0 and 1 are those of W and V

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows with the smallest keys, of a strip or of all of Y.

    Attributes
    ----------
    rows : (s, N), as they are in Y.
    index : (s,) their numbers in Y, ascending.
    keys : (s,) their keys.
    square : (s,) their squared norms.
    norm : squared norm of all rows that were seen, ‖Y‖².
    total : sum of all entries that were seen.
    """

    rows: Array
    index: NDArray[np.int64]
    keys: NDArray[np.float64]
    square: NDArray[np.float64]
    norm: float
    total: float


def draw(y: Array, first: int, *, seed: int, size: int) -> Sample:
    """The sample of one strip: its `size` + 1 rows of smallest keys.

    Parameters
    ----------
    y : (h, N) strip, non-negative.
    first : number of its first row in Y.
    seed : of the keys.
    size : rows of the whole sample.

    Examples
    --------
    >>> sample = draw(np.eye(4), 0, seed=0, size=2)
    >>> sample.rows.shape, sample.norm, sample.total
    ((3, 4), 4.0, 4.0)
    """
    lines = y if y.flags.c_contiguous else np.ascontiguousarray(y)
    square = np.einsum("ij,ij->i", lines, lines).astype("f8")
    waits = -np.log1p(-random_rows(seed, STREAM, first, len(lines), 1, np.dtype("f8"))[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        keys = np.where(square > 0, waits / square, np.inf)
    kept = _smallest(keys, size + 1)
    return Sample(
        rows=lines[kept],
        index=kept + first,
        keys=keys[kept],
        square=square[kept],
        norm=float(square.sum()),
        total=float(lines.sum(axis=1).sum(dtype="f8")),
    )


def merge(parts: Sequence[Sample], *, size: int) -> Sample:
    """The sample of all rows of several parts, given in the order of their rows; none of the parts is changed."""
    starts = np.cumsum([0, *(len(part.keys) for part in parts)])
    keys = np.concatenate([part.keys for part in parts])
    kept = _smallest(keys, size + 1)
    rows = np.empty((len(kept), parts[0].rows.shape[1]), parts[0].rows.dtype)
    for part, start, stop in zip(parts, starts, starts[1:], strict=False):
        mine = (kept >= start) & (kept < stop)
        rows[mine] = part.rows[kept[mine] - start]
    return Sample(
        rows=rows,
        index=np.concatenate([part.index for part in parts])[kept],
        keys=keys[kept],
        square=np.concatenate([part.square for part in parts])[kept],
        norm=math.fsum(part.norm for part in parts),
        total=math.fsum(part.total for part in parts),
    )


def _smallest(keys: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Positions of the `count` smallest finite keys, ascending by position."""
    kept = np.sort(np.argpartition(keys, count - 1)[:count]) if len(keys) > count else np.arange(len(keys))
    return kept[np.isfinite(keys[kept])]


def is_whole(sample: Sample, size: int) -> bool:
    """Whether the sample holds every row that is not zero."""
    return len(sample.keys) <= size


def weighted(sample: Sample, size: int) -> Array:
    """The drawn rows times their weights, (s, N): a matrix that stands for Y."""
    rows = settled(sample.rows)
    if is_whole(sample, size):
        return rows
    last = int(np.argmax(sample.keys))
    chance = -np.expm1(-sample.keys[last] * sample.square)
    weight: NDArray[Any] = (1 / np.sqrt(chance)).astype(rows.dtype)
    return np.delete(rows * weight[:, None], last, axis=0)
