"""Gram matrices of the entries that are there: of every row, and of every column. Pure NumPy and SciPy.

    G_i = Σ_j ω_ij s_j s_jᵀ      of row i of Y, from the short factor S (k × N)
    C_j = Σ_i ω_ij l_i l_iᵀ      of column j, from a block of the long one L (k × h)

All of them are one product of the weights with the k (k + 1) / 2 products of pairs of components. Rows with all entries
share S Sᵀ, rows with the same entries share one, and of rows of which few entries are there, or few are missing, those
few are added up by themselves.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dnmf.arrays.parts import cuts, pad_rows, part_of
from dnmf.arrays.products import gram
from dnmf.arrays.rows import Array, Rows
from dnmf.arrays.weighted import Weighted
from dnmf.plan.parts import LARGE_PART, part_rows

# Bytes of Gram matrices (k × k × rows) that are formed, and rows of which are solved, at a time: they stay in a core's
# caches.
GROUP_BYTES = 2**20

# Bytes of the products of pairs at a time, by column and by row.
PAIR_BYTES, PACKED_BYTES = 2**24, 2**22

# Up to this share of a row its entries are added up one by one: above it the product with all of them is faster.
FEW = 1 / 32

# Where less than this share of a component's square is left, missing entries may not be subtracted: what is left is
# rounding.
LEAST_LEFT = 1e-2

# Rows with the same entries share their Gram matrix where patterns have so many rows on average. Whether they do is
# guessed from so many rows.
ROWS_A_PATTERN, PROBE = 16, 64

Group = tuple[NDArray[np.intp], Array]


def pairs(F: Array) -> Array:
    """Products F_a F_b of pairs of components a ≤ b of a factor (k, r): (k (k + 1) / 2, r).

    >>> pairs(np.array([[1.0], [2.0]])).ravel().tolist()
    [1.0, 2.0, 4.0]
    """
    k, start = len(F), 0
    products = np.empty((k * (k + 1) // 2, F.shape[1]), F.dtype)
    for a in range(k):
        np.multiply(F[a], F[a:], out=products[start : start + k - a])
        start += k - a
    return products


def unpack(packed: Array, rank: int) -> Array:
    """Symmetric matrices (k, k, r) from their pairs (k (k + 1) / 2, r), contiguous."""
    return np.asarray(packed[_places(rank)])


def _places(rank: int) -> NDArray[np.intp]:
    """Where the entries of a symmetric matrix (k, k) are among its pairs."""
    places, (a, b) = np.empty((rank, rank), np.intp), np.triu_indices(rank)
    places[a, b] = places[b, a] = np.arange(len(a))
    return places


def pair_bytes(width: int, rank: int) -> int:
    """Bytes of the sums over all rows of the Gram matrices of so many columns, in float64."""
    return 4 * width * rank * (rank + 1)


def row_grams(y: Weighted, S: Array) -> Iterator[Group]:
    """The Gram matrices of all rows (h, N), in groups: numbers of the rows (g,) and (k, k, g), or (k, k) for all.

    Every row is in one group. How its Gram matrix is formed depends on the rows beside it; what it is, beyond rounding,
    does not.
    """
    if y.sparse:
        yield from _listed(y.omega, S, np.arange(y.shape[0]))
        return
    kinds = _kinds(y)
    if len(kinds.complete):
        yield kinds.complete, gram(S)
    yield from _shared(y, S, kinds.rest, kinds.patterns) if kinds.patterns is not None else _single(y, S, kinds)


@dataclass(frozen=True, slots=True)
class _Kinds:
    """Rows of dense Y: their numbers where nothing is missing, the others, how many entries of these are there (r,),
    and which pattern each of these has (r,), or None where too many differ.
    """

    complete: NDArray[np.intp]
    rest: NDArray[np.intp]
    observed: NDArray[np.intp]
    patterns: NDArray[np.intp] | None


def missing_counts(y: Weighted) -> NDArray[np.intp]:
    """How many entries of each dense row with a mask are missing, (h,)."""
    return np.asarray(y.shape[1] - np.bitwise_count(_words(y.weights)).sum(axis=1, dtype=np.intp))


def _kinds(y: Weighted) -> _Kinds:
    words = _words(y.weights)
    if y.masked:
        observed = np.bitwise_count(words).sum(axis=1, dtype=np.intp)
        complete = observed == y.shape[1]
    else:
        observed = np.count_nonzero(y.weights, axis=1)
        complete = (y.weights == 1).all(axis=1)
    rest = np.flatnonzero(~complete)
    return _Kinds(np.flatnonzero(complete), rest, observed[rest], _patterns(words, rest))


def _words(weights: NDArray[np.bool_] | Array) -> NDArray[np.unsignedinteger]:
    """Rows of weights as rows of integers, which are the same where these are."""
    if weights.dtype != np.bool_:
        return np.ascontiguousarray(weights).view(f"u{weights.dtype.itemsize}")
    packed = np.packbits(weights.view("u1"), axis=1)
    words = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), "u1")
    words[:, : packed.shape[1]] = packed
    return words.view("u8")


def _patterns(words: NDArray[np.unsignedinteger], rows: NDArray[np.intp]) -> NDArray[np.intp] | None:
    """Which pattern each of some rows has, where they are few."""
    if len(rows) < ROWS_A_PATTERN:
        return None
    some = rows[:: max(1, len(rows) // PROBE)]
    if 2 * len(np.unique(_hashes(words[some]))) > len(some):
        return None
    own = words if len(rows) == len(words) else words[rows]
    _, first, patterns = np.unique(_hashes(own), return_index=True, return_inverse=True)
    few = ROWS_A_PATTERN * len(first) <= len(rows)
    return patterns if few and (own == own[first[patterns]]).all() else None


def _hashes(words: NDArray[np.unsignedinteger]) -> NDArray[np.uint64]:
    """A number for each row (h,): random odd multiples of its words, added up modulo 2⁶⁴."""
    odd = np.random.default_rng(words.shape[1]).integers(0, 2**64, words.shape[1], "u8", endpoint=False) | np.uint64(1)
    return np.asarray(words.astype("u8", copy=False) @ odd)


def _shared(y: Weighted, S: Array, rows: NDArray[np.intp], patterns: NDArray[np.intp]) -> Iterator[Group]:
    """One Gram matrix for all rows of a pattern."""
    order = np.argsort(patterns, kind="stable")
    for at in np.split(order, np.flatnonzero(np.diff(patterns[order])) + 1):
        weights = y.weights[rows[at[0]]].astype("f8")
        yield rows[at], np.asarray((S * weights) @ S.T.astype("f8"), S.dtype)


def _single(y: Weighted, S: Array, kinds: _Kinds) -> Iterator[Group]:
    """Of each row by itself: from its entries or from those that are missing, where they are few; else from all."""
    few = int(FEW * y.shape[1])
    short = kinds.observed <= few
    long = ~short & (y.shape[1] - kinds.observed <= few) & y.masked
    if short.any():
        rows = kinds.rest[short]
        yield from _listed(_entries(y.weights[rows], S.dtype, missing=False), S, rows)
    if long.any():
        yield from _left_over(y.weights, S, kinds.rest[long])
    rows = kinds.rest[~(short | long)]
    at_a_time = max(16, PACKED_BYTES // (len(pairs(S[:, :0])) * S.itemsize))
    for start in range(0, len(rows), at_a_time):
        yield from _products(y.weights, S, rows[start : start + at_a_time])


def _entries(weights: NDArray[np.bool_] | Array, dtype: np.dtype[np.floating], *, missing: bool) -> Rows:
    """Weights of dense rows as sparse ones; or 1 wherever they are 0."""
    chosen = weights == 0 if missing else weights != 0
    rows, columns = np.nonzero(chosen)
    data = np.ones(len(rows), dtype) if missing or weights.dtype == np.bool_ else weights[rows, columns]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(weights)))])
    return sparse.csr_matrix((data, columns, indptr), shape=weights.shape)


def _listed(entries: Rows, S: Array, rows: NDArray[np.intp]) -> Iterator[Group]:
    """Gram matrices of the entries of sparse rows, which have these numbers."""
    S_rows, at_a_time = np.ascontiguousarray(S.T), _group_rows(S)
    for numbers, columns, weights in pad_rows(entries):
        for start in range(0, len(numbers), at_a_time):
            cut = slice(start, start + at_a_time)
            own = S_rows.take(columns[cut], axis=0)
            grams = np.matmul((own * weights[cut][:, :, None]).transpose(0, 2, 1), own)
            yield rows[numbers[cut]], np.ascontiguousarray(grams.transpose(1, 2, 0))


def _left_over(weights: NDArray[np.bool_], S: Array, rows: NDArray[np.intp]) -> Iterator[Group]:
    """Gram matrices as what missing entries leave of that of all entries."""
    whole, wide = gram(S)[:, :, None], S.astype("f8")
    least = LEAST_LEFT * np.einsum("iir->ir", whole)
    for numbers, missing in _listed(_entries(weights[rows], S.dtype, missing=True), S, rows):
        G = whole - missing
        for r in np.flatnonzero((np.einsum("iir->ir", G) <= least).any(axis=0)).tolist():
            G[:, :, r] = (wide * weights[numbers[r]]) @ wide.T
        yield numbers, G


def _products(weights: NDArray[np.bool_] | Array, S: Array, rows: NDArray[np.intp]) -> Iterator[Group]:
    """Of dense rows, as one product of their weights with all pairs of components."""
    rank, width = S.shape
    count = rank * (rank + 1) // 2
    packed = np.zeros((count, len(rows)), S.dtype)
    columns, height = max(64, PAIR_BYTES // (count * S.itemsize)), part_rows(width, residual=False)
    for left in range(0, width, columns):
        own = pairs(S[:, left : left + columns])
        for top in range(0, len(rows), height):
            cut = slice(top, top + height)
            packed[:, cut] += own @ weights[rows[cut], left : left + columns].astype(S.dtype).T
    at_a_time = _group_rows(S)
    for start in range(0, len(rows), at_a_time):
        cut = slice(start, start + at_a_time)
        yield rows[cut], unpack(packed[:, cut], rank)


def _group_rows(S: Array) -> int:
    return max(16, GROUP_BYTES // (len(S) ** 2 * S.itemsize))


def column_pairs(y: Weighted, L: Array) -> NDArray[np.float64]:
    """Σ_i ω_ij l_ai l_bi of every column j, as pairs (k (k + 1) / 2, N): parts added up in float64.

    >>> y = Weighted(np.zeros((2, 2)), np.array([[True, False], [True, True]]))
    >>> column_pairs(y, np.array([[1.0, 2.0]])).tolist()
    [[5.0, 4.0]]
    """
    total = np.zeros((len(L) * (len(L) + 1) // 2, y.shape[1]))
    if y.sparse:
        for cut in cuts(y, LARGE_PART):
            own = np.ascontiguousarray(pairs(L[:, cut]).T)
            total += (part_of(y, cut).omega.T @ own).T
        return total
    rows, product = part_rows(y.shape[1], residual=False), np.empty(total.shape, L.dtype)
    for start in range(0, y.shape[0], rows):
        cut = slice(start, start + rows)
        total += np.matmul(pairs(L[:, cut]), y.weights[cut].astype(L.dtype), out=product)
    return total
