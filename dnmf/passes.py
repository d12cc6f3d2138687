"""One pass: the algebra of an iteration as Dask array expressions, and the two places where they are computed.

Y (M × N) is X as it is cut, so that strips are its rows: X itself, or Xᵀ where strips are whole columns. The long
factor L (M × k) is cut as Y is, the short factor S (k × N) goes to every strip as one value:

    N = Y Sᵀ                      per strip
    L = rule(L, N, S Sᵀ)          per strip
    LᵀY, LᵀL                      per strip, added up in a tree

The blocks of L are transposed component-major arrays: rules see (k × rows), contiguous.

A load has two consumers, the update and the sums. They are persisted together, in one graph that Dask optimizes once:
optimizing a second time would fuse the load into each of them, and read X twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import dask
import dask.array as da
import numpy as np
from dask.callbacks import Callback
from dask.core import flatten, get_dependencies
from dask.delayed import Delayed
from distributed import Client, KilledWorker, as_completed, futures_of
from numpy.typing import NDArray

from dnmf.matrices import Matrix, Strips, prepare
from dnmf.rules import Rule
from dnmf.runs import whole
from dnmf.state import Sums, add, strip_sums
from dnmf.strips import SPLIT_EVERY, Plan

Array = NDArray[np.floating]
Tick = Callable[[int], None]


# The algebra


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


def _lazy_strips(matrix: Matrix, plan: Plan, *, name: str, check: bool) -> da.Array:
    """Strips of a Dask array: its blocks merged to whole rows (columns), then prepared as those of a store are."""
    X = matrix.array.rechunk({plan.axis: plan.heights, 1 - plan.axis: -1})
    _refuse_global(X)
    # Only small values may be bound here: they travel with every task.
    strip = partial(_lazy_strip, dtype=matrix.dtype, axis=plan.axis, height=plan.height, check=check)
    return da.map_blocks(strip, X if plan.axis == 0 else X.T, name=name, meta=_meta(matrix.dtype))


def _lazy_strip(
    y: Any, dtype: np.dtype[Any], axis: int, height: int, check: bool, block_id: tuple[int, int] = (0, 0)
) -> Array:
    x = np.asarray(y) if axis == 0 else np.asarray(y).T
    return prepare(x, dtype, axis=axis, first=block_id[0] * height, check=check)


def update(Y: da.Array, L: da.Array, S: Delayed, gram: Delayed, *, rule: Rule, inner: int, name: str) -> da.Array:
    """L = rule(L, Y Sᵀ, S Sᵀ), strip by strip."""
    return da.map_blocks(
        _update, Y, L, S, gram, rule=rule, inner=inner, name=name, chunks=L.chunks, meta=_meta(Y.dtype)
    )


def _update(y: Array, L: Array, S: Array, gram: Array, rule: Rule, inner: int) -> Array:
    numerator = _settled(S) @ _settled(y).T
    return rule(_settled(L).T, numerator, _settled(gram), inner).T


def _settled(a: Array) -> Array:
    """An array as it was made: one that came from another worker may lie across its own alignment in memory.

    NumPy multiplies such an array another way, and the last digits would depend on which worker did what.
    """
    return np.require(a, requirements="A")


def totals(Y: da.Array, L: da.Array, base: Delayed | None, *, name: str) -> da.Array:
    """The sums LᵀY and LᵀL over all strips, about a base (see `dnmf.state`): an array of one `Sums`."""
    ones = ((1,) * Y.numblocks[0], (1,))
    parts = da.map_blocks(_sums, Y, L, base, name=name, chunks=ones, meta=np.empty((0, 0), object))
    return da.reduction(
        parts, chunk=_same, combine=_add, aggregate=_add, axis=0, concatenate=False,
        split_every=SPLIT_EVERY, dtype=object, meta=np.empty((0,), object), name=f"{name}-tree",
    )  # fmt: skip


def _sums(y: Array, L: Array, base: Array | None) -> Sums:
    return strip_sums(_settled(y), _settled(L).T, None if base is None else _settled(base))


def _same(part: Sums, axis: object, keepdims: object) -> Sums:
    return part


def _add(parts: Any, axis: object, keepdims: object) -> Sums:
    return add([parts] if isinstance(parts, Sums) else list(flatten(parts, container=list)))


def drawn(plan: Plan, rank: int, draw: Callable[[int, int], Array], *, name: str, dtype: np.dtype[Any]) -> da.Array:
    """A first long factor: `draw(first_row, rows)` makes (k, rows) of it, in the strip's own task."""
    block = partial(_drawn, draw=draw, height=plan.height, length=plan.length)
    return da.map_blocks(block, name=name, chunks=(plan.heights, (rank,)), meta=_meta(dtype))


def _drawn(draw: Callable[[int, int], Array], height: int, length: int, block_id: tuple[int, int] = (0, 0)) -> Array:
    first = block_id[0] * height
    return draw(first, min(height, length - first)).T


def written(L: da.Array, target: Any, axis: int, *, name: str) -> da.Array:
    """L unchanged, each block also written to its chunk of a stored factor (transposed where strips are columns)."""
    return da.map_blocks(partial(_write, target=target, axis=axis), L, name=name, chunks=L.chunks, meta=_meta(L.dtype))


def saved(L: da.Array, target: Any, axis: int, *, name: str) -> da.Array:
    """Write each block of L to its chunk of a stored factor and keep none of it: a True for each."""
    ones = ((1,) * L.numblocks[0], (1,))
    return da.map_blocks(partial(_save, target=target, axis=axis), L, name=name, chunks=ones, meta=_meta(bool))


def _save(L: Array, target: Any, axis: int, block_id: tuple[int, int] = (0, 0)) -> NDArray[np.bool_]:
    _write(L, target, axis, block_id)
    return np.ones((1, 1), bool)


def _write(L: Array, target: Any, axis: int, block_id: tuple[int, int] = (0, 0)) -> Array:
    height = target.chunks[axis]
    rows = slice(block_id[0] * height, block_id[0] * height + len(L))
    if axis == 0:
        target[rows, :] = np.ascontiguousarray(L)
    else:
        target[:, rows] = np.ascontiguousarray(L.T)
    return L


def stored(source: Any, axis: int, *, name: str) -> da.Array:
    """A stored long factor as an (M × k) Dask array of one block per chunk, blocks component-major."""
    length, rank = source.shape[axis], source.shape[1 - axis]
    height = source.chunks[axis]
    heights = tuple(min(height, length - start) for start in range(0, length, height))
    return da.map_blocks(
        partial(_read, source=source, axis=axis), name=name, chunks=(heights, (rank,)), meta=_meta(source.dtype)
    )


def _read(source: Any, axis: int, block_id: tuple[int, int] = (0, 0)) -> Array:
    height = source.chunks[axis]
    rows = slice(block_id[0] * height, (block_id[0] + 1) * height)
    block = whole(source[rows, :] if axis == 0 else source[:, rows], source)
    return np.asfortranarray(block if axis == 0 else block.T)


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


# Where it is computed


class Engine(Protocol):
    """A place where Dask arrays are computed."""

    def place(self, array: Array, *, name: str) -> Delayed:
        """A small array that every strip needs, as a value of its own."""
        ...

    def start(self, arrays: Sequence[da.Array], tick: Tick) -> list[da.Array]:
        """Persist arrays as one graph; `tick` is told how many blocks of the first array are done."""
        ...

    def finish(self, arrays: Sequence[da.Array], tick: Tick) -> Any:
        """Wait for arrays that were started; the block of the last one. Errors of tasks are raised here or before."""
        ...


@dataclass(frozen=True, slots=True)
class Threads:
    """Dask's threads in this process."""

    threads: int

    def place(self, array: Array, *, name: str) -> Delayed:
        """The array, wrapped."""
        return dask.delayed(array, name=name, traverse=False)

    def start(self, arrays: Sequence[da.Array], tick: Tick) -> list[da.Array]:
        """Persist: here that is all the work."""
        name, done = arrays[0].name, 0

        def count(key: Any, *_: object) -> None:
            nonlocal done
            if isinstance(key, tuple) and key[0] == name:
                done += 1
                tick(done)

        with Callback(posttask=count):
            return list(dask.persist(*arrays, scheduler="threads", num_workers=self.threads))

    def finish(self, arrays: Sequence[da.Array], tick: Tick) -> Any:
        """The block of the last array."""
        return arrays[-1].compute(scheduler="threads")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Dask cluster, through its client."""

    client: Client

    def place(self, array: Array, *, name: str) -> Delayed:
        """Send the array ahead of the pass, whose loads it must precede.

        As one more task among them it may be queued behind every load of a strip, and workers would then hold all of X.
        The scheduler keeps it, so that it outlives the worker that was given it.
        """
        return self.client.persist(dask.delayed(array, name=name, traverse=False))

    def start(self, arrays: Sequence[da.Array], tick: Tick) -> list[da.Array]:
        """Persist: returns at once."""
        return list(self.client.persist(list(arrays)))

    def finish(self, arrays: Sequence[da.Array], tick: Tick) -> Any:
        """Wait for all arrays, then fetch the block of the last one; where that fails, give up the rest."""
        try:
            if len(arrays) > 1:
                for done, future in enumerate(as_completed(futures_of(arrays[0])), start=1):
                    if future.status == "error":
                        break
                    tick(done)
            (total,) = futures_of(arrays[-1])
            return total.result()
        except KilledWorker as error:
            raise RuntimeError(
                f"workers died while they computed {error.task}, most likely for want of memory: give them more, or "
                f"plan for less with --memory-limit (memory_limit=)"
            ) from error
        finally:
            if not all(future.done() for future in futures_of(list(arrays))):
                for future in futures_of(list(arrays)):
                    future.release()
