"""Rows with weights: what is taken of them, and what their parts add up to."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from dnmf.arrays.checksum import Checksum
from dnmf.arrays.filling import fill, fill_by_means, observed_share
from dnmf.arrays.parts import cuts, part_of
from dnmf.arrays.products import row_powers, total
from dnmf.arrays.rows import aligned, in_lines, nbytes_of, stack
from dnmf.arrays.sample import count_rows, draw, merge, stand_in, weigh
from dnmf.arrays.weighted import Weighted


def weighted(seed: int, *, kind: str, layout: str, shape: tuple[int, int] = (40, 7)) -> tuple[Weighted, np.ndarray]:
    """Random rows, and their weights as a full array."""
    rng = np.random.default_rng(seed)
    omega = (rng.random(shape) < 0.7) * (1.0 if kind == "mask" else rng.random(shape) + 0.1)
    omega[3] = 0
    values = np.where(omega > 0, rng.random(shape) * (rng.random(shape) < 0.8), 0)
    return in_layout(values, omega, kind=kind, layout=layout), omega


def in_layout(values: np.ndarray, omega: np.ndarray, *, kind: str, layout: str) -> Weighted:
    kept = omega > 0 if kind == "mask" else omega
    if layout == "dense":
        return Weighted(values, kept)
    indptr = np.concatenate([[0], np.cumsum((omega > 0).sum(axis=1))]).astype("i4")
    places = np.nonzero(omega > 0)
    rows = sparse.csr_matrix((values[places], places[1].astype("i4"), indptr), shape=values.shape)
    return Weighted(rows, kept[places])


def full(y: Weighted) -> tuple[np.ndarray, np.ndarray]:
    """Values and weights as full arrays."""
    if not y.sparse:
        return y.values, y.weights
    return y.values.toarray(), y.omega.toarray()


everywhere = pytest.mark.parametrize(
    ("kind", "layout"), [(kind, layout) for kind in ("mask", "weights") for layout in ("dense", "sparse")]
)


@everywhere
def test_parts_are_rows_of_it(kind: str, layout: str) -> None:
    y, omega = weighted(0, kind=kind, layout=layout)
    some = np.array([5, 3, 30])
    for where in (slice(2, 9), some, np.isin(np.arange(40), some)):
        values, weights = full(y[where])
        assert_allclose(weights, omega[where])
        assert_allclose(values, full(y)[0][where])
    joined = stack(
        [part_of(y, cut) for cut in cuts(y, 20)], [np.arange(part_of(y, cut).shape[0]) for cut in cuts(y, 20)]
    )
    assert_array_equal(full(joined)[1], full(y)[1])
    assert nbytes_of(in_lines(aligned(y))) == nbytes_of(y)


@everywhere
@pytest.mark.parametrize("beta", [0, 0.5, 1, 2, 3])
def test_sizes_are_weighted_sums(kind: str, layout: str, beta: float) -> None:
    y, omega = weighted(1, kind=kind, layout=layout)
    values = full(y)[0]
    powers = np.ones_like(values) if beta == 0 else np.where(values > 0, values, 0) ** beta
    assert_allclose(row_powers(y, beta), (omega * powers).sum(axis=1), rtol=1e-12)
    assert total(y) == pytest.approx(float((omega * values).sum()))
    assert_allclose(full(y)[0] * omega, full(y.with_values(y.counted))[0])


@everywhere
def test_a_checksum_sees_weights_and_no_pieces(kind: str, layout: str) -> None:
    y, _ = weighted(2, kind=kind, layout=layout)
    whole, pieces, other = Checksum(), Checksum(), Checksum()
    whole.add(y)
    for cut in (slice(0, 11), slice(11, 40)):
        pieces.add(y[cut])
    changed = y.weights.copy()
    changed.flat[-1] = not changed.flat[-1] if kind == "mask" else changed.flat[-1] + 1
    other.add(Weighted(y.values, changed))
    assert whole.value == pieces.value != other.value


@everywhere
def test_a_sample_of_parts_is_one_of_all(kind: str, layout: str) -> None:
    y, omega = weighted(3, kind=kind, layout=layout)
    whole = draw(y, 0, seed=1, size=9)
    parts = merge([draw(y[:13], 0, seed=1, size=9), draw(y[13:], 13, seed=1, size=9)], size=9)
    order = np.argsort(whole.index)
    assert_array_equal(whole.index[order], parts.index)
    assert_allclose(full(parts.rows)[1], omega[parts.index])
    assert 3 not in parts.index  # nothing is there
    rows, counts = count_rows(parts, 9)
    assert_allclose(row_powers(weigh(rows, counts), 2), row_powers(rows, 2) * counts)
    assert stand_in(parts, 9, rank=2, seed=0).sketch.rows == 9


@everywhere
def test_what_is_missing_is_filled_and_nothing_else(kind: str, layout: str) -> None:
    rng = np.random.default_rng(4)
    truth = np.outer(rng.random(30) + 0.1, rng.random(8) + 0.1)
    omega = (rng.random(truth.shape) < 0.6) * (1.0 if kind == "mask" else 0.5)
    y = in_layout(np.where(omega > 0, truth, 0), omega, kind=kind, layout=layout)
    assert_allclose(fill_by_means(y), truth, rtol=1e-3)
    assert_array_equal(fill(y, -np.ones(truth.shape)) == -1, omega == 0)
    assert observed_share(y) == pytest.approx((omega > 0).mean())
