"""The grid in which X is stored, whatever it is, and the dtype in which it is computed with. Nothing is read but where
the lines of a stored sparse X end.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from zarr.storage import LocalStore

from dnmf.plan.grid import Grid, SparseGrid

# How many chunks of one read are fetched and decoded at the same time. On local disks more than one only costs: in two
# workers on two cores, reading whole strips one chunk at a time was 1.6 to 1.8 times as fast as at zarr's default of
# ten where chunks were raw or zstd, and as fast with Blosc. Elsewhere more hide the latency of each: zarr's default.
IN_FLIGHT_HERE, IN_FLIGHT_ELSEWHERE = 1, 10


# Every value of these is a float32 exactly; other integers need float64.
EXACT_IN_FLOAT32 = ("b1", "i1", "u1", "i2", "u2", "f2", "f4")


LaidOut = tuple[Any, str, np.dtype[Any], Grid | SparseGrid]


def _shape(sides: Iterable[Any]) -> tuple[int, int]:
    """The shape of X, if it is one of a matrix."""
    shape = tuple(int(side) for side in sides)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"X has shape {shape}: a matrix of at least one row and one column is required")
    return shape[0], shape[1]


def _in_flight(array: Any) -> int:
    """How many chunks of an array or group are read at the same time."""
    here = not hasattr(array, "store") or isinstance(array.store, LocalStore)
    return IN_FLIGHT_HERE if here else IN_FLIGHT_ELSEWHERE


def working_dtype(stored: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which entries are computed with: float32 where that is exact, else float64.

    >>> working_dtype(np.dtype("int16")), working_dtype(np.dtype("int64"))
    (dtype('float32'), dtype('float64'))
    """
    if stored.kind not in "biuf":
        raise TypeError(f"X has dtype {stored}: real numbers (bool, integers or floats) are required")
    return np.dtype("f4" if f"{stored.kind}{stored.itemsize}" in EXACT_IN_FLOAT32 else "f8")
