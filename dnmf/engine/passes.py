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
from dask.core import flatten
from dask.delayed import Delayed
from numpy.typing import NDArray

from dnmf.arrays.rows import Array
from dnmf.arrays.sample import merge
from dnmf.engine import blocks
from dnmf.engine.blocks import Draw, Update, drawn_rows, read, sums, write
from dnmf.engine.outcome import Seen, joined
from dnmf.engine.source import _meta, places
from dnmf.losses.protocol import AnyLoss, add
from dnmf.plan.memory import SAMPLE_SPLIT, SPLIT_EVERY
from dnmf.plan.strips import Plan


def update(Y: da.Array, L: da.Array, shared: Delayed, *, rank: int, update: Update, sweeps: int, name: str) -> da.Array:
    """The long factor, strip by strip."""
    chunks, block = (Y.chunks[0], (rank,)), partial(blocks.update, update=update, sweeps=sweeps)
    return da.map_blocks(block, Y, L, shared, name=name, chunks=chunks, meta=_meta(Y.dtype))


def solve(Y: da.Array, shared: Delayed, *, rank: int, loss: AnyLoss, sweeps: int, name: str) -> da.Array:
    """A first long factor, strip by strip, from the short one."""
    chunks, block = (Y.chunks[0], (rank,)), partial(blocks.solve, solve=loss.solve, sweeps=sweeps)
    return da.map_blocks(block, Y, shared, name=name, chunks=chunks, meta=_meta(Y.dtype))


def totals(Y: da.Array, L: da.Array, shared: Delayed, loss: AnyLoss, *, name: str, reads: bool = True) -> da.Array:
    """The sums of all strips and, where the pass reads Y, their checksums: an array of one `Seen`."""
    parts = _parts(partial(sums, sums=loss.sums, reads=reads), Y, L, shared, name=name)
    return _tree(parts, add, SPLIT_EVERY, name)


def sampled(Y: da.Array, plan: Plan, *, seed: int, beta: float, name: str) -> tuple[da.Array, da.Array]:
    """A True for each strip that was seen, and the sample of all (see `dnmf.arrays.sample`): an array of one `Seen`."""
    size = plan.sample
    parts = _parts(partial(drawn_rows, seed=seed, size=size, beta=beta), Y, places(plan.heights), name=name)
    seen = da.map_blocks(_seen, parts, name=f"{name}-seen", chunks=parts.chunks, meta=_meta(bool))
    return seen, _tree(parts, partial(merge, size=size), SAMPLE_SPLIT, name)


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


def drawn(plan: Plan, rank: int, draw: Draw, *, name: str, dtype: np.dtype[Any]) -> da.Array:
    """A first long factor: `draw(first_row, rows)` makes (k, rows) of it, in the strip's own task."""
    block = partial(blocks.drawn, draw=draw)
    return da.map_blocks(block, places(plan.heights), name=name, chunks=(plan.heights, (rank,)), meta=_meta(dtype))


def written(L: da.Array, target: Any, plan: Plan, *, name: str) -> da.Array:
    """L unchanged, each block also written to its chunks of a stored factor (transposed where strips are columns)."""
    block = partial(write, target=target, axis=plan.axis)
    return da.map_blocks(block, L, places(plan.heights), name=name, chunks=L.chunks, meta=_meta(L.dtype))


def saved(L: da.Array, target: Any, plan: Plan, *, name: str) -> da.Array:
    """Write each block of L to its chunks of a stored factor and keep none of it: a True for each."""
    ones, save = ((1,) * L.numblocks[0], (1,)), partial(_save, target=target, axis=plan.axis)
    return da.map_blocks(save, L, places(plan.heights), name=name, chunks=ones, meta=_meta(bool))


def _save(L: Array, place: NDArray[np.int64], target: Any, axis: int) -> NDArray[np.bool_]:
    write(L, place, target, axis)
    return np.ones((1, 1), bool)


def stored(source: Any, plan: Plan, *, name: str) -> da.Array:
    """A stored long factor as an (M × k) Dask array of one block per strip, blocks component-major."""
    rank, block = source.shape[1 - plan.axis], partial(read, source=source, axis=plan.axis)
    chunks = (plan.heights, (rank,))
    return da.map_blocks(block, places(plan.heights), name=name, chunks=chunks, meta=_meta(source.dtype))
