"""The factorization of a part of a sample in memory, from several starts."""

from collections.abc import Iterator

import numpy as np

from dnmf.arrays.rows import Array
from dnmf.arrays.sample import StandIn
from dnmf.arrays.sketch import Sketch, nndsvd
from dnmf.losses.extrapolation import Fit
from dnmf.losses.least_squares.in_memory import affordable, alternate, random_start
from dnmf.losses.protocol import AnyLoss

# Iterations of every start, of the best one at most, and its tolerance over ten of them. With 1e-5 no pick of 33 was
# another one.
SHORT, LONG, TOL = 20, 200, 1e-4


def factorize_part(
    part: StandIn, loss: AnyLoss, *, rank: int, starts: int, seed: int, stream: int
) -> tuple[Array, float]:
    """The short factor (k, N) of some rows, and its loss relative to their norm.

    Parameters
    ----------
    part : the rows (s, N).
    loss : that is minimized.
    rank : components k.
    starts : one from singular vectors (NNDSVDa), the others random.
    seed, stream : of the random ones: parts that are compared must have streams of their own.
    """
    A = part.sketch
    most = affordable(A, rank, SHORT, shares=starts)
    fits = [alternate(A, W, H, iterations=most, tol=0) for W, H in _starts(A, rank, starts, seed, stream)]
    best: Fit = min(fits, key=lambda fit: fit.objective)
    return loss.surrogate(part).factorize(best, iterations=LONG, tol=TOL)


def _starts(A: Sketch, rank: int, count: int, seed: int, stream: int) -> Iterator[tuple[Array, Array]]:
    mean = np.sqrt(A.square / (A.rows * A.B.shape[1])) / 10
    W, H = (np.where(F > 0, F, mean).astype(F.dtype) for F in nndsvd(A, rank))
    yield W, H
    for each in range(count - 1):
        yield random_start(A, rank, seed=seed, stream=stream + each)
