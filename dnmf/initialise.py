"""First factors: random ones, a long factor from a short one, and a short one from the singular vectors of a sample.

Random numbers are drawn by row index, so they do not depend on how X is cut. Pure NumPy.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf.rules import NO_PENALTY, Penalty, Rule
from dnmf.sketch import Sketch

# Relative ridge of the least-squares start: components of a good fit may be nearly parallel.
RIDGE = 1e-6

# Where the multiplicative rule starts from least squares, this share of a plain start is the least: it keeps zeros.
LEAST_SHARE = 0.01


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


def random_order(seed: int, iteration: int, rank: int) -> tuple[int, ...]:
    """The components 0 … k − 1 in an order that a seed and an iteration give.

    Examples
    --------
    >>> sorted(random_order(0, 3, 4))
    [0, 1, 2, 3]
    """
    return tuple(np.random.default_rng([seed, 4, iteration]).permutation(rank).tolist())


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


def from_scratch(rule: Rule, *, keeps_zeros: bool, penalty: Penalty = NO_PENALTY) -> Rule:
    """A rule that makes its own first factor: the least-squares solution, cut off at zero.

    On matrices with nearly parallel components, three to ten times fewer sweeps then bring the rule as far as from N
    divided by the diagonal of G. Every row depends on its row of X and on G alone.

    Parameters
    ----------
    rule : what improves the factor.
    keeps_zeros : whether the rule cannot leave zero; then no entry starts there.
    penalty : l1 and l2, on the factor.
    """

    def solve(_: object, N: NDArray[np.floating], G: NDArray[np.floating], inner: int) -> NDArray[np.floating]:
        G8 = G.astype("f8")
        ridge = (RIDGE * float(np.linalg.norm(G8)) + penalty.l2) * np.eye(len(G))
        pull = N - np.asarray(penalty.l1, N.dtype) if penalty else N
        solution = np.linalg.pinv(G8 + ridge, hermitian=True).astype(N.dtype) @ pull
        least = LEAST_SHARE * scale_rows(np.ones_like(N), N, G) if keeps_zeros else 0
        return rule(np.maximum(solution, least, out=solution), N, G, inner)

    return solve


def nndsvd(A: Sketch, rank: int) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Factors (k, s) and (k, N) from the leading singular vectors: of each pair the larger of its two signs' parts.

    Components beyond the number of singular vectors are zero.

    References
    ----------
    C. Boutsidis and E. Gallopoulos, Pattern Recognition 41, 2008, doi:10.1016/j.patcog.2007.09.010.
    """
    left, values, right = np.linalg.svd(A.B, full_matrices=False)
    if A.Q is not None:
        left = A.Q.T @ left
    W, H = np.zeros((rank, left.shape[0]), A.B.dtype), np.zeros((rank, right.shape[1]), A.B.dtype)
    for j in range(min(rank, len(values))):
        positive, negative = ((np.maximum(sign * left[:, j], 0), np.maximum(sign * right[j], 0)) for sign in (1, -1))
        w, h = max(positive, negative, key=_size)
        if (size := _size((w, h))) > 0:
            scale = np.sqrt(values[j] / size)
            W[j], H[j] = w * scale * np.linalg.norm(h), h * scale * np.linalg.norm(w)
    return W, H


def _size(pair: tuple[NDArray[np.floating], NDArray[np.floating]]) -> float:
    return float(np.linalg.norm(pair[0]) * np.linalg.norm(pair[1]))
