"""Labels: columns are matched by name, whatever their order; others, and names that repeat, are refused."""

import numpy as np
import pytest

from dnmf.matrix.labels import Labels, check_beside


def columns(*names):
    return Labels.of(None, names)


def test_columns_in_another_order_are_found_among_the_known_ones():
    known = columns("a", "b", "c", "d")
    V, mine = np.arange(8).reshape(2, 4), columns("c", "a", "d", "b")
    places = mine.columns_in(known.columns)
    assert places.tolist() == [2, 0, 3, 1]
    assert V[:, places].tolist() == [[2, 0, 3, 1], [6, 4, 7, 5]]


def test_nothing_is_to_do_where_names_are_the_same_or_there_are_none():
    known = columns("a", "b", "b")
    assert columns("a", "b", "b").columns_in(known.columns) is None, "these repeat, and are in order"
    assert Labels().columns_in(known.columns) is None
    assert known.columns_in(None) is None


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        ("abx", "1 of 3 columns of X are none of the model's, the first is 'x'"),
        ("ab", "X lacks 1 of 3 columns of the model, the first is 'c'"),
        ("cabb", "names of columns repeat ('b') and are in another order than those of the model"),
    ],
)
def test_other_columns_are_refused(mine, said):
    with pytest.raises(ValueError, match="columns") as refused:
        columns(*mine).columns_in(columns(*"abc").columns)
    assert str(refused.value).startswith(said)


def test_what_is_no_text_becomes_one():
    labels = Labels.of([b"cell", 7, "ä\udc80\0"], np.array([0.5, 20.0]))
    assert labels.rows.tolist() == ["cell", "7", "ä?"]
    assert labels.columns.tolist() == ["0.5", "20.0"]


def test_names_that_count_are_those_of_columns_without_names():
    assert columns("2", "0", "1").columns_in(None).tolist() == [2, 0, 1]
    assert Labels().columns_in(columns("2", "0", "1").columns).tolist() == [1, 2, 0]
    assert columns("2", "0", "7").columns_in(None) is None


def test_there_is_one_name_of_each():
    with pytest.raises(
        ValueError, match=r"x\.zarr has 3 columns and beside it are 2 names of columns: one for each is"
    ):
        columns("a", "b").check((5, 3), "x.zarr")


@pytest.mark.parametrize("names", ["ba", "ax", "10"])
def test_weights_with_other_names_are_refused(names):
    x = columns(*("01" if names == "10" else "ab"))
    with pytest.raises(ValueError, match="columns of the weights have other names than those of X, or another order"):
        check_beside(x, columns(*names))


@pytest.mark.parametrize("names", ["ab", "01", None])
def test_weights_with_the_same_names_or_none_are_taken(names):
    check_beside(columns(*"ab"), Labels() if names is None else columns(*names))
