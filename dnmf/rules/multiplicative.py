"""Lee and Seung's multiplicative update (mu) for the Euclidean loss."""

import numpy as np
from numpy.typing import NDArray

from dnmf.rules.penalty import NO_PENALTY, Penalty


def multiplicative(
    F: NDArray[np.floating],
    N: NDArray[np.floating],
    G: NDArray[np.floating],
    sweeps: int = 1,
    *,
    penalty: Penalty = NO_PENALTY,
    known: int = 0,
) -> NDArray[np.floating]:
    """Multiply each entry of a factor by the ratio that leaves it alone exactly where the gradient is zero.

    F ← F ⊙ N / (G F + l1 + l2 F), `sweeps` times with the same N and G. The loss, with its penalties, never rises and a
    zero stays zero.

    Parameters
    ----------
    F : (k, r) factor, component-major, non-negative. Not changed.
    N : (k, r) numerator.
    G : (k, k) Gram matrix of the other factor.
    sweeps : number of updates.
    penalty : l1 and l2, on F.
    known : so many components, the first ones, stay what they are.

    Returns
    -------
    (k, r) array of F's dtype.

    Notes
    -----
    Where the denominator is 0, the published rule is 0/0: nothing of X can be explained by that component there, and
    the entry becomes 0. What overflows is replaced by the largest number, so that 0 · ∞ cannot make a NaN.

    References
    ----------
    D. D. Lee and H. S. Seung, Algorithms for non-negative matrix factorization, NIPS 13, 2000, equation 4. More than
    one update per read: N. Gillis and F. Glineur, Neural Computation 24, 2012, doi:10.1162/NECO_a_00256.

    Examples
    --------
    >>> multiplicative(np.ones((1, 2)), np.array([[2.0, 0.0]]), np.array([[1.0]]))
    array([[2., 0.]])
    """
    largest = np.finfo(F.dtype).max
    F, denominator, ratio = F.copy(order="C"), np.empty_like(F, order="C"), np.empty_like(F, order="C")
    for _ in range(sweeps):
        np.matmul(G, F, out=denominator)
        if penalty:
            denominator += penalty.gradient(F)
        ratio[...] = 0
        with np.errstate(over="ignore"):
            np.divide(N, denominator, out=ratio, where=denominator > 0)
            np.minimum(ratio, largest, out=ratio)
            F[known:] *= ratio[known:]
        np.minimum(F, largest, out=F)
    return F
