"""Samples: the rows of smallest keys, whatever the cut and the tree, and weights that make them stand for all rows."""

from itertools import pairwise

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from strategies import cuts, matrices, seeds

from dnmf.arrays.products import row_powers
from dnmf.arrays.sample import ColumnSums, Sized, count_rows, draw, draw_from, is_whole, merge, stand_in, weigh
from dnmf.arrays.weighted import Weighted
from dnmf.losses.divergence.sums import strip_sums
from dnmf.rules import Penalty

ARRAYS = ("rows", "index", "keys", "sizes")
sizes = st.integers(1, 20)
layouts = st.sampled_from(["C", "F"])


def strips(Y, heights, layout="C"):
    """Strips and their first rows; strips of columns are turned, so their memory is in Fortran's order."""
    edges = np.cumsum([0, *heights])
    found = [(np.array(Y[a:b], order=layout), int(a)) for a, b in pairwise(edges)]
    for y, _ in found:
        y.flags.writeable = False
    return found


def drawn(Y, heights, *, seed, size, layout="C"):
    return [draw(y, first, seed=seed, size=size) for y, first in strips(Y, heights, layout)]


def random_tree(data, parts, size):
    """The parts merged in a tree of any shape that keeps their order."""
    while len(parts) > 1:
        groups = data.draw(cuts(len(parts)))
        edges = np.cumsum([0, *(groups if len(groups) < len(parts) else [len(parts)])])
        parts = [merge(parts[a:b], size=size) for a, b in pairwise(edges)]
    return parts[0]


def textbook(Y, seed, size):
    """Numbers and keys of the `size` + 1 rows of smallest keys, in the order of the rows, and all squared norms."""
    u = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 2]))).random(len(Y))
    square = [float(sum(float(x) ** 2 for x in y)) for y in Y]
    keys = {i: -np.log(1 - u[i]) / square[i] for i in range(len(Y)) if square[i] > 0}
    kept = sorted(sorted(keys, key=keys.__getitem__)[: size + 1])
    return kept, [keys[i] for i in kept], square


def positive(m, n, seed=0, dtype="f8"):
    """Y with rows of very different norms, none of them zero."""
    rng = np.random.default_rng(seed)
    Y = (rng.random((m, n)) * rng.lognormal(0, 1, (m, 1))).astype(dtype)
    Y.flags.writeable = False
    return Y


@given(matrices(max_side=30), seeds, sizes, layouts)
def test_a_sample_is_the_rows_of_smallest_keys(Y, seed, size, layout):
    (sample,) = drawn(Y, (len(Y),), seed=seed, size=size, layout=layout)
    kept, keys, square = textbook(Y, seed, size)
    assert_array_equal(sample.index, kept)
    assert_array_equal(sample.rows, Y[kept])
    # Squares of float32 entries are added up in float32.
    digits = 1e-12 if Y.dtype == "f8" else 1e-5
    assert_allclose(sample.keys, keys, rtol=digits)
    assert_allclose(sample.sizes, np.asarray(square)[kept], rtol=digits)
    assert_allclose([sample.norm, sample.total], [sum(square), Y.sum(dtype="f8")], rtol=digits)
    assert (sample.rows.dtype, sample.index.dtype, sample.keys.dtype, sample.sizes.dtype) == (
        Y.dtype,
        "i8",
        "f8",
        "f8",
    )
    assert {type(sample.norm), type(sample.total)} == {float}


@given(st.data(), matrices(max_side=30), sizes)
def test_sums_by_column_are_those_of_all_rows_whatever_the_tree(data, Y, size):
    edges = np.cumsum([0, *data.draw(cuts(len(Y)))]).tolist()
    parts = [
        draw_from([Sized(Y[a:b], a, row_powers(Y[a:b], 2))], seed=0, size=size, columns=ColumnSums.of_none(Y.shape[1]))
        for a, b in pairwise(edges)
    ]
    found, Y8 = random_tree(data, parts, size).columns, Y.astype("f8")
    assert_allclose([found.sums, found.squares], [Y8.sum(axis=0), (Y8**2).sum(axis=0)], rtol=1e-13)
    without = draw(Y, 0, seed=0, size=size)
    assert without.columns is merge([*parts, without], size=size).columns is None


@given(st.data(), matrices(max_side=30), sizes, st.booleans(), st.booleans())
def test_weighted_sums_by_column_are_those_of_what_is_observed(data, Y, size, mask, as_sparse):
    rng = np.random.default_rng(0)
    omega = (rng.random(Y.shape) < 0.6) * (1 if mask else rng.integers(1, 4, Y.shape))
    weights = omega.astype(bool if mask else Y.dtype)
    rows = Weighted(np.where(weights, Y, 0).astype(Y.dtype), weights)
    if as_sparse:
        lines, columns = np.nonzero(weights)
        values = sparse.csr_matrix((Y[lines, columns], (lines, columns)), shape=Y.shape)
        rows = Weighted(values, weights[lines, columns])
    edges, width = np.cumsum([0, *data.draw(cuts(len(Y)))]).tolist(), Y.shape[1]
    parts = [
        draw_from(
            [Sized(rows[a:b], a, row_powers(rows[a:b], 2))],
            seed=0, size=size, columns=ColumnSums.of_none(width, weighted=True),
        )
        for a, b in pairwise(edges)
    ]  # fmt: skip
    found, Y8 = random_tree(data, parts, size).columns.times_power(1), Y.astype("f8")
    expected = [2 * (omega * Y8).sum(axis=0), 4 * (omega * Y8**2).sum(axis=0), omega.sum(axis=0)]
    assert_allclose([found.sums, found.squares, found.weights], expected, rtol=1e-13)


@given(st.data(), matrices(max_side=30), seeds, sizes, layouts)
def test_the_cut_and_the_tree_do_not_matter(data, Y, seed, size, layout):
    """One bit of a key decides which rows are drawn: all but the two sums are equal to the last one."""
    parts = drawn(Y, data.draw(cuts(len(Y))), seed=seed, size=size, layout=layout)
    whole, merged = draw(Y, 0, seed=seed, size=size), random_tree(data, parts, size)
    for name in ARRAYS:
        assert_array_equal(getattr(merged, name), getattr(whole, name))
        assert getattr(merged, name).dtype == getattr(whole, name).dtype
    assert_allclose([merged.norm, merged.total], [whole.norm, whole.total], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("width", [1, 7, 333, 4096])
def test_wide_rows_have_the_same_keys_in_strips_of_any_height(dtype, layout, width):
    Y = positive(23, width, dtype=dtype)
    whole = draw(Y, 0, seed=5, size=9)
    for heights in ((1,) * 23, (1, 22), (2, 3, 18)):
        merged = merge(drawn(Y, heights, seed=5, size=9, layout=layout), size=9)
        for name in ARRAYS:
            assert_array_equal(getattr(merged, name), getattr(whole, name))


@given(st.data(), matrices(max_side=20), seeds, sizes)
def test_merging_changes_none_of_the_parts(data, Y, seed, size):
    parts = drawn(Y, data.draw(cuts(len(Y))), seed=seed, size=size)
    before = [{name: getattr(part, name).copy() for name in ARRAYS} for part in parts]
    merged = merge(parts, size=size)
    for part, kept in zip(parts, before, strict=True):
        for name in ARRAYS:
            assert_array_equal(getattr(part, name), kept[name])
            assert not np.shares_memory(getattr(merged, name), getattr(part, name))


@given(matrices(max_side=20), seeds, sizes)
def test_rows_are_in_order_and_rows_of_zeros_are_never_drawn(Y, seed, size):
    sample = draw(Y, 1000, seed=seed, size=size)
    assert (np.diff(sample.index) > 0).all()
    assert sample.rows.any(axis=1).all()
    assert len(sample.keys) == min(size + 1, int(Y.any(axis=1).sum()))
    assert np.isfinite(sample.keys).all()
    assert_array_equal(sample.rows, Y[sample.index - 1000])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_matrix_of_zeros_has_an_empty_sample_that_keeps_its_width(dtype):
    Y = np.zeros((30, 4), dtype)
    sample = merge(drawn(Y, (10, 20), seed=0, size=5), size=5)
    assert sample.rows.shape == (0, 4)
    assert weigh(*count_rows(sample, 5)).shape == (0, 4)
    assert weigh(*count_rows(sample, 5)).dtype == dtype
    assert is_whole(sample, 5)
    assert (sample.norm, sample.total) == (0, 0)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("rows", "whole"), [(4, True), (5, True), (6, False), (40, False)])
def test_no_more_rows_than_the_size_are_all_of_y_and_weigh_one(dtype, rows, whole):
    Y = np.zeros((80, 3), dtype)
    live = np.arange(rows) * 2
    Y[live] = positive(rows, 3, dtype=dtype)
    sample = merge(drawn(Y, (30, 30, 20), seed=1, size=5), size=5)
    assert is_whole(sample, 5) is whole
    A = weigh(*count_rows(sample, 5))
    assert A.shape == (min(rows, 5), 3)
    assert A.dtype == dtype
    if whole:
        assert_array_equal(A, Y[live])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", [1, 2, 30])
def test_the_weighted_rows_are_those_of_y_times_the_root_of_one_over_their_chance(dtype, size):
    Y = positive(90, 6, dtype=dtype)
    sample = draw(Y, 0, seed=3, size=size)
    order = np.argsort(sample.keys)
    last, drawn_rows = order[-1], np.sort(order[:-1])
    before = {name: getattr(sample, name).copy() for name in ARRAYS}
    A = weigh(*count_rows(sample, size))
    square = (Y[sample.index[drawn_rows]].astype("f8") ** 2).sum(axis=1)
    weight = 1 / np.sqrt(1 - np.exp(-sample.keys[last] * square))
    assert (weight > 1).all()
    digits = 1e-5 if dtype == "f4" else 1e-9
    assert_allclose(A, Y[sample.index[drawn_rows]] * weight[:, None], rtol=digits)
    assert A.dtype == dtype
    for name in ARRAYS:
        assert_array_equal(getattr(sample, name), before[name])


@pytest.mark.long
@pytest.mark.parametrize("size", [1, 12])
def test_the_gram_matrix_of_the_weighted_rows_is_unbiased(size):
    """Means over many seeds are within five of their standard errors: by chance one of 16 is outside once in 1e5."""
    Y, count = positive(40, 5), 4000
    pairs = np.triu_indices(5)
    found = np.empty((count, len(pairs[0]) + 1))
    for seed in range(count):
        A = weigh(*count_rows(draw(Y, 0, seed=seed, size=size), size))
        found[seed] = [*(A.T @ A)[pairs], (A**2).sum()]
    expected = np.array([*(Y.T @ Y)[pairs], (Y**2).sum()])
    error = found.std(axis=0, ddof=1) / np.sqrt(count)
    assert (error < 0.05 * expected).all()  # else the bound would hold for a wrong estimate too
    assert (np.abs(found.mean(axis=0) - expected) <= 5 * error).all()


def test_the_gram_matrix_of_uneven_rows_is_unbiased_after_merging_too():
    Y, count = positive(40, 3, seed=1), 1500
    found = np.empty((count, 9))
    for seed in range(count):
        A = weigh(*count_rows(merge(drawn(Y, (7, 1, 20, 12), seed=seed, size=8), size=8), 8))
        found[seed] = (A.T @ A).ravel()
    error = found.std(axis=0, ddof=1) / np.sqrt(count)
    assert (np.abs(found.mean(axis=0) - (Y.T @ Y).ravel()) <= 5 * error).all()


@pytest.mark.parametrize("size", [3, 10])
def test_rows_that_hold_nearly_all_of_the_norm_are_always_in_and_weigh_one(size):
    Y = np.random.default_rng(0).random((200, 4))
    heavy = [17, 90, 155]
    Y[heavy] *= 1e5
    for seed in range(100):
        sample = draw(Y, 0, seed=seed, size=size)
        A = weigh(*count_rows(sample, size))
        for i in heavy:
            assert i in sample.index
            assert np.isclose(A, Y[i], rtol=1e-4).all(axis=1).any()


def test_the_chance_of_a_row_grows_with_its_norm_and_not_with_its_place():
    """With one row of a hundred drawn, row i is it with a chance of its share of the squared norm."""
    Y = np.random.default_rng(1).random((100, 2)) + 0.5
    Y[50:] *= 3
    share = (Y**2).sum(axis=1) / (Y**2).sum()
    count = 3000
    first = np.zeros(100)
    for seed in range(count):
        sample = draw(Y, 0, seed=seed, size=1)
        first[sample.index[np.argmin(sample.keys)]] += 1
    for part in (slice(0, 50), slice(50, 100), slice(0, 100, 2), slice(1, 100, 2)):
        p = share[part].sum()
        assert abs(first[part].sum() / count - p) < 5 * np.sqrt(p * (1 - p) / count)


@given(matrices(max_side=20), seeds)
def test_another_seed_draws_other_keys_and_the_same_seed_the_same(Y, seed):
    first, again, other = (draw(Y, 0, seed=s, size=len(Y)) for s in (seed, seed, seed + 1))
    assert_array_equal(first.keys, again.keys)
    assert not np.isin(first.keys, other.keys).any()


BETAS = [-0.5, 0.0, 0.5, 1.0, 1.5, 3.0]
each_beta = pytest.mark.parametrize("beta", BETAS)


@given(beta=st.sampled_from(BETAS), data=st.data(), Y=matrices(max_side=20), seed=seeds, size=sizes)
def test_sparse_rows_are_drawn_as_dense_ones_are_for_every_loss(beta, data, Y, seed, size):
    stored = data.draw(st.sets(st.integers(0, Y.size - 1), max_size=20))
    dense, thin = (draw(y, 0, seed=seed, size=size, beta=beta) for y in (Y, naive.csr(Y, stored)))
    assert sparse.issparse(thin.rows)
    assert_array_equal(thin.index, dense.index)
    assert_array_equal(thin.rows.toarray(), dense.rows)
    assert_allclose(thin.keys, dense.keys, rtol=1e-6 if Y.dtype == "f4" else 1e-12)
    assert_allclose([thin.norm, thin.total], [dense.norm, dense.total], rtol=1e-6 if Y.dtype == "f4" else 1e-12)
    assert (dense.beta, thin.beta) == (beta, beta)


@given(beta=st.sampled_from(BETAS), data=st.data(), Y=matrices(max_side=20), seed=seeds, size=sizes)
def test_the_cut_and_the_tree_do_not_matter_to_sparse_rows_either(beta, data, Y, seed, size):
    y = naive.csr(Y)
    edges = np.cumsum([0, *data.draw(cuts(len(Y)))])
    parts = [draw(y[a:b], int(a), seed=seed, size=size, beta=beta) for a, b in pairwise(edges)]
    whole, merged = draw(y, 0, seed=seed, size=size, beta=beta), random_tree(data, parts, size)
    for name in ("index", "keys", "sizes"):
        assert_array_equal(getattr(merged, name), getattr(whole, name))
    assert_array_equal(merged.rows.toarray(), whole.rows.toarray())
    assert merged.beta == beta
    assert_allclose([merged.norm, merged.total], [whole.norm, whole.total], rtol=1e-12)


@each_beta
def test_the_size_of_a_row_is_what_its_loss_grows_with(beta):
    Y = positive(30, 4)
    sample = draw(Y, 0, seed=1, size=10, beta=beta)
    expected = (Y**beta).sum(axis=1) if beta else np.full(30, 4.0)
    assert_allclose(sample.sizes, expected[sample.index], rtol=1e-12)
    assert_allclose(sample.norm, expected.sum(), rtol=1e-12)


def test_rows_of_zeros_are_drawn_only_where_every_row_counts_the_same():
    Y = positive(12, 4).copy()
    Y[[2, 7]] = 0
    for beta in (0.5, 1.0, 2.0, 3.0):
        assert not set(draw(Y, 0, seed=0, size=12, beta=beta).index) & {2, 7}
    assert set(draw(Y, 0, seed=0, size=12, beta=0.0).index) == set(range(12))


def test_sparse_rows_weigh_as_dense_ones_do():
    Y = np.where(positive(30, 6) < 0.5, 0, positive(30, 6))
    dense, thin = (count_rows(draw(y, 0, seed=3, size=8), 8) for y in (Y, naive.csr(Y)))
    assert_array_equal(thin[1], dense[1])
    assert (dense[1] > 1).any()
    before = thin[0].copy()
    assert_allclose(weigh(*thin).toarray(), weigh(*dense), rtol=1e-14)
    assert_array_equal(thin[0].toarray(), before.toarray())


def test_a_sample_of_all_rows_counts_each_once_and_is_given_as_it_is():
    Y = positive(9, 4)
    for y in (Y, naive.csr(Y)):
        rows, counts = count_rows(draw(y, 0, seed=0, size=9, beta=1.0), 9)
        assert_array_equal(counts, np.ones(9))
        assert weigh(rows, counts) is rows


@pytest.mark.long
@pytest.mark.parametrize(("beta", "kind"), [(0.0, "dense"), (1.0, "sparse"), (1.5, "dense")])
def test_the_loss_of_counted_rows_and_their_penalty_are_unbiased(kind, beta):
    """Means over many seeds are within five of their standard errors, which are small beside what is estimated."""
    Y = positive(40, 4)
    rng, count = np.random.default_rng(1), 1500
    L, S = rng.uniform(0.5, 1, (2, 40)), rng.uniform(0.5, 1, (2, 4))
    y, penalty, found = Y if kind == "dense" or beta <= 0 else naive.csr(Y), Penalty(0.3, 0.2), np.empty((count, 3))
    for seed in range(count):
        sample = draw(y, 0, seed=seed, size=8, beta=beta)
        rows, counts = count_rows(sample, 8)
        kept = np.delete(sample.index, np.argmax(sample.keys))
        sums = strip_sums(rows, np.ascontiguousarray(L[:, kept]), S, beta=beta, weights=counts)
        roots = np.sqrt(counts)
        # Of rows that were multiplied by the roots of their counts, as least squares has them.
        found[seed] = sums.loss, sums.numerator.sum(), penalty.weighted(roots).of(L[:, kept] * roots)
    whole = strip_sums(Y, L, S, beta=beta)
    expected = np.array([whole.loss, whole.numerator.sum(), penalty.of(L)])
    error = found.std(axis=0, ddof=1) / np.sqrt(count)
    assert (error < 0.05 * expected).all()
    assert (np.abs(found.mean(axis=0) - expected) <= 5 * error).all()


def test_what_stands_for_y_has_the_sketch_of_its_weighted_rows():
    Y = positive(90, 40)
    sample = draw(Y, 0, seed=3, size=30)
    rows, counts = count_rows(sample, 30)
    ours = stand_in(sample, 30, rank=2, seed=0)
    assert_array_equal(ours.rows, rows)
    assert_array_equal(ours.counts, counts)
    assert ours.sketch.B.shape == (14, 40)
    assert_allclose(ours.sketch.square, (weigh(rows, counts) ** 2).sum(), rtol=1e-12)
    assert [stand_in(draw(Y, 0, seed=3, size=n), n, rank=2, seed=0).whole for n in (30, 90)] == [False, True]
    nothing = stand_in(draw(0 * Y, 0, seed=3, size=30), 30, rank=2, seed=0)
    assert (nothing.sketch.rows, nothing.whole) == (0, True)
