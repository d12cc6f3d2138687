"""Tables as spreadsheets, pandas, R and instruments write them come out right, or are told or refused."""

import bz2
import lzma
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr

from dnmf.formats.convert import convert, describe

X = [[1.5, 2, 3], [4, 5, 6.25]]
FRAME = pd.DataFrame(X)

# A table in text; its numbers, names of rows and names of columns.
TABLES: dict[str, tuple[str, Any, Any, Any]] = {
    "words": ("a,b,c\n1.5,2,3\n4,5,6.25\n", X, None, "a b c"),
    "no header": ("1.5,2,3\n4,5,6.25\n", X, None, None),
    "pandas": (FRAME.to_csv(), X, "0 1", "0 1 2"),
    "pandas, names": (FRAME.set_axis(["r", "s"]).to_csv(index_label="gene"), X, "r s", "0 1 2"),
    "R": ("a\tb\tc\nr\t1.5\t2\t3\ns\t4\t5\t6.25\n", X, "r s", "a b c"),
    "R, rows by number": ('"a" "b" "c"\n"1" 1.5 2 3\n"2" 4 5 6.25\n', X, "1 2", "a b c"),
    "R, columns by number": ('"400" "410" "420"\n"r" 1.5 2 3\n"s" 4 5 6.25\n', X, "r s", "400 410 420"),
    "signatures": ("Type,SubType,a,b,c\nr,s,1.5,2,3\nt,u,4,5,6.25\n", X, ["r s", "t u"], "a b c"),
    "quotes": ('"g, x","b","c"\n"1.5","2","3"\n"4","5","6.25"\n', X, None, ["g, x", "b", "c"]),
    "quoted rows": ('gene,b,c,d\n"g, x",1.5,2,3\nh,4,5,6.25\n', X, ["g, x", "h"], "b c d"),
    "remarks": ("# made by x\n#\na,b,c\n1.5,2,3\n# more\n4,5,6.25\n", X, None, "a b c"),
    "savetxt": ("# a,b,c\n1.5,2,3\n4,5,6.25\n", X, None, "a b c"),
    "remarks of some words": ("# made here\n# two words\n1.5 2 3\n4 5 6.25\n# one more remark here\n", X, None, None),
    "savetxt, blanks": ("# a b c\n1.5 2 3\n4 5 6.25\n", X, None, "a b c"),
    "MATLAB": ("% made by x\n% more\n1.5 2 3\n4 5 6.25\n", X, None, None),
    "slashes": ("// made by x\n1.5,2,3\n4,5,6.25\n", X, None, None),
    "rows like remarks": ("#r,1.5,2,3\n#s,4,5,6.25\n", X, "#r #s", None),
    "rows like paths": ("//r,1.5,2,3\n//s,4,5,6.25\n", X, "//r //s", None),
    "numbers behind #": ("#t\t1\t2\t3\nr\t1.5\t2\t3\ns\t4\t5\t6.25\n", X, "r s", "1 2 3"),
    "an index that does not count": ("id,a,b,c\n101,1.5,2,3\n77,4,5,6.25\n", X, "101 77", "a b c"),
    "taxa": ("# Constructed from biom file\n#OTU ID\ta\tb\tc\nr\t1.5\t2\t3\ns\t4\t5\t6.25\n", X, "r s", "a b c"),
    "GEO": (
        '!Title\t"x"\n!Id\t"u"\t"v"\t"w"\n"ID_REF"\t"a"\t"b"\t"c"\n"r"\t1.5\t2\t3\n"s"\t4\t5\t6.25\n!end\n',
        X,
        "r s",
        "a b c",
    ),
    "gct": ("#1.2\n2\t3\nName\tDescription\ta\tb\tc\nr\tx\t1.5\t2\t3\ns\ty\t4\t5\t6.25\n", X, ["r x", "s y"], "a b c"),
    "dates": ("day,a,b,c\n2020-01-01,1.5,2,3\n2020-01-02,4,5,6.25\n", X, "2020-01-01 2020-01-02", "a b c"),
    "no header, names": ("r,1.5,2,3\ns,4,5,6.25\n", X, "r s", None),
    "decimal commas": ("a;b;c\n1,5;2;3\n4;5;6,25\n", X, None, "a b c"),
    "decimal commas, names": (";a;b;c\nr;1,5;2;3\ns;4;5;6,25\n", X, "r s", "a b c"),
    "decimal commas, blanks": ("1,5 2,0 3,0\n4,0 5,0 6,25\n", X, None, None),
    "decimal commas, quotes": ('a,b,c\n"1,5","2","3"\n"4","5","6,25"\n', X, None, "a b c"),
    "blanks": ("  1.5   2 3\n  4 5   6.25\n", X, None, None),
    "excel": ("sep=;\na;b;c\n1,5;2;3\n4;5;6,25\n", X, None, "a b c"),
    "ended": ("a,b,c,\n1.5,2,3,\n4,5,6.25,\n", X, None, "a b c"),
    "ended rows": ("a,b,c\n1.5,2,3,\n4,5,6.25,\n", X, None, "a b c"),
    "one column": ("my column\n1\n2\n", [[1], [2]], None, ["my column"]),
    "a word above numbers": ("id,2001\n0,1\n", [[0, 1]], None, "id 2001"),
    "an index": ("index,a,b\n0,7,8\n1,9,7\n", [[7, 8], [9, 7]], "0 1", "a b"),
    "no numbers in a name": ("gene,400,380\nr,1,2\ns,3,4\n", [[1, 2], [3, 4]], "r s", "400 380"),
}


def made(folder: Path, content: str, name: str = "x.csv", **options: Any) -> Any:
    """What a table in text becomes."""
    (folder / name).write_text(content, encoding="utf-8")
    return convert(folder / name, folder / "x.zarr", overwrite=True, **options)


def names(folder: Path, axis: str) -> list[str] | None:
    """Names beside X, None where there are none."""
    try:
        return [str(name) for name in zarr.open_array(folder / "x.zarr" / "labels" / axis, mode="r")[:]]
    except FileNotFoundError:
        return None


def words(names: Any) -> list[str] | None:
    return names.split() if isinstance(names, str) else names


@pytest.mark.parametrize("case", TABLES)
def test_tables_of_others_are_read_with_their_names_and_without_a_warning(tmp_path: Path, case: str) -> None:
    content, numbers, rows, columns = TABLES[case]
    np.testing.assert_array_equal(made(tmp_path, content)[:], numbers)
    assert names(tmp_path, "rows") == words(rows)
    assert names(tmp_path, "columns") == words(columns)


SPECTRA = "400.0,410.0,420.0\n.1,.2,.3\n.2,.3,.4\n"
NUMBERS: dict[str, tuple[str, int, str]] = {
    "pandas": (pd.DataFrame(np.ones((4, 3))).to_csv(index=False), 4, "names of columns, as it counts from 0"),
    "wavelengths": (SPECTRA, 2, "rise and are more than 10 times as large as all others"),
    "years": ("2001,2002,2003\n5,9,1\n3000,2,8\n", 2, "evenly spaced and those of other lines are not"),
    "uneven": ("1.0,2.5,3.0,7.0,9.0\n5,9,1,8,3\n7,2,8,1,4\n", 2, "rise and those of other lines do not"),
    "numbers of samples": ("17,4,9\n0.5,1.5,0.1\n2.5,2.0,0.3\n", 2, "whole and differ, and those of other"),
    "three": ("1,2,4\n5,9,1\n7,2,8\n", 3, "for a row of X, as nothing else is said, although its numbers rise"),
    "goes on": ("0,1,2\n3,4,5\n", 2, "is taken for a row of X, as it counts from 0 and the next line goes on"),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_a_first_line_of_numbers_that_may_be_names_is_told(tmp_path: Path, case: str) -> None:
    content, m, why = NUMBERS[case]
    with pytest.warns(UserWarning, match="x.csv, line 1 .* is taken for ") as said:
        assert made(tmp_path, content).shape[0] == m
    assert why in str(said[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lines = len(content.splitlines())
        assert made(tmp_path, content, header=True).shape[0] == lines - 1
        assert made(tmp_path, content, header=False).shape[0] == lines


def test_a_title_that_may_be_a_header_of_r_is_told(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="line 1 has 2 names above 3 columns, .* if that line is a title, begin it"):
        made(tmp_path, "Sample data\n1 2 3\n4 5 6\n")


def test_what_was_taken_for_what_is_described(tmp_path: Path) -> None:
    described = describe(made(tmp_path, ";a;b\nr;1,5;2\n"))
    assert described.endswith(
        "line 1 taken as names of columns (a, b); column 1 as names of rows; commas as decimal points"
    )


def test_compressed_tables_in_other_encodings(tmp_path: Path) -> None:
    files = {"x.tsv.bz2": (bz2.compress, "utf-8"), "x.txt.xz": (lzma.compress, "cp1252"), "x.txt": (bytes, "utf-16")}
    for name, (pack, encoding) in files.items():
        (tmp_path / name).write_bytes(pack("ä\tb\n1\t2\n".encode(encoding)))
        held = convert(tmp_path / name, tmp_path / "x.zarr", overwrite=True)
        np.testing.assert_array_equal(held[:], [[1, 2]])
        assert names(tmp_path, "columns") == ["ä", "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("NA,NA\n1,2\n3,4\n", r"line 1 has no number and no name \(NA, NA\): .* say --header or --no-header"),
        ("a\tb\n1,234\t2,345\n", "line 1: '1,234' may be a thousand and more, or a number with a decimal comma"),
        (
            "a,b\n1,NA\n",
            r"string 'NA' to float64; correct the line: after the names of a row, numbers are required; fi",
        ),
        ("My title\n1,2,3\n4,5,6\n", r"line 1 has 1 of 3 fields \(My title\): names of columns, or a row, are"),
        ("a,b,class\n1,2,x\n3,4,y\n", "line 2: could not convert string 'x' to float64; correct the line"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(tmp_path, content)


def test_a_header_is_for_tables(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    with pytest.raises(
        ValueError, match=r"--no-header \(header=False\) is for .csv, .tsv, .txt, .gct: .* leave it out"
    ):
        convert(tmp_path / "x.npy", tmp_path / "x.zarr", header=False)


HOLES = {
    "nothing": "a,b,c\n1.5,,3\n,5,\n",
    "words": "a,b,c\n1.5,NA,3\nnull,5,N/A\n",
    "quoted words": 'r,a,b,c\nx,1.5,"NA",3\ny,"",5,"nan"\n',
    "blanks": "a,b,c\n1.5, ,3\n -,5, ?\n",
    "tabs and names of rows": "r\ta\tb\tc\nx\t1.5\t\t3\ny\t\t5\t\n",
    "white space": "1.5 NA 3\nNA 5 .\n",
    "decimal commas": "a;b;c\n1,5;;3\nNA;5;\n",
    "a mark at the end of lines": "a,b,c,\n1.5,,3,\nNA,5,,\n",
    "lines of Windows": "a,b,c\r\n1.5,,3\r\n,5,\r\n",
}


@pytest.mark.parametrize("text", HOLES)
def test_what_is_missing_becomes_nan_where_that_is_asked_for(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.csv").write_text(HOLES[text], newline="")
    made: Any = convert(tmp_path / "x.csv", tmp_path / "x.zarr", missing="nan")
    np.testing.assert_array_equal(made[:], [[1.5, np.nan, 3], [np.nan, 5, np.nan]])
    with pytest.raises(ValueError, match=r"say --missing nan \(missing=\"nan\"\)$"):
        convert(tmp_path / "x.csv", tmp_path / "y.zarr")


def test_a_word_that_is_no_number_is_refused_although_some_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n1,N\n")
    with pytest.raises(ValueError, match=r"line 3: could not convert string 'N' to float64"):
        convert(tmp_path / "x.csv", tmp_path / "x.zarr", missing="nan")
    with pytest.raises(ValueError, match=r"^missing is 'zeros': 'nan', to have NaN where a table has no number"):
        convert(tmp_path / "x.csv", tmp_path / "x.zarr", missing="zeros")
