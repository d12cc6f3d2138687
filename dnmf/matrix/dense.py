"""Dense X: in a store, in a file that another library reads, or in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from dnmf.arrays.rows import Array
from dnmf.matrix.codes import Codes
from dnmf.matrix.in_file import DataArrayInFile, Hdf5Array
from dnmf.matrix.matrix import IN_FLIGHT_HERE, Matrix, chunks_in_flight, matrix_shape, working_dtype
from dnmf.matrix.missing import SAY_SO, Missing, as_nan
from dnmf.matrix.strips import Dtype, Numbers, Strips, Vector, are_possible, bad_entry, first_bad, read_part
from dnmf.plan.dense import DenseGrid
from dnmf.plan.strips import rows_or_columns
from dnmf.stores.missing_chunks import ZarrArray


@dataclass(frozen=True, slots=True)
class DenseStrips(Strips):
    """Strips of an array: see `Strips`. `step` rows are read at a time where they are cast or unpacked."""

    array: Vector
    step: int
    codes: Codes | None = None

    def rows(self, start: int, stop: int) -> Array:
        if self.array.dtype == self.dtype and self.codes is None:
            return self._read(start, stop)
        # A cast needs both copies: some rows at a time keep the second one small.
        strip = np.empty((stop - start, self.shape[1]), self.dtype)
        for a in range(start, stop, self.step):
            b = min(a + self.step, stop)
            strip[a - start : b - start] = self._read(a, b)
        return strip

    def _read(self, start: int, stop: int) -> Array:
        x = read_part(self.array, self.in_x(start, stop), f"{rows_or_columns(self.axis)} {start} to {stop - 1}")
        if self.codes is not None:
            x = self.codes.unpack(
                x, axis=self.axis, first=start, check=self.check, to=self.dtype if self.missing else None
            )
        return prepare_dense(
            x, self.dtype, axis=self.axis, first=start, check=self.check, missing=self.missing, signed=self.signed
        )

    @property
    def own(self) -> bool:
        return not isinstance(self.array, np.ndarray) or self.array.dtype != self.dtype


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A stored array whose slices are what its numbers mean: in a dtype that has NaN, where some may be missing."""

    array: Any
    codes: Codes
    to: Dtype | None = None
    ndim: ClassVar[int] = 2

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return tuple(self.array.shape)

    @property
    def dtype(self) -> Dtype:
        """Of what its numbers mean."""
        return self.to or self.codes.dtype

    @property
    def attrs(self) -> Mapping[str, Any]:
        """What the array says of itself."""
        return getattr(self.array, "attrs", {})

    def __getitem__(self, where: Any) -> Numbers:
        return self.codes.unpack(np.asarray(self.array[where]), axis=0, first=0, check=False, to=self.to)


@dataclass(frozen=True, slots=True)
class Coded(Matrix):
    """Dense X that may come with codes; None where it has none."""

    codes: Codes | None = None

    @property
    def numbers(self) -> Any:
        return (
            self.array if self.codes is None else Unpacked(self.array, self.codes, self.dtype if self.missing else None)
        )

    def strips(self, axis: int, *, check: bool) -> DenseStrips:
        return DenseStrips(
            self._along(axis),
            self.dtype,
            axis,
            check,
            self.array,
            self.grid.chunk[axis],
            self.codes,
            exponent=self.exponent,
            missing=self.missing,
            signed=self.signed,
        )


@dataclass(frozen=True, slots=True)
class StoredDense(Coded):
    """A Zarr array."""

    stored: ClassVar[bool] = True

    @classmethod
    def of(cls, array: ZarrArray, location: str) -> Self:
        """X as it is stored, unless its attributes say what cannot be (ValueError)."""
        codes = Codes.of(_attributes(array), array.dtype, location)
        shape, dtype = matrix_shape(array.shape), working_dtype(codes.dtype if codes else array.dtype)
        chunk, shard = (
            tuple(min(side, most) for side, most in zip(shape, sides, strict=True))
            for sides in (array.chunks, array.shards or array.chunks)
        )
        stored, in_flight = array.dtype.itemsize, chunks_in_flight(array)
        grid = DenseGrid(shape, chunk, stored, dtype.itemsize, shard, in_flight=in_flight)
        return cls(array, dtype, grid, location, codes)

    @property
    def arrays(self) -> tuple[ZarrArray, ...]:
        return (self.array,)

    @property
    def _metadata(self) -> object:
        return self.array.metadata.to_dict()


@dataclass(frozen=True, slots=True)
class StreamedDense(Coded):
    """An array in a file that another library reads, by slices: an HDF5 dataset, an xarray DataArray."""

    @classmethod
    def of(cls, array: Hdf5Array | DataArrayInFile, location: str) -> Self:
        """X as it is stored, unless its attributes say what cannot be (ValueError)."""
        codes = Codes.of(array.attributes, array.dtype, location)
        shape, dtype = matrix_shape(array.shape), working_dtype(codes.dtype if codes else array.dtype)
        chunk = tuple(min(side, most) for side, most in zip(shape, array.chunks, strict=True))
        grid = DenseGrid(shape, chunk, array.dtype.itemsize, dtype.itemsize, chunk, in_flight=IN_FLIGHT_HERE)
        return cls(array, dtype, grid, location, codes)

    @property
    def nodes(self) -> tuple[Hdf5Array, ...]:
        return (self.array,) if isinstance(self.array, Hdf5Array) else ()


@dataclass(frozen=True, slots=True)
class DenseInMemory(Matrix):
    """A NumPy array, which may be cut anywhere."""

    in_memory: ClassVar[bool] = True

    @classmethod
    def of(cls, array: Numbers, location: str, dtype: Dtype | None = None) -> Self:
        """X as it is, to be computed with in a dtype; None chooses it."""
        shape, dtype = matrix_shape(array.shape), dtype or working_dtype(array.dtype)
        grid = DenseGrid(shape, (1, 1), array.itemsize, dtype.itemsize, (1, 1), in_flight=IN_FLIGHT_HERE)
        return cls(array, dtype, grid, location)

    def strips(self, axis: int, *, check: bool) -> DenseStrips:
        shape = self._along(axis)
        return DenseStrips(
            shape,
            self.dtype,
            axis,
            check,
            self.array,
            shape[0],
            exponent=self.exponent,
            missing=self.missing,
            signed=self.signed,
        )


def _attributes(array: ZarrArray) -> Mapping[str, Any]:
    """The attributes of an array; as xarray writes format 2, the fill value is one of them."""
    attributes, metadata = dict(array.attrs), array.metadata
    if metadata.zarr_format == 2 and "_ARRAY_DIMENSIONS" in attributes and metadata.fill_value is not None:
        return {"_FillValue": metadata.fill_value, **attributes}
    return attributes


def prepare_dense(
    x: Numbers,
    dtype: Dtype,
    *,
    axis: int,
    first: int,
    check: bool,
    missing: Missing | None = None,
    signed: bool = False,
) -> Array:
    """Check whole rows (axis 0) or columns (axis 1) of X from number `first` on, cast them, and turn columns to rows.

    Raises
    ------
    ValueError
        If an entry is negative, unless X is `signed`, infinite, or, unless that is `missing`, NaN or masked: names its
        row and column.
    """
    if isinstance(x, np.ma.MaskedArray):
        x = _unmasked(x, axis, first) if missing is None else filled(x, dtype)
    if check and x.dtype.kind in "if" and missing != "weights":
        check_dense(x, axis, first, missing, signed=signed)
    x = x.astype(dtype, copy=False)
    if x.strides[0] < x.strides[1]:
        # Fortran's order: products of the same numbers that lie otherwise are rounded otherwise.
        x = np.ascontiguousarray(x)
    return x if axis == 0 else x.T


def _unmasked(x: Any, axis: int, first: int) -> Numbers:
    """The numbers of a masked array, if none of them is masked."""
    if np.ma.is_masked(x):
        place = np.argwhere(np.ma.getmaskarray(x))[0]
        row, column = (int(i) for i in place + ([first, 0] if axis == 0 else [0, first]))
        raise ValueError(
            f"X[{row}, {column}] is masked: every entry must be a number; fill what you know, as in "
            f"dask.array.ma.filled(X, 0), leave its row or column out, or, {SAY_SO}"
        )
    return np.asarray(np.ma.getdata(x))


def filled(x: Any, dtype: Dtype) -> Array:
    """The numbers of a masked array in a dtype, NaN where they are masked."""
    return as_nan(np.ma.getdata(x), np.ma.getmaskarray(x), dtype)


def check_dense(
    x: Numbers, axis: int, first: int, missing: Missing | None = None, *, signed: bool = False, name: str = "X"
) -> None:
    """Refuse an entry of whole rows or columns of X that cannot be; `name` is that of the array in the sentence."""
    if are_possible(x, signed=signed, nan=missing is not None):
        return
    bad = first_bad(x, signed=signed, nan=missing is not None)
    row, column = (int(i) for i in bad + ([first, 0] if axis == 0 else [0, first]))
    raise bad_entry(row, column, x[tuple(bad)], name=name)
