"""`extend`: the sample of all rows without the old ones, a V of all rows, and which new rows go with a run."""

from pathlib import Path
from typing import Any

import anndata
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import zarr
from counters import CountingStore
from kinds import sparse_stored, stored
from numpy.testing import assert_array_equal
from resize import Resize
from scipy import sparse
from zarr.storage import LocalStore

import dnmf
from dnmf.arrays.sample import Sample
from dnmf.events import Sampled, Saved
from dnmf.run.kept_sample import read_sample

OLD, NEW, N, RANK = 900, 300, 30, 3


@pytest.fixture(autouse=True)
def _in_strips(sizes: Resize) -> None:
    """Strips of some rows, and samples of 400 rows, which are not all."""
    sizes(strip=2**14)
    sizes(sample_rows=400)


def problem(seed: int = 0, *, counts: bool = False, noise: float = 0.1) -> Any:
    """X (1200, 30) of four components, of which the first 900 rows lack the last one; read-only."""
    rng = np.random.default_rng(seed)
    W, V = rng.gamma(0.5, size=(OLD + NEW, RANK + 1)), rng.gamma(0.5, size=(RANK + 1, N))
    W[:OLD, RANK] = 0
    X = W @ V + 0.01
    X = rng.poisson(20 * X) if counts else X * rng.uniform(1 - noise, 1 + noise, X.shape)
    X = X.astype("f4")
    X.flags.writeable = False
    return X


X = problem()


HOLES = np.where(np.random.default_rng(7).random(X.shape) < 0.7, X, np.nan).astype("f4")


def begin(folder: Path, X: Any = X, *, kind: Any = stored, **asked: Any) -> tuple[Path, str, str]:
    """A run on the old rows; where they are, and where the new ones are."""
    old, new = (kind(folder / f"{name}.zarr", part) for name, part in (("old", X[:OLD]), ("new", X[OLD:])))
    dnmf.factorize(old, RANK, out=folder / "run.zarr", **asked)
    return folder / "run.zarr", old, new


def sample_of(run: Path) -> Sample:
    return read_sample(zarr.open_group(run, mode="r")).sample


def assert_same_sample(one: Sample, other: Sample) -> None:
    for name in ("index", "keys", "sizes"):
        assert_array_equal(getattr(one, name), getattr(other, name))
    assert_array_equal(*(rows.toarray() if sparse.issparse(rows) else rows for rows in (one.rows, other.rows)))
    np.testing.assert_allclose((one.norm, one.total), (other.norm, other.total), rtol=1e-12)


def loss_of(X: Any, V: Any, **asked: Any) -> float:
    """Of all rows, each solved against a V."""
    M = dnmf.transform(X, V, tol=1e-4, max_iter=300, **asked).astype("f8") @ V.astype("f8")
    if not asked:
        return float(((X - M) ** 2).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(2 * (np.where(X > 0, X * np.log(X / M), 0) - X + M).sum())


@pytest.mark.parametrize(("kind", "beta"), [(stored, 2.0), ("csr", 1.0)], ids=["dense", "csr"])
def test_the_sample_is_the_one_that_all_rows_give(tmp_path: Path, kind: Any, beta: float) -> None:
    kind = (lambda path, X: sparse_stored(path, sparse.csr_matrix(X))) if kind == "csr" else kind
    X, asked = problem(counts=True), {"beta_loss": beta, "solver": "mu", "max_iter": 2}
    run, _, new = begin(tmp_path, X, kind=kind, **asked)
    more = dnmf.extend(run, new, out=tmp_path / "more.zarr", rank="+1")
    dnmf.factorize(kind(tmp_path / "all.zarr", X), RANK + 1, out=tmp_path / "anew.zarr", **asked)
    assert_same_sample(sample_of(tmp_path / "more.zarr"), sample_of(tmp_path / "anew.zarr"))
    assert more.about.extends is not None
    assert more.about.extends.rows == OLD
    assert more.W.shape == (NEW, RANK + 1)


def test_old_rows_are_not_read_and_new_ones_twice(tmp_path: Path) -> None:
    run, old, new = begin(tmp_path, cache=False)
    stores = [CountingStore(LocalStore(path)) for path in (old, new)]
    result = dnmf.extend(run, zarr.open_array(stores[1], mode="r"), out=tmp_path / "more.zarr")
    assert not stores[0].reads()
    assert set(stores[1].reads().values()) == {2}
    assert result.reads == 2


@pytest.mark.parametrize(("counts", "most"), [(False, 1.02), (True, 1.02)])
def test_a_component_that_new_rows_alone_have_is_found(tmp_path: Path, counts: bool, most: float) -> None:
    """A third of the rows is a sample that is off by some percent; without the component it would be a third."""
    X, asked = problem(counts=counts), {"beta_loss": 1.0, "solver": "mu"} if counts else {}
    loss: Any = {"beta_loss": 1.0} if counts else {}
    run, _, new = begin(tmp_path, X, **asked)
    more = dnmf.extend(run, new, rank="+1")
    best = loss_of(X, dnmf.factorize(X, RANK + 1, **asked).V, **loss)
    assert loss_of(X, more.V, **loss) < most * best
    assert loss_of(X, dnmf.open_run(run).V, **loss) > 1.2 * best
    mine = loss_of(X[OLD:], more.V, **loss)
    assert more.loss == pytest.approx(mine, rel=1e-2)
    norm = float((X[OLD:].astype("f8") ** (1 if counts else 2)).sum())
    assert more.relative_error == pytest.approx((more.loss / norm) ** 0.5, rel=1e-5)


def test_penalties_are_those_of_all_rows(tmp_path: Path) -> None:
    """V may be as large as old and new rows together want it."""
    run, _, new = begin(tmp_path, alpha_W=0.01, alpha_H=0.3)
    more, anew = dnmf.extend(run, new, rank="+1"), dnmf.factorize(X, RANK + 1, alpha_W=0.01, alpha_H=0.3)
    assert more.V.sum() == pytest.approx(anew.V.sum(), rel=0.03)
    few = dnmf.factorize(X[OLD:], RANK + 1, alpha_W=0.01, alpha_H=0.3)
    assert abs(few.V.sum() / anew.V.sum() - 1) > 0.1


def test_rows_that_were_appended_are_the_new_ones(tmp_path: Path) -> None:
    run, old, new = begin(tmp_path)
    apart = dnmf.extend(run, new, rank="+1", out=tmp_path / "apart.zarr")
    array = zarr.open_array(old, mode="r+")
    array.resize(X.shape)
    array[OLD:] = X[OLD:]
    grown = dnmf.extend(run, old, rank="+1", out=tmp_path / "grown.zarr")
    np.testing.assert_allclose(grown.V, apart.V, rtol=1e-4, atol=1e-5)
    assert grown.W.shape == apart.W.shape
    assert [(part.start, part.stop) for part in grown.about.x.parts] == [(OLD, OLD + NEW)]
    assert_same_sample(sample_of(tmp_path / "grown.zarr"), sample_of(tmp_path / "apart.zarr"))
    with pytest.raises(ValueError, match=f"the run has seen all {OLD + NEW} rows of .*old.zarr: it has no new rows"):
        dnmf.extend(tmp_path / "grown.zarr", old)


def test_a_run_is_extended_again_and_again(tmp_path: Path) -> None:
    run, _, _ = begin(tmp_path)
    parts = [stored(tmp_path / f"{start}.zarr", X[start : start + 100]) for start in (OLD, OLD + 100, OLD + 200)]
    for i, part in enumerate(parts):
        dnmf.extend(run, part, out=tmp_path / f"run{i}.zarr", rank=None if i else "+1")
        run = tmp_path / f"run{i}.zarr"
    dnmf.factorize(stored(tmp_path / "all.zarr", X), RANK + 1, out=tmp_path / "anew.zarr", max_iter=1)
    assert_same_sample(sample_of(run), sample_of(tmp_path / "anew.zarr"))
    whole = dnmf.extend(run, parts[-1], out=tmp_path / "exact.zarr", exact=True)
    assert whole.W.shape == (OLD + NEW, RANK + 1)
    assert [Path(part.path).name for part in whole.about.x.parts] == ["old.zarr", *(Path(part).name for part in parts)]
    assert whole.loss == pytest.approx(dnmf.factorize(X, RANK + 1).loss, rel=2e-3)


@pytest.mark.parametrize("kind", ["dense", pytest.param("csr", marks=pytest.mark.long)])
def test_exact_makes_passes_over_all_rows(tmp_path: Path, kind: str) -> None:
    as_csr = lambda path, X: sparse_stored(path, sparse.csr_matrix(X))  # noqa: E731
    run, _, new = begin(tmp_path, problem(counts=True), kind=as_csr if kind == "csr" else stored)
    exact = dnmf.extend(run, new, out=tmp_path / "exact.zarr", rank="+1", exact=True)
    X = problem(counts=True)
    residual = X - np.asarray(exact.W).astype("f8") @ exact.V
    assert exact.loss == pytest.approx((residual**2).sum(), rel=1e-5)
    assert exact.loss == pytest.approx(dnmf.factorize(X, RANK + 1).loss, rel=2e-3)
    further = dnmf.resume(tmp_path / "exact.zarr", tol=0, max_iter=exact.about.iteration + 2)
    assert further.about.iteration == exact.about.iteration + 2
    assert further.loss <= exact.loss * (1 + 1e-6)


def stops_at(kind: type) -> Any:
    def listener(event: object) -> None:
        if isinstance(event, kind):
            raise KeyboardInterrupt

    return listener


@pytest.mark.parametrize("exact", [False, True])
def test_a_run_that_was_stopped_goes_on_from_its_first_factors(tmp_path: Path, exact: bool) -> None:
    run, _, new = begin(tmp_path)
    whole = dnmf.extend(run, new, rank="+1", out=tmp_path / "whole.zarr", exact=exact)
    out = tmp_path / "more.zarr"
    with pytest.raises(KeyboardInterrupt):
        dnmf.extend(run, new, rank="+1", out=out, exact=exact, listeners=[stops_at(Sampled)])
    with pytest.raises(ValueError, match="was stopped before its first factors were written: start it again"):
        dnmf.resume(out)
    with pytest.raises(KeyboardInterrupt):
        dnmf.extend(run, new, rank="+1", out=out, exact=exact, listeners=[stops_at(Saved)])
    # What may change has no say in how often new rows are read.
    result = dnmf.resume(out, max_iter=whole.about.parameters.max_iter + (not exact))
    assert_array_equal(result.V, whole.V)
    assert_array_equal(result.W, whole.W)
    assert (result.stopped, result.about.extends) == (whole.stopped, whole.about.extends)
    if not exact:
        with pytest.raises(ValueError, match="is finished: it has W of new rows alone, and more passes over these"):
            dnmf.resume(out, max_iter=1000)


@pytest.mark.parametrize(("old", "new"), [(-80, 0), (0, 60), (0, -40)])
def test_rows_of_any_size_go_with_rows_of_any_size(tmp_path: Path, old: int, new: int) -> None:
    """Entries near 2 to such powers: what is computed with is scaled so that both fit."""
    small = problem(noise=0.0)
    scaled = np.vstack([np.ldexp(small[:OLD], old), np.ldexp(small[OLD:], new)]).astype("f4")
    run, _, there = begin(tmp_path, scaled)
    more = dnmf.extend(run, there, rank="+1")
    if new >= old:
        # What is small beside new rows has no say in V.
        assert more.relative_error < 0.02
    assert np.isfinite(more.V).all()
    W = np.asarray(more.W).astype("f8")
    np.testing.assert_allclose(((scaled[OLD:].astype("f8") - W @ more.V) ** 2).sum(), more.loss, rtol=1e-4)


def test_a_scaled_x_is_extended_as_x_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    runs = [begin(tmp_path / "a"), begin(tmp_path / "b", np.ldexp(X, -90))]
    one, other = (dnmf.extend(run, new, rank="+1") for run, _, new in runs)
    assert_array_equal(one.V, other.V)
    assert_array_equal(np.ldexp(np.asarray(one.W), -90), other.W)


def test_a_sample_that_lacks_no_row_grows(tmp_path: Path, sizes: Resize) -> None:
    sizes(sample_rows=1100)
    run, _, new = begin(tmp_path)
    dnmf.extend(run, new, out=tmp_path / "more.zarr")
    assert read_sample(zarr.open_group(tmp_path / "more.zarr", mode="r")).size == 1100


def test_new_rows_may_be_anything_that_x_may_be(tmp_path: Path) -> None:
    run, _, new = begin(tmp_path)
    expected = dnmf.extend(run, new)
    for other in (X[OLD:], da.from_array(X[OLD:], chunks=(70, N)), pd.DataFrame(X[OLD:])):
        found = dnmf.extend(run, other)
        np.testing.assert_allclose(found.V, expected.V, rtol=1e-3, atol=1e-4)
        assert found.W.shape == expected.W.shape


def test_one_row_and_rows_of_zeros_are_new_rows(tmp_path: Path) -> None:
    run, _, _ = begin(tmp_path, max_iter=2)
    one = dnmf.extend(run, X[-1:])
    assert one.W.shape == (1, RANK)
    none = dnmf.extend(run, np.zeros((5, N), "f4"), out=tmp_path / "none.zarr")
    assert not np.asarray(none.W).any()
    assert (none.loss, none.relative_error) == (0, 0)
    assert_same_sample(sample_of(tmp_path / "none.zarr"), sample_of(run))


def test_columns_are_matched_by_their_names(tmp_path: Path) -> None:
    cells, genes = ([f"{what}{i}" for i in range(count)] for what, count in (("c", OLD + NEW), ("g", N)))
    data = anndata.AnnData(sparse.csr_matrix(X), pd.DataFrame(index=cells), pd.DataFrame(index=genes))
    run, order = tmp_path / "run.zarr", np.random.default_rng(0).permutation(N)
    dnmf.factorize(data[:OLD], RANK, out=run)
    plain, turned = dnmf.extend(run, data[OLD:]), dnmf.extend(run, data[OLD:, order].copy())
    assert turned.labels.columns.tolist() == [genes[i] for i in order]
    assert turned.labels.rows.tolist() == cells[OLD:]
    np.testing.assert_allclose(turned.V, plain.V[:, order], rtol=1e-3, atol=2e-3)
    unnamed = dnmf.extend(run, sparse.csr_matrix(X[OLD:]))
    assert unnamed.labels.columns.tolist() == genes
    assert unnamed.labels.rows is None
    other = data[OLD:].copy()
    other.var_names = ["h0", "h1", *genes[2:]]
    with pytest.raises(ValueError, match=r"2 of 30 columns of X are none of the model's, the first is 'h0'"):
        dnmf.extend(run, other)


@pytest.mark.parametrize(
    ("asked", "error", "text"),
    [
        ({"rank": 2}, ValueError, "rank is 2 and the run has 3 components: as many at least are required"),
        ({"rank": "more"}, ValueError, r"rank is 'more': an integer, or how many more, as in '\+1', is required"),
        ({"rank": 2.5}, ValueError, "rank is 2.5: an integer of at least 1 is required"),
        ({"X": X[OLD:, 1:]}, ValueError, "the new rows have 29 columns and the run's X has 30: as many are required"),
        ({"X": X[OLD:].astype("f8")}, ValueError, "computed with in float64 and the run was in float32: give them as"),
        ({"X": sparse.csr_matrix(X[OLD:])}, ValueError, "the new rows are sparse and those of the run are dense"),
        ({"X": -X[OLD:]}, ValueError, r"X\[\d+, 0\] is -"),
        ({"X": X[OLD:], "exact": True}, ValueError, "where they are stored in Zarr, and some were an array in memory"),
        ({"out": "run.zarr", "overwrite": True}, ValueError, "the output .* and the run at .* are inside one another"),
        ({"out": "old.zarr/more"}, ValueError, "the output .* and its X at .* are inside one another"),
        ({"out": "new.zarr/more"}, ValueError, "the output .* and X at .* are inside one another"),
        ({"out": "other.zarr"}, FileExistsError, "exists: choose another output, or overwrite it"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, asked: dict[str, Any], error: type, text: str) -> None:
    run, _, new = begin(tmp_path, max_iter=1)
    zarr.create_group(tmp_path / "other.zarr")
    where = {"out": tmp_path / asked["out"]} if "out" in asked else {}
    with pytest.raises(error, match=text):
        dnmf.extend(run, **({"X": new} | asked | where))
    assert dnmf.open_run(run).stopped


def test_runs_that_cannot_be_extended_are_refused(tmp_path: Path) -> None:
    dnmf.factorize(X, RANK, out=tmp_path / "random.zarr", init="random", max_iter=1)
    with pytest.raises(ValueError, match=r"keeps no sample \(its init was 'random'\), and old rows are not read"):
        dnmf.extend(tmp_path / "random.zarr", X)
    dnmf.factorize(X.T, RANK, out=tmp_path / "wide.zarr", max_iter=1)
    with pytest.raises(ValueError, match="was cut along its columns, of which it keeps a sample"):
        dnmf.extend(tmp_path / "wide.zarr", X.T)
    in_memory = dnmf.factorize(X[:OLD], RANK, max_iter=1)
    with pytest.raises(TypeError, match="run is a Factorization: give the path of the run"):
        dnmf.extend(in_memory, X[OLD:])
    dnmf.factorize(X[:OLD], RANK, out=tmp_path / "memory.zarr", max_iter=1)
    new = stored(tmp_path / "new.zarr", X[OLD:])
    with pytest.raises(ValueError, match="and some were an array in memory: factorize all of them together"):
        dnmf.extend(tmp_path / "memory.zarr", new, exact=True)
    more = dnmf.extend(tmp_path / "memory.zarr", new, out=tmp_path / "more.zarr")
    with pytest.raises(ValueError, match="is one of all rows that it extends, and X are the new ones alone"):
        dnmf.factorize(new, RANK, sample=tmp_path / "more.zarr")
    assert more.about.state.axis == 0


@pytest.mark.parametrize("how", ["nan", "weights", "zeros"])
def test_old_and_new_rows_may_lack_entries(tmp_path: Path, how: str) -> None:
    """V is nearly that of all rows together, and knows what the new rows alone have."""
    seen = np.isfinite(HOLES)
    pattern = sparse.csr_matrix(seen.astype("f4"))
    pattern.data = X[seen]
    given: dict[str, Any] = {
        "nan": lambda rows: (HOLES[rows], {}),
        "weights": lambda rows: (X[rows], {"weights": seen[rows]}),
        "zeros": lambda rows: (pattern[rows], {}),
    }
    missing = {} if how == "weights" else {"missing": how}
    (old, more), (new, new_more), (every, all_more) = (
        given[how](r) for r in (slice(OLD), slice(OLD, None), slice(None))
    )
    dnmf.factorize(old, RANK, out=tmp_path / "run.zarr", **missing, **more)
    found = dnmf.extend(tmp_path / "run.zarr", new, rank="+1", **new_more)
    anew = dnmf.factorize(every, RANK + 1, **missing, **all_more)

    def error(V: np.ndarray) -> float:
        W = dnmf.transform(every, V, **missing, **all_more)
        return float(np.linalg.norm((X - W @ V)[seen]))

    assert error(found.V) < 1.02 * error(anew.V)


def test_weights_go_with_weights(tmp_path: Path) -> None:
    dnmf.factorize(X[:OLD], RANK, weights=np.isfinite(HOLES[:OLD]), out=tmp_path / "run.zarr", max_iter=1)
    with pytest.raises(ValueError, match="with weights of the entries of X: give those of the new rows"):
        dnmf.extend(tmp_path / "run.zarr", X[OLD:])
