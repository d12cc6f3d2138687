"""The power of two that X is multiplied by inside."""

import numpy as np
import pytest

from dnmf.arrays.extent import Extent
from dnmf.losses.scale import check_fits, exponent_for, in_units_of_x, scaled_penalties
from dnmf.rules import Penalty

F4, F8 = np.dtype("f4"), np.dtype("f8")


def extent(top, low):
    return Extent(top, low, np.zeros(3))


@pytest.mark.parametrize("beta", [-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("dtype", [F4, F8])
def test_plain_entries_are_multiplied_by_nothing(beta, dtype):
    for top in (0.0, 0.01, 1.0, 255.0, 1e5):
        assert exponent_for(extent(top, top / 100), beta, dtype) == 0


def test_the_largest_entry_comes_to_one_unless_quiet_rows_need_more():
    assert exponent_for(extent(2.0**-90, 2.0**-90), 2.0, F4) == 90
    # Floor of the model for β = 1: 1.1e-19; a row ten times as loud is the least.
    assert exponent_for(extent(1.0, 1e-25), 1.0, F4) == 24


@pytest.mark.parametrize(
    ("beta", "dtype", "low", "remedy"),
    [(0.0, F4, 1e-40, "store X as float64"), (0.0, F8, 1e-300, "multiply the quiet rows and columns by a constant")],
)
def test_what_does_not_fit_together_is_refused_and_nobody_is_told_what_is_so_already(beta, dtype, low, remedy):
    with pytest.raises(ValueError, match=f"powers of both do not fit into the range of {dtype}: {remedy}"):
        check_fits(extent(1.0, low), beta, dtype)


def test_losses_and_penalties_follow():
    assert in_units_of_x(8.0, 3, 1.0) == 1.0
    assert in_units_of_x(1.0, 2000, 2.0) == 0.0
    long, short = scaled_penalties(Penalty(3.0, 5.0), Penalty(3.0, 5.0), 2, 1.0, F8)
    assert (long.l1, long.l2, short.l1, short.l2) == pytest.approx((3.0, 5 / 4, 12.0, 20.0))


@pytest.mark.parametrize(
    ("top", "weight", "beta", "dtype"),
    [(1.0, 1e38, 2, F4), (1e10, 1e30, 2, F4), (1e-10, 1e-30, 2, F4), (1.0, 1e-40, 1, F4), (1e100, 1e200, 2, F8)],
)
def test_weights_without_room_for_what_they_are_multiplied_by_are_refused(top, weight, beta, dtype):
    with pytest.raises(ValueError, match=f"range of {dtype}; multiply all weights by one constant"):
        check_fits(Extent(top, top, np.zeros(3), weight), beta, dtype)
    assert check_fits(Extent(1.0, 1.0, np.zeros(3), 1.0), beta, dtype) == 0


def test_weights_are_beside_x_as_it_is_computed_with():
    assert check_fits(Extent(1e-30, 1e-30, np.zeros(3), 1e-10), 2, F4) == 100
    assert check_fits(Extent(0.0, np.inf, np.zeros(3), 0.0), 2, F4) == 0
