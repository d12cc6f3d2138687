"""What a mini-batch does to the components: pure functions of one batch of rows.

By multiplicative updates. The components remember earlier batches by the numerators and denominators of their updates,
which fade with every batch. Rows y (h × n) are dense or CSR; L (k × h) is W of the batch, component-major; H (k × n).

A. Lefèvre, F. Bach and C. Févotte, Online algorithms for NMF with the Itakura-Saito divergence, WASPAA 2011,
doi:10.1109/ASPAA.2011.6082314; scikit-learn's MiniBatchNMF, whose iterates these are.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.rows import Array, Rows
from dnmf.losses.divergence.rows import move_rows
from dnmf.losses.divergence.sums import strip_sums
from dnmf.rules import Penalty
from dnmf.rules.beta_multiplicative import exponent

# What scikit-learn divides by instead of 0, and the least entry of a factor where the loss may push entries to 0.
LEAST_DENOMINATOR = float(np.finfo("f4").eps)
LEAST_ENTRY = float(np.finfo("f8").eps)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is minimized, by scikit-learn's parameters; `alphas` are alpha_W and alpha_H, `tol` ends solving a batch."""

    beta: float
    alphas: tuple[float, float]
    l1_ratio: float
    tol: float

    def penalties(self, shape: tuple[int, int]) -> tuple[Penalty, Penalty]:
        """Of W and of H for a batch (h, n): scaled by the length of the other one."""
        h, n = shape
        weights = (n * self.alphas[0], h * self.alphas[1])
        of_W, of_H = (Penalty(w * self.l1_ratio, w * (1 - self.l1_ratio)) for w in weights)
        return of_W, of_H


@dataclass(frozen=True, slots=True)
class Components:
    """H (k × n), and the numerators and denominators (k × n, float64) of the updates that led to it."""

    H: Array
    numerator: NDArray[np.float64]
    denominator: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Watch:
    """How the cost goes: its moving average, the least that was, and for how many steps it has not become less."""

    average: float | None = None
    least: float = math.inf
    stale: int = 0

    def after(self, cost: float, share: float) -> "Watch":
        """One more step's cost, which makes up `share` of the average."""
        average = cost if self.average is None else (1 - share) * self.average + share * cost
        return Watch(average, min(average, self.least), 0 if average < self.least else self.stale + 1)


def begin(H: Array) -> Components:
    """First components, which count as one update that led to them."""
    return Components(H, H.astype("f8"), np.ones(H.shape))


def solve(y: Rows, H: Array, problem: Problem, max_iter: int) -> Array:
    """L for a batch, from equal entries, until it moves by less than `tol` of itself."""
    k = len(H)
    penalty, _ = problem.penalties(y.shape)
    L = np.full((k, y.shape[0]), np.sqrt(y.mean() / k), H.dtype)
    for _ in range(max_iter):
        before, L = L, move_rows(y, L, H, 1, beta=problem.beta, penalty=penalty)
        if problem.tol > 0 and np.linalg.norm(L - before) <= problem.tol * np.linalg.norm(L):
            break
    return L


def move(y: Rows, L: Array, H: Array, problem: Problem) -> Array:
    """One update of L for a batch."""
    return move_rows(y, L, H, 1, beta=problem.beta, penalty=problem.penalties(y.shape)[0])


def step(y: Rows, L: Array, components: Components, problem: Problem, kept: float) -> tuple[Array, Components, float]:
    """Update the components after a batch was solved.

    Parameters
    ----------
    y : (h, n) rows.
    L : (k, h), updated for these rows. Changed where the loss may push entries to 0: what is tiny becomes 0.
    components : before. Not changed.
    problem : what is minimized.
    kept : share of the earlier numerators and denominators that is kept.

    Returns
    -------
    L, the components, and the cost per row before the components moved, with the penalties as scikit-learn adds them.
    """
    beta, H = problem.beta, components.H
    of_W, of_H = problem.penalties(y.shape)
    if beta < 1:
        L[L < LEAST_ENTRY] = 0
    sums = strip_sums(y, L, H, beta=beta)
    H8 = H.astype("f8")
    total, square = sums.mass.sum(), sums.squares.sum()
    penalties = of_W.l1 * total + of_H.l1 * H8.sum() + of_W.l2 * square + of_H.l2 * np.vdot(H8, H8)
    below = sums.denominator.copy()
    if beta == 1:
        below[below == 0] = 1
    below = below + of_H.gradient(H8)
    below[below == 0] = LEAST_DENOMINATOR
    power = exponent(beta)
    numerator = kept * components.numerator + sums.numerator * H8 ** (1 / power)
    denominator = kept * components.denominator + below
    updated = (numerator / denominator) ** power
    if beta <= 1:
        updated[updated < LEAST_ENTRY] = 0
    cost = (sums.loss / 2 + float(penalties)) / y.shape[0]
    return L, Components(updated.astype(H.dtype), numerator, denominator), cost
