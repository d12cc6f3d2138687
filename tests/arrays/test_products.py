"""Products of rows, dense and sparse, with factors: against plain loops, whatever zeros are stored, in any pieces."""

from itertools import pairwise

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from strategies import cuts as heights_of
from strategies import matrices, problems

from dnmf.arrays import parts, products
from dnmf.arrays import rows as arrays_rows

BETAS = [-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0]


@st.composite
def both(draw, X):
    """The same rows as an array in either order of memory, and as CSR, some of whose zeros are stored; read-only."""
    stored = draw(st.sets(st.integers(0, X.size - 1), max_size=20))
    dense, rows = np.array(X, order=draw(st.sampled_from(["C", "F"]))), naive.csr(X, stored)
    for a in (dense, rows.data, rows.indices, rows.indptr):
        a.flags.writeable = False
    return dense, rows


@given(st.data(), problems())
def test_products_are_those_of_the_textbook_dense_or_sparse(data, problem):
    X, W, V = problem
    digits = 1e-12 if X.dtype == "f8" else 1e-5
    for y in data.draw(both(X)):
        for ours, expected in (
            (products.right(V, y), naive.product(V, X.T)),
            (products.left(W.T, y), naive.product(W.T, X)),
        ):
            assert ours.dtype == X.dtype
            assert isinstance(ours, np.ndarray)
            assert_allclose(ours, expected, rtol=digits, atol=digits * max(1e-30, expected.max()))
        assert_allclose(products.total(y), X.sum(dtype="f8"), rtol=1e-6 if X.dtype == "f4" else 1e-12)


@given(beta=st.sampled_from(BETAS), data=st.data(), X=matrices())
def test_powers_of_rows_are_over_what_is_not_zero(beta, data, X):
    expected = [sum(float(x) ** beta for x in row if x > 0) if beta else len(row) for row in X]
    for y in data.draw(both(X)):
        ours = products.row_powers(y, beta)
        assert ours.dtype == "f8"
        assert_allclose(ours, expected, rtol=1e-12 if X.dtype == "f8" else 1e-5)


@given(beta=st.sampled_from(BETAS), data=st.data(), X=matrices())
def test_powers_of_a_row_have_the_same_bits_in_strips_of_any_height(beta, data, X):
    """A sample is drawn by them: one bit decides which rows are in it."""
    edges = np.cumsum([0, *data.draw(heights_of(len(X)))])
    for y in data.draw(both(X)):
        parts = [products.row_powers(y[a:b], beta) for a, b in pairwise(edges)]
        assert_array_equal(np.concatenate(parts), products.row_powers(y, beta))


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("beta", BETAS)
def test_of_no_rows_there_are_no_powers(beta, kind):
    """A sample of X of zeros has none."""
    assert products.row_powers(kind(np.zeros((0, 4))), beta).shape == (0,)


@pytest.mark.parametrize("layout", ["C", "F"])
def test_powers_of_more_rows_than_a_piece_holds(layout):
    X = np.asarray(np.random.default_rng(0).random((1201, 3)), order=layout)
    assert_allclose(products.row_powers(X, 1.5), (X**1.5).sum(axis=1), rtol=1e-12)


@given(st.data(), matrices(max_side=30))
def test_columns_are_added_up_in_float64_whatever_the_cut(data, X):
    edges = np.cumsum([0, *data.draw(heights_of(len(X)))])
    X8 = X.astype("f8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "COLUMN_ENTRIES", data.draw(st.sampled_from([1, 2 * X.shape[1], 2**18])))
        for y in data.draw(both(X)):
            found = np.zeros((2, X.shape[1]))
            for a, b in pairwise(edges):
                products.add_columns(y[a:b], *found)
            assert_allclose(found, [X8.sum(axis=0), (X8**2).sum(axis=0)], rtol=1e-14)


@given(st.data(), matrices(max_side=30), st.integers(1, 40))
def test_parts_of_sparse_rows_are_all_rows_in_order_and_small(data, X, most):
    y = data.draw(both(X))[1]
    found = list(parts.cuts(y, most))
    assert [cut.start for cut in found] == [0, *(cut.stop for cut in found[:-1])]
    assert found[-1].stop == len(X)
    for cut in found:
        inside = y[cut].nnz
        assert inside <= most or cut.stop - cut.start == 1
        # No piece that could have been larger.
        assert cut.stop == len(X) or inside + y[cut.stop].nnz > most


@given(st.integers(1, 2000), st.integers(1, 3))
def test_parts_of_dense_rows_are_all_rows_in_order(height, width):
    y = np.arange(height * width, dtype="f8").reshape(height, width)
    found = list(parts.parts(y))
    assert max(map(len, found)) <= 512
    assert_array_equal(np.concatenate(found), y)


def test_where_rows_have_no_entries_one_part_is_all_of_them():
    assert list(parts.cuts(sparse.csr_matrix((5, 3)), 2)) == [slice(0, 5)]


@given(st.data(), problems())
def test_the_model_is_formed_where_sparse_rows_have_entries(data, problem):
    X, W, V = problem
    y = data.draw(both(X))[1]
    model = naive.product(W, V)
    expected = [model[i, j] for i in range(len(X)) for j in y.indices[y.indptr[i] : y.indptr[i + 1]]]
    ours = products.model_at(y, np.ascontiguousarray(W.T), np.ascontiguousarray(V.T))
    assert_allclose(ours, expected, rtol=1e-12 if X.dtype == "f8" else 1e-5, atol=1e-30)
    assert ours.dtype == X.dtype


def test_sparse_rows_with_other_numbers_have_them_in_the_same_places():
    y = naive.csr([[0.0, 2.0], [0.0, 0.0], [3.0, 0.0]], {0})
    other = products.with_data(y, np.array([5.0, 6.0, 7.0]))
    assert_array_equal(other.toarray(), [[5, 6], [0, 0], [7, 0]])
    assert_array_equal(y.toarray(), [[0, 2], [0, 0], [3, 0]])


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_some_rows_of_each_part_are_stacked(kind):
    rng = np.random.default_rng(0)
    parts = [rng.random((4, 3)), rng.random((2, 3)), rng.random((3, 3))]
    kept = [np.array([0, 3]), np.array([], "i8"), np.array([1])]
    ours = arrays_rows.stack([kind(part) for part in parts], kept)
    assert type(ours) is type(kind(parts[0]))
    expected = np.vstack([parts[0][[0, 3]], parts[2][[1]]])
    assert_array_equal(ours.toarray() if sparse.issparse(ours) else ours, expected)


def test_an_array_across_its_alignment_is_laid_out_anew():
    bytes_, values = np.zeros(8 * 12 + 1, "u1"), np.random.default_rng(0).random((4, 3))
    across = bytes_[1:].view("f8").reshape(4, 3)
    across[...] = values
    assert not across.flags.aligned
    assert arrays_rows.aligned(across).flags.aligned
    assert_array_equal(arrays_rows.aligned(across), values)
    assert arrays_rows.aligned(values) is values
    rows = sparse.csr_matrix(values)
    assert arrays_rows.aligned(rows) is rows


def test_a_sparse_matrix_counts_by_what_it_holds():
    y = naive.csr(np.eye(10))
    assert arrays_rows.is_sparse(y)
    assert not arrays_rows.is_sparse(y.toarray())
    assert arrays_rows.dense_size(y) == 80
    assert arrays_rows.dense_size(y.toarray()) == 100
