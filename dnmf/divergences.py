"""β-divergences: how a strip moves its rows of the long factor, and what it adds to the sums of a pass.

D(Y | M) = Σ d(y, m) with the model M = Lᵀ S, and, for β other than 0 and 1,

    d(y, m) = (y^β + (β − 1) m^β − β y m^(β−1)) / (β (β − 1)),

y log(y/m) − y + m for β = 1 (Kullback–Leibler), y/m − log(y/m) − 1 for β = 0 (Itakura–Saito). For β = 2 it is half of
the squared error; so that all losses have one unit, the loss is twice the divergence. Factors are component-major:
L (k × h), S (k × N). The model is formed piece by piece while the strip is in memory; of sparse rows only where they
are not zero, but for β other than 1 and 2, where a sum over all entries has no closed form. Pure NumPy and SciPy.

C. Févotte and J. Idier, Neural Computation 23, 2011, doi:10.1162/NECO_a_00168: the rules, equations 57 to 59 and
table 2, and that the loss never rises.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import kl_div, xlogy

from dnmf import products
from dnmf.memory import LARGE_PIECE, piece_rows
from dnmf.products import Array, Rows
from dnmf.rules import Penalty
from dnmf.rules.powered import floor, stepped

# A ratio of a move below this counts as this: its negative powers must not overflow.
LEAST_RATIO = 1e-60


@dataclass(frozen=True, slots=True)
class Sums:
    """What one or more strips add to a pass, in float64. Sums are added with `add`.

    Attributes
    ----------
    numerator : (k, N), L (Y ⊙ M^(β−2)).
    denominator : (k, N), L M^(β−1); for β = 1 all columns are the same, and it is (k, 1).
    loss : twice the divergence of Y from M.
    norm : Σ y^β.
    mass, square : sum of L's entries and of their squares.
    """

    numerator: NDArray[np.float64]
    denominator: NDArray[np.float64]
    loss: float
    norm: float
    mass: float
    square: float


def update(y: Rows, L: Array, S: Array, inner: int, *, beta: float, penalty: Penalty) -> Array:
    """Move the rows of a strip `inner` times: L ← L ⊙ (S (Y ⊙ M^(β−2))ᵀ / (S (M^(β−1))ᵀ + l1 + l2 L))^exponent.

    Parameters
    ----------
    y : (h, N) rows.
    L : (k, h). Not changed.
    S : (k, N).
    inner : number of updates.
    beta, penalty : of the loss, and on L.
    """
    if products.is_sparse(y) and beta != 2:
        return _update_sparse(y, L, S, inner, beta, penalty)
    moved = np.empty_like(L, order="C")
    for cut in products.cuts(y):
        part, piece = L[:, cut], products.part_of(y, cut)
        for _ in range(inner):
            P, Q = _terms(piece, _model(piece, part, S, beta), beta)
            part = stepped(part, products.right(S, P), _below(part, S, Q, beta), beta, penalty)
        moved[:, cut] = part
    return moved


def _update_sparse(y: Any, L: Array, S: Array, inner: int, beta: float, penalty: Penalty) -> Array:
    """The same for sparse rows: columns of S are gathered once, and serve all updates."""
    moved, S_rows, least = np.empty_like(L, order="C"), np.ascontiguousarray(S.T), floor(beta, S.dtype)
    total = S.sum(axis=1, keepdims=True)
    for rows, columns, entries in products.padded(y):
        part, gathered = np.ascontiguousarray(L[:, rows]), S_rows.take(columns, axis=0)
        for _ in range(inner):
            M = np.matmul(gathered, part.T[:, :, None])[:, :, 0]
            P = _numerator_entries(entries, np.maximum(M, least, out=M), beta)
            top = np.matmul(P[:, None, :], gathered)[:, 0].T
            part = stepped(part, top, total if beta == 1 else _below(part, S, None, beta), beta, penalty)
        moved[:, rows] = part
    return moved


def _below(L: Array, S: Array, Q: Array | None, beta: float) -> Array:
    """S (M^(β−1))ᵀ (k × h)."""
    if beta == 1:
        return np.asarray(S.sum(axis=1, keepdims=True))
    if Q is not None:
        return S @ Q.T
    if beta == 2:
        return (S @ S.T) @ L
    dense = (S @ Q.T for _, Q in _dense_models(L, S, beta))
    return np.concatenate(list(dense), axis=1)


def sums(y: Rows, L: Array, S: Array, *, beta: float, weights: Array | None = None) -> Sums:
    """The sums of one strip.

    Parameters
    ----------
    y : (h, N) rows.
    L : (k, h).
    S : (k, N). Its dtype is that in which the model is formed.
    beta : of the loss.
    weights : (h,) what every row counts, or None for 1.

    Raises
    ------
    ValueError
        If an entry is 0 where the divergence is infinite then: for β ≤ 0.
    """
    if beta <= 0:
        y = _positive(y, beta)
    L = L.astype(S.dtype, copy=False)
    numerator, loss = np.zeros(S.shape), 0.0
    below = np.zeros((len(S), 1) if beta == 1 else S.shape)
    for cut in products.cuts(y, LARGE_PIECE):
        piece, part = products.part_of(y, cut), L[:, cut]
        counted = part if weights is None else part * weights[cut]
        M = _model(piece, part, S, beta)
        rows = _divergences(piece, M, part, S, beta)
        P, Q = _terms(piece, M, beta)
        numerator += products.left(counted, P)
        below += _counted_below(counted, part, S, Q, beta)
        loss += 2 * float(rows.sum() if weights is None else rows @ weights[cut])
    powers = products.row_powers(y, beta)
    L8 = L.astype("f8")
    return Sums(
        numerator,
        below,
        loss,
        norm=float(powers.sum() if weights is None else powers @ weights),
        mass=float(L8.sum()),
        square=float(np.vdot(L8, L8)),
    )


def _positive(y: Rows, beta: float) -> Array:
    """Rows, as an array, if none of their entries is zero."""
    zeros = y.nnz < y.shape[0] * y.shape[1] or y.data.min() <= 0 if products.is_sparse(y) else y.min() <= 0
    if zeros:
        raise ValueError(
            f"X has an entry of 0, and beta_loss is {beta:g}, for which the loss is infinite there: add a small number "
            f"to X, or choose a positive beta_loss"
        )
    return np.asarray(y.toarray() if products.is_sparse(y) else y)


def _counted_below(counted: Array, L: Array, S: Array, Q: Array | None, beta: float) -> NDArray[np.float64]:
    """L M^(β−1), (k × N) or (k × 1), of rows that count more or less than once."""
    if beta == 1:
        return np.asarray(counted.sum(axis=1, keepdims=True, dtype="f8"))
    if Q is not None:
        return np.asarray(counted @ Q, "f8")
    if beta == 2:
        return np.asarray((counted @ L.T) @ S, "f8")
    below = np.zeros(S.shape)
    for cut, Q in _dense_models(L, S, beta):
        below += counted[:, cut] @ Q
    return below


def _model(y: Rows, L: Array, S: Array, beta: float) -> Array:
    """M, of sparse rows where they are not zero."""
    M = products.model_at(y, L, np.ascontiguousarray(S.T)) if products.is_sparse(y) else L.T @ S
    return np.maximum(M, floor(beta, M.dtype), out=M)


def _terms(y: Rows, M: Array, beta: float) -> tuple[Rows, Array | None]:
    """Y ⊙ M^(β−2), sparse where Y is, and M^(β−1), or None where it has a closed form or Y is sparse. M is lost."""
    if products.is_sparse(y):
        return (y if beta == 2 else products.with_data(y, _numerator_entries(y.data, M, beta))), None
    if beta == 2:
        return y, M
    if beta == 1:
        return np.divide(y, M, out=M), None
    if beta > 2:
        # M may be next to 0 here: it is not divided by.
        return _numerator_entries(y, M, beta), M ** (beta - 1)
    Q = 1 / M if beta == 0 else M ** (beta - 1)
    return np.multiply(np.divide(y, M, out=M), Q, out=M), Q


def _numerator_entries(y: Array, M: Array, beta: float) -> Array:
    return np.asarray(y / M if beta == 1 else y * M ** (beta - 2))


def _dense_models(L: Array, S: Array, beta: float) -> Any:
    """Pieces of M^(β−1), (rows × N), each with where its rows are."""
    rows = piece_rows(S.shape[1], residual=True)
    for start in range(0, L.shape[1], rows):
        cut = slice(start, start + rows)
        M = L[:, cut].T @ S
        yield cut, np.maximum(M, floor(beta, M.dtype), out=M) ** (beta - 1)


def _divergences(y: Rows, M: Array, L: Array, S: Array, beta: float) -> NDArray[np.float64]:
    """D of every row, (h,)."""
    if not products.is_sparse(y):
        return np.asarray(_divergence(y, M, beta).sum(axis=1, dtype="f8"))
    y8, M = y.data.astype("f8"), M.astype("f8")
    extra = xlogy(y8, y8 / M) - y8 if beta == 1 else _divergence(y8, M, beta) - M**beta / beta
    rows = np.asarray(products.with_data(y, extra).sum(axis=1)).ravel()
    return np.asarray(rows + _row_powers_of_model(L, S, beta) / beta)


def _divergence(y: Array, M: Array, beta: float) -> Array:
    """d, entry by entry."""
    if beta == 1:
        return np.asarray(kl_div(y, M))
    if beta == 2:
        return np.asarray((y - M) ** 2 / 2)
    if beta == 0:
        ratio = y / M
        return np.asarray(ratio - np.log(ratio) - 1)
    # The terms nearly cancel: in float32 they would lose digits.
    y, M = y.astype("f8", copy=False), M.astype("f8", copy=False)
    return np.asarray((y**beta + (beta - 1) * M**beta - beta * y * M ** (beta - 1)) / (beta * (beta - 1)))


def _row_powers_of_model(L: Array, S: Array, beta: float) -> NDArray[np.float64]:
    """Σ_j m_ij^β for every row, (h,)."""
    L8, S8 = L.astype("f8"), S.astype("f8")
    if beta == 1:
        return np.asarray(L8.T @ S8.sum(axis=1))
    if beta == 2:
        return np.asarray(np.einsum("kh,kh->h", L8, (S8 @ S8.T) @ L8))
    parts = [(M ** (beta / (beta - 1))).sum(axis=1, dtype="f8") for _, M in _dense_models(L, S, beta)]
    return np.concatenate(parts)


def add(parts: Sequence[Sums]) -> Sums:
    """Add sums up in the order given; none of the parts is changed."""
    numerator, denominator = parts[0].numerator.copy(), parts[0].denominator.copy()
    for part in parts[1:]:
        numerator += part.numerator
        denominator += part.denominator
    scalars = {name: sum(getattr(part, name) for part in parts) for name in ("loss", "norm", "mass", "square")}
    return Sums(numerator, denominator, **scalars)


def moved(sums: Sums, S: Array, *, beta: float, penalty: Penalty) -> Array:
    """The short factor (k × N, S's dtype) after a pass that was made with S: one update, in float64."""
    return stepped(S.astype("f8"), sums.numerator, sums.denominator, beta, penalty).astype(S.dtype)


def least_decrease(sums: Sums, S: Array, moved: Array, *, beta: float, penalty: Penalty) -> float:
    """By how much a move of the short factor decreases the loss with its penalty, at least, and without a read.

    The difference of the function that majorizes the loss at S, which the update minimizes: the part of d that is
    convex in m by Jensen's inequality, the concave part by its tangent.
    """
    S8 = S.astype("f8")
    r = np.divide(moved, S8, out=np.ones_like(S8), where=S8 > 0)
    least = np.maximum(r, LEAST_RATIO)
    rise = r - 1 if beta > 2 else np.log(least) if beta == 1 else (least ** (beta - 1) - 1) / (beta - 1)
    fall = r - 1 if beta < 1 else (r**beta - 1) / beta
    # An entry becomes 0 where the numerator is.
    gained = float(np.sum(S8 * (np.where(sums.numerator > 0, sums.numerator * rise, 0) - sums.denominator * fall)))
    return 2 * gained - (penalty.of(moved) - penalty.of(S))


def projected_gradient(sums: Sums, S: Array, penalty: Penalty) -> float:
    """‖∇‖ of the loss with respect to S, over the entries that the rule can move: those above 0."""
    gradient = 2 * (sums.denominator - sums.numerator + penalty.gradient(S.astype("f8")))
    return float(np.linalg.norm(gradient[S > 0]))
