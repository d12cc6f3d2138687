"""Tables of Apache Arrow come out with their names; what is no number is refused by its column."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr

from dnmf.formats.convert import convert

X = pd.DataFrame([[1.5, 2], [3, 4], [5, 6]], columns=["a", "b"])


def names(path: Path, axis: str) -> list[str] | None:
    """Names beside X, None where there are none."""
    try:
        return [str(name) for name in zarr.open_array(path / "labels" / axis, mode="r")[:]]
    except FileNotFoundError:
        return None


@pytest.mark.parametrize(
    ("frame", "rows"),
    [
        (X, None),
        (X.set_axis(["r", "s", "t"]), ["r", "s", "t"]),
        (X.assign(gene=["r", "s", "t"])[["gene", "a", "b"]], ["r", "s", "t"]),
    ],
)
def test_parquet(tmp_path: Path, frame: pd.DataFrame, rows: Any) -> None:
    frame.to_parquet(tmp_path / "x.parquet", row_group_size=2)
    made: Any = convert(tmp_path / "x.parquet", tmp_path / "x.zarr")
    np.testing.assert_array_equal(made[:], X.to_numpy())
    assert (names(tmp_path / "x.zarr", "rows"), names(tmp_path / "x.zarr", "columns")) == (rows, ["a", "b"])


def test_a_folder_of_parquet_files_and_feather(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").mkdir()
    for part in range(3):
        X.iloc[part : part + 1].to_parquet(tmp_path / "x.parquet" / f"part.{part}.parquet", index=False)
    X.astype("f4").to_feather(tmp_path / "x.feather")
    made: Any = convert(tmp_path / "x.parquet", tmp_path / "a.zarr")
    np.testing.assert_array_equal(made[:], X.to_numpy())
    made = convert(tmp_path / "x.feather", tmp_path / "b.zarr")
    assert made.dtype == np.dtype("f4")
    np.testing.assert_array_equal(made[:], X.to_numpy())


def test_what_is_no_number_is_refused_by_its_column(tmp_path: Path) -> None:
    X.assign(c=pd.array([1, None, 2], "Int64")).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(
        ValueError, match=r"x.parquet: row 1 has nothing in column 'c': a number is required in every pla"
    ):
        convert(tmp_path / "x.parquet", tmp_path / "x.zarr")
    X.assign(c=["u", "v", "w"]).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(
        ValueError, match=r"x.parquet: column 'c' holds .*string: numbers are required, and names of row"
    ):
        convert(tmp_path / "x.parquet", tmp_path / "x.zarr")
    (tmp_path / "x.feather").write_bytes(b"1,2,3")
    with pytest.raises(
        ValueError, match=r"x.feather is no table of Apache Arrow .*: copy it again, or write it with pan"
    ):
        convert(tmp_path / "x.feather", tmp_path / "x.zarr")


def test_what_is_missing_becomes_nan_where_that_is_asked_for(tmp_path: Path) -> None:
    X.astype("i2").assign(c=pd.array([1, None, 2], "Int16")).to_parquet(tmp_path / "x.parquet")
    made: Any = convert(tmp_path / "x.parquet", tmp_path / "x.zarr", missing="nan")
    assert made.dtype == np.dtype("f4")
    np.testing.assert_array_equal(made[:, 2], [1, np.nan, 2])
    np.testing.assert_array_equal(made[:, :2], X.astype("i2"))


def test_arrow_needs_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        ImportError, match=r'x.parquet is read by pyarrow, which is missing: pip install "dnmf\[parquet'
    ):
        convert(tmp_path / "x.parquet", tmp_path / "x.zarr")
