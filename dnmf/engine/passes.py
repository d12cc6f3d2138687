"""A read as Dask array expressions.

    folded = fold(Y, S, L)        strip by strip, and in it piece by piece:
                                      L = rows(y, S, L)         least squares: rule(L, y Sᵀ, S Sᵀ)
                                      sums += part(y, S, L)     least squares: Lᵀy and LᵀL
    L = folded.L                  stays where it is
    total = Σ folded.sums         added up in a tree

S (k × N), the short factor, goes to every strip as one value. A fold reads its strip itself, a piece at a time. It has
two consumers, the block of L and the sums. They are persisted together, in one graph that Dask optimizes once:
optimizing a second time would fuse the fold into each of them, and read X twice. Names are new each time: Dask takes
arrays of one name for one array.
"""

from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from uuid import uuid4

import dask.array as da
import numpy as np
from dask.core import flatten
from dask.delayed import Delayed
from numpy.typing import DTypeLike, NDArray

from dnmf.arrays.rows import Array
from dnmf.engine import blocks
from dnmf.engine.blocks import Draw, Folded, Place, Places
from dnmf.engine.read import Add, Outcome, Read, Total, joined
from dnmf.plan.strips import Plan
from dnmf.run.arrays import StoredArray


def named(what: str) -> str:
    """A name that no other array has."""
    return f"{what}-{uuid4().hex}"


def empty(dtype: DTypeLike) -> NDArray[np.generic]:
    """What Dask takes for the type of an array's blocks."""
    return np.empty((0, 0), dtype)


def places(heights: Sequence[int]) -> da.Array:
    """Where every strip is: a value of its own for tasks that must know it, made in the same task."""
    source, chunks = Places(sum(heights)), (tuple(heights), (1,))
    # A new name each time: two consumers would share the task, and neither be one with it.
    return da.from_array(source, chunks=chunks, name=False, asarray=False, inline_array=True, meta=empty("i8"))


def folded(Y: da.Array, L: da.Array | None, shared: Delayed | None, what: Read, *, reads: bool) -> da.Array:
    """A `Folded` for every strip; `reads` says whether Y is read for it, and so has checksums."""
    block, ones = partial(blocks.fold, what=what.of_a_strip, reads=reads), ((1,) * Y.numblocks[0], (1,))
    return da.map_blocks(block, Y, shared, L, name=named("fold"), chunks=ones, meta=empty(object))


def moved_rows(strips: da.Array, Y: da.Array, rank: int) -> da.Array:
    """The long factor after a read, strip by strip."""
    return da.map_blocks(_block, strips, name=named("L"), chunks=(Y.chunks[0], (rank,)), meta=empty(Y.dtype))


def _block(strip: Folded) -> Array:
    assert strip.L is not None
    return strip.L


def outcomes(strips: da.Array) -> da.Array:
    """The `Outcome` of every strip."""
    return da.map_blocks(
        attrgetter("outcome"), strips, name=named("outcomes"), chunks=strips.chunks, meta=empty(object)
    )


def tree(outcomes: da.Array, total: Total) -> da.Array:
    """What came of all strips, added up in a tree, in order: an array of one `Outcome`."""
    added = partial(_added, add=total.add)
    return da.reduction(
        outcomes, chunk=_same, combine=added, aggregate=added, axis=0, concatenate=False,
        split_every=total.width, dtype=object, meta=np.empty((0,), object), name=named("total"),
    )  # fmt: skip


def _same(part: Outcome, axis: object, keepdims: object) -> Outcome:
    return part


def _added(parts: Outcome | list[object], axis: object, keepdims: object, add: Add) -> Outcome:
    return joined(list(flatten(parts, container=list)) if isinstance(parts, list) else [parts], add)


def flags(strips: da.Array) -> da.Array:
    """A True for each strip of which there is something."""
    ones = ((1,) * strips.numblocks[0], (1,))
    return da.map_blocks(_flag, strips, name=named("flags"), chunks=ones, meta=empty(bool))


def _flag(block: object) -> NDArray[np.bool_]:
    return np.ones((1, 1), bool)


def drawn(plan: Plan, draw: Draw) -> da.Array:
    """A first long factor, each block drawn in the strip's own task."""
    block, chunks = partial(blocks.draw_rows, draw=draw), (plan.heights, (draw.rank,))
    return da.map_blocks(block, places(plan.heights), name=named("L"), chunks=chunks, meta=empty(draw.dtype))


def saved(L: da.Array, target: StoredArray, axis: int) -> da.Array:
    """A True for each block of L that is written: none of them stays in memory."""
    block, ones = partial(_save, target=target, axis=axis), ((1,) * L.numblocks[0], (1,))
    return da.map_blocks(block, L, places(L.chunks[0]), name=named("saved"), chunks=ones, meta=empty(bool))


def _save(L: Array, place: Place, target: StoredArray, axis: int) -> NDArray[np.bool_]:
    blocks.write(L, place, target, axis)
    return _flag(L)


def stored(source: StoredArray, plan: Plan) -> da.Array:
    """A stored long factor as an (M × k) Dask array of one block per strip, blocks component-major."""
    rank, block = source.shape[1 - plan.axis], partial(blocks.read, source=source, axis=plan.axis)
    chunks = (plan.heights, (rank,))
    return da.map_blocks(block, places(plan.heights), name=named("L"), chunks=chunks, meta=empty(source.dtype))
