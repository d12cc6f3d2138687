"""A read of X: one visit to every piece of it, as a fold. What is computed is told here; who computes it is an engine.

Y (M × N) is X as it is cut, so that strips are its rows: X itself, or Xᵀ where strips are whole columns. The long
factor L (M × k) is cut as Y is; in tasks its blocks are component-major (k × h). Everything is local to rows, so a
strip need not be in memory as a whole: it is gone through piece by piece.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
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
class Visit:
    """A piece of Y as a read comes to it, and what goes with it.

    Attributes
    ----------
    rows : (h, N) of Y.
    first : number of the first of them in Y.
    shared : what every piece needs, or None.
    L : (k, h) block of the long factor, as `Move.rows` left it where there is one; or None.
    """

    rows: Rows
    first: int
    shared: Any
    L: Any


# Adds up what strips add, given in the order of their rows.
Add = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of the rows of the long factor.

    Attributes
    ----------
    rows : of a visit: the piece's block (k, h) after the read, in the dtype of its rows.
    rank : components k.
    target : stored array that the long factor is written to, strip by strip, or None.
    """

    rows: Callable[[Visit], Array]
    rank: int
    target: StoredArray | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """What strips add, and how that is added up.

    Attributes
    ----------
    fold : of the visits to all pieces of a strip, in order, each of which it must come to: what the strip adds. It
        should keep no visit when it asks for the next one: a piece of X would be in memory as long.
    add : adds up what strips add; so many of them at a time (`width`), in a tree.
    """

    fold: Callable[[Iterator[Visit]], Any]
    add: Add
    width: int = SPLIT_EVERY


@dataclass(frozen=True, slots=True)
class Read:
    """One visit to every piece of Y.

    Attributes
    ----------
    total : what all strips add up to.
    move : what becomes of the rows of the long factor; None where they stay what they are.
    shared : what every piece needs; sent once.
    """

    total: Total
    move: Move | None = None
    shared: Value | None = None

    @property
    def of_a_strip(self) -> "Read":
        """What tasks carry of it: neither what is sent once nor where results are written."""
        return replace(self, move=self.move and replace(self.move, target=None), shared=None)


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


def check_same(before: Checksums | None, now: Checksums, plan: Plan, *, weighted: bool = False) -> Checksums | None:
    """What strips were when they were first read, after one more read of them, which may have come from memory.

    Raises
    ------
    OSError
        If a strip is not what it was.
    """
    if before is None or now.size == 0:
        return now if before is None and now.size else before
    if changed := np.flatnonzero(before != now).tolist():
        what = "X, or its array of weights," if weighted else "X"
        others = f" and {len(changed) - 1} more of {len(now)} strips" if len(changed) > 1 else ""
        raise OSError(
            f"{plan.lines(changed[0])} of X{others} are not what they were when they were first read: {what} was "
            f"written to since then, or a chunk is damaged; put it right and resume, or start again"
        )
    return before
