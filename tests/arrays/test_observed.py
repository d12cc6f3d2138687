"""What is observed of rows is what is observed of all parts of them, wherever they are cut."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse
from strategies import cuts, matrices

from dnmf.arrays.observed import MOST_NAMED, Observed, merge_observed
from dnmf.arrays.weighted import Weighted


@given(st.data(), matrices(max_side=20), st.booleans())
def test_it_is_that_of_all_rows_wherever_they_are_cut(data, y, as_sparse):
    weights = y > 0
    rows = Weighted(y, weights)
    if as_sparse:
        values = sparse.csr_matrix(y)
        rows = Weighted(values, np.ones(values.nnz, bool))
    edges = np.cumsum([0, *data.draw(cuts(len(y)))]).tolist()
    found = merge_observed([Observed.of(rows[a:b], 5 + a) for a, b in pairwise(edges)])
    empty = np.flatnonzero(~weights.any(axis=1))
    assert (found.entries, found.empty) == (weights.sum(), len(empty))
    assert found.first == tuple((5 + empty[:MOST_NAMED]).tolist())
    assert_array_equal(found.columns, weights.sum(axis=0))
    assert found.columns.dtype == "i8"
