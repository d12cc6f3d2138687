"""`predict`: what the model of a run says of entries of X, such as those of which nothing was seen: X is not read.

Of all rows and columns that are asked for the values are a dense array; where a mask says, a sparse one. W is read some
rows at a time, and so is the mask: nothing of the size of X is in memory unless that much is asked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dnmf.arrays.products import model_at
from dnmf.arrays.rows import Array, is_sparse
from dnmf.formats.contents import About, Contents, Piece, SparseContents, cuts
from dnmf.formats.convert import write_matrix
from dnmf.matrix.labels import Names
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.opening import open_matrix
from dnmf.matrix.sparse import SparseInMemory
from dnmf.plan.sparse import SparseGrid
from dnmf.run.chosen import Numbers, chosen
from dnmf.run.result import Factorization, open_run

# Entries of a sparse mask that are read at a time, unless one row has more.
ENTRIES = 2**20


def predict(
    run: str | Path | zarr.Group | Factorization,
    *,
    rows: Any = None,
    columns: Any = None,
    mask: Any = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> Any:
    """What a run's model says of entries of X: W V in some rows and columns, or wherever a mask is not 0.

    Parameters
    ----------
    run : path of the run, or a `Factorization`, which kept its W.
    rows, columns : which of them, in which order: numbers from 0, a slice, names, where X had names, a truth value for
        each, or a text such as "0:10" (10 is left out) or "3,5,7"; None for all.
    mask : (m, n) instead of rows and columns: anything that `factorize` takes, dense or sparse, with an entry that is
        not 0 for each value that is asked for.
    out : path of what is written, a matrix in Zarr as `convert` writes it; None writes nothing.
    overwrite : replace a Zarr array or group at `out`.

    Returns
    -------
    array (rows, columns), or csr_matrix (m, n) whose places are exactly those where the mask is not 0
        With `out` the Zarr array or group that was written: then nothing larger than a strip is in memory.

    Raises
    ------
    FileNotFoundError, FileExistsError, ValueError, TypeError
        If there is no run, or one that kept no W; if there are no such rows or columns; if the mask is of another
        shape; if something is at `out`.

    Examples
    --------
    >>> import dnmf
    >>> result = dnmf.factorize(np.outer([1.0, 2.0, 3.0], [1.0, 2.0]), 1, tol=0)
    >>> predict(result, rows="1:", columns=[1]).round(6)
    array([[4.],
           [6.]])
    >>> predict(result, mask=np.eye(3, 2)).data.round(6)
    array([1., 4.])
    """
    model = _Model.of(run)
    if mask is None:
        return _written(model.block(rows, columns), out, overwrite=overwrite)
    if rows is not None or columns is not None:
        raise ValueError("rows or columns are given, and a mask, which says of itself where: give one or the other")
    return _written(model.where(_opened(mask, model.shape)), out, overwrite=overwrite)


@dataclass(frozen=True, slots=True)
class _Model:
    """W (m, k), a Dask array, V (k, n), and the names of rows and columns."""

    W: Any
    V: Array
    rows: Names | None
    columns: Names | None

    @classmethod
    def of(cls, run: str | Path | zarr.Group | Factorization) -> "_Model":
        """That of a run, if it has both factors."""
        result = run if isinstance(run, Factorization) else open_run(run)
        if result.W is None:
            raise ValueError("the run kept no W, which its model is half of: factorize X without keep_W=False")
        labels = result.labels
        return cls(result.W, result.V, labels.rows, labels.columns)

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n)"""
        return int(self.W.shape[0]), int(self.V.shape[1])

    def block(self, rows: Any, columns: Any) -> Contents:
        """Rows and columns that are asked for, strip by strip."""
        m, n = self.shape
        down, across = chosen(rows, self.rows, m, "rows"), chosen(columns, self.columns, n, "columns")
        V, shape = self.V[:, across], (len(down), len(across))
        strips = (self._rows(down[start:stop]) @ V for start, stop in cuts(shape, V.dtype))
        return Contents(shape, V.dtype, strips, About(_named(self.rows, down), _named(self.columns, across)))

    def where(self, mask: Matrix) -> SparseContents:
        """The values where a mask (m, n) is not 0, strip by strip."""
        about = About(_named(self.rows), _named(self.columns))
        return SparseContents(self.shape, self.V.dtype, "csr", _most(mask), self._pieces(mask), about)

    def _pieces(self, mask: Matrix) -> Iterator[Piece]:
        strips, V_rows = mask.strips(0, check=False), np.ascontiguousarray(self.V.T)
        for start, stop in _heights(mask):
            found = strips[start:stop, :]
            at = found if is_sparse(found) else csr_matrix(found)
            L = self._rows(slice(start, stop)).T
            yield np.diff(at.indptr), at.indices, model_at(at, L, V_rows)

    def _rows(self, which: slice | Numbers) -> Array:
        # In this process, whatever cluster there is: the rows are in a store, and are needed here.
        return np.asarray(self.W[which].compute(scheduler="threads"))


def _written(contents: Contents | SparseContents, out: str | Path | None, *, overwrite: bool) -> Any:
    """What was computed: in memory, or where it was written to."""
    if out is not None:
        return write_matrix(contents, out, overwrite=overwrite)
    if isinstance(contents, Contents):
        return np.concatenate(list(contents.strips))
    lengths, indices, values = map(np.concatenate, zip(*contents.pieces, strict=True))
    indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return csr_matrix((values, indices, indptr), shape=contents.shape)


def _opened(mask: Any, shape: tuple[int, int]) -> Matrix:
    """A mask for X (m, n), read by rows."""
    matrix = open_matrix(mask)
    if matrix.grid.shape != shape:
        raise ValueError(f"the mask has shape {matrix.grid.shape} and X has {shape}: give one of the shape of X")
    return matrix.by_rows() if isinstance(matrix, SparseInMemory) else matrix


def _most(mask: Matrix) -> int:
    """Entries of a mask that are not 0, at most."""
    m, n = mask.grid.shape
    return int(mask.grid.ends[-1]) if isinstance(mask.grid, SparseGrid) and not mask.lazy else m * n


def _heights(mask: Matrix) -> Iterator[tuple[int, int]]:
    """First and last + 1 row of strips of a mask that fit in memory."""
    m, n = mask.grid.shape
    if mask.lazy:
        edges = np.cumsum([0, *mask.array.chunks[0]])
        return zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    if not isinstance(mask.grid, SparseGrid):
        return iter(cuts((m, n), mask.dtype))
    return _by_entries(np.asarray(mask.grid.ends))


def _by_entries(ends: NDArray[np.integer[Any]]) -> Iterator[tuple[int, int]]:
    """Rows of some entries, given the entries before each row and those of all; a row weighs as much as an entry."""
    weights = ends + np.arange(len(ends))
    start = 0
    while start < len(ends) - 1:
        stop = max(start + 1, int(np.searchsorted(weights, weights[start] + ENTRIES, side="right")) - 1)
        yield start, stop
        start = stop


def _named(names: Names | None, which: Numbers | None = None) -> list[Sequence[str]] | None:
    """Names, or some of them, as they are written."""
    return None if names is None else [(names if which is None else names[which]).tolist()]
