"""Blocks of rows, dense, sparse or weighted: what they are called in annotations, and what they have in common."""

import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.weighted import Weighted

Array = NDArray[np.floating]
Rows = Any  # an Array, a csr_matrix, or either of them with weights


class Value(Protocol):
    """A frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


ValueT = TypeVar("ValueT", bound=Value)


def is_sparse(y: Rows) -> bool:
    """Whether rows are a sparse matrix of SciPy's: where nobody has loaded that, nothing is."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(y))


def holds_sparse(y: Rows) -> bool:
    """Whether rows, or those that weights belong to, are sparse."""
    return y.sparse if isinstance(y, Weighted) else is_sparse(y)


def columns_of(y: Rows, places: NDArray[np.intp]) -> Rows:
    """The columns of these numbers, as rows of their own."""
    if isinstance(y, Weighted):
        return y.columns(places)
    if not is_sparse(y):
        return np.ascontiguousarray(y[:, places])
    found = y[:, places]
    found.sort_indices()
    return found


def with_data(y: Rows, data: Array) -> Rows:
    """Sparse rows with other numbers in the same places."""
    from scipy import sparse  # noqa: PLC0415, is loaded where rows are sparse

    return sparse.csr_matrix((data, y.indices, y.indptr), shape=y.shape)


def dense_size(y: Rows) -> int:
    """Entries of the dense matrix whose products take as long: non-zeros are eight times as slow as other entries."""
    y = y.values if isinstance(y, Weighted) else y
    return int(y.nnz * 8 if is_sparse(y) else y.size)


def nbytes_of(y: Rows) -> int:
    """Bytes of rows, with their weights."""
    if isinstance(y, Weighted):
        return nbytes_of(y.values) + int(y.weights.nbytes)
    return int(y.data.nbytes + y.indices.nbytes + y.indptr.nbytes if is_sparse(y) else y.nbytes)


def aligned(y: Rows) -> Rows:
    """An array as it was made: one that came from another process may lie across its own alignment in memory.

    NumPy multiplies such an array another way, and the last digits would depend on which worker did what.
    """
    if isinstance(y, Weighted):
        return Weighted(aligned(y.values), aligned(y.weights))
    return y if is_sparse(y) else np.require(y, requirements="A")


def in_lines(y: Rows) -> Rows:
    """The same rows, each of which lies in memory in one stretch."""
    if isinstance(y, Weighted):
        return Weighted(in_lines(y.values), in_lines(y.weights))
    return y if is_sparse(y) else np.ascontiguousarray(y)


def align(value: ValueT) -> ValueT:
    """A value whose arrays are as they were made, see `aligned`."""
    arrays = {field.name: getattr(value, field.name) for field in fields(value)}
    return replace(value, **{name: aligned(a) for name, a in arrays.items() if isinstance(a, np.ndarray | Weighted)})


def stack(parts: Sequence[Rows], kept: Sequence[NDArray[np.intp]]) -> Rows:
    """Some rows of each part, one part below the other."""
    if isinstance(parts[0], Weighted):
        return _stack_weighted(parts, kept)
    if is_sparse(parts[0]):
        from scipy import sparse  # noqa: PLC0415, it takes a while to load, and dense X needs none of it

        return sparse.csr_matrix(sparse.vstack([part[rows] for part, rows in zip(parts, kept, strict=True)]))
    stacked, start = np.empty((sum(map(len, kept)), parts[0].shape[1]), parts[0].dtype), 0
    for part, rows in zip(parts, kept, strict=True):
        # Clipped, which changes nothing here, it needs no copy of what it takes.
        np.take(part, rows, axis=0, out=stacked[start : start + len(rows)], mode="clip")
        start += len(rows)
    return stacked


def _stack_weighted(parts: Sequence[Weighted], kept: Sequence[NDArray[np.intp]]) -> Weighted:
    values = stack([part.values for part in parts], kept)
    if not parts[0].sparse:
        # Some may have come with a mask, others with weights.
        dtype = np.result_type(*(part.weights.dtype for part in parts))
        return Weighted(values, stack([part.weights.astype(dtype, copy=False) for part in parts], kept))
    return Weighted(values, np.concatenate([part[rows].weights for part, rows in zip(parts, kept, strict=True)]))
