"""Rows of a long factor, each moved until it stands still: what becomes of a row does not depend on the others."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.rows import Array

# Updates between two looks at what has moved.
STRIDE = 10


def row_by_row(step: Callable[[Array, NDArray[np.intp]], Array], F: Array, *, tol: float, groups: int) -> Array:
    """Repeat a step on every column of F until it changes no entry by more than `tol` of the column's largest one.

    Parameters
    ----------
    step : of some columns (k, r), which are those of the given numbers (r,).
    F : (k, h) first factor. Not changed.
    tol : relative change.
    groups : steps at most.
    """
    F, moving = np.array(F, order="C"), np.arange(F.shape[1])
    for _ in range(groups):
        before = F[:, moving]
        after = step(before, moving)
        F[:, moving] = after
        moving = moving[np.abs(after - before).max(axis=0) > tol * after.max(axis=0)]
        if not len(moving):
            break
    return F
