"""A read of X: one visit to every piece of it, as a fold. What is computed is told here; who computes it is an engine.

Y (M × N) is X as it is cut, so that strips are its rows: X itself, or Xᵀ where strips are whole columns. The long
factor L (M × k) is cut as Y is; in tasks its blocks are component-major (k × h).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dnmf.arrays.checksum import Checksums
from dnmf.arrays.rows import Array, Rows, Value
from dnmf.plan.memory import SPLIT_EVERY
from dnmf.plan.strips import Plan
from dnmf.run.arrays import StoredArray

# Of strips that were not read for it.
NO_CHECKSUMS = np.empty(0, "u8")


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole rows of Y that are in memory at a time: `rows` (h, N).

    The first of them is row `first` of Y; None in a read that does not ask for it, see `Total.numbered`.
    """

    rows: Rows
    first: int | None


# Adds up what pieces, or strips, add, given in the order of their rows.
Add = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of the rows of the long factor.

    Attributes
    ----------
    rows : of a piece, and what goes with it: its block (k, h) after the read.
    rank : components k.
    target : stored array that the long factor is written to, strip by strip, or None.
    """

    rows: Callable[..., Array]
    rank: int
    target: StoredArray | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """What pieces add, and how that is added up.

    Attributes
    ----------
    part : of a piece, and what goes with it: what it adds.
    add : adds parts up; so many of them at a time (`width`), in a tree.
    numbered : whether `part` must know which rows of Y it sees.
    """

    part: Callable[..., Any]
    add: Add
    width: int = SPLIT_EVERY
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """One visit to every piece of Y.

    Functions are called with a piece; then, where something is shared, with that; then, where there is a long factor,
    with the piece's block of it (k, h). `total` sees the block as `move` left it.

    Attributes
    ----------
    total : what all pieces add up to.
    move : what becomes of the rows of the long factor; None where they stay what they are.
    shared : what every piece needs; sent once.
    """

    total: Total
    move: Move | None = None
    shared: Value | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of some strips, and the checksum of each of them, in their order; none where they were not read for it.

    Attributes
    ----------
    value : what their pieces added up to.
    checksums : (strips,) or (0,).
    """

    value: Any
    checksums: Checksums


def joined(parts: Sequence[Outcome], add: Add) -> Outcome:
    """What came of several groups of strips, given in the order of their strips."""
    return Outcome(add([part.value for part in parts]), np.concatenate([part.checksums for part in parts]))


def check_same(before: Checksums | None, now: Checksums, plan: Plan) -> Checksums | None:
    """What strips were when they were first read, after one more read of them, which may have come from memory.

    Raises
    ------
    OSError
        If a strip is not what it was.
    """
    if before is None or now.size == 0:
        return now if before is None and now.size else before
    if changed := np.flatnonzero(before != now).tolist():
        others = f" and {len(changed) - 1} more of {len(now)} strips" if len(changed) > 1 else ""
        raise OSError(
            f"{plan.lines(changed[0])} of X{others} are not what they were when they were first read: X was written to "
            f"since then, or a chunk is damaged; put it right and resume, or start again"
        )
    return before
