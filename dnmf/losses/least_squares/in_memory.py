"""Non-negative matrix factorization of a matrix in memory: coordinate descent with extrapolation. Pure NumPy."""

import numpy as np

from dnmf.arrays.rows import Array, dense_size, settled
from dnmf.arrays.sketch import Sketch
from dnmf.losses.extrapolation import STRETCH, Fit, Pace
from dnmf.losses.least_squares.sums import gram8
from dnmf.rules import NO_PENALTY, Penalty, coordinate_descent

# Sweeps per half-step. With 1 instead of 3 no loss of nine matrices ended lower, and most ended higher.
SWEEPS = 3


# Multiplications and additions that one factorization may take, so that it stays below the time of two passes over 2 GB
# on one core. It is counted, not timed: a result must not depend on the machine. A sweep's work counts several times,
# because it runs so much slower than a matrix product.
WORK, SWEEP_COST = 3e11, 8


UNPENALIZED = (NO_PENALTY, NO_PENALTY)


def affordable(A: Sketch, rank: int, iterations: int, *, shares: int = 1) -> int:
    """How many of so many iterations fit in one of several equal shares of the work: ten at least."""
    rows, columns = A.rows, A.B.shape[1]
    products = 4 * rank * (dense_size(A.B) + (0 if A.Q is None else A.Q.size))
    sweeps = SWEEP_COST * SWEEPS * 2 * rank * rank * (rows + columns)
    return max(STRETCH, min(iterations, int(WORK / shares / (products + sweeps))))


def alternate(
    A: Sketch, W: Array, H: Array, *, iterations: int, tol: float, penalties: tuple[Penalty, Penalty] = UNPENALIZED
) -> Fit:
    """Move W, then H, until the objective decreases by less than `tol` of itself over ten iterations.

    Parameters
    ----------
    A : (s, N), non-negative, as a sketch.
    W, H : first factors, (k, s) and (k, N). Not changed.
    iterations : at most.
    tol : relative decrease of the objective; 0 goes on as long as it decreases.
    penalties : on W and on H.

    References
    ----------
    A. M. S. Ang and N. Gillis, Neural Computation 31, 2019, doi:10.1162/neco_a_01157, algorithm 3. This differs in:

    1. Both factors are cut off at zero after they were extrapolated, so that what is kept is a factorization.
    2. The loss that decides on a restart is that of the extrapolated W and of H before its extrapolation: it is known
       from the products that the next half-step needs anyway.
    """
    A = Sketch(None if A.Q is None else settled(A.Q), settled(A.B), A.square)
    W_next, H_next = settled(W), settled(H)
    kept = Fit(W_next, H_next, np.inf, np.inf)
    on_W, on_H = penalties
    pace, before = Pace(), np.inf
    for iteration in range(1, iterations + 1):
        moved = coordinate_descent(W_next, A.right(H_next), H_next @ H_next.T, SWEEPS, penalty=on_W)
        W_next = np.maximum(moved + pace.step * (moved - kept.W), 0).astype(W.dtype, copy=False)
        cross, gram = A.left(W_next).astype("f8"), gram8(W_next)
        moved = coordinate_descent(H_next.astype("f8"), cross, gram, SWEEPS, penalty=on_H).astype(H.dtype)
        loss = A.square - 2 * float(np.vdot(moved, cross)) + float(np.vdot(gram, gram8(moved)))
        objective = loss + on_W.of(W_next) + on_H.of(moved) if any(penalties) else loss
        if objective > kept.objective:
            W_next, H_next, pace = kept.W, kept.H, pace.cut()
        else:
            H_next = np.maximum(moved + pace.step * (moved - kept.H), 0).astype(H.dtype, copy=False)
            kept, pace = Fit(W_next, moved, max(loss, 0.0), max(objective, 0.0)), pace.grown()
        if iteration % STRETCH == 0:
            if before - kept.objective <= tol * kept.objective:
                break
            before = kept.objective
    return kept
