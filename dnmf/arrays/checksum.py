"""Checksums of strips: what a strip was when it was first read is what it has to be in every later pass.

X is read again and again, and a bit that flips in a store without checksums of its own, or another X that is written
over it, would else end up in the factors. A checksum is the sum of the strip's memory in words of 64 bits, modulo 2⁶⁴:
that of words 1024 i to 1024 i + 1023 counts 2 i + 1 times. As all of these are odd, a word that alone is another one
always shows, and so does any flipped bit; pieces of 8 KiB that changed places show too. It runs at the speed of memory.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.rows import Rows, is_sparse

Checksums = NDArray[np.uint64]


# Words that are added up before they are weighted, and bytes of a word.
PIECE, WORD = 1024, 8


def checksum(y: Rows) -> Checksums:
    """The checksum of a strip (h, N), dense or sparse, as it lies in memory: (1,).

    >>> int(checksum(np.ones((2, 3), "f4"))[0]) == 3 * 0x3F800000_3F800000
    True
    """
    if is_sparse(y):
        parts = np.concatenate([_of_memory(part) for part in (y.data, y.indices, np.diff(y.indptr))])
        return np.add.reduce(parts * np.array([1, 3, 5], "u8"), keepdims=True)
    return _of_memory(y if y.flags.c_contiguous else np.ascontiguousarray(y.T))


def _of_memory(array: NDArray[Any]) -> Checksums:
    memory = array.reshape(-1).view("u1")
    words = memory[: memory.size // WORD * WORD].view("u8")
    whole = words[: words.size // PIECE * PIECE].reshape(-1, PIECE)
    # The last words are less than a piece, the last bytes less than a word: zeros fill them up.
    rest = np.zeros(PIECE * WORD, "u1")
    rest[: memory.size - whole.nbytes] = memory[whole.nbytes :]
    sums = np.append(np.add.reduce(whole, axis=1), np.add.reduce(rest.view("u8")))
    return np.add.reduce(sums * np.arange(1, 2 * sums.size, 2, dtype="u8"), keepdims=True)
