"""A pass on both engines: one read, few tasks, the same sums, and the arrays that Dask sees."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import dask
import dask.array as da
import numpy as np
import pytest
import zarr
from counters import CountingStore, CountTasks, executed
from dask.core import flatten
from dask.sizeof import sizeof
from pairwise import few
from zarr.storage import LocalStore

import dnmf
from dnmf.arrays.draws import random_rows
from dnmf.engine import blocks, passes, schedulers, source
from dnmf.engine.dask_engine import DaskEngine
from dnmf.events import PassDone, Planned, Sampled, StripDone
from dnmf.factorization.reads import pass_over
from dnmf.losses.choose import loss_of
from dnmf.losses.protocol import Known
from dnmf.matrix.opening import open_matrix
from dnmf.matrix.strips import Cut, HeldStrip, Piece, hold
from dnmf.plan import sizes, strips
from dnmf.rules import NO_PENALTY

CD = loss_of("cd", 2.0, NO_PENALTY, NO_PENALTY, sparse=False, short_sweeps=10)


@pytest.fixture
def small_strips() -> Iterator[None]:
    """Strips of some 64 KiB, so that small matrices have many."""
    with sizes.using(sizes.Sizes(2**12, 2**12, 2**16)):
        yield


def as_drawn(values: np.ndarray) -> blocks.Draw:
    """A first long factor that is there already, (k, M)."""
    return blocks.Draw(lambda i, rows: np.ascontiguousarray(values[:, i : i + rows]), len(values), values.dtype)


def rows_of(strips: da.Array) -> np.ndarray:
    """All rows of strips, of every piece of them."""
    blocks = strips.to_delayed().ravel().tolist()
    return np.concatenate([piece.rows for strip in dask.compute(*blocks, scheduler="threads") for piece in strip])


LAYOUTS = {
    "rows": {"shape": (1600, 60), "chunks": (100, 60)},
    "grid": {"shape": (1600, 60), "chunks": (250, 25)},
    "wide": {"shape": (60, 1600), "chunks": (25, 250)},
    "shards": {"shape": (1600, 60), "chunks": (50, 30), "shards": (200, 60)},
    "v2": {"shape": (1600, 60), "chunks": (100, 60), "zarr_format": 2},
}


def stored_matrix(path: Path, layout: str) -> tuple[zarr.Array[Any], CountingStore]:
    rng = np.random.default_rng(0)
    array = zarr.create_array(str(path), dtype="f4", **LAYOUTS[layout])
    array[...] = rng.random(array.shape)
    store = CountingStore(LocalStore(path))
    return zarr.open_array(store, mode="r"), store


def expected_reads(store: CountingStore, array: zarr.Array[Any], times: int) -> bool:
    reads = store.reads()
    per_key = set(reads.values())
    if array.shards:
        # A read of a shard's chunk fetches the chunk, and the shard's index once per strip.
        return sum(reads.values()) <= times * (array.nchunks + 2 * len(reads))
    return len(reads) == array.nchunks and per_key == {times}


@pytest.mark.usefixtures("small_strips")
@pytest.mark.parametrize("layout", few(LAYOUTS, 2))
def test_threads_read_every_chunk_once_per_pass(tmp_path: Path, layout: str) -> None:
    array, store = stored_matrix(tmp_path / "x.zarr", layout)
    result = dnmf.factorize(array, 3, max_iter=2, tol=0, cache=False)
    assert len(result.history["loss"]) == 2
    assert result.reads == 3
    assert expected_reads(store, array, 3)


@pytest.mark.usefixtures("small_strips")
@pytest.mark.parametrize("layout", few(LAYOUTS, 1))
def test_a_cluster_reads_every_chunk_once_per_pass(client: Any, tmp_path: Path, layout: str) -> None:
    array, store = stored_matrix(tmp_path / "x.zarr", layout)
    dnmf.factorize(array, 3, max_iter=2, tol=0, cache=False, out=tmp_path / "run.zarr")
    assert expected_reads(store, array, 3)


@pytest.mark.usefixtures("small_strips")
@pytest.mark.parametrize("where", ["threads", "cluster"])
@pytest.mark.parametrize("init", few(["sample", "random"], 1))
def test_a_cached_matrix_is_read_once_in_all(
    request: pytest.FixtureRequest, tmp_path: Path, where: str, init: str
) -> None:
    if where == "cluster":
        request.getfixturevalue("client")
    array, store = stored_matrix(tmp_path / "x.zarr", "rows")
    result = dnmf.factorize(array, 3, init=init, max_iter=4, tol=0, cache=True, out=tmp_path / "run.zarr")
    assert expected_reads(store, array, 1)
    assert result.reads == 1
    first = array.nbytes if init == "random" else 0
    assert result.history["bytes_read"].tolist() == [first, 0, 0, 0]
    assert result.record["start"]["bytes_read"] == array.nbytes - first


@pytest.mark.long
@pytest.mark.usefixtures("small_strips")
def test_at_most_seven_tasks_per_strip_and_pass(client: Any, tmp_path: Path) -> None:
    array, _ = stored_matrix(tmp_path / "x.zarr", "rows")
    client.register_plugin(CountTasks())
    counts, plans = [client.run_on_scheduler(executed)], []

    def listen(event: Any) -> None:
        if isinstance(event, Planned):
            plans.append(event)
        if isinstance(event, Sampled | PassDone):
            counts.append(client.run_on_scheduler(executed))

    dnmf.factorize(array, 3, max_iter=12, tol=0, cache=False, out=tmp_path / "run.zarr", listeners=[listen])
    client.unregister_scheduler_plugin("count-tasks")
    per_strip = np.diff(counts) / plans[0].strips
    assert plans[0].strips >= 8
    assert per_strip.min() > 2
    # Where a generation is saved, a few more add up what is written.
    assert per_strip.max() <= 7 + 4 / plans[0].strips


@pytest.mark.long
@pytest.mark.usefixtures("small_strips")
@pytest.mark.parametrize("where", ["threads", "cluster"])
def test_every_strip_is_told(request: pytest.FixtureRequest, tmp_path: Path, where: str) -> None:
    if where == "cluster":
        request.getfixturevalue("client")
    array, _ = stored_matrix(tmp_path / "x.zarr", "rows")
    events: list[Any] = []
    dnmf.factorize(array, 3, max_iter=2, tol=0, out=tmp_path / "run.zarr", listeners=[events.append])
    (planned,) = [e for e in events if isinstance(e, Planned)]
    ticks = [(e.iteration, e.done) for e in events if isinstance(e, StripDone)]
    assert sorted(ticks) == [(i, done) for i in (0, 1, 2) for done in range(1, planned.strips + 1)]


def test_the_fold_of_two_consumers_is_one_task(tmp_path: Path) -> None:
    array, store = stored_matrix(tmp_path / "x.zarr", "rows")
    plan = strips.Plan(0, 200, 1600, 60, 0, in_run=False, cached=False)
    engine = DaskEngine(schedulers.Threads(2), plan)
    S = np.random.default_rng(1).random((3, 60)).astype("f4")
    shared = CD.prepare(S, Known(1e9, 1.0, exact=False))
    f4 = np.dtype("f4")
    L = engine.draw(blocks.Draw(partial(random_rows, 0, 0, rank=3, dtype=f4), 3, f4))
    what = pass_over(CD, shared, lambda y, shared, L, sweeps: shared.S @ y.T, sweeps=1, target=None)
    pending = engine.read(engine.open(open_matrix(array)), L, what, lambda done: None)
    sums = pending.wait().value
    X = array[...].astype("f8")
    assert expected_reads(store, array, 2)  # once by the engine, once by the line above
    expected = X @ S.T.astype("f8")
    np.testing.assert_allclose(engine.collect(pending.L), expected, rtol=1e-5)
    np.testing.assert_allclose(sums.cross, expected.T @ X, rtol=1e-5)
    np.testing.assert_allclose(sums.gram, expected.T @ expected, rtol=1e-5)
    assert sums.cross.dtype == sums.gram.dtype == np.float64


@pytest.mark.parametrize("axis", [0, 1])
def test_a_lazy_matrix_is_prepared_like_a_stored_one(axis: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 9, (70, 50)).astype("i4")
    matrix = open_matrix(da.from_array(X, chunks=(13, 17)))
    plan = strips.Plan(axis, 20, X.shape[axis], X.shape[1 - axis], 0, in_run=False, cached=False)
    Y = source.strips_of(matrix, plan, check=True)
    assert Y.numblocks == (-(-X.shape[axis] // 20), 1)
    np.testing.assert_array_equal(rows_of(Y), X if axis == 0 else X.T)
    assert Y.dtype == np.float64


@pytest.mark.parametrize("axis", [0, 1])
def test_a_bad_entry_of_a_lazy_matrix_is_named(axis: int) -> None:
    X = np.ones((70, 50))
    X[41, 33] = np.nan
    matrix = open_matrix(da.from_array(X, chunks=(13, 17)))
    plan = strips.Plan(axis, 20, X.shape[axis], X.shape[1 - axis], 0, in_run=False, cached=False)
    Y = source.strips_of(matrix, plan, check=True)
    with pytest.raises(ValueError, match=r"X\[41, 33\] is nan"):
        rows_of(Y)


def test_a_column_statistic_is_refused_and_a_row_statistic_is_not() -> None:
    x = da.random.default_rng(0).random((400, 30), chunks=(50, 30))
    plan = strips.Plan(0, 50, 400, 30, 0, in_run=False, cached=False)
    with pytest.raises(ValueError, match=r"every strip of this Dask array depends on most of it \(8 of 8 loads\)"):
        source.strips_of(open_matrix(x / x.max(axis=0)), plan, check=True)
    Y = source.strips_of(open_matrix(np.log1p(x / x.sum(axis=1, keepdims=True))), plan, check=True)
    assert Y.numblocks == (8, 1)


def test_a_lazy_matrix_over_one_store_is_not_taken_for_a_statistic(tmp_path: Path) -> None:
    """Its blocks share the store, and perhaps a vector, but no load."""
    array, _ = stored_matrix(tmp_path / "x.zarr", "rows")
    plan = strips.Plan(0, 200, 1600, 60, 0, in_run=False, cached=False)
    lazy = da.from_zarr(str(tmp_path / "x.zarr"))
    for x in (lazy, lazy * np.arange(60.0), da.from_array(array, chunks=(100, 60))):
        Y = source.strips_of(open_matrix(x), plan, check=True)
        assert Y.numblocks == (8, 1)
        np.testing.assert_allclose(rows_of(Y), x.compute(scheduler="threads"), rtol=1e-6)


def test_no_task_of_a_lazy_matrix_carries_all_of_it() -> None:
    x = da.from_array(np.random.default_rng(0).random((4000, 60)), chunks=(500, 60))
    plan = strips.Plan(0, 500, 4000, 60, 0, in_run=False, cached=False)
    Y = source.strips_of(open_matrix(x), plan, check=True)
    tasks = dict(Y.__dask_graph__())
    assert max(len(cloudpickle.dumps(tasks[key])) for key in flatten(Y.__dask_keys__())) < 10_000


@pytest.mark.parametrize("axis", [0, 1])
def test_a_long_factor_is_written_and_read_back_as_it_was(axis: int, tmp_path: Path) -> None:
    plan = strips.Plan(axis, 30, 100, 10, 0, in_run=False, cached=False)
    shape, chunks = ((100, 3), (30, 3)) if axis == 0 else ((3, 100), (3, 30))
    target = zarr.create_array(str(tmp_path / "w.zarr"), shape=shape, chunks=chunks, dtype="f4")
    values = np.random.default_rng(0).random((3, 100)).astype("f4")
    L = passes.drawn(plan, as_drawn(values))
    assert passes.saved(L, target, axis).compute(scheduler="threads").all()
    np.testing.assert_array_equal(target[...], values.T if axis == 0 else values)
    again = passes.stored(target, plan)
    np.testing.assert_array_equal(again.compute(scheduler="threads"), values.T)
    assert again.chunks == L.chunks
    major = again.map_blocks(lambda block: np.array([[block.T.flags.c_contiguous]]), dtype=bool)
    assert major.compute(scheduler="threads").all()


def test_rounding_does_not_depend_on_where_a_block_lies_in_memory(tmp_path: Path) -> None:
    """What comes over the wire may lie across its alignment, and NumPy would then multiply it another way."""

    def moved(a: np.ndarray) -> np.ndarray:
        if a.size == 0:
            return a
        memory = np.empty(a.nbytes + 1, "u1")
        copy = np.ndarray(a.shape, a.dtype, buffer=memory[1:], order="C" if a.flags.c_contiguous else "F")
        copy[...] = a
        return copy

    array, _ = stored_matrix(tmp_path / "x.zarr", "rows")
    plan = strips.Plan(0, 200, 1600, 60, 0, in_run=False, cached=False)
    Y = source.strips_of(open_matrix(array), plan, check=False)
    S, rng = np.random.default_rng(1).random((3, 60)).astype("f4"), np.random.default_rng(2)
    values = rng.random((3, 1600)).astype("f4")
    L = passes.drawn(plan, as_drawn(values))
    found = []
    lying_strips = Y.map_blocks(lambda s: HeldStrip(tuple(Piece(moved(p.rows), p.first) for p in s)), meta=Y._meta)
    for place, (y, factor) in {"still": (Y, L), "moved": (lying_strips, L.map_blocks(moved))}.items():
        results = []
        for exact in (True, False):
            shared = CD.prepare(S, Known(1e9, 1.0, exact=exact))
            lying = shared if place == "still" else replace(shared, S=moved(S), gram=moved(shared.gram))
            what = pass_over(CD, lying, CD.update, sweeps=3, target=None)
            given = schedulers.Threads(2).place(what.shared)
            folded = passes.folded(y, factor, given, what, reads=False)
            new, total = passes.moved_rows(folded, y, 3), passes.tree(passes.outcomes(folded), what.total)
            results += [new.compute(scheduler="threads"), total.compute(scheduler="threads").value]
        found.append(results)
    assert not moved(S).flags.aligned
    for still, other in zip(*found, strict=True):
        for field in ("cross", "gram", "square", "norm") if hasattr(still, "cross") else ("T",):
            np.testing.assert_array_equal(getattr(still, field), getattr(other, field))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("held", [True, False])
def test_what_a_read_makes_of_a_strip_does_not_depend_on_its_pieces(axis: int, held: bool) -> None:
    """But for rounding."""
    X = np.random.default_rng(0).random((47, 12))
    strips = open_matrix(X if axis == 0 else X.T).strips(axis, check=True)
    shared = CD.prepare(np.random.default_rng(1).random((3, 12)), Known(None, 1.0, exact=True))
    what = pass_over(CD, shared, CD.solve, sweeps=4, target=None)
    found = []
    for piece in (0, 15, 1):
        strip = Cut(strips, piece)[7:47, :]
        assert [part.first for part in strip] == list(range(7, 47, piece or 40))
        found.append(blocks.fold(hold(strip) if held else strip, shared, None, what=what, reads=True))
    for other in found[1:]:
        np.testing.assert_allclose(other.L, found[0].L, rtol=1e-12)
        np.testing.assert_allclose(other.outcome.value.cross, found[0].outcome.value.cross, rtol=1e-10, atol=1e-12)
        assert (other.outcome.checksums == found[0].outcome.checksums) or axis == 1


def test_dask_knows_how_large_a_strip_is_that_is_held() -> None:
    strip = hold(Cut(open_matrix(np.ones((60, 10))).strips(0, check=True), 7)[:, :])
    assert 4800 <= sizeof(strip) < 6000
    again = pickle.loads(pickle.dumps(strip))
    assert again.height == 60
    assert again.dtype == np.float64
