"""Whatever X and its weights are, entries count as the weights say; both are read with one cut, each chunk once."""

import re
from itertools import product

import numpy as np
import pandas as pd
import pytest
import zarr
from counters import CountingStore
from kinds import lazy, sparse_stored, stored
from numpy.testing import assert_array_equal
from scipy import sparse
from strategies import pairs
from zarr.storage import LocalStore

from dnmf.arrays.weighted import Weighted
from dnmf.engine.source import lazy_strips
from dnmf.matrix import weights
from dnmf.matrix.dense import StoredDense
from dnmf.matrix.matrix import finds
from dnmf.matrix.opening import check_complete, open_matrix, tell_missing
from dnmf.matrix.sparse import StoredSparse
from dnmf.matrix.strips import Cut
from dnmf.matrix.weights import weighed
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


def go_together(kind, other):
    """Whether they can be read with one cut: see below for what is said where they cannot."""
    return not ("csr in zarr" in (kind, other) and any(each.startswith("dask") for each in (kind, other)))


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


@pytest.mark.parametrize(("kind", "other", "dtype"), pairs([*DENSE], [*DENSE], ["f8", "?", "u1"]))
def test_dense_x_with_dense_weights(tmp_path, kind, other, dtype):
    weights = omega(dtype)
    X = DENSE[kind](tmp_path / "x.zarr", where_it_counts(numbers(), weights))
    matrix = open_matrix(X, weights=DENSE[other](tmp_path / "w.zarr", weights))
    check_strips(matrix, numbers(), weights, dense=True)


DENSE_AND_SPARSE = [case for case in pairs([*DENSE], [*SPARSE], ["f8", "?"]) if go_together(*case[:2])]


@pytest.mark.parametrize(("kind", "other", "dtype"), DENSE_AND_SPARSE)
def test_dense_x_with_sparse_weights(tmp_path, kind, other, dtype):
    weights = omega(dtype)
    X = DENSE[kind](tmp_path / "x.zarr", where_it_counts(numbers(), weights))
    matrix = open_matrix(X, weights=SPARSE[other](tmp_path / "w.zarr", weights))
    check_strips(matrix, numbers(), weights, dense=False)


@pytest.mark.parametrize(("kind", "other"), [case for case in product(SPARSE, SPARSE) if go_together(*case)])
def test_sparse_x_with_sparse_weights(tmp_path, kind, other):
    weights, x = omega(), np.where(omega() > 1, numbers(), np.where(omega() > 0, 0, np.resize([-1, np.inf], SHAPE)))
    made = SPARSE[kind](tmp_path / "x.zarr", x.astype("f4")), SPARSE[other](tmp_path / "w.zarr", weights)
    check_strips(open_matrix(made[0], weights=made[1]), np.where(omega() > 0, x, 0), weights, dense=False)


@pytest.mark.parametrize(("kind", "other"), [case for case in product(SPARSE, DENSE) if go_together(*case)])
def test_sparse_x_with_dense_weights(tmp_path, kind, other):
    weights, x = omega(), np.where(omega() > 0, numbers(), -1).astype("f4")
    matrix = open_matrix(SPARSE[kind](tmp_path / "x.zarr", x), weights=DENSE[other](tmp_path / "w.zarr", weights))
    check_strips(matrix, numbers(), weights, dense=True)


@pytest.mark.parametrize("other", [each for each in (*DENSE, *SPARSE) if go_together("csr in zarr", each)])
def test_what_sparse_x_does_not_store_is_missing_whatever_its_weight(tmp_path, other):
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


@pytest.mark.parametrize("chunks", [((5, 20), (5, 20)), ((4, 10), (6, 5)), ((9, 20), (45, 3))])
@pytest.mark.parametrize("sizes", [1000, 10**6])
def test_each_chunk_of_both_is_read_once_in_a_pass(tmp_path, chunks, sizes):
    x, w = (stored(tmp_path / name, a, c) for name, a, c in zip("xw", (numbers(), omega()), chunks, strict=True))
    stores = [CountingStore(LocalStore(path, read_only=True)) for path in (x, w)]
    # What is behind such a store is no path: they are opened as what they are.
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


def test_sparse_x_is_read_once_by_strip_where_its_weights_are_dense(tmp_path):
    paths = sparse_stored(tmp_path / "x", sparse.csr_array(numbers())), stored(tmp_path / "w", omega(), (5, 20))
    stores = [CountingStore(LocalStore(path, read_only=True)) for path in paths]
    x = StoredSparse.of(zarr.open_group(stores[0], mode="r"), "there")
    matrix = weighed(x, StoredDense.of(zarr.open_array(stores[1], mode="r"), "there"), None)
    before = stores[0].reads()
    (strip,) = (Cut(matrix.strips(0, check=True), 5)[:, :],)
    found = [piece.rows for piece in strip]
    assert len(found) == 9
    assert_array_equal(np.vstack([rows.values for rows in found]), np.where(omega() > 0, numbers(), 0))
    assert set((stores[0].reads() - before).values()) <= {1}
    assert set(stores[1].reads().values()) == {1}


@pytest.mark.parametrize("missing", [None, "zeros"])
def test_dense_rows_are_read_some_chunks_at_a_time_where_a_part_of_them_is_kept(tmp_path, monkeypatch, missing):
    monkeypatch.setattr(weights, "AT_A_TIME", 1)
    a, b = sparse.csr_array(omega("f4")), stored(tmp_path / "x.zarr", numbers(), (4, 20))
    if missing:
        matrix = open_matrix(sparse_stored(tmp_path / "a.zarr", a), missing=missing, weights=b)
        x, w = omega(), np.where(omega() > 0, numbers(), 0)
    else:
        matrix, x, w = open_matrix(b, weights=sparse_stored(tmp_path / "a.zarr", a)), numbers(), omega()
    assert matrix.step == 4
    check_strips(matrix, x.astype("f4"), w, dense=False)
    with using(Sizes.of_strips(300)):
        cut = plan(matrix.grid, rank=2, workers=Workers(1, 2, 512 * MIB))
    assert len(cut.heights) > 1
    assert all(height % 4 == 0 for height in cut.heights[:-1])


# What is known of both


def test_both_are_looked_for_and_told_of(tmp_path):
    x, w = stored(tmp_path / "x.zarr", numbers()), stored(tmp_path / "w.zarr", omega())
    matrix = open_matrix(x, weights=w)
    assert (matrix.location, matrix.weights.location) == (x, w)
    assert open_matrix(x).weights is None
    assert len(matrix.arrays) == 2
    assert finds(matrix.nodes)
    assert matrix.stored
    assert not matrix.in_memory
    assert matrix.repeats
    check_complete(matrix)
    assert matrix.grid.stored_nbytes == numbers().nbytes + omega().nbytes
    (tmp_path / "w.zarr" / "c" / "0" / "0").unlink()
    with pytest.warns(UserWarning, match=r"w.zarr lacks 1 of 6 chunks"):
        tell_missing(matrix)
    with pytest.raises(FileNotFoundError, match=r"w.zarr lacks 1 of 6 chunks"):
        check_complete(matrix)
    (tmp_path / "w.zarr" / "zarr.json").unlink()
    assert not finds(matrix.nodes)


def test_other_weights_are_another_x(tmp_path):
    x, w = stored(tmp_path / "x.zarr", numbers()), stored(tmp_path / "w.zarr", omega())
    other = stored(tmp_path / "v.zarr", omega("f4"))
    prints = [
        open_matrix(x).fingerprint,
        open_matrix(x, missing="nan").fingerprint,
        open_matrix(x, weights=w).fingerprint,
        open_matrix(x, weights=other).fingerprint,
        open_matrix(x, missing="nan", weights=w).fingerprint,
    ]
    assert len(set(prints)) == len(prints)
    assert open_matrix(open_matrix(x, missing="nan"), weights=w).fingerprint == prints[-1]
    assert open_matrix(open_matrix(x, weights=other), weights=w).fingerprint == prints[2]


def test_one_that_is_in_memory_keeps_both_in_this_process(tmp_path):
    x = stored(tmp_path / "x.zarr", numbers())
    for matrix in (open_matrix(x, weights=omega()), open_matrix(numbers(), weights=stored(tmp_path / "w", omega()))):
        assert matrix.in_memory
        assert not matrix.stored


def test_sparse_x_may_be_cut_by_rows_with_its_weights():
    x, w = (sparse.csc_array(a) for a in (numbers(), omega()))
    by_rows = open_matrix(x, weights=w).by_rows()
    assert by_rows.grid.axes == (0,)
    check_equal(by_rows.strips(0, check=True)[:, :], numbers(), omega(), dense=False)


# What is refused


def changed(a, value, place=(10, 6)):
    a = a.copy()
    a[place] = value
    return a


REFUSED = {
    "the weights, an array in memory, are 20 × 45, and X is 45 × 20: one for every entry is required": (
        lambda path: open_matrix(numbers(), weights=omega().T)
    ),
    "the weights cannot be used: X has shape (3,): a matrix": lambda path: open_matrix(numbers(), weights=[1, 2, 3]),
    "the weights cannot be used: there is no Zarr array at": (
        lambda path: open_matrix(numbers(), weights=str(path / "none.zarr"))
    ),
    "columns of the weights have other names than those of X": lambda path: open_matrix(
        pd.DataFrame(numbers()[:, :2], columns=["a", "b"]), weights=pd.DataFrame(omega()[:, :2], columns=["b", "a"])
    ),
    "X is stored row by row (CSR), and its weights, ": lambda path: open_matrix(
        sparse_stored(path / "x", sparse.csr_array(numbers())),
        weights=sparse_stored(path / "w", sparse.csc_array(omega())),
    ),
    "of X and its weights one is a Dask array and the other a sparse matrix in a store": lambda path: open_matrix(
        lazy(numbers()), weights=sparse_stored(path / "w", sparse.csr_array(omega()))
    ),
    "missing is 'zeros', and X, an array in memory, is dense": (
        lambda path: open_matrix(numbers(), missing="zeros", weights=sparse.csr_array(omega()))
    ),
}


@pytest.mark.parametrize("said", REFUSED)
def test_weights_that_do_not_fit_are_refused(tmp_path, said):
    with pytest.raises((ValueError, FileNotFoundError), match=f"^{re.escape(said)}"):
        REFUSED[said](tmp_path)


def as_stored(a, axis, *, as_sparse):
    return (sparse.csr_array, sparse.csc_array)[axis](a) if as_sparse else a


@pytest.mark.parametrize(("axis", "value", "as_sparse"), pairs([0, 1], [-1, np.nan, np.inf, 1e39], [False, True]))
def test_weights_that_cannot_be_are_named_by_their_place(axis, value, as_sparse):
    weights = as_stored(changed(omega(), value), axis, as_sparse=as_sparse)
    strips, start = open_matrix(numbers(), weights=weights).strips(axis, check=True), (9, 5)[axis]
    said = (
        r"^weights\[10, 6\] is (-1.0|nan|inf): every entry must be finite and not negative; mend them and start again$"
    )
    with np.errstate(over="ignore"), pytest.raises(ValueError, match=said):
        strips[start : start + 4, :]


@pytest.mark.parametrize(
    ("axis", "value", "sparse_x", "sparse_weights"), pairs([0, 1], [-1, np.nan, np.inf], [False, True], [False, True])
)
def test_an_entry_that_counts_and_cannot_be_is_named_by_its_place(axis, value, sparse_x, sparse_weights):
    weights = as_stored(changed(omega(), 1), axis, as_sparse=sparse_weights)
    X = as_stored(changed(numbers(), value), axis, as_sparse=sparse_x)
    strips, start = open_matrix(X, weights=weights).strips(axis, check=True), (9, 5)[axis]
    with pytest.raises(ValueError, match=r"^X\[10, 6\] is (-1.0|nan|inf): every entry must be finite"):
        strips[start : start + 4, :]


def test_a_masked_weight_is_refused():
    masked = np.ma.masked_array(omega(), mask=changed(np.zeros(SHAPE, bool), True))
    with pytest.raises(ValueError, match=r"^weights\[10, 6\] is nan"):
        open_matrix(numbers(), weights=masked).strips(0, check=True)[:, :]


def test_chunks_that_hardly_end_together_are_to_be_written_again():
    both = [zarr.create_array({}, shape=(100_000, 4000), chunks=(c, 4000), dtype="f4") for c in (997, 1009)]
    matrix = open_matrix(both[0], weights=both[1])
    said = "with X and its weights in chunks of 997 × 4000 and 1009 × 4000, which end together in chunks of 100000 ×"
    with pytest.raises(MemoryError, match=said) as refused:
        plan(matrix.grid, rank=5, workers=Workers(2, 1, 1024 * MIB))
    assert "rewrite X and its weights in chunks of 256 × 4000" in str(refused.value)
