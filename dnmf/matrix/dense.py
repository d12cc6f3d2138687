"""dnmf.matrix.dense."""

from typing import Any

from dnmf.matrix.layout import IN_FLIGHT_ELSEWHERE, LaidOut, _in_flight, _shape, working_dtype
from dnmf.plan.grid import Grid


def _dense(array: Any, kind: str) -> LaidOut:
    shape, dtype = _shape(array.shape), working_dtype(array.dtype)
    chunk, shard = _chunks(array, kind)
    # Blocks of a Dask array are merged to a strip: both are alive then.
    copies = 2 if kind == "dask" else 1
    in_flight = IN_FLIGHT_ELSEWHERE if kind == "dask" else _in_flight(array)
    return array, kind, dtype, Grid(shape, chunk, shard, array.dtype.itemsize, dtype.itemsize, copies, in_flight)


def _chunks(array: Any, kind: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Chunk and shard shape of an array; NumPy arrays can be cut anywhere, Dask arrays at some cost too."""
    m, n = array.shape
    if kind == "numpy":
        return (1, 1), (1, 1)
    if kind == "dask":
        chunk = (max(array.chunks[0]), max(array.chunks[1]))
        return chunk, chunk
    inner = (min(m, array.chunks[0]), min(n, array.chunks[1]))
    outer = array.shards or inner
    return inner, (min(m, outer[0]), min(n, outer[1]))
