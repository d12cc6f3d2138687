"""What a run says of its components is what factors and X say in float64; and X is not read for it."""

import builtins
import sys
from pathlib import Path
from typing import Any

import naive
import numpy as np
import pandas as pd
import pytest
import zarr
from counters import CountingStore
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from zarr.storage import LocalStore

import dnmf
from dnmf.components.features import specificity
from dnmf.components.table import Table
from dnmf.run.components import describe

CLOSE = 1e-6


def noisy(m: int = 300, n: int = 24, k: int = 4, *, zeros: float = 0.0, dtype: str = "f4") -> np.ndarray:
    """X of k components of different sizes, and noise."""
    rng = np.random.default_rng(0)
    X = rng.gamma(0.4, size=(m, k)) @ (rng.gamma(0.4, size=(k, n)) * np.arange(1, k + 1)[:, None])
    return (X * rng.uniform(0.6, 1.4, X.shape) * (rng.random(X.shape) >= zeros)).astype(dtype)


def assert_told(result: Any, X: np.ndarray, **how: Any) -> Any:
    """All numbers of a run's components against float64; what was told."""
    told, W, V = describe(result, **how), np.asarray(result.W), result.V
    at = told.number - 1
    lost, mass, alone = naive.shares(X, W, V)
    assert_allclose(told.mass, mass[at], rtol=CLOSE)
    if result.about.parameters.beta_loss == 2:
        assert_allclose(told.share, lost[at], rtol=CLOSE, atol=CLOSE * np.abs(lost).max())
        assert_allclose(told.alone, alone[at], rtol=CLOSE, atol=1e-12)
        assert (np.diff(told.share) <= 0).all()
    else:
        assert np.isnan([told.share, told.alone]).all()
        assert (np.diff(told.mass) <= 0).all()
    for found, factor in ((told.sparseness_W, W.T), (told.sparseness_V, V)):
        expected = [naive.hoyer(row.astype("f8")) if row.any() and len(row) > 1 else np.nan for row in factor]
        assert_allclose(found, np.array(expected)[at], atol=CLOSE)
    return told


@pytest.mark.parametrize("kind", ["dense", "sparse", "columns", "float64", "tiny", "huge", "one component"])
@pytest.mark.parametrize("loss", ["frobenius", "kullback-leibler"])
def test_numbers_are_those_of_float64(kind: str, loss: str) -> None:
    X = noisy(zeros=0.5 if kind == "sparse" else 0, dtype="f8" if kind == "float64" else "f4")
    X = X.T.copy() if kind == "columns" else X
    X *= np.float32({"tiny": 2.0**-80, "huge": 2.0**60}.get(kind, 1))
    given = sparse.csr_matrix(X) if kind == "sparse" else X
    solver = "cd" if loss == "frobenius" else "mu"
    result = dnmf.factorize(given, 1 if kind == "one component" else 4, beta_loss=loss, solver=solver, max_iter=6)
    assert result.about.state.axis == (kind == "columns")
    if loss == "frobenius":
        assert (result.about.state.exponent != 0) == (kind in ("tiny", "huge")), "X is multiplied inside"
    told = assert_told(result, X)
    assert len(told.notes) == (loss != "frobenius")
    for by in ("weight", "marker") if (loss, kind != "columns") == ("frobenius", True) else ("weight",):
        assert_told(result, X, by=by)


@pytest.mark.parametrize("kind", ["dense", "sparse", "tiny", "in strips"])
def test_markers_are_those_of_z_scored_columns(request: Any, kind: str) -> None:
    """With a constant column that float32 rounds, one of zeros, and one that varies by a tenth of its mean."""
    X = noisy(m=2000, zeros=0.5 if kind == "sparse" else 0)
    X[:, 2], X[:, 5], X[:, 7] = 0.1, 0, 10 + X[:, 7]
    X *= np.float32(2.0**-70 if kind == "tiny" else 1)
    if kind == "in strips":
        sizes = request.getfixturevalue("sizes")
        sizes(strip=2**14)
    result = dnmf.factorize(sparse.csr_matrix(X) if kind == "sparse" else X, 4, max_iter=5)
    V8 = result.V.astype("f8")
    W8 = np.asarray(result.W).astype("f8") * V8.sum(axis=1)
    expected = naive.marker_scores(X, W8)
    told = describe(result, top=30, by="marker")
    found = np.full(expected.shape, np.nan)
    for number, features, scores in zip(told.number, told.features, told.scores, strict=True):
        found[number - 1, features] = scores
        assert not {2, 5} & set(features.tolist())
    there = np.isfinite(found)
    assert there.sum() > 30
    assert (expected[~there] <= CLOSE * np.abs(expected).max()).all(), "what rises with a component is told"
    assert_allclose(found[there], expected[there], rtol=CLOSE, atol=CLOSE * np.abs(expected).max())


def test_a_component_of_zeros_has_no_share_and_no_features() -> None:
    X = noisy()
    W, V = np.random.default_rng(1).random((300, 3)), np.random.default_rng(2).random((3, 24))
    W[:, 1] = 0
    result = dnmf.factorize(X, 3, init=(W, V), solver="mu", max_iter=3, tol=0)
    assert not np.asarray(result.W)[:, 1].any()
    told = describe(result)
    assert (told.number[-1], told.share[-1], told.mass[-1], told.alone[-1]) == (2, 0, 0, 0)
    assert np.isnan(told.sparseness_W[-1])
    assert told.notes == (
        "the sum of X is not known, as no sample of it was drawn: mass is the share of the sum of W V",
    )
    assert_allclose(told.mass.sum(), 1)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_run_of_an_older_version_tells_what_its_factors_say(tmp_path: Path, axis: int) -> None:
    X = noisy()
    X = X.T.copy() if axis else X
    run = tmp_path / "run.zarr"
    result = dnmf.factorize(X, 4, out=run, max_iter=4, tol=0)
    before = describe(result)
    group = zarr.open_group(str(run))
    del group["sums"]
    for name in ("column_sums", "column_squares"):
        if name in group["sample"]:
            del group[f"sample/{name}"]
    old = dnmf.open_run(run)
    told = describe(old)
    (note,) = told.notes
    assert "`dnmf resume RUN --max-iter 5`" in note
    assert np.isnan([told.share, told.alone]).all()
    by_mass = np.argsort(-before.mass)
    assert_array_equal(told.number, before.number[by_mass])
    for name in ("mass", "sparseness_V", "sparseness_W"):
        assert_allclose(getattr(told, name), getattr(before, name)[by_mass], rtol=1e-6)
    with pytest.raises(ValueError, match=r"there are no marker scores: .*rank features by specificity or by weight"):
        describe(old, by="marker")
    again = dnmf.resume(run, X, max_iter=5)
    assert_told(again, X)


def test_a_run_without_sums_and_without_w_tells_weights(tmp_path: Path) -> None:
    run = tmp_path / "run.zarr"
    dnmf.factorize(noisy(), 4, out=run, max_iter=2, keep_W=False)
    assert_allclose(describe(dnmf.open_run(run)).mass.sum(), 1, rtol=0.1)
    del zarr.open_group(str(run))["sums"]
    told = describe(dnmf.open_run(run), by="weight")
    assert told.notes[1] == "the run keeps no W either, so mass and specificity are not known: rank features by weight"
    assert all(map(len, told.features))
    assert np.isnan([told.mass, told.sparseness_W]).all()
    assert np.isfinite(told.sparseness_V).all()


def test_damaged_sums_are_told(tmp_path: Path) -> None:
    run = tmp_path / "run.zarr"
    dnmf.factorize(noisy(), 4, out=run, max_iter=2)
    for chunk in (run / "sums" / "gram").rglob("c/*/*"):
        chunk.unlink()
    with pytest.raises(FileNotFoundError, match=r"chunks of sums/gram are missing"):
        dnmf.open_run(run).components_table()
    group = zarr.open_group(str(run))
    del group["sums/gram"]
    with pytest.raises(FileNotFoundError, match=r"there is no gram in .*sums"):
        dnmf.open_run(run).components_table()
    group["sums"].attrs["norm"] = "much"
    with pytest.raises(ValueError, match=r"has norm 'much', and a finite number of at least 0 is required"):
        dnmf.open_run(run).components_table()
    # One more pass gives new ones.
    assert_told(dnmf.resume(run, noisy(), max_iter=3), noisy())


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"beta_loss": 1, "solver": "mu"}, "they are those of least squares, and beta_loss was 1"),
        ({"init": "random"}, r"means and deviations of columns come from the read .* init='sample'"),
        ({"turned": True}, "strips of this run are columns of X"),
    ],
)
def test_where_there_are_no_markers_it_is_said_why(how: dict[str, Any], why: str) -> None:
    X = noisy().T if how.pop("turned", False) else noisy()
    with pytest.raises(ValueError, match=why):
        dnmf.factorize(X, 4, max_iter=2, **how).components_table(by="marker")


def test_x_is_not_read(tmp_path: Path) -> None:
    """Nor for another run beside it, nor for a comparison."""
    path = tmp_path / "x.zarr"
    zarr.create_array(str(path), data=noisy(), chunks=(100, 24))
    store = CountingStore(LocalStore(path))
    X = zarr.open_array(store, mode="r")
    one, two = (dnmf.factorize(X, 4, out=tmp_path / f"{seed}.zarr", seed=seed, max_iter=3) for seed in (0, 1))
    before = store.reads()
    assert sum(before.values()) > 0
    for by in ("specificity", "weight", "marker"):
        one.components_table(by=by, agreement=two)
    assert store.reads() == before


def test_a_table_is_a_data_frame_or_prints_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"gene {j}" for j in range(24)]
    result = dnmf.factorize(pd.DataFrame(noisy(), columns=names), 4, max_iter=3)
    frame = result.components_table(top=3, agreement=[0.4, 0.3, 0.2, 0.1])
    assert isinstance(frame, pd.DataFrame)
    assert_array_equal(frame["agreement"], (0.5 - frame["component"] / 10).round(1))
    assert all(set(features) <= set(names) for features in frame["features"])
    real = builtins.__import__

    def without_pandas(name: str, *args: Any) -> Any:
        if name == "pandas":
            raise ImportError
        return real(name, *args)

    monkeypatch.delitem(sys.modules, "pandas")
    monkeypatch.setattr(builtins, "__import__", without_pandas)
    plain = result.components_table(top=3)
    assert isinstance(plain, Table)
    assert list(plain.columns) == list(frame.columns)
    assert str(plain).splitlines()[1].endswith(", ".join(frame["features"][0]))


def test_specific_features_are_at_least_average_ones_of_their_component() -> None:
    result = dnmf.factorize(noisy(), 4, max_iter=3)
    told = describe(result, top=24)
    W, V = np.asarray(result.W).astype("f8"), result.V.astype("f8")
    scores = specificity(V, W.sum(axis=0) * V.sum(axis=1))
    for number, features, found, weights in zip(told.number, told.features, told.scores, told.weights, strict=True):
        assert_allclose(found, scores[number - 1, features], rtol=1e-6)
        assert (weights >= 1 / 24).all()
        assert 0 < len(features) < 24


@pytest.mark.parametrize(
    ("how", "why"), [({"by": "size"}, "by is 'size'"), ({"agreement": [1, 2]}, r"has shape \(2,\)")]
)
def test_what_cannot_be_asked_is_said(how: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        describe(dnmf.factorize(noisy(), 4, max_iter=1), **how)
