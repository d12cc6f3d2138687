"""Charts as plain numbers: ticks are round, in order and on the scale; lines break where a value is not known."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dnmf.report.charts import Scale, area, dots, line, pooled, profile, scale_of, thinned

NUMBERS = st.floats(-1e12, 1e12, allow_nan=False).map(lambda x: 0.0 if abs(x) < 1e-12 else x)


@given(st.lists(NUMBERS, min_size=1, max_size=9), st.booleans())
def test_numbers_and_ticks_are_on_the_scale(values, zero):
    scale = scale_of(values, zero=zero)
    at = scale.percent(values)
    assert ((at >= 0) & (at <= 100)).all()
    ticks = scale.ticks(4)
    places = [tick.at for tick in ticks]
    assert all(-0.01 <= place <= 100.01 for place in places)
    assert places == sorted(places, reverse=True)
    assert len(ticks) <= 6


def test_ticks_are_round_and_told_apart():
    texts = [tick.text for tick in scale_of([0.1234, 0.1239]).ticks(4)]
    assert texts == ["0.1234", "0.1236", "0.1238"]
    assert [tick.text for tick in Scale(1, 20).ticks(6, whole=True)] == ["5", "10", "15", "20"]


def test_a_line_is_broken_where_nothing_is_known():
    x, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([5.0, np.nan, 6.0, 7.0])
    assert line(x, y) == "M0,5M2,6L3,7"
    assert dots(x, y) == "M0,5h0M2,6h0M3,7h0"
    assert area(x[2:], y[2:]) == "M2,100L2,6L3,7L3,100Z"


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=300), st.integers(1, 40))
def test_the_largest_numbers_stay_when_they_are_pooled(values, blocks):
    heights, places = pooled(values, blocks)
    assert len(heights) == min(blocks, len(values))
    assert heights.max() == max(values)
    assert heights.tolist() == [values[place] for place in places]


@given(st.integers(1, 5000))
def test_first_and_last_stay_when_points_are_left_out(count):
    kept = thinned(count, 50)
    assert (kept[0], kept[-1], len(kept)) == (0, count - 1, min(count, 50))


def test_a_profile_of_zeros_is_flat():
    chart = profile(np.zeros(3), ["a", "b", "c"], title="", description="", x_label="")
    assert {y for _, y, _ in chart.points} == {100}
