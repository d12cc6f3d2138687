"""X that is a Dask array, of NumPy or scipy.sparse blocks: nothing of it is there until it is computed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import dask
import dask.array as da
import numpy as np

from dnmf.arrays.rows import Rows, is_sparse
from dnmf.matrix.dense import prepare_dense
from dnmf.matrix.matrix import Matrix, matrix_shape, working_dtype
from dnmf.matrix.missing import Missing, without_missing
from dnmf.matrix.sparse_rows import SparseStrips
from dnmf.matrix.strips import Dtype, Strips
from dnmf.plan.dense import DenseGrid
from dnmf.plan.sparse import SparseGrid

# Share of entries of a sparse Dask array that are taken not to be 0: how many there are is known after a pass only.
NOMINAL_SHARE = 0.1

# Blocks of a Dask array are merged to a strip: both are alive then.
COPIES = 2


@dataclass(frozen=True, slots=True)
class Blocks:
    """How whole rows (columns, for axis 1) of a Dask array that is X, from number `first` on, become rows."""

    dtype: Dtype
    axis: int
    check: bool
    missing: Missing | None
    signed: bool

    def __call__(self, first: int, x: Any) -> Rows:
        """Rows (h, N), checked, cast, turned, and `Weighted` where some are missing."""
        how: Any = {"missing": self.missing, "signed": self.signed}
        rows = prepare(x, self.dtype, axis=self.axis, first=first, check=self.check, **how)
        return without_missing(rows, self.missing, own=False)


@dataclass(frozen=True, slots=True)
class LazyStrips(Strips):
    """Strips of Dask arrays that are computed one at a time, when they are asked for: see `Strips`.

    `prepared` makes rows of what is computed of each array, from the number of the first of them on.
    """

    arrays: tuple[da.Array, ...]
    prepared: Callable[..., Rows]

    def rows(self, start: int, stop: int) -> Rows:
        computed = dask.compute(*(array[self.in_x(start, stop)] for array in self.arrays))
        return self.prepared(start, *computed)


@dataclass(frozen=True, slots=True)
class LazyDense(Matrix):
    """A Dask array of NumPy blocks, which may be cut between them, and elsewhere at some cost."""

    lazy: ClassVar[bool] = True

    @classmethod
    def of(cls, array: da.Array, location: str) -> Self:
        """X as its blocks will be."""
        shape, dtype = matrix_shape(array.shape), working_dtype(array.dtype)
        chunk = (max(array.chunks[0]), max(array.chunks[1]))
        grid = DenseGrid(shape, chunk, array.dtype.itemsize, dtype.itemsize, chunk, copies=COPIES)
        return cls(array, dtype, grid, location)

    def strips(self, axis: int, *, check: bool) -> LazyStrips:
        """X along either axis, computed in this process: in a pass, the engine makes a graph of it."""
        how = Blocks(self.dtype, axis, check, self.missing, self.signed)
        return LazyStrips(self._along(axis), self.dtype, axis, check, (self.array,), how, exponent=self.exponent)


@dataclass(frozen=True, slots=True)
class LazySparse(LazyDense):
    """A Dask array of scipy.sparse blocks, cut along the axis along which there are more of them."""

    sparse: ClassVar[bool] = True

    @classmethod
    def of(cls, array: da.Array, location: str) -> Self:
        """X as its blocks will be, if as many of its entries as usual are not 0."""
        shape, dtype = matrix_shape(array.shape), working_dtype(array.dtype)
        axis = int(array.numblocks[1] > array.numblocks[0])
        line, unit = max(1, round(NOMINAL_SHARE * shape[1 - axis])), max(array.chunks[axis])
        ends, stored = range(0, line * shape[axis] + 1, line), array.dtype.itemsize + 4
        grid = SparseGrid(
            shape, (unit * line,), stored, dtype.itemsize, axis, ends, fullest=line, unit=unit, copies=COPIES
        )
        return cls(array, dtype, grid, location)


def as_lazy(matrix: Matrix) -> Matrix:
    """X as a Dask array.

    Raises
    ------
    ValueError
        If it is a sparse matrix in a store.
    """
    if matrix.lazy:
        return matrix
    if matrix.sparse and matrix.stored:
        raise ValueError(
            f"of X and its weights one is a Dask array and the other a sparse matrix in a store, {matrix.location}: "
            f"store both, or give both as Dask arrays"
        )
    numbers, chunks = (matrix.array, matrix.grid.shape) if matrix.in_memory else (matrix.numbers, matrix.grid.chunk)
    array = da.from_array(numbers, chunks=chunks, asarray=False if matrix.sparse else None, name=False)
    lazy = (LazySparse if matrix.sparse else LazyDense).of(array, matrix.location)
    return replace(lazy, dtype=matrix.dtype, named=matrix.named, missing=matrix.missing, signed=matrix.signed)


def prepare(
    x: Rows,
    dtype: Dtype,
    *,
    axis: int,
    first: int,
    check: bool,
    missing: Missing | None = None,
    signed: bool = False,
) -> Rows:
    """As `prepare_dense`, of an array or a scipy.sparse matrix, which becomes a csr_matrix and is not written to."""
    how: Any = {"first": first, "missing": missing, "signed": signed}
    if not is_sparse(x):
        return prepare_dense(np.asanyarray(x), dtype, axis=axis, check=check, **how)
    y = (x if axis == 0 else x.T).tocsr()
    return SparseStrips(y.shape, dtype, axis, check, y.data, y.indices, y.indptr, **how).rows(0, y.shape[0])
