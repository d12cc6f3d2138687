"""Parts of a piece, its rows a few at a time: as many as a core's caches hold, or of like length."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dnmf.arrays.rows import Array, Rows, is_sparse
from dnmf.arrays.weighted import Weighted
from dnmf.plan.parts import PART_NON_ZEROS, part_rows

# Rows of a group are longer than its shortest one by one part in so many at most.
PADDING = 10


def cuts(y: Rows, non_zeros: int = PART_NON_ZEROS) -> Iterator[slice]:
    """Consecutive rows that are worked on at a time: few enough for a core's caches."""
    y = y.values if isinstance(y, Weighted) else y
    height = y.shape[0]
    if is_sparse(y):
        start = 0
        while start < height:
            stop = int(np.searchsorted(y.indptr, y.indptr[start] + non_zeros, side="right")) - 1
            stop = min(max(stop, start + 1), height)
            yield slice(start, stop)
            start = stop
    else:
        rows = part_rows(y.shape[1], residual=True)
        yield from (slice(start, min(start + rows, height)) for start in range(0, height, rows))


def part_of(y: Rows, cut: slice) -> Rows:
    """Some consecutive rows, nothing of them copied."""
    if isinstance(y, Weighted):
        own = slice(int(y.values.indptr[cut.start]), int(y.values.indptr[cut.stop])) if y.sparse else cut
        return Weighted(part_of(y.values, cut), y.weights[own])
    if not is_sparse(y):
        return y[cut]
    start, stop = int(y.indptr[cut.start]), int(y.indptr[cut.stop])
    parts = (y.data[start:stop], y.indices[start:stop], y.indptr[cut.start : cut.stop + 1] - y.indptr[cut.start])
    return sparse.csr_matrix(parts, shape=(cut.stop - cut.start, y.shape[1]), copy=False)


def parts(y: Rows, non_zeros: int = PART_NON_ZEROS) -> Iterator[Rows]:
    """The rows of `cuts`."""
    return (part_of(y, cut) for cut in cuts(y, non_zeros))


def pad_rows(y: Rows) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], Array]]:
    """Sparse rows in groups of like length: numbers of the rows (g,), columns and entries (g, c) of their non-zeros.

    Shorter rows end in entries of 0 in column 0. Groups are as large as the parts of `cuts`. Products of a group are
    those of full arrays, several times as fast as those of single non-zeros.
    """
    for rows, real, at in _padded_places(y):
        yield rows, np.where(real, y.indices.take(at), 0), np.where(real, y.data.take(at), 0)


def pad_weighted(y: Weighted) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], Array, Array]]:
    """As `pad_rows`, of sparse rows with weights: what is there, each entry times its weight, and the weights (g, c).

    Weights are 0 where rows have ended.
    """
    values, counted, weights = y.values, y.counted.data, y.omega.data
    for rows, real, at in _padded_places(values):
        columns, *entries = (np.where(real, a.take(at), 0) for a in (values.indices, counted, weights))
        yield rows, columns, entries[0], entries[1]


def _padded_places(y: Rows) -> Iterator[tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.intp]]]:
    """Rows of a group (g,), whether they have an entry in each of their places (g, c), and its number in the arrays."""
    lengths = np.diff(y.indptr)
    order = np.argsort(lengths, kind="stable")
    ascending, start = lengths[order], 0
    while start < len(order):
        longest = ascending[start] + max(1, ascending[start] // PADDING)
        stop = int(np.searchsorted(ascending, longest, side="right"))
        stop = min(stop, start + max(1, PART_NON_ZEROS // max(1, int(ascending[stop - 1]))))
        rows, places = order[start:stop], np.arange(ascending[stop - 1])
        real = places < lengths[rows, None]
        yield rows, real, np.where(real, y.indptr[rows, None] + places, 0)
        start = stop
