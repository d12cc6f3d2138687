"""What a model says of entries of X: the product itself, in any rows and columns, and wherever a mask is not 0."""

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import dnmf
from dnmf.run import predict as module
from dnmf.run.chosen import chosen

RNG = np.random.default_rng(0)
X = RNG.random((30, 3)) @ RNG.random((3, 17))
NAMES = np.array([f"c{j}" for j in range(17)], object)


@pytest.fixture(scope="module")
def model():
    return dnmf.factorize(pd.DataFrame(X, columns=list(NAMES)), 3, max_iter=3, tol=0)


@pytest.fixture(scope="module")
def product(model):
    return np.asarray(model.W) @ model.V


@pytest.mark.parametrize(
    ("rows", "columns", "where"),
    [
        (None, None, np.s_[:, :]),
        ("2:9", "3,5", np.s_[2:9, [3, 5]]),
        (slice(None, None, -7), ["c4", "c0"], np.s_[::-7, [4, 0]]),
        (-1, np.arange(17) < 2, np.s_[[29], :2]),
        ("20:,0", "c16,1:3", np.ix_([*range(20, 30), 0], [16, 1, 2])),
    ],
)
def test_rows_and_columns_are_those_of_the_product(model, product, rows, columns, where):
    found = dnmf.predict(model, rows=rows, columns=columns)
    np.testing.assert_allclose(found, product[where], rtol=1e-12)


@pytest.mark.parametrize("kind", ["array", "csr", "csc", "dask", "zarr", "sparse zarr"])
@pytest.mark.parametrize("entries", [1, 40, 2**20])
def test_where_a_mask_is_not_zero_stands_the_product(model, product, kind, entries, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ENTRIES", entries)
    mask = RNG.random((30, 17)) * (RNG.random((30, 17)) < 0.2)
    given = {
        "array": lambda: mask,
        "csr": lambda: sparse.csr_matrix(mask),
        "csc": lambda: sparse.csc_matrix(mask),
        "dask": lambda: da.from_array(mask, chunks=(8, 5)),
        "zarr": lambda: _stored(mask, tmp_path / "mask.zarr"),
        "sparse zarr": lambda: _converted(sparse.csr_matrix(mask), tmp_path),
    }[kind]()
    found = dnmf.predict(model, mask=given)
    assert found.nnz == np.count_nonzero(mask)
    np.testing.assert_allclose(found.toarray(), np.where(mask, product, 0), rtol=1e-12)


def _stored(mask, path):
    array = zarr.create_array(path, shape=mask.shape, chunks=(7, 5), dtype=mask.dtype)
    array[...] = mask
    return str(path)


def _converted(mask, folder):
    sparse.save_npz(folder / "mask.npz", mask)
    return dnmf.convert(folder / "mask.npz", folder / "mask.zarr")


def test_what_is_written_is_what_is_given_back_and_has_its_names(model, product, tmp_path):
    dnmf.predict(model, rows="0:4", columns="c3,c1", out=tmp_path / "P.zarr")
    opened = dnmf.factorize(tmp_path / "P.zarr", 1, max_iter=1)
    assert opened.labels.columns.tolist() == ["c3", "c1"]
    np.testing.assert_allclose(zarr.open(tmp_path / "P.zarr")[...], product[:4, [3, 1]], rtol=1e-12)
    mask = sparse.random(30, 17, 0.1, random_state=0)
    group = dnmf.predict(model, mask=mask, out=tmp_path / "S.zarr")
    parts = (group[name][...] for name in ("data", "indices", "indptr"))
    found = sparse.csr_matrix(tuple(parts), shape=(30, 17))
    np.testing.assert_allclose(found.toarray(), np.where(mask.toarray(), product, 0), rtol=1e-12)
    with pytest.raises(FileExistsError, match=r"P.zarr exists: a new path is required"):
        dnmf.predict(model, out=tmp_path / "P.zarr")


def test_columns_may_be_the_long_side(tmp_path):
    wide = dnmf.factorize(X.T.copy(), 3, max_iter=3, tol=0)
    assert wide.about.state.axis == 1
    expected = np.asarray(wide.W) @ wide.V
    np.testing.assert_allclose(dnmf.predict(wide, columns="28:"), expected[:, 28:], rtol=1e-12)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"rows": "30"}, r"rows are 30, and X has 30 rows: numbers from 0 to 29 are required"),
        ({"rows": "a"}, r"rows are 'a', which have no names: numbers from 0, ranges such as 0:10, or names"),
        ({"columns": ["x"]}, r"columns are 'x', whose names are others: numbers"),
        ({"rows": []}, r"rows are \[\], which is none of 30: one at least is required"),
        ({"rows": np.zeros(30, bool)}, r"rows are given by truth values, all of them False, which is none of 30"),
        ({"rows": "5:5"}, r"rows are '5:5', which is none of 30: one at least is required"),
        ({"rows": 0, "mask": np.ones((30, 17))}, r"rows or columns are given, and a mask"),
        ({"mask": np.ones((17, 30))}, r"the mask has shape \(17, 30\) and X has \(30, 17\)"),
    ],
)
def test_what_is_not_there_is_refused_in_a_sentence(model, asked, error):
    with pytest.raises(ValueError, match=error):
        dnmf.predict(model, **asked)


def test_a_run_without_its_w_says_so():
    with pytest.raises(ValueError, match="the run kept no W"):
        dnmf.predict(dnmf.factorize(X, 2, max_iter=1, keep_W=False))


@given(st.lists(st.integers(0, 11), min_size=1), st.integers(-13, 13), st.integers(-13, 13))
def test_a_text_chooses_what_python_would(numbers, first, stop):
    assert chosen(",".join(map(str, numbers)), None, 12, "rows").tolist() == numbers
    if len(range(12)[first:stop]):
        assert chosen(f"{first}:{stop}", None, 12, "rows").tolist() == list(range(12)[first:stop])
