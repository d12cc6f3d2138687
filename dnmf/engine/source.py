"""X as Dask arrays of strips: from a store, from memory, or merged out of the blocks of a lazy Dask array."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.core import flatten, get_dependencies

from dnmf.arrays.extent import times_power
from dnmf.engine.blocks import Place
from dnmf.engine.passes import empty, named, places
from dnmf.matrix.lazy import prepare
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.strips import Cut, HeldStrip, Piece, hold
from dnmf.plan.strips import Plan


def strips_of(matrix: Matrix, plan: Plan, *, check: bool) -> da.Array:
    """X as it is cut: a Dask array of strips, (M, N), which are read, checked, cast and turned where they are folded.

    Where X stays in memory, and where it is a Dask array, a strip is a task of its own.

    Raises
    ------
    ValueError
        If X is a Dask array of which every strip depends on all of X.
    """
    if matrix.lazy:
        if check:
            # Once is enough: strips that are not checked are read after those that are.
            _refuse_global(_merged(matrix.array, plan.heights, plan.axis))
        return lazy_strips(matrix, plan.heights, plan.axis, check=check)
    source = Cut(matrix.strips(plan.axis, check=check), plan.piece, ahead=matrix.grid.waits)
    how = {"asarray": False, "inline_array": True}
    chunks, meta = (plan.heights, (plan.width,)), empty(matrix.dtype)
    # Dask does not merge what is annotated into the fold. A fold goes where what it takes is: a strip of its own may be
    # where nothing else is yet, on a worker that has joined late.
    with dask.annotate(apart=True):
        strips = da.from_array(source, chunks=chunks, name=named("strip"), meta=meta, **how)
    return da.map_blocks(hold, strips, name=named("X"), meta=meta) if plan.cached else strips


def lazy_strips(matrix: Matrix, heights: Sequence[int], axis: int, *, check: bool) -> da.Array:
    """Strips of a Dask array: its blocks merged to whole rows (columns), then prepared as those of a store are."""
    X = _merged(matrix.array, heights, axis)
    # Only small values may be bound here: they travel with every task.
    strip = partial(
        _lazy_strip, dtype=matrix.dtype, axis=axis, check=check, exponent=matrix.exponent, signed=matrix.signed
    )
    Y = X if axis == 0 else X.T
    return da.map_blocks(strip, Y, places(heights), name=named("X"), chunks=Y.chunks, meta=empty(matrix.dtype))


def _merged(X: da.Array, heights: Sequence[int], axis: int) -> da.Array:
    return X.rechunk({axis: tuple(heights), 1 - axis: -1})


def _lazy_strip(
    y: Any, place: Place, dtype: np.dtype[Any], axis: int, check: bool, exponent: int, signed: bool
) -> HeldStrip:
    x, first = y if axis == 0 else y.T, int(place[0, 0])
    rows = prepare(x, dtype, axis=axis, first=first, check=check, signed=signed)
    return HeldStrip((Piece(times_power(rows, exponent), first),))


def _refuse_global(X: da.Array) -> None:
    """Raise where the first and the last strip both depend on more than half of all loads of a lazy X."""
    tasks = dict(X.__dask_graph__())
    graph = {key: {k for k in get_dependencies(tasks, key) if _is_chunk(k)} for key in tasks if _is_chunk(key)}
    keys = list(flatten(X.__dask_keys__()))
    first, last = (_loads(graph, key) for key in (keys[0], keys[-1]))
    loads = sum(not below for below in graph.values())
    if len(keys) > 1 and len(first & last) > loads / 2:
        raise ValueError(
            f"every strip of this Dask array depends on most of it ({len(first & last)} of {loads} loads), so a pass "
            f"would hold X in memory: compute the statistic first (as in s = X.max(0).compute(); X / s), or store X"
        )


def _is_chunk(key: Any) -> bool:
    """Whether a key names a block of an array, and not something that blocks share, such as the store they are in."""
    return isinstance(key, tuple) and isinstance(key[0], str)


def _loads(graph: dict[Any, set[Any]], key: Any) -> set[Any]:
    """The blocks without blocks below them that a block depends on."""
    seen: set[Any] = set()
    todo = [key]
    while todo:
        key = todo.pop()
        if key not in seen:
            seen.add(key)
            todo.extend(graph[key])
    return {key for key in seen if not graph[key]}
