"""Non-negative matrix factorization of a matrix in memory: coordinate descent with extrapolation. Pure NumPy."""

import numpy as np

from dnmf.arrays.draws import random_rows
from dnmf.arrays.products import gram, gram8
from dnmf.arrays.rows import Array, aligned, dense_size
from dnmf.arrays.sketch import Sketch
from dnmf.losses.extrapolation import STRETCH, Fit, extrapolate
from dnmf.rules import NO_PENALTY, Penalty, coordinate_descent
from dnmf.rules.from_scratch import from_scratch

# Sweeps per half-step. With 1 instead of 3 no loss of nine matrices ended lower, and most ended higher.
HALF_STEP_SWEEPS = 3

# Multiplications and additions that one factorization may take, so that it stays below the time of two passes over 2 GB
# on one core. It is counted, not timed: a result must not depend on the machine. A sweep's work counts several times,
# because it runs so much slower than a matrix product.
WORK, SWEEP_COST = 3e11, 8


def affordable(A: Sketch, rank: int, iterations: int, *, shares: int = 1) -> int:
    """How many of so many iterations fit in one of several equal shares of the work: ten at least."""
    rows, columns = A.rows, A.B.shape[1]
    products = 4 * rank * (dense_size(A.B) + (0 if A.Q is None else A.Q.size))
    sweeps = SWEEP_COST * HALF_STEP_SWEEPS * 2 * rank * rank * (rows + columns)
    return max(STRETCH, min(iterations, int(WORK / shares / (products + sweeps))))


def random_start(A: Sketch, rank: int, *, seed: int, stream: int, known: Array | None = None) -> tuple[Array, Array]:
    """First factors: H (k, N) of random numbers, below rows (k₀, N) that are known, and W (k, s) solved against it."""
    H = random_rows(seed, stream, 0, A.B.shape[1], rank - (0 if known is None else len(known)), A.B.dtype)
    H = H if known is None else np.vstack([known, H])
    return solved_against(A, H), H


def solved_against(A: Sketch, H: Array) -> Array:
    """The W (k, s) that goes with an H (k, N)."""
    A = Sketch(None if A.Q is None else aligned(A.Q), aligned(A.B), A.square)
    return from_scratch(coordinate_descent, keeps_zeros=False)(A.right(H), gram(H), 1)


def alternate(
    A: Sketch,
    W: Array,
    H: Array,
    *,
    iterations: int,
    tol: float,
    penalties: tuple[Penalty, Penalty] = (NO_PENALTY, NO_PENALTY),
    known: int = 0,
) -> Fit:
    """The factorization of a sketch A (s, N) from first factors W (k, s) and H (k, N): see `extrapolate`.

    `penalties` are those on W and on H; so many components of H, the first ones, are `known` and stay what they are.
    """
    A, (on_W, on_H) = Sketch(None if A.Q is None else aligned(A.Q), aligned(A.B), A.square), penalties

    def move_long(W: Array, H: Array) -> Array:
        return coordinate_descent(W, A.right(H), H @ H.T, HALF_STEP_SWEEPS, penalty=on_W)

    def move_short(W: Array, H: Array) -> Fit:
        cross, gram = A.left(W).astype("f8"), gram8(W)
        swept = coordinate_descent(H.astype("f8"), cross, gram, HALF_STEP_SWEEPS, penalty=on_H, known=known)
        moved = swept.astype(H.dtype)
        loss = A.square - 2 * float(np.vdot(moved, cross)) + float(np.vdot(gram, gram8(moved)))
        objective = loss + on_W.of(W) + on_H.of(moved) if any(penalties) else loss
        return Fit(W, moved, max(loss, 0.0), max(objective, 0.0))

    return extrapolate(aligned(W), aligned(H), move_long, move_short, least=0, iterations=iterations, tol=tol)
