"""Batches of rows of X that is not in memory, read as they are asked for."""

from collections.abc import Callable

from dnmf.arrays.rows import Rows
from dnmf.matrix.matrix import Matrix

Read = Callable[[slice], Rows]


def batches_of(matrix: Matrix) -> Read:
    """What reads, checks and casts rows of X.

    Raises
    ------
    ValueError
        If X is sparse and stored column by column.
    """
    strips = matrix.strips(0, check=True)
    return lambda rows: strips[rows, slice(None)]
