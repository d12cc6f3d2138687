"""Rows of stored matrices as one: read as if they had been written together, wherever they are cut."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinds import sparse_stored, stored
from numpy.testing import assert_array_equal
from scipy import sparse

from dnmf.matrix.labels import Labels
from dnmf.matrix.opening import open_matrix
from dnmf.matrix.stacked import Range, open_stacked, stacked
from dnmf.stores.missing_chunks import missing

X = np.where(np.random.default_rng(0).random((60, 7)) < 0.4, 0, np.arange(420).reshape(60, 7)).astype("f4")


@pytest.fixture(scope="module", params=["dense", "sparse"])
def paths(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Rows 0 to 39 and 40 to 59 of X."""
    folder = tmp_path_factory.mktemp(request.param)
    write: Any = stored if request.param == "dense" else lambda path, X: sparse_stored(path, sparse.csr_matrix(X))
    return write(folder / "a.zarr", X[:40]), write(folder / "b.zarr", X[40:])


@given(data=st.data())
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_strips_are_those_of_the_rows_one_below_the_other(paths: tuple[str, str], data: st.DataObject) -> None:
    rows = [data.draw(st.tuples(*(st.integers(0, n),) * 2).map(sorted).filter(lambda r: r[0] < r[1])) for n in (40, 20)]
    both = open_stacked([(path, *part) for path, part in zip(paths, rows, strict=True)])
    whole = np.vstack([X[:40][slice(*rows[0])], X[40:][slice(*rows[1])]])
    assert both.grid.shape == whole.shape
    start, stop = data.draw(st.tuples(*(st.integers(0, len(whole)),) * 2).map(sorted).filter(lambda r: r[0] < r[1]))
    strip = both.scaled(3).strips(0, check=True)[start:stop, :]
    assert_array_equal(strip.toarray() if both.sparse else strip, 8 * whole[start:stop])
    if both.sparse:
        assert strip.has_canonical_format
        assert_array_equal(both.grid.ends, sparse.csr_matrix(whole).indptr)


def test_all_rows_of_a_matrix_are_that_matrix_and_neighbours_are_one_range(paths: tuple[str, str]) -> None:
    matrix = open_matrix(paths[0])
    assert stacked([Range(matrix, 0, 15), Range(open_matrix(paths[0]), 15, 40)]).parts == ()
    part = stacked([Range(matrix, 3, 15), Range(matrix, 15, 20), Range(matrix, 2, 4)])
    assert part.parts == ((paths[0], 3, 20), (paths[0], 2, 4))
    assert part.fingerprint != stacked([Range(matrix, 3, 20), Range(matrix, 2, 5)]).fingerprint
    with pytest.raises(ValueError, match="are read as strips of rows alone"):
        part.strips(1, check=True)


def test_rows_are_named_by_where_they_are(tmp_path: Path) -> None:
    bad = X.copy()
    bad[45, 2] = -1
    part = open_stacked([(stored(tmp_path / "x.zarr", bad), 40, 60)])
    with pytest.raises(ValueError, match=r"X\[45, 2\] is -1.0"):
        part.strips(0, check=True)[0:20, :]


def test_what_is_drawn_are_its_rows_and_columns(tmp_path: Path) -> None:
    places = [(stored(tmp_path / "a.zarr", X[:40]), 10, 40), (stored(tmp_path / "b.zarr", X[40:]), 0, 20)]
    numbers = open_stacked(places).numbers
    assert_array_equal(numbers[29], X[39])
    assert_array_equal(numbers[30], X[40])
    assert_array_equal(numbers[:, 3], X[10:, 3])
    with pytest.raises(IndexError, match="there is no row 50 of 50"):
        numbers[50]


def test_names_go_with_rows(tmp_path: Path) -> None:
    matrix = open_matrix(stored(tmp_path / "x.zarr", X))
    names = [f"r{i}" for i in range(60)]
    named = replace(matrix, named=lambda: Labels.of(names, "abcdefg"))
    assert stacked([Range(named, 50, 60)]).labels.rows.tolist() == names[50:]
    both = stacked([Range(matrix, 0, 5), Range(replace(named, location="y"), 50, 60)]).labels
    assert both.rows is None
    assert both.columns.tolist() == list("abcdefg")


def test_matrices_that_make_no_one_are_refused(tmp_path: Path) -> None:
    one = stored(tmp_path / "a.zarr", X)
    others = {
        "has 6 columns and .* has 7": stored(tmp_path / "narrow.zarr", X[:, 1:]),
        "is dense, for float64, and .* is dense, for float32": stored(tmp_path / "f8.zarr", X.astype("f8")),
        "is sparse, for float32, and": sparse_stored(tmp_path / "csr.zarr", sparse.csr_matrix(X)),
    }
    for text, other in others.items():
        with pytest.raises(ValueError, match=text):
            open_stacked([(one, 0, 60), (other, 0, 60)])
    with pytest.raises(ValueError, match="has 60 rows, and 61 are required: it is not what it was"):
        open_stacked([(one, 0, 61)])
    with pytest.raises(ValueError, match=r"is stored column by column \(CSC\), and whole rows are needed"):
        open_stacked([(sparse_stored(tmp_path / "csc.zarr", sparse.csc_matrix(X)), 0, 60)])
    both = open_stacked([(one, 0, 60), (one, 5, 10)])
    assert [type(array) for array in both.arrays] == [zarr.Array] * 2
    assert missing(both.arrays[0]) is not None


@pytest.mark.parametrize("missing", ["nan", "zeros"])
def test_what_is_missing_is_missing_in_all_of_them(tmp_path: Path, missing: str) -> None:
    lacking = np.random.default_rng(1).random(X.shape) < 0.3
    if missing == "nan":
        parts = [stored(tmp_path / f"{i}.zarr", np.where(lacking, np.nan, X)[i]) for i in (slice(40), slice(40, 60))]
    else:
        lines, columns = np.nonzero(~lacking)
        whole = sparse.csr_matrix((X[lines, columns], (lines, columns)), shape=X.shape)
        parts = [sparse_stored(tmp_path / f"{i}.zarr", whole[i]) for i in (slice(40), slice(40, 60))]
    both = open_stacked([(parts[0], 5, 40), (parts[1], 0, 20)], missing=missing)
    assert both.weighted
    rows = both.strips(0, check=True)[20:50, :]
    values, weights = (a.toarray() if rows.sparse else a for a in (rows.values, rows.omega))
    assert_array_equal(weights, ~lacking[25:55])
    assert_array_equal(values, np.where(lacking, 0, X)[25:55])
    assert both.fingerprint != open_stacked([(parts[0], 5, 40), (parts[1], 0, 20)]).fingerprint
    with pytest.raises(ValueError, match=rf"^missing is None for .* and '{missing}' for .*: say the same of both"):
        stacked([Range(open_matrix(parts[0], missing=missing), 5, 40), Range(open_matrix(parts[1]), 0, 20)])


def test_rows_that_have_weights_are_not_taken_apart(tmp_path: Path) -> None:
    matrix = open_matrix(stored(tmp_path / "x.zarr", X), weights=stored(tmp_path / "w.zarr", X))
    assert stacked([Range(matrix, 0, 60)]) is matrix
    with pytest.raises(ValueError, match=r"x.zarr has weights beside it, and is read as a whole alone"):
        stacked([Range(matrix, 0, 40)])
