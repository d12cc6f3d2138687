"""X that is a Dask array, of NumPy or scipy.sparse blocks: nothing of it is there until it is computed."""

from dataclasses import dataclass
from typing import ClassVar, Self

import dask.array as da
import numpy as np

from dnmf.arrays.rows import Rows, is_sparse
from dnmf.matrix.dense import prepare_dense
from dnmf.matrix.matrix import Matrix, matrix_shape, working_dtype
from dnmf.matrix.sparse_rows import SparseStrips
from dnmf.matrix.strips import Dtype, Strips
from dnmf.plan.dense import DenseGrid
from dnmf.plan.sparse import SparseGrid

# Share of entries of a sparse Dask array that are taken not to be 0: how many there are is known after a pass only.
NOMINAL_SHARE = 0.1

# Blocks of a Dask array are merged to a strip: both are alive then.
COPIES = 2


@dataclass(frozen=True, slots=True)
class LazyStrips(Strips):
    """Strips of a Dask array that are computed one at a time, when they are asked for: see `Strips`."""

    array: da.Array

    def rows(self, start: int, stop: int) -> Rows:
        x = self.array[self.in_x(start, stop)].compute()
        return prepare(x, self.dtype, axis=self.axis, first=start, check=self.check, signed=self.signed)


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
        shape, exponent = self._along(axis), self.exponent
        return LazyStrips(shape, self.dtype, axis, check, self.array, exponent=exponent, signed=self.signed)


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


def prepare(x: Rows, dtype: Dtype, *, axis: int, first: int, check: bool, signed: bool = False) -> Rows:
    """As `prepare_dense`, of an array or a scipy.sparse matrix, which becomes a csr_matrix and is not written to."""
    if not is_sparse(x):
        return prepare_dense(np.asanyarray(x), dtype, axis=axis, first=first, check=check, signed=signed)
    y = (x if axis == 0 else x.T).tocsr()
    arrays = (y.data, y.indices, y.indptr)
    return SparseStrips(y.shape, dtype, axis, check, *arrays, first=first, signed=signed).rows(0, y.shape[0])
