"""X with an array of weights beside it, of the same shape: both are read with one cut, each chunk once in a pass.

Which entries count how much is what the weights say, see `dnmf.matrix.weighing`. Dense weights of dense X make dense
rows; sparse ones, rows of what they store; of sparse X, dense weights make dense rows, unless what X does not store is
missing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import lcm
from typing import Any, Self

import numpy as np

from dnmf.arrays.rows import Rows, stack
from dnmf.arrays.weighted import Weighted
from dnmf.matrix.labels import check_beside
from dnmf.matrix.matrix import Matrix, Node
from dnmf.matrix.missing import Missing
from dnmf.matrix.sparse import FORMATS, SparseInMemory
from dnmf.matrix.sparse_rows import SparseStrips
from dnmf.matrix.strips import Dtype, Strips
from dnmf.matrix.weighing import Weighing
from dnmf.plan.dense import DenseGrid
from dnmf.plan.grid import Beside, Grid
from dnmf.plan.memory import MIB
from dnmf.plan.sparse import SparseGrid
from dnmf.plan.strips import rows_or_columns
from dnmf.stores.missing_chunks import ZarrArray

# Bytes of dense rows that are read at a time where no more of them is kept than what is sparse says.
AT_A_TIME = 16 * MIB


@dataclass(frozen=True, slots=True)
class HeldRows(Strips):
    """Strips of which some rows are in memory, from row `first` on, and no others are asked for: see `Strips`."""

    held: Rows
    first: int

    def rows(self, start: int, stop: int) -> Rows:
        return self.held[start - self.first : stop - self.first]


@dataclass(frozen=True, slots=True)
class WeighedStrips(Strips):
    """Strips of X and of its weights: see `Strips`. `step` rows are read and made one at a time; 0 for all of them."""

    x: Strips
    weights: Strips
    weighing: Weighing
    step: int

    def rows(self, start: int, stop: int) -> Rows:
        if not self.step or stop - start <= self.step:
            return self._part(start, stop)
        parts = [self._part(first, min(first + self.step, stop)) for first in range(start, stop, self.step)]
        return stack(parts, [np.arange(part.shape[0]) for part in parts])

    def within(self, start: int, stop: int) -> "Strips":
        """Rows of sparse X are read at once: pieces of dense ones may be many in one of its chunks."""
        if self.step or not isinstance(self.x, SparseStrips) or isinstance(self.weights, SparseStrips):
            return self
        x = self.x
        return replace(self, x=HeldRows(x.shape, x.dtype, x.axis, x.check, x.rows(start, stop), start))

    def _part(self, start: int, stop: int) -> Weighted:
        return self.weighing(self.x.rows(start, stop), self.weights.rows(start, stop), start)


@dataclass(frozen=True, slots=True)
class WeighedBlocks:
    """How whole rows (columns) of two Dask arrays, X and its weights, become rows."""

    x: Callable[..., Rows]
    weights: Callable[..., Rows]
    weighing: Weighing

    def __call__(self, first: int, x: Any, weights: Any) -> Rows:
        """Rows (h, N), of which the first is row `first`."""
        return self.weighing(self.x(first, x), self.weights(first, weights), first)


@dataclass(frozen=True, slots=True)
class Weighed(Matrix):
    """X with weights. What is not said of both is said of X.

    Attributes
    ----------
    x, omega : X and its weights, each by itself, told that the weights say what is missing.
    step : rows (columns) that are made one at a time; 0 for all that are asked for.
    """

    x: Matrix
    omega: Matrix
    step: int = 0

    @property
    def in_memory(self) -> bool:  # type: ignore[override]
        """Whether one of them is in this process alone."""
        return self.x.in_memory or self.omega.in_memory

    @property
    def stored(self) -> bool:  # type: ignore[override]
        """Whether both are in stores."""
        return self.x.stored and self.omega.stored

    @property
    def lazy(self) -> bool:  # type: ignore[override]
        """Whether both are Dask arrays."""
        return self.x.lazy

    @property
    def sparse(self) -> bool:  # type: ignore[override]
        """Whether strips are sparse."""
        return isinstance(self.grid, SparseGrid)

    @property
    def weighted(self) -> bool:
        return True

    def told(self, missing: Missing) -> Self:
        return replace(self, missing=missing)

    def strips(self, axis: int, *, check: bool) -> Strips:
        x, weights = (each.strips(axis, check=check) for each in (self.x, self.omega))
        weighing = Weighing(axis, check, self.missing, mask=is_mask(self.omega), signed=self.signed)
        if self.lazy:
            return _lazy_strips(x, weights, weighing, self.exponent)
        return WeighedStrips(
            self._along(axis), self.dtype, axis, check, x, weights, weighing, self.step, exponent=self.exponent
        )

    def by_rows(self) -> Matrix:
        return weighed(self.x.by_rows(), self.omega.by_rows(), self.missing).with_signs(signed=self.signed)

    @property
    def together(self) -> tuple[Matrix, ...]:
        return self.x, self.omega

    @property
    def weights(self) -> Matrix:
        return self.omega

    @property
    def arrays(self) -> tuple[ZarrArray, ...]:
        return *self.x.arrays, *self.omega.arrays

    @property
    def nodes(self) -> tuple[Node, ...]:
        return *self.x.nodes, *self.omega.nodes

    @property
    def numbers(self) -> Any:
        return self.x.numbers

    @property
    def stored_dtype(self) -> Dtype:
        return self.x.stored_dtype

    @property
    def _metadata(self) -> object:
        return self.x.fingerprint, self.omega.fingerprint


def is_mask(weights: Matrix) -> bool:
    """Whether weights are truth values."""
    return weights.stored_dtype == np.bool_


def weighed(x: Matrix, weights: Matrix, missing: Missing | None) -> Matrix:
    """X with weights; `missing` says what is missing beside what has the weight 0.

    Raises
    ------
    ValueError
        If there are not as many, if their rows or columns have other names, or if they cannot be read with one cut.
    """
    if x.grid.shape != weights.grid.shape:
        shapes = [" × ".join(map(str, each.grid.shape)) for each in (x, weights)]
        raise ValueError(
            f"the weights, {weights.location}, are {shapes[1]}, and X is {shapes[0]}: one for every entry is required"
        )
    check_beside(x.labels, weights.labels)
    x, weights = _along_one_axis(x, weights)
    x, weights = _both_lazy(*(replace(each, missing="weights") for each in (x, replace(weights, dtype=x.dtype))))
    mixed = x.sparse != weights.sparse and (weights.sparse or missing == "zeros")
    step = _step((x, weights)[x.sparse], (x, weights)[weights.sparse].grid) if mixed else 0
    grid = replace(
        _grid(x, weights, step),
        omega=1 if is_mask(weights) else x.dtype.itemsize,
        in_flight=max(x.grid.in_flight, weights.grid.in_flight),
        copies=max(x.grid.copies, weights.grid.copies),
    )
    return Weighed(
        x.array, x.dtype, grid, x.location, x, weights, step, named=x.named, exponent=x.exponent, missing=missing
    )


def _along_one_axis(x: Matrix, weights: Matrix) -> tuple[Matrix, Matrix]:
    """Both, as they can be cut along one axis."""
    if set(x.grid.axes) & set(weights.grid.axes):
        return x, weights
    (axis,) = x.grid.axes
    if isinstance(weights, SparseInMemory):
        return x, weights.along(axis)
    if isinstance(x, SparseInMemory):
        return x.along(1 - axis), weights
    raise ValueError(
        f"X is stored {rows_or_columns(axis)[:-1]} by {rows_or_columns(axis)[:-1]} ({FORMATS[axis]}), and its weights, "
        f"{weights.location}, {rows_or_columns(1 - axis)[:-1]} by {rows_or_columns(1 - axis)[:-1]} "
        f"({FORMATS[1 - axis]}): write the weights as {FORMATS[axis]}"
    )


def _both_lazy(x: Matrix, weights: Matrix) -> tuple[Matrix, Matrix]:
    """Both as Dask arrays, where one of them is one."""
    if x.lazy == weights.lazy:
        return x, weights
    from dnmf.matrix.lazy import as_lazy  # noqa: PLC0415, it loads Dask, which made one of them

    return as_lazy(x), as_lazy(weights)


def _lazy_strips(x: Strips, weights: Strips, weighing: Weighing, exponent: int) -> Strips:
    from dnmf.matrix.lazy import LazyStrips  # noqa: PLC0415, as above

    assert isinstance(x, LazyStrips)
    assert isinstance(weights, LazyStrips)
    prepared = WeighedBlocks(x.prepared, weights.prepared, weighing)
    arrays = (*x.arrays, *weights.arrays)
    return LazyStrips(x.shape, x.dtype, x.axis, x.check, arrays, prepared, exponent=exponent)


def _step(dense: Matrix, sparse: Grid) -> int:
    """Rows (columns) of what is dense that are read at a time: whole chunks."""
    (axis,) = sparse.axes
    height, row = dense.grid.chunk[axis], dense.grid.shape[1 - axis] * dense.dtype.itemsize
    return max(1, AT_A_TIME // (height * row)) * height


def _grid(x: Matrix, weights: Matrix, step: int) -> Grid:
    """How both are stored, as one."""
    a, b = x.grid, weights.grid
    if isinstance(a, SparseGrid) and isinstance(b, SparseGrid):
        return _both_sparse(a, b)
    if isinstance(a, DenseGrid) and isinstance(b, DenseGrid):
        return _both_dense(a, b, lazy=x.lazy)
    dense, sparse = (a, b) if isinstance(a, DenseGrid) else (b, a)
    assert isinstance(dense, DenseGrid)
    assert isinstance(sparse, SparseGrid)
    if step:
        return _on_pattern(dense, sparse, step)
    # Of each row as much as of the average one, twice that where some are fuller.
    line = 2 * sparse.nbytes // sparse.length
    beside = Beside(line=line, stored_nbytes=sparse.stored_nbytes)
    return replace(dense, itemsize=x.dtype.itemsize, along=sparse.axes, beside=beside)


def _both_dense(a: DenseGrid, b: DenseGrid, *, lazy: bool) -> DenseGrid:
    """Pieces end where chunks of both do."""
    if lazy:
        # Dask cuts blocks wherever it is asked to.
        return replace(a, stored=a.stored + b.stored)
    chunk, shard = (
        tuple(min(lcm(*sides), most) for *sides, most in zip(*both, a.shape, strict=True))
        for both in ((a.chunk, b.chunk), (a.shard, b.shard))
    )
    together = ((a.chunk, a.stored), (b.chunk, b.stored))
    return replace(a, chunk=chunk, shard=shard, stored=a.stored + b.stored, together=together)


def _both_sparse(a: SparseGrid, b: SparseGrid) -> SparseGrid:
    """As if all that both hold were held."""
    ends: Any = np.asarray(a.ends) + np.asarray(b.ends)
    return replace(
        a,
        chunk=(max(a.chunk[0], b.chunk[0]),),
        stored=max(a.stored, b.stored),
        ends=ends,
        fullest=int(np.diff(ends).max()),
        pointers=a.pointers + b.pointers,
        unit=max(a.unit, b.unit),
    )


def _on_pattern(dense: DenseGrid, sparse: SparseGrid, step: int) -> SparseGrid:
    """Strips of what is sparse, cut where chunks of what is dense end, of which `step` rows are read at a time."""
    axis, width = sparse.axis, dense.shape[1 - sparse.axis]
    held = step * width * dense.itemsize + dense.in_flight * 2 * dense.chunk[0] * dense.chunk[1] * dense.stored
    beside = Beside(held=held, stored_nbytes=dense.stored_nbytes)
    unit = lcm(dense.chunk[axis], sparse.unit or 1)
    return replace(sparse, unit=min(unit, sparse.length) if unit > 1 else 0, beside=beside)
