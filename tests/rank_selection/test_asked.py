import pytest

from dnmf.rank_selection.asked import possible, ranks_of


@pytest.mark.parametrize(
    ("asked", "found"),
    [("2:4", (2, 3, 4)), ("7", (7,)), ("8,2:3", (2, 3, 8)), (range(2, 4), (2, 3)), ([5, 5, 1], (1, 5))],
)
def test_ranks_are_ascending_and_each_once(asked, found):
    assert ranks_of(asked) == found


@pytest.mark.parametrize("asked", ["", "auto", "0:3", "4:2", "2-5", "2:", [], [0], [2.5], [True], 7, None, "1e3"])
def test_what_are_no_ranks_is_refused(asked):
    with pytest.raises(ValueError, match="some positive integers are required, as in 2:30"):
        ranks_of(asked)


def test_what_the_sample_does_not_allow_is_refused_or_left_out():
    assert possible(None, 100) == tuple(range(2, 31))
    assert possible(None, 5) == (2, 3, 4, 5)
    assert possible(None, 1) == (1,)
    assert possible((3, 5), 5) == (3, 5)
    with pytest.raises(ValueError, match=r"ranks up to 6 are asked for.* allow 5 at most: ask for smaller ones"):
        possible((3, 6), 5)
    with pytest.raises(ValueError, match="too few rows or columns"):
        possible(None, 0)
