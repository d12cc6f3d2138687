"""Ranks are compared: how often X is read, that the answer depends on X alone, goes on, and is kept and checked."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray
import zarr
from counters import CountingStore
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from pairwise import few
from resize import Resize
from scipy import sparse
from zarr.storage import LocalStore

import dnmf
from dnmf.events import RankTried, Sampled, StripDone
from dnmf.plan.sizes import current, using

M, N, RANK = 500, 20, 3
ASKED = range(1, 6)


@pytest.fixture(autouse=True)
def _in_strips(sizes: Resize) -> None:
    """Strips of 32 KiB, and samples of 400 rows."""
    sizes(strip=2**15)
    sizes(sample_rows=400)


def of_known_rank(seed: int = 0, *, counts: bool = False) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    X = rng.gamma(0.5, size=(M, RANK)) @ rng.gamma(0.5, size=(RANK, N))
    return rng.poisson(4 * X).astype("f8") if counts else X * rng.uniform(0.7, 1.3, X.shape)


def stored(path: Path, X: NDArray[np.float64]) -> tuple[Any, CountingStore]:
    store = CountingStore(LocalStore(path))
    array = zarr.create_array(store, shape=X.shape, chunks=(60, N), dtype=X.dtype)
    array[...] = X
    return array, store


def reads(store: CountingStore) -> set[int]:
    """How often chunks were read: the same for all of them."""
    return set(store.reads().values())


def same(one: dnmf.Ranking, other: dnmf.Ranking) -> bool:
    alike = [np.array_equal(one.columns[name], other.columns[name]) for name in one.columns]
    return all(alike) and all(np.array_equal(one.components[k], other.components[k]) for k in one.components)


def test_one_read_finds_the_rank_and_one_more_verifies_all_of_them(tmp_path: Path) -> None:
    X = of_known_rank()
    array, store = stored(tmp_path / "x.zarr", X)
    found = dnmf.ranks(array, ASKED, out=tmp_path / "ranks.zarr")
    assert (found.best, reads(store)) == (RANK, {1})
    again = dnmf.ranks(array, ASKED, out=tmp_path / "again.zarr", sample=tmp_path / "ranks.zarr")
    assert (same(found, again), reads(store)) == (True, {1})
    verified = dnmf.ranks(array, ASKED, out=tmp_path / "more.zarr", sample=tmp_path / "ranks.zarr", verify="2:5")
    assert reads(store) == {2}
    assert sorted(verified.verified) == [2, 3, 4, 5]
    # On all of X, of the short factor before its step.
    for rank in (2, 5):
        W = np.linalg.lstsq(found.components[rank].T, X.T, rcond=None)[0]
        assert verified.verified[rank] >= np.linalg.norm(X.T - found.components[rank].T @ W) / np.linalg.norm(X)
        W = dnmf.transform(X, found.components[rank])
        direct = np.linalg.norm(X - W @ found.components[rank]) / np.linalg.norm(X)
        assert verified.verified[rank] == pytest.approx(direct, rel=2e-3)


def test_a_run_goes_on_from_a_comparison(tmp_path: Path) -> None:
    """Its sample costs no read; where the rank was verified the first pass is better than from the sample alone."""
    array, store = stored(tmp_path / "x.zarr", of_known_rank())
    dnmf.ranks(array, ASKED, out=tmp_path / "ranks.zarr", verify=[RANK])
    assert reads(store) == {2}
    how: Any = {"sample": tmp_path / "ranks.zarr", "max_iter": 1, "cache": False}
    run = dnmf.factorize(array, RANK, **how)
    assert (run.reads, reads(store)) == (1, {3})
    other = dnmf.factorize(array, RANK + 1, **how)
    assert (other.reads, reads(store)) == (1, {4})
    plain = dnmf.factorize(array, RANK, max_iter=1)
    assert run.relative_error < plain.relative_error


@pytest.mark.parametrize("rank", few(["1:5", "auto", range(1, 6)], 1))
def test_a_run_may_leave_the_rank_to_x(tmp_path: Path, rank: object) -> None:
    array, store = stored(tmp_path / "x.zarr", of_known_rank())
    run = dnmf.factorize(array, rank, out=tmp_path / "run.zarr", max_iter=2, cache=False)
    assert (run.V.shape, run.reads, reads(store)) == ((RANK, N), 3, {3})
    found = dnmf.open_ranks(tmp_path / "run.zarr")
    assert (found.best, found.ranks.tolist()) == (RANK, list(range(2, 17) if rank == "auto" else ASKED))
    assert "Held-out error is least at 3" in found.sentence
    # As if the rank had been given.
    given = dnmf.factorize(array, RANK, out=tmp_path / "given.zarr", max_iter=2, sample=tmp_path / "run.zarr")
    assert_array_equal(run.V, given.V)


def test_a_rank_is_not_chosen_without_a_sample(tmp_path: Path) -> None:
    X = of_known_rank()
    with pytest.raises(ValueError, match="rank is 'auto' and init is 'random': the rank is chosen on the sample of X"):
        dnmf.factorize(X, "auto", init="random")
    with pytest.raises(ValueError, match="rank is '2:4' and init is 'given'"):
        dnmf.factorize(X, "2:4", init=(np.ones((M, 2)), np.ones((2, N))))
    with pytest.raises(ValueError, match="ranks are 'many': some positive integers are required"):
        dnmf.factorize(X, "many")


@pytest.mark.process
def test_the_answer_is_the_same_for_any_number_of_workers(client: Any, tmp_path: Path) -> None:
    """On a cluster of several, and on threads of one of its processes."""
    stored(tmp_path / "x.zarr", of_known_rank())
    x, out, alone = (str(tmp_path / name) for name in ("x.zarr", "there.zarr", "alone.zarr"))
    there = dnmf.ranks(x, ASKED, out=out)
    sizes, asked = current(), list(ASKED)

    def compare_here() -> None:
        with using(sizes):
            dnmf.ranks(x, asked, out=alone)

    client.submit(compare_here, pure=False).result()
    assert same(there, dnmf.open_ranks(alone))


def test_what_was_not_finished_goes_on(tmp_path: Path) -> None:
    array, store = stored(tmp_path / "x.zarr", of_known_rank())
    whole, out, told = dnmf.ranks(array, ASKED, out=tmp_path / "whole.zarr"), tmp_path / "ranks.zarr", []

    def end(event: object) -> None:
        if isinstance(event, RankTried):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dnmf.ranks(array, ASKED, out=out, listeners=[end])
    with pytest.raises(ValueError, match="not finished: give the command that began it again, it goes on"):
        dnmf.open_ranks(out)
    with pytest.raises(FileExistsError, match="that was not finished, of another X or with other parameters"):
        dnmf.ranks(array, ASKED, out=out, seed=1)
    before = reads(store)
    again = dnmf.ranks(array, ASKED, out=out, listeners=[told.append])
    assert reads(store) == before == {2}
    assert same(again, whole)
    assert [event.done for event in told if isinstance(event, RankTried)] == [2, 3, 4, 5]
    assert not any(isinstance(event, StripDone | Sampled) for event in told)
    with pytest.raises(FileExistsError, match="exists: choose another output, or overwrite"):
        dnmf.ranks(array, ASKED, out=out)
    assert dnmf.ranks(array, [2, 3], out=out, overwrite=True).ranks.tolist() == [2, 3]


def test_entries_of_any_size_give_the_same(tmp_path: Path) -> None:
    """What is out of range is computed with as a power of two times X, but for rounding."""
    X = of_known_rank()
    plain, tiny = (dnmf.ranks(X * scale, ASKED) for scale in (1.0, 2.0**-600))
    np.testing.assert_allclose(plain.held_out, tiny.held_out, rtol=1e-2)
    assert tiny.best == RANK
    run = dnmf.factorize(X * 2.0**-600, "1:5", max_iter=2)
    assert run.V.shape == (RANK, N)


@pytest.mark.parametrize("kind", few(["in memory", "sparse", "dense", "lazy"], 1))
def test_counts_by_kullback_leibler(tmp_path: Path, kind: str) -> None:
    X: Any = of_known_rank(counts=True)
    if kind == "dense":
        X, _ = stored(tmp_path / "x.zarr", X)
    elif kind == "sparse":
        X = sparse.csr_matrix(X)
    elif kind == "lazy":
        X = da.from_array(X, chunks=(100, N))
    found = dnmf.ranks(X, ASKED, beta_loss="kullback-leibler")
    assert found.best == RANK
    assert found.agreement[RANK].min() > 0.9


def test_x_that_is_cut_along_its_columns(tmp_path: Path) -> None:
    found = dnmf.ranks(np.ascontiguousarray(of_known_rank().T), ASKED)
    assert (found.best, found.components[RANK].shape, found.about.state.axis) == (RANK, (RANK, N), 1)


def test_a_comparison_is_opened_by_xarray_and_has_names(tmp_path: Path) -> None:
    columns = [f"gene {i}" for i in range(N)]
    X = xarray.DataArray(of_known_rank(), dims=("cell", "gene"), coords={"gene": columns})
    found = dnmf.ranks(X, ASKED, out=tmp_path / "ranks.zarr")
    assert found.labels.columns is not None
    assert found.labels.columns.tolist() == columns
    table = xarray.open_zarr(tmp_path / "ranks.zarr", consolidated=False)
    assert_array_equal(table["held_out"].values, found.held_out)
    assert table["rank"].values.tolist() == list(ASKED)
    assert found.table.index.tolist() == list(ASKED)
    assert "relative_error" not in found.table


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    X = of_known_rank()
    for how, said in (
        ({"verify": [9]}, "9 is to be verified and is none of the ranks that are compared, 1 to 5"),
        ({"starts": 0}, "starts is 0: an integer of at least 1 is required"),
        ({"seed": -1}, "seed is -1: an integer of at least 0 is required"),
        ({"beta_loss": "huber"}, "beta_loss is 'huber'"),
    ):
        with pytest.raises(ValueError, match=said):
            dnmf.ranks(X, ASKED, **how)
    with pytest.raises(ValueError, match="allow 16 at most: ask for smaller ones"):
        dnmf.ranks(X, range(2, 18))
    with pytest.raises(FileNotFoundError, match="there is no comparison of ranks at"):
        dnmf.open_ranks(tmp_path / "nowhere.zarr")
    dnmf.factorize(X, 2, out=tmp_path / "run.zarr", max_iter=1)
    with pytest.raises(ValueError, match=r"run.zarr is no comparison of ranks: give the --out of `dnmf ranks`"):
        dnmf.open_ranks(tmp_path / "run.zarr")


@pytest.mark.parametrize("path", ["tried/0000003/short", "held_out", "tried/0000002"])
def test_a_comparison_that_lacks_a_part_is_refused(tmp_path: Path, path: str) -> None:
    dnmf.ranks(of_known_rank(), [2, 3], out=tmp_path / "ranks.zarr")
    group = zarr.open_group(str(tmp_path / "ranks.zarr"))
    del group[path]
    with pytest.raises(FileNotFoundError, match=f"there is no {path}"):
        dnmf.open_ranks(tmp_path / "ranks.zarr")


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (np.zeros((50, 10)), "has 0 rows or columns that are not zero, and 4 are required"),
        (np.eye(50, 10)[:, :10] * (np.arange(50) < 3)[:, None], "has 3 rows or columns that are not zero"),
        (np.ones((1, 30)), "too few rows or columns"),
        (np.ones((3, 1)), "too few rows or columns"),
        (-np.ones((50, 10)), r"X\[0, 0\] is -1.0"),
        (np.full((50, 10), np.nan), "is nan"),
    ],
)
def test_x_in_which_nothing_can_be_held_out_is_refused(X: NDArray[np.float64], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dnmf.ranks(X)


@pytest.mark.parametrize(
    "X",
    [np.ones((40, 12)), np.eye(40, 12) + np.eye(40, 12, -12), np.pad(of_known_rank()[:60], ((0, 90), (0, 3)))],
    ids=["rank one", "disjoint", "zeros beside"],
)
@pytest.mark.parametrize("beta", [2, 1])
def test_hard_cases_end_in_a_pick(X: NDArray[np.float64], beta: float) -> None:
    found = dnmf.ranks(X, "1:3", beta_loss=beta)
    assert found.best in (1, 2, 3)
    assert np.isfinite(found.held_out).all()
    assert np.isfinite(found.standard_error).all()
    assert all(np.isfinite(V).all() for V in found.components.values())


def test_of_x_of_rank_one_one_component_is_picked() -> None:
    X = np.outer(np.arange(1.0, 90), np.arange(1.0, 20))
    assert dnmf.ranks(X, "1:4").best == 1


@pytest.mark.parametrize("how", few(["nan", "weights", "zeros"], 1))
def test_where_entries_are_missing_the_rank_is_that_of_what_is_there(tmp_path: Path, how: str) -> None:
    X, seen = of_known_rank(), np.random.default_rng(5).random((M, N)) < 0.8
    pattern = sparse.csr_matrix(seen.astype("f8"))
    pattern.data = X[seen]
    asked: dict[str, Any] = {"weights": {"weights": 2.0 * seen}}.get(how, {"missing": how})
    given = {"nan": np.where(seen, X, np.nan), "zeros": pattern, "weights": X}[how]
    found = dnmf.ranks(given, range(2, 5), out=tmp_path / "ranks.zarr", verify=[RANK], **asked)
    assert found.best == RANK
    # What is verified is the loss over what is there.
    run = dnmf.factorize(given, RANK, tol=0, max_iter=2, **asked)
    assert found.verified[RANK] == pytest.approx(run.relative_error, rel=0.01)


def test_a_comparison_with_other_entries_missing_is_another_one(tmp_path: Path) -> None:
    X = of_known_rank()
    array, _ = stored(tmp_path / "x.zarr", X)
    dnmf.ranks(array, "1:3", out=tmp_path / "ranks.zarr", missing="nan")
    with pytest.raises(ValueError, match="with the same entries missing and the same weights"):
        dnmf.factorize(array, 2, sample=tmp_path / "ranks.zarr")
    assert dnmf.factorize(array, 2, sample=tmp_path / "ranks.zarr", missing="nan", max_iter=1).about.observed
