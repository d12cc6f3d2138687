"""Blocks of rows, dense or sparse: what they are called in annotations, and what they have in common."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[np.floating]
Rows = Any  # an Array or a csr_matrix


class Value(Protocol):
    """A frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


ValueT = TypeVar("ValueT", bound=Value)


def is_sparse(y: Rows) -> bool:
    """Whether rows are a sparse matrix."""
    return bool(sparse.issparse(y))


def dense_size(y: Rows) -> int:
    """Entries of the dense matrix whose products take as long: non-zeros are eight times as slow as other entries."""
    return int(y.nnz * 8 if is_sparse(y) else y.size)


def aligned(y: Rows) -> Rows:
    """An array as it was made: one that came from another process may lie across its own alignment in memory.

    NumPy multiplies such an array another way, and the last digits would depend on which worker did what.
    """
    return y if is_sparse(y) else np.require(y, requirements="A")


def align(value: ValueT) -> ValueT:
    """A value whose arrays are as they were made, see `aligned`."""
    arrays = {field.name: getattr(value, field.name) for field in fields(value)}
    return replace(value, **{name: aligned(a) for name, a in arrays.items() if isinstance(a, np.ndarray)})


def stack(parts: Sequence[Rows], kept: Sequence[NDArray[np.intp]]) -> Rows:
    """Some rows of each part, one part below the other."""
    chosen = [part[rows] for part, rows in zip(parts, kept, strict=True)]
    return sparse.csr_matrix(sparse.vstack(chosen)) if is_sparse(parts[0]) else np.concatenate(chosen)
