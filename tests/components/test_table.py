"""A table is aligned whatever is in it, fits a terminal, and comes back from CSV."""

import io

import pandas as pd
import pytest

from dnmf.components.table import Table, cells, shortened

LONG = "ENSG00000141510.16_a-name-that-is-longer-than-any-terminal-would-like_TP53"
TABLE = Table(
    {
        "component": [12, 3],
        "share": [0.5, float("nan")],
        "features": [("gene1", "基因", LONG), ()],
    }
)


def test_numbers_are_aligned_and_what_is_not_known_is_a_dash():
    assert str(TABLE).splitlines() == [
        "component  share  features",
        f"       12  0.500  gene1, 基因, {LONG}",
        "        3      –",
    ]
    assert len(TABLE) == 2
    assert TABLE["component"] == [12, 3]


@pytest.mark.parametrize("width", [1, 40, 60, 80, 200])
def test_lines_are_no_wider_than_a_terminal(width):
    lines = TABLE.lines(width)
    assert max(map(cells, lines)) <= max(width, 38)
    assert "".join(lines).count("gene1") == 1


def test_csv_comes_back(tmp_path):
    odd = Table({"component": [1, 2], "share": [1 / 3, float("nan")], "features": [('a "b", c', "d\ne"), ("x",)]})
    back = pd.read_csv(io.StringIO(odd.csv()))
    assert list(back.columns) == ["component", "share", "feature_1", "feature_2"]
    assert back["share"].tolist()[0] == 1 / 3
    assert back.isna().to_numpy().tolist() == [[False, False, False, False], [False, True, False, True]]
    assert back["feature_1"].tolist() == ['a "b", c', "x"]
    assert back["feature_2"][0] == "d\ne"


def test_a_name_is_cut_in_its_middle():
    assert shortened("short", 10) == "short"
    cut = shortened(LONG, 20)
    assert (cells(cut), cut[:9], cut[10:]) == (20, LONG[:9], LONG[-10:])
    assert cells(shortened("基因基因基因基因", 7)) <= 7
