"""`transform`: one answer for every kind of X, rows that depend on nothing but themselves, and what it writes."""

import pickle
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from counters import CountingStore
from kinds import KINDS, lazy, stored
from pairwise import few, in_turn
from resize import Resize
from scipy import sparse
from zarr.storage import LocalStore

import dnmf
from dnmf import transform
from dnmf.factorization.reads import solving
from dnmf.losses.choose import loss_of
from dnmf.rules import NO_PENALTY, Penalty

RANK, SHAPE = 3, (90, 24)
LOSSES = [2.0, 1.0, 0.5, 1.5, 3.0]
PENALTIES = {"none": {}, "both": {"alpha_W": 0.02, "l1_ratio": 0.4}}

each_beta = pytest.mark.parametrize("beta", LOSSES)
each_penalty = pytest.mark.parametrize("name", PENALTIES)


@pytest.fixture
def small_strips(sizes: Resize) -> None:
    """Strips of a few rows, so that small matrices have many."""
    sizes(small_strip=2**9, worthwhile_strip=2**9, large_strip=2**11)


def problem(shape: tuple[int, int] = SHAPE, *, zeros: float = 0.5, dtype: str = "f8") -> tuple[Any, Any]:
    """X of low rank and noise, with a row and a column of zeros where there are zeros, and V; read-only."""
    rng = np.random.default_rng(7)
    V = rng.uniform(0.1, 1, (RANK, shape[1]))
    X = rng.random((shape[0], RANK)) @ V * rng.uniform(0.5, 1.5, shape) + 0.05
    if zeros:
        X = np.where(rng.random(shape) < zeros, 0, X)
        X[5], X[:, 3] = 0, 0
    X, V = X.astype(dtype), V.astype(dtype)
    for a in (X, V):
        a.flags.writeable = False
    return X, V


ROWWISE = [kind for kind in KINDS if kind != "csc in zarr"]


def assert_close(ours: Any, expected: Any, digits: float = 1e-9) -> None:
    np.testing.assert_allclose(np.asarray(ours), expected, rtol=0, atol=digits * expected.max())


@pytest.mark.usefixtures("small_strips")
@pytest.mark.parametrize(("kind", "beta"), few([("csc in zarr", 2.0), *in_turn([*ROWWISE, *ROWWISE], LOSSES)], 5))
def test_every_kind_of_x_gives_one_w(tmp_path: Path, beta: float, kind: str) -> None:
    X, V = problem()
    asked = {"beta_loss": beta, **PENALTIES["both"]}
    expected = transform(X, V, **asked)
    assert isinstance(expected, np.ndarray)
    assert expected.shape == (SHAPE[0], RANK)
    ours = transform(KINDS[kind](X, tmp_path), V, **asked)
    assert isinstance(ours, np.ndarray if kind in ("csr", "csc") else da.Array)
    assert ours.shape == expected.shape
    assert_close(ours, expected)


@each_penalty
@pytest.mark.parametrize("beta", few([-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0], 3))
def test_w_is_where_no_row_can_be_better(beta: float, name: str) -> None:
    X, V = problem((20, 12), zeros=0)
    W = transform(X, V, beta_loss=beta, tol=1e-8, max_iter=5000, **PENALTIES[name])
    alpha, ratio = PENALTIES[name].get("alpha_W", 0.0), PENALTIES[name].get("l1_ratio", 0.0)
    M = W @ V
    numerator = (X * M ** (beta - 2)) @ V.T
    gradient = M ** (beta - 1) @ V.T - numerator + 12 * alpha * (ratio + (1 - ratio) * W)
    size = numerator.max()
    assert (gradient > -1e-3 * size).all()
    np.testing.assert_allclose(W * gradient, 0, atol=1e-4 * size * W.max())
    assert (W > 0).any(axis=1).all()


@each_penalty
@each_beta
def test_a_row_does_not_depend_on_its_neighbours(beta: float, name: str) -> None:
    X, V = problem()
    asked = {"beta_loss": beta, **PENALTIES[name]}
    W = transform(X, V, **asked)
    for i in (0, 5, 41, 89):
        assert_close(transform(X[i : i + 1], V, **asked), W[i : i + 1] + 0, 1e-9)
    order = np.random.default_rng(0).permutation(len(X))
    assert_close(transform(X[order], V, **asked), W[order])


@pytest.mark.parametrize("beta", LOSSES)
def test_a_row_of_zeros_is_made_of_nothing(beta: float) -> None:
    X, V = problem()
    assert not X[5].any()
    W = transform(X, V, beta_loss=beta)
    assert np.isfinite(W).all()
    if beta >= 1:
        assert not W[5].any()


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "?"])
def test_w_has_the_dtype_that_x_is_computed_with(dtype: str) -> None:
    X, V = problem()
    W = transform((X * 10).astype(dtype), V)
    assert W.dtype == ("f8" if dtype == "f8" else "f4")
    assert transform(lazy((X * 10).astype(dtype)), V).dtype == W.dtype


@pytest.mark.parametrize("solver", ["cd", "mu"])
@pytest.mark.parametrize("shape", [(120, 30), (30, 120)], ids=["tall", "wide"])
def test_of_x_that_was_fitted_w_is_that_of_the_fit(shape: tuple[int, int], solver: str) -> None:
    X, _ = problem(shape)
    fit = dnmf.factorize(X, RANK, solver=solver, tol=1e-7, max_iter=2000)
    assert_close(transform(X, fit, tol=1e-7, max_iter=5000), np.asarray(fit.W), 1e-2)


@pytest.mark.parametrize("shape", [(120, 30), (30, 120)], ids=["tall", "wide"])
def test_a_factorization_brings_its_loss_and_penalties(shape: tuple[int, int]) -> None:
    X, _ = problem(shape)
    asked = {"beta_loss": 1.0, "alpha_W": 0.02, "l1_ratio": 0.4}
    fit = dnmf.factorize(X, RANK, solver="mu", alpha_H=0.5, **asked, max_iter=5)
    by_itself = transform(X, fit)
    np.testing.assert_array_equal(by_itself, transform(X, fit.V, **asked))
    for other in ({"beta_loss": 2.0}, {"alpha_W": 0.0}, {"l1_ratio": 0.0}):
        assert np.abs(by_itself - transform(X, fit.V, **{**asked, **other})).max() > 1e-3


def test_more_updates_and_a_smaller_tolerance_come_nearer() -> None:
    X, V = problem()
    end = transform(X, V, beta_loss=1.0, tol=0, max_iter=3000)
    away = [
        np.abs(transform(X, V, beta_loss=1.0, tol=tol, max_iter=most) - end).max()
        for tol, most in ((0.5, 200), (1e-2, 200), (1e-6, 200), (1e-6, 2000))
    ]
    assert away == sorted(away, reverse=True)
    assert away[0] > 10 * away[-1]


# Lazy X.


def counted(tmp_path: Path, X: Any, chunks: tuple[int, int] = (16, 24)) -> tuple[Any, CountingStore]:
    path = stored(tmp_path / "counted.zarr", X, chunks)
    store = CountingStore(LocalStore(path))
    return zarr.open_array(store, mode="r"), store


@each_beta
def test_a_dask_x_is_read_where_and_when_w_is_and_in_its_chunks(tmp_path: Path, beta: float) -> None:
    X, V = problem()
    array, store = counted(tmp_path, X)
    W = transform(da.from_array(array, chunks=(32, 24)), V, beta_loss=beta)
    assert W.chunks == ((32, 32, 26), (RANK,))
    assert not store.reads(), "nothing is read before W is"
    assert_close(W[40:50].compute(scheduler="threads"), transform(X, V, beta_loss=beta)[40:50])
    assert set(store.reads().values()) == {1}
    assert len(store.reads()) == 2, "of six chunks those that hold these rows"


@pytest.mark.usefixtures("small_strips")
def test_a_stored_x_is_read_once_and_only_when_w_is(tmp_path: Path) -> None:
    X, V = problem()
    array, store = counted(tmp_path, X)
    W = transform(array, V)
    assert not store.reads()
    assert_close(W, transform(X, V))
    assert set(store.reads().values()) == {1}
    assert len(store.reads()) == array.nchunks


@pytest.mark.usefixtures("small_strips")
def test_what_is_written_is_read_once(tmp_path: Path) -> None:
    X, V = problem()
    array, store = counted(tmp_path, X)
    transform(array, V, out=tmp_path / "w.zarr")
    assert set(store.reads().values()) == {1}
    assert len(store.reads()) == array.nchunks


# What is written.


@pytest.mark.usefixtures("small_strips")
@pytest.mark.parametrize(
    ("kind", "where", "beta"),
    few(
        in_turn(
            [kind for kind in ROWWISE if kind not in ("csc", "dask of csc")],
            ["threads", "cluster"],
            [1.0, 2.0, 2.0, 1.0],
        ),
        1,
    ),
)
def test_w_is_written_to_a_group(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, beta: float, where: str
) -> None:
    X, V = problem()
    expected = transform(X, V, beta_loss=beta)
    if where == "cluster":
        request.getfixturevalue("client")
    out = tmp_path / "w.zarr"
    ours = transform(KINDS[kind](X, tmp_path), V, beta_loss=beta, out=out)
    assert isinstance(ours, da.Array)
    assert ours.shape == expected.shape
    assert_close(zarr.open_group(str(out), mode="r")["W"][...], expected)
    assert_close(ours.compute(), expected)


@pytest.mark.usefixtures("small_strips")
@pytest.mark.parametrize("where", ["threads", "cluster"])
@pytest.mark.parametrize("kind", ["csc in zarr", "dask of csc"])
def test_w_is_written_where_strips_are_columns(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, where: str
) -> None:
    X, V = problem()
    expected = transform(X, V)
    if where == "cluster":
        request.getfixturevalue("client")
    ours = transform(KINDS[kind](X, tmp_path), V, out=tmp_path / "w.zarr")
    assert_close(zarr.open_group(str(tmp_path / "w.zarr"), mode="r")["W"][...], expected)
    assert_close(ours.compute(), expected)


@pytest.mark.usefixtures("small_strips")
def test_w_is_listed_when_all_of_it_is_written(tmp_path: Path) -> None:
    X, V = problem()
    bad = X.copy()
    bad[80, 2] = -1
    with pytest.raises(ValueError, match=r"X\[80, 2\] is -1.0"):
        transform(stored(tmp_path / "x.zarr", bad), V, out=tmp_path / "w.zarr")
    assert "W" not in zarr.open_group(str(tmp_path / "w.zarr"), mode="r")
    ours = transform(X, V, out=tmp_path / "w.zarr", overwrite=True)
    assert_close(ours, transform(X, V))


def test_what_was_transformed_is_replaced_where_that_is_asked_for_only(tmp_path: Path) -> None:
    X, V = problem()
    out = tmp_path / "w.zarr"
    transform(X, V, out=out)
    with pytest.raises(FileExistsError, match="exists: choose another output, or overwrite it"):
        transform(X[:10], V, out=out)
    assert_close(zarr.open_group(str(out), mode="r")["W"][...], transform(X, V))
    transform(X[:10], V, out=out, overwrite=True)
    assert zarr.open_group(str(out), mode="r")["W"].shape == (10, RANK)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_run_is_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    X, V = problem()
    run = tmp_path / "run.zarr"
    fit = dnmf.factorize(X, RANK, out=run, max_iter=2)
    with pytest.raises(FileExistsError, match="exists"):
        transform(X, V, out=run, overwrite=overwrite)
    with pytest.raises(FileExistsError, match="exists"):
        transform(X, fit, out=run, overwrite=overwrite)
    np.testing.assert_array_equal(dnmf.open_run(run).V, fit.V)


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_else_is_replaced_either(tmp_path: Path, overwrite: bool) -> None:
    X, V = problem()
    path = stored(tmp_path / "x.zarr", X)
    with pytest.raises(FileExistsError, match="exists"):
        transform(path, V, out=path, overwrite=overwrite)
    np.testing.assert_array_equal(zarr.open_array(path, mode="r")[...], X)


def test_a_run_does_not_replace_what_was_transformed(tmp_path: Path) -> None:
    X, V = problem()
    transform(X, V, out=tmp_path / "w.zarr")
    with pytest.raises(FileExistsError, match="is not a run of dnmf"):
        dnmf.factorize(X, RANK, out=tmp_path / "w.zarr", overwrite=True)


@pytest.mark.usefixtures("small_strips")
def test_x_inside_the_output_is_not_deleted(tmp_path: Path) -> None:
    """W of a transformed X may be transformed itself, but not into the group that it is in."""
    X, V = problem()
    transform(X, V, out=tmp_path / "w.zarr")
    before = zarr.open_group(str(tmp_path / "w.zarr"), mode="r")["W"][...]
    with pytest.raises((ValueError, FileExistsError), match="choose another"):
        transform(str(tmp_path / "w.zarr" / "W"), np.ones((2, RANK)), out=tmp_path / "w.zarr", overwrite=True)
    np.testing.assert_array_equal(zarr.open_group(str(tmp_path / "w.zarr"), mode="r")["W"][...], before)


# What is refused.


@pytest.mark.parametrize("kind", ["csr", "zarr", "csr in zarr", "dask"])
def test_v_must_have_as_many_columns_as_x(tmp_path: Path, kind: str) -> None:
    X, V = problem()
    for bad, shape in ((V[:, :5], r"\(3, 5\)"), (V.T, r"\(24, 3\)"), (V[0], r"\(24,\)")):
        with pytest.raises(ValueError, match=rf"V has shape {shape} and X has 24 columns: V of shape \(k, 24\) is"):
            transform(KINDS[kind](X, tmp_path / f"{len(bad)}-{bad.ndim}"), bad)


@pytest.mark.parametrize("entry", [-1.0, np.nan, np.inf])
def test_v_must_be_a_factor(entry: float) -> None:
    X, V = problem()
    V = V.copy()
    V[1, 2] = entry
    with pytest.raises(ValueError, match="V has a negative, NaN or infinite entry: finite entries ≥ 0 are required"):
        transform(X, V)


@pytest.mark.usefixtures("small_strips")
@pytest.mark.parametrize("kind", ["csr", "csc", "zarr", "csr in zarr", "csc in zarr"])
def test_entries_of_x_that_cannot_be_are_named(tmp_path: Path, kind: str) -> None:
    X, V = problem()
    X = X.copy()
    X[70, 2] = -1
    with pytest.raises(ValueError, match=r"X\[70, 2\] is -1.0: every entry must be finite and not negative"):
        np.asarray(transform(KINDS[kind](X, tmp_path), V))


@pytest.mark.parametrize("kind", ["dask", "dask of csr"])
def test_entries_of_a_dask_x_that_cannot_be_are_named(tmp_path: Path, kind: str) -> None:
    X, V = problem()
    X = X.copy()
    X[70, 2] = -1
    W = transform(KINDS[kind](X, tmp_path), V)
    with pytest.raises(ValueError, match=r"X\[70, 2\] is -1.0: every entry must be finite and not negative"):
        W.compute(scheduler="threads")


@pytest.mark.parametrize("beta", [1.0, 0.5, 1.5])
def test_columns_alone_are_not_enough_for_other_losses(tmp_path: Path, beta: float) -> None:
    X, V = problem()
    with pytest.raises(ValueError, match=r"stored column by column \(CSC\), and every row of W needs a whole row of X"):
        transform(KINDS["csc in zarr"](X, tmp_path), V, beta_loss=beta)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"beta_loss": "hinge"}, "beta_loss is 'hinge'"),
        ({"alpha_W": -1.0}, "alpha_W is -1.0"),
        ({"l1_ratio": 2.0}, "l1_ratio is 2.0"),
        ({"max_iter": 0}, "max_iter is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        transform(*problem(), **asked)


@pytest.mark.parametrize("tol", [-1.0, 1.0, np.nan, "small"])
def test_a_tolerance_that_makes_no_sense_is_refused(tol: Any) -> None:
    with pytest.raises(ValueError, match="tol is"):
        transform(*problem(), tol=tol)


def test_numbers_of_numpy_are_numbers() -> None:
    X, V = problem()
    expected = transform(X, V, alpha_W=0.5, l1_ratio=1.0, max_iter=50, tol=0.125)
    asked = {"alpha_W": np.float32(0.5), "l1_ratio": np.float32(1), "max_iter": np.int64(50), "tol": np.float32(0.125)}
    np.testing.assert_array_equal(transform(X, V, **asked), expected)


@each_beta
def test_what_travels_with_every_strip_is_small(beta: float) -> None:
    """V goes to each worker once, beside it."""
    loss = loss_of("mu", beta, Penalty(0.1, 0.2), NO_PENALTY, sparse=False, short_sweeps=1)
    read = solving(loss, np.ones((RANK, 10_000)), tol=1e-4, iterations=200)
    assert len(pickle.dumps(read.of_a_strip)) < 1000


# What factorize leaves out.


@pytest.mark.usefixtures("small_strips", "client")
@pytest.mark.parametrize("kind", few(["zarr", "csr in zarr", "dask"], 1))
def test_without_w_a_cluster_needs_no_output(tmp_path: Path, kind: str) -> None:
    X, _ = problem((120, 24))
    asked: dict[str, Any] = {"max_iter": 4, "tol": 0, "keep_W": False}
    ours = dnmf.factorize(KINDS[kind](X, tmp_path), RANK, **asked)
    assert ours.W is None
    # The same X in this process, which is cut otherwise.
    expected = dnmf.factorize(sparse.csr_matrix(X) if "csr" in kind else X, RANK, **asked).V
    np.testing.assert_allclose(ours.V, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.usefixtures("small_strips", "client")
@pytest.mark.parametrize("kind", few(["zarr", "csc in zarr"], 1))
def test_without_w_v_is_right_where_strips_are_columns(tmp_path: Path, kind: str) -> None:
    X, _ = problem((24, 120))
    # Of starts from a sample the best two may be as good but for rounding, which is not the same for sparse X.
    asked: dict[str, Any] = {"init": "random", "max_iter": 4, "tol": 0, "keep_W": False}
    ours = dnmf.factorize(KINDS[kind](X, tmp_path), RANK, **asked)
    assert ours.record["state"]["axis"] == 1
    # The same X in this process, which is cut otherwise.
    expected = dnmf.factorize(X, RANK, **asked).V
    assert ours.V.shape == (RANK, 120)
    np.testing.assert_allclose(ours.V, expected, rtol=1e-6, atol=1e-9)


def test_a_few_rows_of_w_cost_no_more_than_a_few_strips(tmp_path: Path) -> None:
    """X of 16 GiB, of which one chunk is there, and nothing is read."""
    X = zarr.create_array(str(tmp_path / "X.zarr"), shape=(2**22, 1024), chunks=(4096, 1024), dtype="f4", fill_value=1)
    X[:4096] = 2
    with pytest.warns(UserWarning, match="1023 of "):
        W = transform(tmp_path / "X.zarr", np.ones((2, 1024)))
    assert max(W.chunks[0]) * 4096 <= 2**29
