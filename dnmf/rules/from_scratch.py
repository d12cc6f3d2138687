"""First factors: random ones, a long factor from a short one, and a short one from the singular vectors of a sample.

Random numbers are drawn by row index, so they do not depend on how X is cut. Pure NumPy.
"""

import numpy as np
from numpy.typing import NDArray

from dnmf.rules import NO_PENALTY, Penalty, Rule

# Relative ridge of the least-squares start: components of a good fit may be nearly parallel.
RIDGE = 1e-6


# Where the multiplicative rule starts from least squares, this share of a plain start is the least: it keeps zeros.
LEAST_SHARE = 0.01


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
