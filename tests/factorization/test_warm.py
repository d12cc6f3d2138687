"""First factors from a V that is there: what is added to it, and when its rows keep their sizes."""

import numpy as np
from numpy.testing import assert_array_equal

from dnmf.factorization.warm import STARTS, first_rows

V = np.array([[1.0, 4.0, 0.0], [0.5, 0.0, 0.25], [0.0, 0.0, 0.0]])


def test_v_alone_is_the_only_start_where_nothing_is_added() -> None:
    (start,) = first_rows(V, rank=3, seed=0, free=False)
    assert_array_equal(start, V)
    (start,) = first_rows(V, rank=3, seed=0, free=True)
    assert_array_equal(start, V / [[4], [0.5], [1]])


def test_rows_that_are_added_differ_from_start_to_start_and_are_as_large_as_others() -> None:
    starts = first_rows(V, rank=5, seed=0, free=False)
    assert len(starts) == STARTS
    for start in starts:
        assert_array_equal(start[:3], V)
        assert 0 < start[3:].max() <= np.mean([4, 0.5, 1])
    assert len({start[3:].tobytes() for start in starts}) == STARTS
