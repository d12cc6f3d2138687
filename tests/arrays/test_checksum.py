"""Checksums of strips: every flipped bit shows, how a strip lies in memory does not, and passes compare them."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from kinds import sparse_stored
from pairwise import few
from resize import Resize
from scipy import sparse
from xxhash import xxh3_64_intdigest

import dnmf
from dnmf.arrays.checksum import Checksum, Checksums
from dnmf.arrays.rows import Rows
from dnmf.engine.read import NO_CHECKSUMS, Outcome, check_same, joined
from dnmf.events import PassDone, Sampled
from dnmf.plan.strips import Plan

PLAN = Plan(0, 40, 100, 10, 0, in_run=False, cached=False)


def checksum(*pieces: Rows) -> Checksums:
    """Of a strip that comes in pieces."""
    seen = Checksum()
    for piece in pieces:
        seen.add(piece)
    return seen.value


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_where_whole_rows_are_cut_into_pieces_does_not_count(kind: Any) -> None:
    y = kind(np.random.default_rng(0).integers(0, 3, (60, 11)).astype("f4"))
    assert checksum(y[:7], y[7:50], y[50:]) == checksum(y)
    assert checksum(y[7:50], y[:7], y[50:]) != checksum(y)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (5, 411), (3, 2048)])
def test_every_flipped_bit_shows(shape: tuple[int, int]) -> None:
    y = np.random.default_rng(0).random(shape).astype("f4")
    whole = checksum(y)
    memory = y.reshape(-1).view("u1")
    for at in {*range(min(64, memory.size)), *range(memory.size - 4, memory.size), *range(0, memory.size, 997)}:
        for bit in range(8):
            memory[at] ^= 1 << bit
            assert checksum(y) != whole
            memory[at] ^= 1 << bit
    assert checksum(y) == whole


def test_it_is_pinned() -> None:
    """Runs hold checksums: another one is another format of runs."""
    y = np.arange(6, dtype="f4").reshape(2, 3)
    assert checksum(y).tolist() == [xxh3_64_intdigest(y.tobytes())]
    assert checksum(y).dtype == np.uint64
    assert int(checksum(np.ones((2, 3), "f4"))[0]) == 3249976428046184157


def test_pieces_that_change_places_show() -> None:
    y = np.random.default_rng(0).random((6, 2048)).astype("f4")
    assert checksum(y[[0, 1, 4, 3, 2, 5]]) != checksum(y)


def test_a_turned_strip_has_the_checksum_of_what_it_was_turned_from() -> None:
    y = np.random.default_rng(0).random((7, 301)).astype("f4")
    assert checksum(y.T) == checksum(y)
    assert checksum(np.ascontiguousarray(y.T)) != checksum(y)
    assert checksum(np.pad(y, 2)[2:-2, 2:-2]) == checksum(np.asfortranarray(y))


def test_where_a_strip_lies_in_memory_does_not_count() -> None:
    y = np.random.default_rng(0).random((7, 301)).astype("f4")
    moved = np.ndarray(y.shape, y.dtype, buffer=np.empty(y.nbytes + 1, "u1")[1:])
    moved[...] = y
    assert not moved.flags.aligned
    assert checksum(moved) == checksum(y)


def test_sparse_strips_differ_in_entries_places_and_rows() -> None:
    y = sparse.random(50, 30, 0.2, "csr", "f4", random_state=0)
    found = {int(checksum(y)[0])}
    for name in ("data", "indices"):
        other = y.copy()
        getattr(other, name).view("u1")[3] ^= 1
        found.add(int(checksum(other)[0]))
    moved = y.copy()
    moved.indptr[10] -= 1
    found.add(int(checksum(moved)[0]))
    assert len(found) == 4


def test_strips_of_nothing_have_one_too() -> None:
    assert checksum(np.empty((0, 5))) == checksum(np.empty((5, 0)))
    assert checksum(sparse.csr_matrix((4, 5))) != checksum(sparse.csr_matrix((5, 5)))


def test_parts_are_joined_in_order() -> None:
    parts = [Outcome(i, np.array([i, 10 * i], "u8")) for i in (1, 2, 3)]
    seen = joined(parts, sum)
    assert seen.value == 6
    assert seen.checksums.tolist() == [1, 10, 2, 20, 3, 30]
    assert joined([Outcome(1, NO_CHECKSUMS), Outcome(2, NO_CHECKSUMS)], sum).checksums.size == 0


def test_a_pass_that_reads_nothing_forgets_nothing() -> None:
    first = np.array([1, 2, 3], "u8")
    assert check_same(None, NO_CHECKSUMS, PLAN) is None
    assert check_same(None, first, PLAN) is first
    assert check_same(first, NO_CHECKSUMS, PLAN) is first
    assert check_same(first, first.copy(), PLAN) is first


@pytest.mark.parametrize(
    ("now", "axis", "which"),
    [
        ([1, 2, 4], 0, "rows 80 to 99 of X are"),
        ([1, 3, 3], 1, "columns 40 to 79 of X are"),
        ([0, 2, 4], 0, "rows 0 to 39 of X and 1 more of 3 strips are"),
    ],
)
def test_what_changed_is_named(now: list[int], axis: int, which: str) -> None:
    plan = Plan(axis, 40, 100, 10, 0, in_run=False, cached=False)
    with pytest.raises(OSError, match=f"^{which} not what they were when they were first read"):
        check_same(np.array([1, 2, 3], "u8"), np.array(now, "u8"), plan)


@pytest.fixture
def small_strips(sizes: Resize) -> None:
    """Strips of some 64 KiB, so that small matrices have many."""
    sizes(small_strip=2**12, worthwhile_strip=2**12, large_strip=2**16)


def changed_after(kind: type, change: Any) -> Any:
    """A listener that changes X at the first event of a kind."""
    events: list[Any] = []

    def listen(event: Any) -> None:
        if isinstance(event, kind) and not events:
            events.append(event)
            change()

    return listen


@pytest.mark.usefixtures("small_strips")
@pytest.mark.parametrize(
    ("where", "shape", "init", "event"),
    few(
        [
            ("threads", (4000, 60), "sample", Sampled),
            ("threads", (60, 4000), "random", PassDone),
            ("cluster", (60, 4000), "sample", Sampled),
            ("cluster", (4000, 60), "random", PassDone),
        ],
        2,
    ),
)
def test_a_matrix_that_changes_between_passes_is_told(
    request: pytest.FixtureRequest, tmp_path: Path, where: str, shape: tuple[int, int], init: str, event: type
) -> None:
    if where == "cluster":
        request.getfixturevalue("client")
    chunks = tuple(min(n, 250) for n in shape)
    X = zarr.create_array(str(tmp_path / "x.zarr"), shape=shape, chunks=chunks, dtype="f4", fill_value=1)
    X[...] = np.random.default_rng(0).random(shape)
    at = (3111, 7) if shape[0] > 60 else (7, 3111)
    change = changed_after(event, lambda: X.__setitem__(at, float(X[at]) + 2**-20))
    with pytest.raises(OSError, match=r"^(rows|columns) \d+ to \d+ of X are not what they were") as error:
        dnmf.factorize(
            str(tmp_path / "x.zarr"), 3, init=init, cache=False, listeners=[change], out=tmp_path / "run.zarr"
        )
    first, last = (int(word) for word in str(error.value).split() if word.isdigit())
    assert first <= 3111 <= last


@pytest.mark.long
@pytest.mark.usefixtures("small_strips")
def test_a_sparse_matrix_that_changes_is_told(tmp_path: Path) -> None:
    path = sparse_stored(tmp_path / "x.zarr", sparse.random(1000, 300, 0.2, "csr", "f4", random_state=0))
    array = zarr.open_array(f"{path}/data")
    change = changed_after(Sampled, lambda: array.__setitem__(slice(30_000, 30_002), np.array([0.5, 0.25], "f4")))
    with pytest.raises(OSError, match=r"^rows \d+ to \d+ of X are not what they were"):
        dnmf.factorize(path, 3, cache=False, listeners=[change])


@pytest.mark.usefixtures("small_strips")
def test_a_dask_array_may_come_out_rounded_otherwise(tmp_path: Path) -> None:
    X = zarr.create_array(str(tmp_path / "x.zarr"), shape=(4000, 60), chunks=(250, 60), dtype="f4")
    X[...] = np.random.default_rng(0).random(X.shape)
    change = changed_after(Sampled, lambda: X.__setitem__((0, 0), float(X[0, 0]) * (1 + 1e-6)))
    lazy = da.from_zarr(str(tmp_path / "x.zarr"))
    assert dnmf.factorize(lazy, 3, cache=False, max_iter=2, tol=0, listeners=[change]).reads == 3
