"""dnmf.matrix.strips."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.rows import is_sparse
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.reading import part
from dnmf.matrix.sparse_rows import Lines, bad_entry, read
from dnmf.plan.grid import SparseGrid


@dataclass(frozen=True, slots=True)
class Strips:
    """An array-like whose slices of whole rows are strips of X: read, cast, checked and turned in one go.

    Its rows are X's rows (axis 0) or X's columns (axis 1); its slices have the dtype in which X is computed with.
    """

    matrix: Matrix
    axis: int
    check: bool

    @property
    def shape(self) -> tuple[int, int]:
        """(M, N): length along the cut axis, width along the other."""
        m, n = self.matrix.grid.shape
        return (m, n) if self.axis == 0 else (n, m)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the strips."""
        return self.matrix.dtype

    @property
    def ndim(self) -> int:
        """Always 2."""
        return 2

    def __getitem__(self, where: tuple[slice, slice]) -> Any:
        start, stop, _ = where[0].indices(self.shape[0])
        array, dtype = self.matrix.array, self.matrix.dtype
        if self.matrix.sparse:
            return read(_lines(self.matrix), start, stop, dtype, check=self.check)
        if array.dtype == dtype:
            return prepare(_slice(array, self.axis, start, stop), dtype, axis=self.axis, first=start, check=self.check)
        # A cast needs both copies: one chunk's height at a time keeps the second one small.
        step = self.matrix.grid.chunk[self.axis] if self.matrix.kind == "zarr" else stop - start
        strip = np.empty((stop - start, self.shape[1]), dtype)
        for a in range(start, stop, step):
            b = min(a + step, stop)
            piece = _slice(array, self.axis, a, b)
            strip[a - start : b - start] = prepare(piece, dtype, axis=self.axis, first=a, check=self.check)
        return strip


def _lines(matrix: Matrix) -> Lines:
    """All lines of a sparse X that is stored or in memory."""
    grid, (data, indices, indptr) = matrix.grid, matrix.members
    assert isinstance(grid, SparseGrid)
    return Lines(data, indices, indptr, grid.axis, grid.shape[1 - grid.axis], in_flight=grid.in_flight)


def _slice(array: Any, axis: int, start: int, stop: int) -> NDArray[Any]:
    where = slice(start, stop) if axis == 0 else (slice(None), slice(start, stop))
    return part(array, where, f"{('rows', 'columns')[axis]} {start} to {stop - 1}")


def prepare(x: Any, dtype: np.dtype[Any], *, axis: int, first: int, check: bool) -> Any:
    """Check whole rows (axis 0) or columns (axis 1) of X from index `first` on, cast them, and turn columns to rows.

    They are an array, or a scipy.sparse matrix, which becomes a csr_matrix and is not written to.

    Raises
    ------
    ValueError
        If an entry is negative, NaN or infinite: names its row and column.
    """
    if is_sparse(x):
        y = (x if axis == 0 else x.T).tocsr()
        return read(Lines(y.data, y.indices, y.indptr, axis, y.shape[1], first), 0, y.shape[0], dtype, check=check)
    x = np.asarray(x)
    if check and x.dtype.kind in "if":
        _check(x, axis, first)
    x = x.astype(dtype, copy=False)
    return x if axis == 0 else x.T


def _check(x: NDArray[Any], axis: int, first: int) -> None:
    with np.errstate(invalid="ignore"):
        if x.min() >= 0 and x.max() < np.inf:
            return
        bad = np.argwhere(~((x >= 0) & (x < np.inf)))[0]
    row, column = (int(i) for i in bad + ([first, 0] if axis == 0 else [0, first]))
    raise bad_entry(row, column, x[tuple(bad)])
