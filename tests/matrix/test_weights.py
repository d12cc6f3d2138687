"""Whatever X and its weights are, entries count as the weights say; both are read with one cut, each chunk once."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import zarr
from counters import CountingStore
from kinds import lazy, sparse_stored, stored
from numpy.testing import assert_array_equal
from scipy import sparse
from zarr.storage import LocalStore

from dnmf.arrays.weighted import Weighted
from dnmf.engine.source import lazy_strips
from dnmf.matrix.opening import open_matrix
from dnmf.matrix.strips import Cut
from dnmf.plan.choose import plan
from dnmf.plan.memory import MIB, Workers
from dnmf.plan.sizes import Sizes, using

SHAPE = (45, 20)


def numbers():
    """X with some zeros."""
    return np.random.default_rng(0).integers(0, 9, SHAPE).astype("f4")


def omega(dtype="f8"):
    """Weights, a third of them 0, and those of a row and of a column."""
    rng = np.random.default_rng(1)
    weights = rng.integers(1, 5, SHAPE) * (rng.random(SHAPE) > 0.3)
    weights[3], weights[:, 7] = 0, 0
    return weights.astype(dtype)


def where_it_counts(x, weights):
    """X with numbers that cannot be where its weight is 0."""
    return np.where(weights > 0, x, np.resize([np.nan, -1, np.inf], SHAPE)).astype(x.dtype)


def check_equal(found: Weighted, x, weights, *, dense: bool):
    """Rows are these numbers with these weights."""
    assert isinstance(found, Weighted)
    assert found.sparse != dense
    assert found.dtype == "f4"
    assert found.masked == (weights.dtype == bool)
    assert found.masked or found.weights.dtype == "f4"
    rows = [found.values, found.omega]
    if found.sparse:
        assert found.values.has_canonical_format
        assert found.weights.all()
    values, omega = (a.toarray() if found.sparse else a for a in rows)
    assert_array_equal(omega, weights)
    assert_array_equal(values, np.where(weights > 0, x, 0))


DENSE = {
    "array": lambda path, x: x,
    "zarr": lambda path, x: stored(path, x),
    "zarr in other chunks": lambda path, x: stored(path, x, (12, 20)),
    "dask": lambda path, x: lazy(x),
}

SPARSE = {
    "csr": lambda path, x: sparse.csr_array(x),
    "csc": lambda path, x: sparse.csc_array(x),
    "csr in zarr": lambda path, x: sparse_stored(path, sparse.csr_array(x)),
    "dask of csr": lambda path, x: lazy(x).map_blocks(sparse.csr_matrix),
}


def check_strips(matrix, x, weights, *, dense):
    """All strips along every axis, in this process, or of a graph."""
    assert matrix.weighted
    assert matrix.sparse != dense
    assert matrix.grid.omega == (1 if weights.dtype == bool else 4)
    for axis in matrix.grid.axes:
        y, w = (x, weights) if axis == 0 else (x.T, weights.T)
        for check in (True, False):
            strips = matrix.strips(axis, check=check)
            for cut in (slice(0, len(y)), slice(2, 9)):
                check_equal(strips[cut, :], y[cut], w[cut], dense=dense)
        check_equal(matrix.scaled(2).strips(axis, check=True)[:, :], 4 * y, w, dense=dense)
        if matrix.lazy:
            heights, first = ((20, 25), (13, 7))[axis], 0
            found = lazy_strips(matrix, heights, axis, check=True).to_delayed().ravel()
            for strip, height in zip(found, heights, strict=True):
                (piece,) = strip.compute(scheduler="sync")
                at = slice(first, first + height)
                check_equal(piece.rows, y[at], w[at], dense=dense)
                first += height


@pytest.mark.parametrize("dtype", ["f8", "?", "u1"])
@pytest.mark.parametrize(("kind", "other"), list(product(DENSE, DENSE)))
def test_dense_x_with_dense_weights(tmp_path, kind, other, dtype):
    weights = omega(dtype)
    X = DENSE[kind](tmp_path / "x.zarr", where_it_counts(numbers(), weights))
    matrix = open_matrix(X, weights=DENSE[other](tmp_path / "w.zarr", weights))
    check_strips(matrix, numbers(), weights, dense=True)


@pytest.mark.parametrize("dtype", ["f8", "?"])
@pytest.mark.parametrize(("kind", "other"), list(product(DENSE, SPARSE)))
def test_dense_x_with_sparse_weights(tmp_path, kind, other, dtype):
    weights = omega(dtype)
    X = DENSE[kind](tmp_path / "x.zarr", where_it_counts(numbers(), weights))
    if other == "csr in zarr" and kind == "dask":
        with pytest.raises(ValueError, match="one is a Dask array and the other a sparse matrix in a store"):
            open_matrix(X, weights=SPARSE[other](tmp_path / "w.zarr", weights))
        return
    matrix = open_matrix(X, weights=SPARSE[other](tmp_path / "w.zarr", weights))
    check_strips(matrix, numbers(), weights, dense=False)


@pytest.mark.parametrize(("kind", "other"), list(product(SPARSE, SPARSE)))
def test_sparse_x_with_sparse_weights(tmp_path, kind, other):
    if "dask of csr" in (kind, other) and "csr in zarr" in (kind, other):
        pytest.skip("one of them is refused, as above")
    weights, x = omega(), np.where(omega() > 1, numbers(), np.where(omega() > 0, 0, np.resize([-1, np.inf], SHAPE)))
    made = SPARSE[kind](tmp_path / "x.zarr", x.astype("f4")), SPARSE[other](tmp_path / "w.zarr", weights)
    check_strips(open_matrix(made[0], weights=made[1]), np.where(omega() > 0, x, 0), weights, dense=False)


@pytest.mark.parametrize(("kind", "other"), list(product(SPARSE, DENSE)))
def test_sparse_x_with_dense_weights(tmp_path, kind, other):
    if kind == "csr in zarr" and other == "dask":
        pytest.skip("one of them is refused, as above")
    weights, x = omega(), np.where(omega() > 0, numbers(), -1).astype("f4")
    matrix = open_matrix(SPARSE[kind](tmp_path / "x.zarr", x), weights=DENSE[other](tmp_path / "w.zarr", weights))
    check_strips(matrix, numbers(), weights, dense=True)


@pytest.mark.parametrize("other", [*DENSE, *SPARSE])
def test_what_sparse_x_does_not_store_is_missing_whatever_its_weight(tmp_path, other):
    if other in ("dask", "dask of csr"):
        pytest.skip("one of them is refused, as above")
    stores = np.random.default_rng(2).random(SHAPE) < 0.4
    x = sparse.csr_array(stores * 1.0)
    x.data = np.where(omega() > 0, numbers(), -1)[stores].astype("f4")
    X = sparse_stored(tmp_path / "x.zarr", x)
    matrix = open_matrix(X, missing="zeros", weights={**DENSE, **SPARSE}[other](tmp_path / "w.zarr", omega()))
    check_strips(matrix, numbers(), np.where(stores, omega(), 0), dense=False)


@pytest.mark.parametrize("other", [*DENSE, *SPARSE])
def test_nan_is_missing_whatever_its_weight(tmp_path, other):
    x = numbers()
    x[::3, ::2] = np.nan
    matrix = open_matrix(x, missing="nan", weights={**DENSE, **SPARSE}[other](tmp_path / "w.zarr", omega()))
    check_strips(matrix, numbers(), np.where(np.isnan(x), 0, omega()), dense=other in DENSE)


# What is read


def counted(path: Path) -> tuple[zarr.Array, CountingStore]:
    store = CountingStore(LocalStore(path, read_only=True))
    return store


@pytest.mark.parametrize("chunks", [((5, 20), (5, 20)), ((4, 10), (6, 5)), ((9, 20), (45, 3))])
@pytest.mark.parametrize("sizes", [1000, 10**6])
def test_each_chunk_of_both_is_read_once_in_a_pass(tmp_path, chunks, sizes):
    x, w = (stored(tmp_path / name, a, c) for name, a, c in zip("xw", (numbers(), omega()), chunks, strict=True))
    stores = [CountingStore(LocalStore(path, read_only=True)) for path in (x, w)]
    # What is behind such a store is no path: they are opened as what they are.
    from dnmf.matrix.dense import StoredDense
    from dnmf.matrix.weights import weighed

    both = [StoredDense.of(zarr.open_array(store, mode="r"), "there") for store in stores]
    matrix = weighed(*both, None)
    for axis in (0, 1):
        with using(Sizes.of_strips(sizes)):
            cut = plan(matrix.grid, rank=2, workers=Workers(1, 2, 512 * MIB), axes=(axis,))
        before = [store.reads() for store in stores]
        strips, first = Cut(matrix.strips(axis, check=True), cut.piece), 0
        for height in cut.heights:
            for piece in strips[first : first + height, :]:
                assert piece.rows.shape[1] == cut.width
            first += height
        for store, seen, chunk in zip(stores, before, chunks, strict=True):
            reads = store.reads() - seen
            assert set(reads.values()) == {1}
            assert len(reads) == np.prod([-(-side // c) for side, c in zip(SHAPE, chunk, strict=True)])
