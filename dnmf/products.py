"""Products of whole rows of a matrix, dense or sparse, with factors. Pure NumPy and SciPy.

Rows y (h × N) are a NumPy array or a `scipy.sparse.csr_matrix`; factors are component-major: L (k × h), S (k × N).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dnmf.memory import LARGE_PIECE, PIECE_NON_ZEROS, piece_rows

Array = NDArray[np.floating]

# Rows of a group are longer than its shortest one by one part in so many at most.
PADDING = 10
Rows = Any  # an Array or a csr_matrix


def is_sparse(y: Rows) -> bool:
    """Whether rows are a sparse matrix."""
    return bool(sparse.issparse(y))


def dense_size(y: Rows) -> int:
    """Entries of the dense matrix whose products take as long: non-zeros are eight times as slow as other entries."""
    return int(y.nnz * 8 if is_sparse(y) else y.size)


def settled(y: Rows) -> Rows:
    """An array as it was made: one that came from another process may lie across its own alignment in memory.

    NumPy multiplies such an array another way, and the last digits would depend on which worker did what.
    """
    return y if is_sparse(y) else np.require(y, requirements="A")


def stacked(parts: Sequence[Rows], kept: Sequence[NDArray[np.intp]]) -> Rows:
    """Some rows of each part, one part below the other."""
    chosen = [part[rows] for part, rows in zip(parts, kept, strict=True)]
    return sparse.csr_matrix(sparse.vstack(chosen)) if is_sparse(parts[0]) else np.concatenate(chosen)


def right(S: Array, y: Rows) -> Array:
    """S yᵀ (k × h)."""
    return np.asarray((y @ np.ascontiguousarray(S.T)).T if is_sparse(y) else S @ y.T)


def left(L: Array, y: Rows) -> Array:
    """L y (k × N)."""
    return np.asarray((y.T @ np.ascontiguousarray(L.T)).T if is_sparse(y) else L @ y)


def row_powers(y: Rows, beta: float) -> NDArray[np.float64]:
    """Σ_j y_ij^β for every row, (h,), over what is not zero; for β = 0 all entries count."""
    if beta == 0:
        return np.full(y.shape[0], float(y.shape[1]))
    if is_sparse(y):
        parts = (with_data(part, _powers(part.data.astype("f8"), beta)) for part in pieces(y, LARGE_PIECE))
        return np.concatenate([np.zeros(0), *(np.asarray(part.sum(axis=1)).ravel() for part in parts)])
    lines = y if y.flags.c_contiguous else np.ascontiguousarray(y)
    if beta == 2:
        return np.asarray(np.einsum("ij,ij->i", lines, lines), "f8")
    if beta == 1:
        return np.asarray(lines.sum(axis=1, dtype="f8"))
    return np.concatenate([np.zeros(0), *(_powers(part.astype("f8"), beta).sum(axis=1) for part in pieces(lines))])


def _powers(x: Array, beta: float) -> Array:
    return x * x if beta == 2 else x if beta == 1 else np.power(x, beta, out=np.zeros_like(x), where=x > 0)


def total(y: Rows) -> float:
    """Sum of all entries, rows added up in float64."""
    return float(y.data.sum(dtype="f8") if is_sparse(y) else y.sum(axis=1).sum(dtype="f8"))


def cuts(y: Rows, non_zeros: int = PIECE_NON_ZEROS) -> Iterator[slice]:
    """Consecutive rows that are worked on at a time: few enough for a core's caches."""
    height = y.shape[0]
    if is_sparse(y):
        start = 0
        while start < height:
            stop = int(np.searchsorted(y.indptr, y.indptr[start] + non_zeros, side="right")) - 1
            stop = min(max(stop, start + 1), height)
            yield slice(start, stop)
            start = stop
    else:
        rows = piece_rows(y.shape[1], residual=True)
        yield from (slice(start, min(start + rows, height)) for start in range(0, height, rows))


def part_of(y: Rows, cut: slice) -> Rows:
    """Some consecutive rows, nothing of them copied."""
    if not is_sparse(y):
        return y[cut]
    start, stop = int(y.indptr[cut.start]), int(y.indptr[cut.stop])
    parts = (y.data[start:stop], y.indices[start:stop], y.indptr[cut.start : cut.stop + 1] - y.indptr[cut.start])
    return sparse.csr_matrix(parts, shape=(cut.stop - cut.start, y.shape[1]), copy=False)


def pieces(y: Rows, non_zeros: int = PIECE_NON_ZEROS) -> Iterator[Rows]:
    """The rows of `cuts`."""
    return (part_of(y, cut) for cut in cuts(y, non_zeros))


def padded(y: Any) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], Array]]:
    """Sparse rows in groups of like length: numbers of the rows (g,), columns and entries (g, c) of their non-zeros.

    Shorter rows end in entries of 0 in column 0. Groups are as large as the pieces of `cuts`. Products of a group are
    those of full arrays, several times as fast as those of single non-zeros.
    """
    lengths = np.diff(y.indptr)
    order = np.argsort(lengths, kind="stable")
    ascending, start = lengths[order], 0
    while start < len(order):
        longest = ascending[start] + max(1, ascending[start] // PADDING)
        stop = int(np.searchsorted(ascending, longest, side="right"))
        stop = min(stop, start + max(1, PIECE_NON_ZEROS // max(1, int(ascending[stop - 1]))))
        rows, places = order[start:stop], np.arange(ascending[stop - 1])
        real = places < lengths[rows, None]
        at = np.where(real, y.indptr[rows, None] + places, 0)
        yield rows, np.where(real, y.indices.take(at), 0), np.where(real, y.data.take(at), 0)
        start = stop


def model_at(y: Any, L: Array, S_rows: Array) -> Array:
    """(Lᵀ S) where sparse rows y have their non-zeros, in their order; `S_rows` is Sᵀ (N × k), contiguous."""
    model, L_rows = np.empty(y.nnz, S_rows.dtype), np.ascontiguousarray(L.T)
    for cut in cuts(y):
        at = slice(y.indptr[cut.start], y.indptr[cut.stop])
        own = np.repeat(L_rows[cut], np.diff(y.indptr[cut.start : cut.stop + 1]), axis=0)
        np.einsum("pk,pk->p", own, S_rows.take(y.indices[at], axis=0), out=model[at])
    return model


def with_data(y: Any, data: Array) -> Any:
    """Sparse rows with other numbers in the same places."""
    return sparse.csr_matrix((data, y.indices, y.indptr), shape=y.shape)
