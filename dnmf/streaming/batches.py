"""Batches of rows, read one after the other from X that is not in memory."""

from collections.abc import Callable

from dnmf.arrays.rows import Rows
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.strips import Strips, prepare
from dnmf.plan.grid import SparseGrid

Read = Callable[[slice], Rows]


def batches_of(matrix: Matrix) -> Read:
    """What reads, checks and casts rows of X that is not in memory."""
    if matrix.kind == "dask":
        lazy, dtype = matrix.array, matrix.dtype
        return lambda rows: prepare(lazy[rows].compute(), dtype, axis=0, first=rows.start, check=True)
    if isinstance(matrix.grid, SparseGrid) and matrix.grid.axis == 1:
        raise ValueError(
            f"{matrix.location} is stored column by column (CSC), and a batch needs whole rows: write X row by row, as "
            f"CSR"
        )
    strips = Strips(matrix, 0, check=True)
    return lambda rows: strips[rows, slice(None)]
