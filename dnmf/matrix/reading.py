"""dnmf.matrix.reading."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def part(array: Any, where: slice | tuple[slice, ...], which: str) -> NDArray[Any]:
    """A part of an array, as NumPy's; `which` names it in the error.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    try:
        return np.asarray(array[where])
    except (OSError, ValueError, RuntimeError) as error:
        raise unreadable(which, error) from error


def unreadable(which: str, why: object) -> OSError:
    """What to raise where a part of X cannot be read."""
    return OSError(f"{which} of X cannot be read ({why}): a chunk is damaged or gone; write it again")
