"""A matrix in memory by its leading directions, so that the products of a factorization cost little. Pure NumPy."""

from dataclasses import dataclass

import numpy as np

from dnmf.arrays.products import left, right, row_powers
from dnmf.arrays.rows import Array, Rows, is_sparse

# Directions beyond twice the rank: on speech with 24 components, 4k + 20 instead of 2k + 10 gained nothing. Subspace
# iterations of the range finder.
EXTRA, POWERS = 10, 2


@dataclass(frozen=True, slots=True)
class Sketch:
    """A ≈ Qᵀ B, or A itself.

    Attributes
    ----------
    Q : (r, s) orthonormal rows; None where B is A.
    B : (r, N); where it is A itself it may be sparse.
    square : ‖A‖².
    """

    Q: Array | None
    B: Rows
    square: float

    @property
    def rows(self) -> int:
        """Rows s of A."""
        return int(self.B.shape[0] if self.Q is None else self.Q.shape[1])

    def left(self, W: Array) -> Array:
        """W A (k, N) of a component-major W (k, s)."""
        return left(W, self.B) if self.Q is None else (W @ self.Q.T) @ self.B

    def right(self, H: Array) -> Array:
        """H Aᵀ (k, s) of an H (k, N)."""
        return right(H, self.B) if self.Q is None else (H @ self.B.T) @ self.Q


def as_it_is(A: Rows) -> Sketch:
    """A itself (s, N), dense or sparse, nothing left out."""
    return Sketch(None, A, float(row_powers(A, 2).sum()))


def sketch(A: Rows, rank: int, *, seed: int) -> Sketch:
    """The part of A along its 2 · rank + 10 leading directions; A itself where it has no more.

    Parameters
    ----------
    A : (s, N), dense or sparse.
    rank : components k of the factorization.
    seed : of the random directions that the search begins with.

    References
    ----------
    N. Halko, P.-G. Martinsson and J. A. Tropp, SIAM Review 53, 2011, doi:10.1137/090771806, algorithm 4.4.
    """
    directions = 2 * rank + EXTRA
    if directions >= min(A.shape):
        # It has few rows or columns then: dense, its products are faster.
        return as_it_is(A.toarray() if is_sparse(A) else A)
    span = A @ np.random.default_rng([seed, 3]).standard_normal((A.shape[1], directions)).astype(A.dtype)
    for _ in range(POWERS):
        span = A @ _orthonormal(A.T @ _orthonormal(span))
    Q = np.ascontiguousarray(_orthonormal(span).T)
    return Sketch(Q, left(Q, A), as_it_is(A).square)


def _orthonormal(columns: Array) -> Array:
    return np.linalg.qr(columns)[0]


def nndsvd(A: Sketch, rank: int) -> tuple[Array, Array]:
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


def _size(pair: tuple[Array, Array]) -> float:
    return float(np.linalg.norm(pair[0]) * np.linalg.norm(pair[1]))
