"""Entries of X below zero as data: less is lost than by cutting noise off at zero, and nothing else changes."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import dask.array as da
import naive
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from kinds import KINDS, stored
from numpy.testing import assert_allclose, assert_array_equal
from resize import Resize
from scipy import sparse
from strategies import matrices

import dnmf
from dnmf.arrays.extent import extent_of
from dnmf.report.facts import facts

M, N, K = 600, 30, 3


def problem(noise: float = 1.0, seed: int = 0) -> tuple[Any, Any]:
    """What is true, (600, 30) of three components, and the same with noise of so many times its deviation."""
    rng = np.random.default_rng(seed)
    truth = rng.gamma(0.5, size=(M, K)) @ rng.gamma(0.5, size=(K, N))
    X = truth + noise * truth.std() * rng.standard_normal(truth.shape)
    X.flags.writeable = False
    return truth, X


TRUTH, X = problem()
ALLOW = {"negative": "allow"}


def error_of(truth: Any, result: dnmf.Factorization) -> float:
    return float(np.linalg.norm(truth - np.asarray(result.W) @ result.V) / np.linalg.norm(truth))


@pytest.mark.parametrize(("noise", "seed"), [(0.3, 1), (1.0, 2), (2.0, 3)])
def test_the_truth_is_nearer_than_from_noise_that_is_cut_off_at_zero(noise: float, seed: int) -> None:
    truth, noisy = problem(noise, seed)
    allowed, cut = dnmf.factorize(noisy, K, **ALLOW), dnmf.factorize(np.maximum(noisy, 0), K)
    assert error_of(truth, allowed) < 0.95 * error_of(truth, cut)


@st.composite
def signed_matrices(draw: Any) -> Any:
    x = draw(matrices(max_side=12))
    signs = np.random.default_rng(draw(st.integers(0, 99))).choice([-1, 1, 1], x.shape)
    return (x * signs).astype(x.dtype)


@given(
    x=signed_matrices(),
    rank=st.integers(1, 4),
    kind=st.sampled_from([np.asarray, sparse.csr_matrix]),
    init=st.sampled_from(["sample", "random", "nndsvda", "nndsvdar"]),
)
def test_the_loss_never_rises_and_is_that_of_the_factors(x: Any, rank: int, kind: Any, init: str) -> None:
    result = dnmf.factorize(kind(x), rank, init=init, max_iter=5, tol=0, **ALLOW)
    W, V, size = np.asarray(result.W), result.V, float((x.astype("f8") ** 2).sum())
    for F in (W, V):
        assert np.isfinite(F).all()
        assert F.min() >= 0
    rounding = (1e-5 if x.dtype == np.float32 else 1e-10) * size
    assert all(after <= before + rounding for before, after in pairwise(result.history["loss"]))
    assert abs(result.loss - naive.loss(x, W, V)) <= rounding
    assert result.loss <= size + rounding


@pytest.mark.parametrize("axis", [0, 1])
def test_it_ends_where_no_change_of_a_factor_would_gain_anything(axis: int) -> None:
    """By coordinate descent on all of X in memory, from what was found."""
    data = X if axis == 0 else X.T
    result = dnmf.factorize(data, K, max_iter=30, tol=1e-7, **ALLOW)
    W, V = np.asarray(result.W, "f8"), result.V.astype("f8")
    for _ in range(20):
        W = naive.hals(data, W, V)
        V = naive.hals(data.T, V.T, W.T).T
    assert result.loss <= naive.loss(data, W, V) * (1 + 1e-4)


@pytest.mark.parametrize("kind", [*KINDS])
def test_every_kind_of_x_has_the_answer_of_an_array(tmp_path: Path, sizes: Resize, kind: str) -> None:
    sizes(strip=2**13)
    data = np.where(np.abs(X) > 0.5, X, 0)
    expected, found = (dnmf.factorize(x, K, max_iter=3, tol=0, **ALLOW) for x in (data, KINDS[kind](data, tmp_path)))
    assert_allclose(found.loss, expected.loss, rtol=1e-3)
    with pytest.raises(ValueError, match=r"X\[\d+, \d+\] is -.* allow it with --negative allow"):
        dnmf.factorize(KINDS[kind](data, tmp_path / "again"), K)


@pytest.mark.parametrize("solver", ["sample", "random"])
def test_x_without_such_entries_has_the_answer_that_it_has(solver: str) -> None:
    data = np.abs(X)
    one, other = (dnmf.factorize(data, K, init=solver, max_iter=4, tol=0, **more) for more in ({}, ALLOW))
    assert_allclose(other.V, one.V, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, da.from_array])
def test_what_is_no_number_is_refused_still(bad: float, kind: Any) -> None:
    data = X.copy()
    data[17, 5] = bad
    said = rf"X\[17, 5\] is {bad}: every entry must be finite .*; mend X and start again"
    with pytest.raises(ValueError, match=said) as refused:
        dnmf.factorize(kind(data), K, **ALLOW)
    assert "--negative" not in str(refused.value)


@pytest.mark.parametrize(
    "asked", [{"solver": "mu"}, {"solver": "mu", "beta_loss": 1}, {"beta_loss": 2, "solver": "mu"}]
)
def test_what_cannot_have_them_says_so(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"negative is 'allow', .* solver 'cd' and beta_loss 'frobenius' are required"):
        dnmf.factorize(X, K, **asked, **ALLOW)
    if "beta_loss" in asked and asked["beta_loss"] != 2:
        for call in (
            lambda: dnmf.transform(X, np.ones((2, N)), beta_loss=1, **ALLOW),
            lambda: dnmf.ranks(X, beta_loss=1, **ALLOW),
        ):
            with pytest.raises(ValueError, match="are not defined there"):
                call()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("scale", [-60, 60])
def test_the_scale_of_x_makes_no_difference_where_what_is_large_is_below_zero(dtype: str, scale: int) -> None:
    """2 to 10 times that in float64: squares would leave the range of numbers, and do not."""
    data = X.astype(dtype).copy()
    data[5] = -100 * np.abs(data[5])
    exponent = scale if dtype == "f4" else 10 * scale
    one, other = (dnmf.factorize(np.ldexp(data, e), K, max_iter=2, tol=0, **ALLOW) for e in (0, exponent))
    assert_allclose(other.relative_error, one.relative_error, rtol=1e-5)
    assert np.isfinite(other.V).all()


def test_the_extent_of_least_squares_leaves_signs_aside() -> None:
    y = np.array([[1.0, -1e30], [-1e-30, 0.0]])
    for rows in (y, sparse.csr_matrix(y)):
        found = extent_of(rows, 2)
        assert (found.top, found.row) == (1e30, 1e-30)
        assert_array_equal(found.columns, [1.0, 1e30])


def test_new_rows_are_taken_as_the_model_was_made(tmp_path: Path) -> None:
    run = dnmf.factorize(X, K, tol=0, max_iter=30, out=tmp_path / "run.zarr", **ALLOW)
    found = [dnmf.transform(X, model) for model in (run, tmp_path / "run.zarr")]
    found += [dnmf.transform(X, run.V, **ALLOW)]
    for W in found:
        assert_array_equal(W, found[0])
    assert_allclose(found[0], np.asarray(run.W), atol=1e-3 * np.asarray(run.W).max())
    with pytest.raises(ValueError, match="allow it with --negative allow"):
        dnmf.transform(X, run.V)


def test_a_run_says_so_and_what_follows_from_it_knows(tmp_path: Path, sizes: Resize) -> None:
    sizes(strip=2**13)
    x, run = stored(tmp_path / "x.zarr", X, (50, N)), tmp_path / "run.zarr"
    result = dnmf.factorize(x, K, max_iter=1, out=run, **ALLOW)
    assert result.record["parameters"]["negative"] == "allow"
    assert "negative allow" in facts(result)["parameters"]
    table = result.components_table()
    assert_allclose(sum(table["mass"]), 1)
    assert min(table["share"]) > 0
    assert dnmf.resume(run, max_iter=3).loss <= result.loss * (1 + 1e-9)
    with pytest.raises(ValueError, match="negative was 'allow' when the run began and is 'refuse' now"):
        dnmf.resume(run, max_iter=5, negative="refuse")
    more = dnmf.extend(run, stored(tmp_path / "new.zarr", X[:100], (50, N)))
    assert np.asarray(more.W).shape == (100, K)


def test_ranks_are_compared_on_it() -> None:
    truth = np.kron(np.eye(3), np.ones((200, 10)))
    noisy = truth + 0.5 * np.random.default_rng(0).standard_normal(truth.shape)
    assert dnmf.ranks(noisy, "1:6", **ALLOW).best == 3
    assert dnmf.factorize(noisy, "1:6", **ALLOW).V.shape == (3, 30)
    with pytest.raises(ValueError, match="allow it with --negative allow"):
        dnmf.ranks(noisy, "1:6")


def test_entries_that_were_lost_are_no_zeros(tmp_path: Path) -> None:
    """A chunk of `data` that is gone is read as zeros, which a sparse matrix with other signs has none of either."""
    path = KINDS["csr in zarr"](np.where(np.abs(X) > 0.5, X, 0), tmp_path)
    data = zarr.open_group(path)["data"]
    (Path(path) / "data" / "c" / "1").unlink()
    assert isinstance(data, zarr.Array)
    with pytest.raises(OSError, match="data has fewer chunks than it should"):
        dnmf.factorize(path, K, **ALLOW)
