"""dnmf.matrix.lazy."""

from typing import Any

from dnmf.matrix.layout import LaidOut, _shape, working_dtype
from dnmf.matrix.sparse_rows import index_dtype
from dnmf.plan.grid import SparseGrid

# Share of entries of a sparse Dask array that are taken not to be 0: how many there are is known after a pass only.
NOMINAL_SHARE = 0.1


def _lazy_sparse(X: Any) -> LaidOut:
    """A Dask array of scipy.sparse blocks, cut along the axis along which there are more of them."""
    shape, dtype, axis = _shape(X.shape), working_dtype(X.dtype), int(X.numblocks[1] > X.numblocks[0])
    line, unit = max(1, round(NOMINAL_SHARE * shape[1 - axis])), max(X.chunks[axis])
    ends, index = range(0, line * shape[axis] + 1, line), index_dtype(shape[1 - axis]).itemsize
    # Blocks are merged to a strip: both are alive then.
    return X, "dask", dtype, SparseGrid(
        shape, axis, ends, (unit * line,), X.dtype.itemsize + 4, dtype.itemsize, index, line, unit=unit, copies=2
    )  # fmt: skip
