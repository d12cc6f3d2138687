"""Dense X, in a store or in memory."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from dnmf.arrays.rows import Array
from dnmf.matrix.matrix import IN_FLIGHT_HERE, Matrix, chunks_in_flight, matrix_shape, working_dtype
from dnmf.matrix.strips import Dtype, Numbers, Strips, Vector, bad_entry, read_part
from dnmf.plan.dense import DenseGrid
from dnmf.plan.strips import rows_or_columns
from dnmf.stores.missing_chunks import ZarrArray


@dataclass(frozen=True, slots=True)
class DenseStrips(Strips):
    """Strips of an array: see `Strips`. `step` rows are read at a time where they are cast."""

    array: Vector
    step: int

    def rows(self, start: int, stop: int) -> Array:
        if self.array.dtype == self.dtype:
            return self._read(start, stop)
        # A cast needs both copies: some rows at a time keep the second one small.
        strip = np.empty((stop - start, self.shape[1]), self.dtype)
        for a in range(start, stop, self.step):
            b = min(a + self.step, stop)
            strip[a - start : b - start] = self._read(a, b)
        return strip

    def _read(self, start: int, stop: int) -> Array:
        x = read_part(self.array, self.in_x(start, stop), f"{rows_or_columns(self.axis)} {start} to {stop - 1}")
        return prepare_dense(x, self.dtype, axis=self.axis, first=start, check=self.check)


@dataclass(frozen=True, slots=True)
class StoredDense(Matrix):
    """A Zarr array."""

    stored: ClassVar[bool] = True

    @classmethod
    def of(cls, array: ZarrArray, location: str) -> Self:
        """X as it is stored."""
        shape, dtype = matrix_shape(array.shape), working_dtype(array.dtype)
        chunk, shard = (
            tuple(min(side, most) for side, most in zip(shape, sides, strict=True))
            for sides in (array.chunks, array.shards or array.chunks)
        )
        stored, in_flight = array.dtype.itemsize, chunks_in_flight(array)
        return cls(array, dtype, DenseGrid(shape, chunk, stored, dtype.itemsize, shard, in_flight=in_flight), location)

    def strips(self, axis: int, *, check: bool) -> DenseStrips:
        return DenseStrips(self._along(axis), self.dtype, axis, check, self.array, self.grid.chunk[axis])

    @property
    def arrays(self) -> tuple[ZarrArray, ...]:
        return (self.array,)

    @property
    def _metadata(self) -> object:
        return self.array.metadata.to_dict()


@dataclass(frozen=True, slots=True)
class DenseInMemory(Matrix):
    """A NumPy array, which may be cut anywhere."""

    in_memory: ClassVar[bool] = True

    @classmethod
    def of(cls, array: Numbers, location: str) -> Self:
        """X as it is."""
        shape, dtype = matrix_shape(array.shape), working_dtype(array.dtype)
        grid = DenseGrid(shape, (1, 1), array.itemsize, dtype.itemsize, (1, 1), in_flight=IN_FLIGHT_HERE)
        return cls(array, dtype, grid, location)

    def strips(self, axis: int, *, check: bool) -> DenseStrips:
        shape = self._along(axis)
        return DenseStrips(shape, self.dtype, axis, check, self.array, shape[0])


def prepare_dense(x: Numbers, dtype: Dtype, *, axis: int, first: int, check: bool) -> Array:
    """Check whole rows (axis 0) or columns (axis 1) of X from number `first` on, cast them, and turn columns to rows.

    Raises
    ------
    ValueError
        If an entry is negative, NaN or infinite: names its row and column.
    """
    if check and x.dtype.kind in "if":
        _check(x, axis, first)
    x = x.astype(dtype, copy=False)
    return x if axis == 0 else x.T


def _check(x: Numbers, axis: int, first: int) -> None:
    with np.errstate(invalid="ignore"):
        if x.min() >= 0 and x.max() < np.inf:
            return
        bad = np.argwhere(~((x >= 0) & (x < np.inf)))[0]
    row, column = (int(i) for i in bad + ([first, 0] if axis == 0 else [0, first]))
    raise bad_entry(row, column, x[tuple(bad)])
