"""First factors. Random numbers are drawn by row index, so they do not depend on how X is cut. Pure NumPy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf.rules import Rule


def random_rows(seed: int, stream: int, first: int, rows: int, rank: int, dtype: np.dtype[Any]) -> NDArray[np.floating]:
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
    bits = np.random.PCG64(np.random.SeedSequence([seed, stream]))
    bits.advance(first * rank)
    drawn = np.random.Generator(bits).random((rows, rank))
    return np.ascontiguousarray(drawn.T, dtype=dtype)


def scaled(rule: Rule) -> Rule:
    """A rule that first gives a random factor the right scale, row by row."""

    def scale_and_update(
        F: NDArray[np.floating], N: NDArray[np.floating], G: NDArray[np.floating], inner: int
    ) -> NDArray[np.floating]:
        return rule(scale_rows(F, N, G), N, G, inner)

    return scale_and_update


def scale_rows(F: NDArray[np.floating], N: NDArray[np.floating], G: NDArray[np.floating]) -> NDArray[np.floating]:
    """Multiply each row of a first factor by the number with which it fits its row of X best.

    The least-squares scale of row i is ⟨F_i, N_i⟩ / ⟨F_i, G F_i⟩: the right scale for X of any unit, from the products
    that the first pass makes anyway, where a scale from the mean of X would cost a read of its own.

    Parameters
    ----------
    F : (k, r) factor, component-major, non-negative. Not changed.
    N : (k, r) numerator.
    G : (k, k) Gram matrix of the other factor.

    Returns
    -------
    (k, r) array of F's dtype; a row of zeros where X's row has nothing in common with the components.
    """
    fit = np.einsum("kr,kr->r", F, N)
    size = np.einsum("kr,kr->r", F, G @ F)
    scale = np.divide(fit, size, out=np.zeros_like(fit), where=size > 0)
    return np.asarray(F * scale, F.dtype)
