"""What a pass does to one block: pure functions of NumPy arrays, and the reading and writing of stored factors.

Blocks of the long factor are transposed component-major arrays, (h × k): rules see (k × h), contiguous.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf import sample, state
from dnmf.rules import Rule
from dnmf.runs import whole
from dnmf.state import settled

Array = NDArray[np.floating]
Draw = Callable[[int, int], Array]
Where = tuple[int, int]


def update(y: Array, L: Array | None, S: Array, gram: Array, rule: Rule, inner: int) -> Array:
    """rule(L, y Sᵀ, S Sᵀ); None for L where the rule makes its own."""
    numerator = settled(S) @ settled(y).T
    return rule(None if L is None else settled(L).T, numerator, settled(gram), inner).T  # type: ignore[arg-type]


def sums(y: Array, L: Array, base: Array | None) -> state.Sums:
    """The sums of one strip, see `dnmf.state`."""
    return state.strip_sums(settled(y), settled(L).T, None if base is None else settled(base))


def drawn_rows(y: Array, height: int, seed: int, size: int, block_id: Where = (0, 0)) -> sample.Sample:
    """The sample of one strip, see `dnmf.sample`."""
    return sample.draw(settled(y), block_id[0] * height, seed=seed, size=size)


def drawn(draw: Draw, height: int, length: int, block_id: Where = (0, 0)) -> Array:
    """A block of a first long factor, from `draw(first_row, rows)`."""
    first = block_id[0] * height
    return draw(first, min(height, length - first)).T


def write(L: Array, target: Any, axis: int, block_id: Where = (0, 0)) -> Array:
    """L unchanged, also written to its chunk of a stored factor."""
    height = target.chunks[axis]
    rows = slice(block_id[0] * height, block_id[0] * height + len(L))
    if axis == 0:
        target[rows, :] = np.ascontiguousarray(L)
    else:
        target[:, rows] = np.ascontiguousarray(L.T)
    return L


def read(source: Any, axis: int, block_id: Where = (0, 0)) -> Array:
    """A block of a stored factor."""
    height = source.chunks[axis]
    rows = slice(block_id[0] * height, (block_id[0] + 1) * height)
    block = whole(source[rows, :] if axis == 0 else source[:, rows], source)
    return np.asfortranarray(block if axis == 0 else block.T)
