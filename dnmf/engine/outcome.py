"""dnmf.engine.outcome."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dnmf.arrays.checksum import Checksums
from dnmf.plan.strips import Plan

NONE = np.empty(0, "u8")


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of some strips, and the checksum of each of them, in their order; none where they were not read for it.

    Attributes
    ----------
    value : sums, or a sample.
    checksums : (strips,) or (0,).
    """

    value: Any
    checksums: Checksums


def joined(parts: Sequence[Seen], add: Callable[[Sequence[Any]], Any]) -> Seen:
    """What came of several parts, given in the order of their strips; `add` adds the values up."""
    return Seen(add([part.value for part in parts]), np.concatenate([part.checksums for part in parts]))


def check_same(before: Checksums | None, now: Checksums, plan: Plan) -> Checksums | None:
    """What strips were when they were first read, after one more pass over them, which may have read none.

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
