"""Extremes of rows and columns, and powers of two."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from dnmf.arrays.extent import extent_for_squares, extent_of, merge_extents, times_power
from dnmf.arrays.weighted import Weighted

Y = np.array([[4.0, 0.0, 1e-30], [0.0, 0.0, 0.0], [1e-25, 0.0, 2e-30], [3.0, 2e-9, 0.0]])


@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, sparse.csr_matrix])
@pytest.mark.parametrize(("beta", "row"), [(1.0, 1e-25), (2.0, 1e-25), (-1.0, 1e-30)])
def test_the_quietest_row_and_columns_are_found_and_zeros_are_none(make, beta, row):
    y = make(Y.astype("f4"))
    found = merge_extents([extent_of(y[:2], beta), extent_of(y[2:], beta)])
    assert found.top == 4
    assert np.isclose(found.row, row)
    assert np.isclose(found.low, 1e-30 if beta <= 0 else 2e-30)


def test_plain_squares_are_not_looked_at_twice_and_zeros_have_no_extremes():
    plain = extent_for_squares(np.full((3, 4), 2.0, "f4"), np.full(3, 16.0))
    assert (plain.top, plain.low) == (4.0, 2.0)
    nothing = extent_of(np.zeros((2, 3)), 1.0)
    assert (nothing.top, nothing.low) == (0.0, np.inf)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
def test_a_power_of_two_rounds_nothing(make):
    y = make(np.array([[1e-44, 0.3]], "f4"))
    assert times_power(y, 0) is y
    there = times_power(y, 120)
    assert there.dtype == np.float32
    back = times_power(there, -120)
    assert_array_equal(*(a.toarray() if sparse.issparse(a) else a for a in (back, y)))


def test_a_stored_zero_is_no_least_entry():
    y = sparse.csr_matrix(np.array([[4.0, 2.0]]))
    y.data[1] = 0
    assert extent_of(Weighted(y, np.ones(2, bool)), 0).low == 4


def test_the_largest_weight_is_seen_beside_the_largest_entry():
    values, weights = np.ones((2, 2)), np.array([[1.0, 2.0], [1e-3, 0.0]])
    parts = [
        extent_for_squares(rows, np.ones(1))
        for rows in (Weighted(values[:1], weights[:1]), Weighted(values[1:], weights[1:]))
    ]
    assert (merge_extents(parts).weight, merge_extents(parts).top) == (2.0, 1.0)
    assert extent_of(Weighted(values, weights > 0), 1).weight == 1
