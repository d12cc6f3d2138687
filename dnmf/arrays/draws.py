"""Random numbers that belong to a row or an iteration: the same in whatever pieces they are drawn."""

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.rows import Array


def uniform_table(seed: int, stream: int, first: int, rows: int, width: int) -> NDArray[np.float64]:
    """Rows `first` … `first + rows − 1` (rows, width) of an endless table of numbers in [0, 1)."""
    bits = np.random.PCG64(np.random.SeedSequence([seed, stream]))
    bits.advance(first * width)
    return np.random.Generator(bits).random((rows, width))


def random_rows(seed: int, stream: int, first: int, rows: int, rank: int, dtype: np.dtype[np.floating]) -> Array:
    """Rows `first` … `first + rows − 1` of a random factor: uniform in [0, 1), the same in whatever pieces it is drawn.

    Parameters
    ----------
    seed : seed of the factorization.
    stream : which factor: streams of one seed are independent (0 for W, 1 for V).
    first, rows : index of the first row, number of rows.
    rank : components k.
    dtype : of the result; numbers are drawn in float64 and cast, so float32 and float64 runs start alike.

    Returns
    -------
    (k, rows) array, component-major.

    Examples
    --------
    >>> whole = random_rows(0, 0, 0, 5, 2, np.dtype("f8"))
    >>> bool(np.array_equal(whole[:, 3:], random_rows(0, 0, 3, 2, 2, np.dtype("f8"))))
    True
    """
    return np.ascontiguousarray(uniform_table(seed, stream, first, rows, rank).T, dtype=dtype)


def random_order(seed: int, iteration: int, rank: int) -> tuple[int, ...]:
    """The components 0 … k − 1 in an order that a seed and an iteration give.

    Examples
    --------
    >>> sorted(random_order(0, 3, 4))
    [0, 1, 2, 3]
    """
    return tuple(np.random.default_rng([seed, 4, iteration]).permutation(rank).tolist())
