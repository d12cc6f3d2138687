"""Where components are strong: one scan of W, part by part, from which a few numbers per component are kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]

# Rows of W in memory at a time, at most.
PART = 2**14


@dataclass(frozen=True, slots=True, eq=False)
class Strongest:
    """Where components are strong. The share of a component in a row is w_ia s_a / Σ_b w_ib s_b.

    Attributes
    ----------
    rows : for each component, the rows in which it has the largest share, the first one first; rows without it are not
        among them.
    shares : (k,) arrays, its share in each of these.
    leads : (k,) the number of rows in which no component has a larger share; each row counts once.
    along : (k, b) the mean share over each of b blocks of rows that follow one another.
    """

    rows: tuple[NDArray[np.intp], ...]
    shares: tuple[F8, ...]
    leads: NDArray[np.intp]
    along: F8


@dataclass(slots=True)
class _Best:
    """The rows of one component with the largest shares so far."""

    rows: NDArray[np.intp]
    shares: F8
    amounts: F8

    def add(self, first: int, shares: F8, amounts: F8, count: int) -> None:
        """Take up rows that begin at `first`."""
        able = _candidates(shares, amounts, count)
        rows = np.concatenate([self.rows, first + able])
        found = np.concatenate([self.shares, shares[able]])
        sizes = np.concatenate([self.amounts, amounts[able]])
        order = np.lexsort((rows, -sizes, -found))[:count]
        self.rows, self.shares, self.amounts = rows[order], found[order], sizes[order]


def strongest_rows(W: Any, sizes: F8, *, count: int, blocks: int) -> Strongest:
    """Scan W once: shares do not depend on how a component's scale is divided between the factors.

    Parameters
    ----------
    W : (m, k), a Dask array over a run: one chunk of rows is in memory at a time.
    sizes : (k,) Σ_j v_aj.
    count : rows to name for each component. Of equal shares the larger entry comes first.
    blocks : into how many blocks the rows are divided, fewer where X has fewer rows.
    """
    m, k = W.shape
    blocks = min(m, blocks)
    best = [_Best(np.empty(0, np.intp), np.empty(0), np.empty(0)) for _ in range(k)]
    leads, along = np.zeros(k, np.intp), np.zeros((k, blocks))
    for first, part in _parts(W):
        amounts = part * sizes
        totals = amounts.sum(axis=1, keepdims=True)
        shares = np.divide(amounts, totals, out=np.zeros_like(amounts), where=totals > 0)
        leads += np.bincount(shares.argmax(axis=1)[totals[:, 0] > 0], minlength=k)
        _add_along(along, shares, first, m)
        for a, each in enumerate(best):
            each.add(first, shares[:, a], amounts[:, a], count)
    along /= np.diff(-(-np.arange(blocks + 1) * m // blocks))
    return Strongest(tuple(each.rows for each in best), tuple(each.shares for each in best), leads, along)


def _parts(W: Any) -> Iterator[tuple[int, F8]]:
    """Rows of W in order, with the number of the first of them, read chunk by chunk."""
    first = 0
    for height in W.chunks[0]:
        chunk = np.asarray(W[first : first + height])
        for at in range(0, height, PART):
            yield first + at, chunk[at : at + PART].astype("f8")
        del chunk  # before the next one comes
        first += height


def _add_along(along: F8, shares: F8, first: int, m: int) -> None:
    """Add shares (h, k) of rows that begin at `first` to the blocks that they are in."""
    block = np.arange(first, first + len(shares)) * along.shape[1] // m
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    along[:, block[starts]] += np.add.reduceat(shares, starts, axis=0).T


def _candidates(shares: F8, amounts: F8, count: int) -> NDArray[np.intp]:
    """Rows that may be among the `count` with the largest shares: no sorting, and few where many shares are equal."""
    least = _least(shares, count)
    if least == 0:
        return np.flatnonzero(shares > 0)
    equal = np.flatnonzero(shares == least)
    enough = _least(amounts[equal], count)
    alike = equal[amounts[equal] == enough][:count]
    return np.concatenate([np.flatnonzero(shares > least), equal[amounts[equal] > enough], alike])


def _least(values: F8, count: int) -> float:
    """The least of the `count` largest of some numbers above 0; 0 where these are not more."""
    return float(np.partition(values, -count)[-count]) if len(values) > count else 0.0
