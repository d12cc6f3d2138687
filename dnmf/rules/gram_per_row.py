"""Rules for factors each column of which has a Gram matrix of its own: where entries are missing, or count less.

Column r of the factor F (k × r) is the solution of a least-squares problem with the numerator N_r (k) and the Gram
matrix G_r (k × k), which are those of the entries that are there. Where all columns share one Gram matrix, (k × k), it
is multiplied as one. Penalties may be one number for all columns, or one for each. A component that has no say in a
column, because its G_jj and its l2 are 0, is 0 there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnmf.rules.from_scratch import LEAST_START
from dnmf.rules.penalty import Penalty
from dnmf.rules.solver import Solver

_Array = NDArray[np.floating]

# Relative ridge of a solution from scratch: of fewer observations than components there are many solutions.
RIDGE = 1e-6

# Bytes of Gram matrices that are solved at a time.
SOLVED_BYTES = 2**22


@dataclass(frozen=True, slots=True)
class ColumnPenalty:
    """l1 and l2 as in `Penalty`, each one number, or one for each column of the factor (r,)."""

    l1: float | _Array = 0.0
    l2: float | _Array = 0.0

    @classmethod
    def scaled(cls, penalty: Penalty, totals: _Array | None) -> "ColumnPenalty":
        """A penalty times what counts in each column (r,), as ALS-WR has it; as it is for None.

        Y. Zhou, D. Wilkinson, R. Schreiber and R. Pan, AAIM 2008, doi:10.1007/978-3-540-68880-8_32.
        """
        if totals is None or not penalty:
            return cls(penalty.l1, penalty.l2)
        return cls(penalty.l1 * totals, penalty.l2 * totals)

    def __bool__(self) -> bool:
        return bool(np.any(self.l1) or np.any(self.l2))

    def on(self, columns: Any) -> "ColumnPenalty":
        """That of some columns."""
        return ColumnPenalty(*(a[columns] if isinstance(a, np.ndarray) else a for a in (self.l1, self.l2)))

    def gradient(self, F: _Array) -> _Array:
        """Its derivative where a factor is F (k, r): l1 + l2 F."""
        return np.asarray(self.l1 + self.l2 * F, F.dtype)

    def of(self, F: _Array) -> float:
        """What it adds to a loss (not halved) for a factor (k, r)."""
        F8 = F.astype("f8")
        return 2 * float((F8 * self.l1).sum()) + float((F8 * F8 * self.l2).sum())


FREE = ColumnPenalty()


def times(G: _Array, F: _Array) -> _Array:
    """G_r F_r of every column, (k, r); G is (k, k, r), or (k, k) for all."""
    return np.asarray(G @ F if G.ndim == 2 else np.einsum("ijr,jr->ir", G, F))


def diagonals(G: _Array) -> _Array:
    """The diagonal of every Gram matrix (k, r), or (k, 1) where there is one for all."""
    return np.asarray(np.einsum("iir->ir", G) if G.ndim == 3 else G.diagonal()[:, None])


def coordinate_descent(
    F: _Array,
    N: _Array,
    G: _Array,
    sweeps: int = 1,
    *,
    penalty: ColumnPenalty = FREE,
    order: Iterable[int] | None = None,
    known: int = 0,
) -> _Array:
    """Set one component after the other to its best non-negative value, given the others.

    F_jr ← max(0, (N_jr − l1 − Σ_{i≠j} G_jir F_ir) / (G_jjr + l2)), `sweeps` times. No column's loss ever rises.

    Parameters
    ----------
    F : (k, r) factor, component-major, non-negative. Not changed.
    N : (k, r) numerators.
    G : (k, k, r) Gram matrices, contiguous; or (k, k).
    sweeps : number of sweeps over the components.
    penalty : l1 and l2 on F, numbers or one for each column.
    order : the components in the order in which they are set, each once; None for 1…k.
    known : so many components, the first ones, stay what they are.

    References
    ----------
    As `dnmf.rules.coordinate_descent`. For missing entries: H. Kim and S. Choi, Weighted nonnegative matrix
    factorization, ICASSP 2009, doi:10.1109/ICASSP.2009.4959890, which solves each column by its own Gram matrix.

    Examples
    --------
    >>> coordinate_descent(np.ones((1, 2)), np.array([[2.0, 3.0]]), np.array([[[1.0, 2.0]]]))
    array([[2. , 1.5]])
    """
    F, order = np.array(F, order="C"), [j for j in (range(len(F)) if order is None else order) if j >= known]
    own = diagonals(G)
    inverse = _inverse(own + np.asarray(penalty.l2, F.dtype))
    pull = N - np.asarray(penalty.l1, N.dtype) if penalty else N
    step, most = np.empty(F.shape[1], F.dtype), np.finfo(F.dtype).max
    for _ in range(sweeps):
        for j in order:
            _product(G[j], F, step)
            np.subtract(pull[j], step, out=step)
            step += own[j] * F[j]
            step *= inverse[j]
            np.clip(step, 0, most, out=F[j])
    return F


def _product(row: _Array, F: _Array, out: _Array) -> None:
    """Row j of every Gram matrix times its column: (r,)."""
    if row.ndim == 1:
        np.matmul(row, F, out=out)
    else:
        np.einsum("ir,ir->r", row, F, out=out)


def _inverse(a: _Array) -> _Array:
    with np.errstate(over="ignore"):
        found = np.divide(1, a, out=np.zeros_like(a), where=a > 0)
    return np.minimum(found, np.finfo(a.dtype).max)


def multiplicative(
    F: _Array,
    N: _Array,
    G: _Array,
    sweeps: int = 1,
    *,
    penalty: ColumnPenalty = FREE,
    order: None = None,
    known: int = 0,
) -> _Array:
    """F ← F ⊙ N / (G F + l1 + l2 F), `sweeps` times: see `dnmf.rules.multiplicative`. 0/0 counts as 0."""
    F, most = np.array(F, order="C"), np.finfo(F.dtype).max
    for _ in range(sweeps):
        below = times(G, F) + penalty.gradient(F) if penalty else times(G, F)
        with np.errstate(over="ignore"):
            ratio = np.divide(N, below, out=np.zeros_like(F), where=below > 0)
            F[known:] *= np.minimum(ratio, most)[known:]
        np.minimum(F, most, out=F)
    return F


RULES: dict[str, Callable[..., _Array]] = {"cd": coordinate_descent, "mu": multiplicative}


@dataclass(frozen=True, slots=True)
class GramRule:
    """A solver's rule for columns with Gram matrices of their own."""

    solver: Solver

    def move(self, F: _Array, N: _Array, G: _Array, sweeps: int, penalty: ColumnPenalty, *, known: int = 0) -> _Array:
        """A factor (k, r) after so many sweeps, but for so many components, the first ones."""
        rule, order = RULES[self.solver.name], self.solver.order
        return rule(F, self.numerator(N), G, sweeps, penalty=penalty, order=order, known=known)

    def numerator(self, N: _Array) -> _Array:
        """A numerator that is formed of differences: below 0 it is rounding or data, and mu would multiply by it."""
        return np.maximum(N, 0) if self.solver.keeps_zeros else N

    def solve(self, N: _Array, G: _Array, sweeps: int, penalty: ColumnPenalty) -> _Array:
        """A factor (k, r) from scratch: the least-squares solution cut off at zero, moved by the rule."""
        start = np.maximum(_least_squares(N, G, penalty), 0)
        if self.solver.keeps_zeros:
            start = np.maximum(start, LEAST_START * scale(np.ones_like(N), N, G))
        start[np.broadcast_to(diagonals(G) == 0, start.shape)] = 0
        return self.move(start, N, G, sweeps, penalty)


def scale(F: _Array, N: _Array, G: _Array) -> _Array:
    """Multiply each column by the number with which it fits best: ⟨F_r, N_r⟩ / ⟨F_r, G_r F_r⟩."""
    fit, size = np.einsum("kr,kr->r", F, N), np.einsum("kr,kr->r", F, times(G, F))
    by = np.divide(fit, size, out=np.zeros_like(fit), where=size > 0)
    return np.asarray(F * np.maximum(by, 0), F.dtype)


def _least_squares(N: _Array, G: _Array, penalty: ColumnPenalty) -> _Array:
    """(G_r + ridge)⁻¹ (N_r − l1) of every column, in float64: sums of few observations are nearly singular."""
    l1, l2 = (np.broadcast_to(np.asarray(a, "f8"), N.shape[1:]) for a in (penalty.l1, penalty.l2))
    k, found = len(N), np.empty_like(N)
    if G.ndim == 2 and (l2 == l2[:1]).all():
        ridge = RIDGE * float(np.linalg.norm(G.astype("f8"))) + (float(l2[0]) if len(l2) else 0.0)
        found[...] = np.linalg.pinv(G.astype("f8") + ridge * np.eye(k), hermitian=True) @ (N - l1)
        return found
    at_a_time = max(1, SOLVED_BYTES // (8 * k * k))
    for start in range(0, N.shape[1], at_a_time):
        cut = slice(start, start + at_a_time)
        own = np.broadcast_to(G[:, :, None], (k, k, len(l2[cut]))) if G.ndim == 2 else G[:, :, cut]
        A = own.transpose(2, 0, 1).astype("f8")
        ridge = RIDGE * np.linalg.norm(A, axis=(1, 2)) + l2[cut]
        A[:, range(k), range(k)] += np.where(ridge > 0, ridge, 1)[:, None]
        found[:, cut] = np.linalg.solve(A, (N[:, cut] - l1[cut]).T.astype("f8")[:, :, None])[:, :, 0].T
    return found
