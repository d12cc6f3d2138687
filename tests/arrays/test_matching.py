"""Components are matched one to one, whatever their order and scale."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dnmf.arrays.matching import cosines, match


def test_components_in_another_order_and_scale_are_found() -> None:
    rng = np.random.default_rng(0)
    known = rng.random((5, 30))
    order = rng.permutation(7)
    others = np.vstack([known, rng.random((2, 30))])[order] * rng.uniform(0.1, 9, (7, 1))
    found = match(known, others)
    np.testing.assert_array_equal(order[found.order], range(5))
    assert_allclose(found.cosines, 1)


def test_every_component_goes_with_one_alone() -> None:
    """Each of the first two is nearest to the same one: the pairs whose sum is largest are not the nearest ones."""
    known = np.array([[1.0, 0.0, 0.0], [1.0, 0.1, 0.0]])
    found = match(known, np.array([[1.0, 0.05, 0.0], [0.2, 1.0, 0.0]]))
    assert found.order.tolist() == [0, 1]
    assert found.cosines[1] < 0.5


def test_a_component_of_zeros_is_like_none() -> None:
    assert cosines([[1.0, 2.0]], [[0.0, 0.0], [2.0, 4.0]]).round(12).tolist() == [[0, 1]]


def test_what_cannot_be_matched_is_refused_with_both_shapes() -> None:
    with pytest.raises(ValueError, match="3 known components of 4 entries are to be matched with 2 of 4"):
        match(np.eye(4)[:3], np.eye(4)[:2])
    with pytest.raises(ValueError, match="2 known components of 4 entries are to be matched with 2 of 5"):
        match(np.ones((2, 4)), np.ones((2, 5)))
