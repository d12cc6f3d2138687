"""One pass: the algebra of an iteration as Dask array expressions.

Y (M × N) is X as it is cut, so that strips are its rows: X itself, or Xᵀ where strips are whole columns. The long
factor L (M × k) is cut as Y is, the short factor S (k × N) goes to every strip as one value:

    L = update(Y, L, S)           per strip; least squares: rule(L, Y Sᵀ, S Sᵀ)
    sums(Y, L, S)                 per strip, added up in a tree; least squares: LᵀY and LᵀL

A load has two consumers, the update and the sums. They are persisted together, in one graph that Dask optimizes once:
optimizing a second time would fuse the load into each of them, and read X twice.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from dask.core import flatten, get_dependencies
from dask.delayed import Delayed
from numpy.typing import NDArray

from dnmf import blocks, sample
from dnmf.checksums import Seen, joined
from dnmf.matrices import Matrix, Strips, prepare
from dnmf.memory import SAMPLE_SPLIT, SPLIT_EVERY
from dnmf.objectives import Objective
from dnmf.runs import whole
from dnmf.strips import Plan

Array = NDArray[np.floating]


def strips_of(matrix: Matrix, plan: Plan, *, name: str, check: bool) -> da.Array:
    """X as it is cut: a Dask array of strips, (M, N), each read, checked, cast and turned in one task.

    Raises
    ------
    ValueError
        If X is a Dask array of which every strip depends on all of X.
    """
    chunks = (plan.heights, (plan.width,))
    if matrix.kind == "dask":
        return _lazy_strips(matrix, plan, name=name, check=check)
    source = Strips(matrix, plan.axis, check)
    return da.from_array(source, chunks=chunks, name=name, asarray=False, inline_array=True, meta=_meta(matrix.dtype))


def places(heights: Sequence[int]) -> da.Array:
    """Where every strip is: a value of its own for tasks that must know it, made in the same task."""
    source, chunks = blocks.Places(sum(heights)), (tuple(heights), (1,))
    # A new name each time: two consumers would share the task, and neither be one with it.
    return da.from_array(
        source, chunks=chunks, name=False, asarray=False, inline_array=True, meta=np.empty((0, 0), "i8")
    )


def _lazy_strips(matrix: Matrix, plan: Plan, *, name: str, check: bool) -> da.Array:
    """Strips of a Dask array: its blocks merged to whole rows (columns), then prepared as those of a store are."""
    X = matrix.array.rechunk({plan.axis: plan.heights, 1 - plan.axis: -1})
    _refuse_global(X)
    # Only small values may be bound here: they travel with every task.
    strip = partial(_lazy_strip, dtype=matrix.dtype, axis=plan.axis, check=check)
    Y = X if plan.axis == 0 else X.T
    return da.map_blocks(strip, Y, places(plan.heights), name=name, chunks=Y.chunks, meta=_meta(matrix.dtype))


def _lazy_strip(y: Any, place: NDArray[np.int64], dtype: np.dtype[Any], axis: int, check: bool) -> Any:
    x = y if axis == 0 else y.T
    return prepare(x, dtype, axis=axis, first=int(place[0, 0]), check=check)


def update(
    Y: da.Array,
    L: da.Array | None,
    S: Delayed,
    shared: Delayed | None,
    *,
    rank: int,
    update: blocks.Update,
    inner: int,
    name: str,
) -> da.Array:
    """The long factor, strip by strip; None for L where the update makes its own first factor."""
    chunks, block = (Y.chunks[0], (rank,)), partial(blocks.update, update=update, inner=inner)
    return da.map_blocks(block, Y, L, S, shared, name=name, chunks=chunks, meta=_meta(Y.dtype))


def totals(
    Y: da.Array, L: da.Array, base: Delayed | None, objective: Objective, *, name: str, reads: bool = True
) -> da.Array:
    """The sums of all strips and, where the pass reads Y, their checksums: an array of one `Seen`."""
    parts = _parts(partial(blocks.sums, objective=objective, reads=reads), Y, L, base, name=name)
    return _tree(parts, objective.add, SPLIT_EVERY, name)


def sampled(Y: da.Array, plan: Plan, *, seed: int, beta: float, name: str) -> tuple[da.Array, da.Array]:
    """A True for each strip that was seen, and the sample of all (see `dnmf.sample`): an array of one `Seen`."""
    size = plan.sample
    parts = _parts(partial(blocks.drawn_rows, seed=seed, size=size, beta=beta), Y, places(plan.heights), name=name)
    seen = da.map_blocks(_seen, parts, name=f"{name}-seen", chunks=parts.chunks, meta=_meta(bool))
    return seen, _tree(parts, partial(sample.merge, size=size), SAMPLE_SPLIT, name)


def _seen(part: Seen) -> NDArray[np.bool_]:
    return np.ones((1, 1), bool)


def _parts(part: Callable[..., Any], Y: da.Array, *others: Any, name: str) -> da.Array:
    """One value for each strip."""
    ones = ((1,) * Y.numblocks[0], (1,))
    return da.map_blocks(part, Y, *others, name=name, chunks=ones, meta=np.empty((0, 0), object))


def _tree(parts: da.Array, add: Callable[[Sequence[Any]], Any], width: int, name: str) -> da.Array:
    """What came of strips, added up in a tree, in order."""
    added = partial(_added, add=add)
    return da.reduction(
        parts, chunk=_same, combine=added, aggregate=added, axis=0, concatenate=False,
        split_every=width, dtype=object, meta=np.empty((0,), object), name=f"{name}-tree",
    )  # fmt: skip


def _same(part: Any, axis: object, keepdims: object) -> Any:
    return part


def _added(parts: Any, axis: object, keepdims: object, add: Callable[[Sequence[Any]], Any]) -> Any:
    return joined(list(flatten(parts, container=list)) if isinstance(parts, list) else [parts], add)


def drawn(plan: Plan, rank: int, draw: blocks.Draw, *, name: str, dtype: np.dtype[Any]) -> da.Array:
    """A first long factor: `draw(first_row, rows)` makes (k, rows) of it, in the strip's own task."""
    block = partial(blocks.drawn, draw=draw)
    return da.map_blocks(block, places(plan.heights), name=name, chunks=(plan.heights, (rank,)), meta=_meta(dtype))


def written(L: da.Array, target: Any, plan: Plan, *, name: str) -> da.Array:
    """L unchanged, each block also written to its chunks of a stored factor (transposed where strips are columns)."""
    block = partial(blocks.write, target=target, axis=plan.axis)
    return da.map_blocks(block, L, places(plan.heights), name=name, chunks=L.chunks, meta=_meta(L.dtype))


def saved(L: da.Array, target: Any, plan: Plan, *, name: str) -> da.Array:
    """Write each block of L to its chunks of a stored factor and keep none of it: a True for each."""
    ones, save = ((1,) * L.numblocks[0], (1,)), partial(_save, target=target, axis=plan.axis)
    return da.map_blocks(save, L, places(plan.heights), name=name, chunks=ones, meta=_meta(bool))


def _save(L: Array, place: NDArray[np.int64], target: Any, axis: int) -> NDArray[np.bool_]:
    blocks.write(L, place, target, axis)
    return np.ones((1, 1), bool)


def stored(source: Any, plan: Plan, *, name: str) -> da.Array:
    """A stored long factor as an (M × k) Dask array of one block per strip, blocks component-major."""
    rank, block = source.shape[1 - plan.axis], partial(blocks.read, source=source, axis=plan.axis)
    chunks = (plan.heights, (rank,))
    return da.map_blocks(block, places(plan.heights), name=name, chunks=chunks, meta=_meta(source.dtype))


def as_stored(array: Any, *, name: str) -> da.Array:
    """A stored factor as a Dask array of its chunks, in its own orientation: what a result shows."""
    stored = da.from_array(array, chunks=array.chunks, name=f"{name}-chunks", inline_array=True)
    return stored.map_blocks(whole, array, name=name, dtype=array.dtype)


def _meta(dtype: Any) -> Array:
    return np.empty((0, 0), dtype)


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
