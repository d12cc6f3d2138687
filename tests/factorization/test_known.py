"""Known components: they stay to the last bit wherever a factorization goes, and the others are found beside them."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest
import xarray
import zarr
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from kinds import sparse_stored, stored
from numpy.testing import assert_allclose, assert_array_equal
from pairwise import few, pairs
from resize import Resize
from scipy import sparse

import dnmf
from dnmf.arrays.matching import match
from dnmf.cli.main import cli
from dnmf.cli.options import check_asked
from dnmf.events import PassDone
from dnmf.report.again import made_again
from dnmf.report.facts import facts

M, N, K = 900, 40, 5


def problem(seed: int = 0) -> tuple[Any, Any]:
    """X (900, 40) of five components with a tenth of noise, and their V; read-only."""
    rng = np.random.default_rng(seed)
    W, V = rng.gamma(0.4, size=(M, K)), rng.gamma(0.6, size=(K, N)) + 0.02
    X = (W @ V + 0.01) * rng.uniform(0.9, 1.1, (M, N))
    for a in (X, V):
        a.flags.writeable = False
    return X, V


X, V = problem()
# As large and as small as may be expected of what somebody brings.
GIVEN = V[:3] * np.array([[1e-4], [1.0], [1e5]])


@pytest.fixture
def cut(sizes: Resize) -> None:
    """Small strips: several of them; and a sample that is not all rows."""
    sizes(strip=2**14)
    sizes(sample_rows=300)


def assert_stays(result: dnmf.Factorization, given: Any, dtype: str) -> None:
    """Known rows are what was given, in all snapshots; the objective never rises."""
    for S in (result.V, *result.snapshots.values()):
        assert S.dtype == dtype
        assert S[: len(given)].tobytes() == given.astype(dtype).tobytes()
        assert np.isfinite(S).all()
        assert S.min() >= 0
    objective = result.history["objective"]
    size = float(objective[0]) if dtype == "f8" else float((X**2).sum())
    assert all(after <= before + 1e-5 * size for before, after in pairwise(objective))


LOSSES = [("cd", 2), ("mu", 2), ("mu", 1), ("mu", 1.5), ("mu", 0)]
INITS = ["sample", "random", "nndsvd", "nndsvda", "nndsvdar"]
MORE: list[dict[str, Any]] = [{}, {"alpha_W": 1e-3, "alpha_H": 1e-3, "l1_ratio": 0.5}, {"inner_iter": 1}]


@pytest.mark.parametrize(
    ("loss", "init", "more", "dtype", "kind"),
    few(
        [
            (("cd", 2), "sample", {}, "f4", "strips"),
            *pairs(LOSSES, INITS, MORE, ["f4", "f8"], ["one", "strips", "csr"]),
        ],
        6,
    ),
    ids=str,
)
@pytest.mark.usefixtures("cut")
def test_they_stay_to_the_last_bit(
    tmp_path: Path, loss: tuple[str, float], init: str, more: dict[str, Any], dtype: str, kind: str
) -> None:
    solver, beta = loss
    data: Any = X.astype(dtype)
    if kind == "csr":
        # Another divergence than these two needs a model of all entries, which is what dense X is for.
        data = sparse.csr_matrix(np.where(data > np.median(X), data, 0)) if beta >= 1 else data
    elif kind == "strips":
        data = stored(tmp_path / "x.zarr", data, (50, N))
    asked = {"solver": solver, "beta_loss": beta, "init": init, "max_iter": 6, "tol": 0, "shuffle": init == "random"}
    result = dnmf.factorize(data, K, fixed=GIVEN, snapshot_every=1, out=tmp_path / "run.zarr", **asked, **more)
    assert_stays(result, GIVEN, dtype)
    assert len(result.history["loss"]) == 6


@pytest.mark.parametrize(("seed", "count"), [(0, 2), (1, 4)])
def test_the_others_are_found_beside_them(seed: int, count: int) -> None:
    data, truth = problem(seed)
    found = dnmf.factorize(data, K, fixed=truth[:count], max_iter=5)
    assert match(truth[count:], found.V[count:]).cosines.min() > 0.99
    assert found.relative_error < 1.02 * dnmf.factorize(data, K, max_iter=5).relative_error


@given(scales=st.lists(st.integers(-20, 20), min_size=2, max_size=2), solver=st.sampled_from(["cd", "mu"]))
def test_their_length_makes_no_difference(scales: list[int], solver: str) -> None:
    """W takes it up."""
    small, given_rows = X[:200], V[:2]
    asked = {"solver": solver, "max_iter": 4, "tol": 0}
    one = dnmf.factorize(small, K, fixed=given_rows, **asked)
    other = dnmf.factorize(small, K, fixed=np.ldexp(given_rows, np.array(scales)[:, None]), **asked)
    assert_allclose(other.loss, one.loss, rtol=1e-3)


@pytest.mark.parametrize(("solver", "beta"), [("cd", 2), ("mu", 1)])
@pytest.mark.parametrize("init", ["sample", "random"])
@pytest.mark.usefixtures("cut")
def test_where_all_are_known_one_pass_gives_the_w_of_transform(
    tmp_path: Path, solver: str, beta: float, init: str
) -> None:
    x = stored(tmp_path / "x.zarr", X, (50, N))
    result = dnmf.factorize(x, K, fixed=V, solver=solver, beta_loss=beta, init=init, tol=0, out=tmp_path / "run.zarr")
    assert_array_equal(result.V, V)
    W = np.asarray(dnmf.transform(x, V, beta_loss=beta))
    assert_allclose(np.asarray(result.W), W, atol=1e-3 * W.max())
    assert (result.reads, len(result.history["loss"]), float(result.history["gradient"][-1])) == (1, 1, 0)
    assert result.stopped == "all components are known, and W belongs to them"
    with pytest.raises(ValueError, match="all of its components are known"):
        dnmf.resume(tmp_path / "run.zarr", max_iter=300)


def test_first_factors_of_ones_own_are_taken_but_for_them() -> None:
    rng = np.random.default_rng(3)
    first = rng.random((M, K)), rng.random((K, N))
    same = first[0], np.vstack([GIVEN, first[1][3:]])
    asked = {"fixed": GIVEN, "max_iter": 3, "tol": 0}
    one, other = (dnmf.factorize(X, K, init=init, **asked) for init in (first, same))
    assert_array_equal(one.V, other.V)
    assert_stays(one, GIVEN, "f8")
    published = dnmf.factorize(X, K, init=first, inner_iter=1, solver="mu", **asked)
    assert_stays(published, GIVEN, "f8")


def stop_after(iteration: int) -> Any:
    def listen(event: Any) -> None:
        if isinstance(event, PassDone) and event.iteration == iteration:
            raise KeyboardInterrupt

    return listen


@pytest.mark.parametrize(("solver", "beta", "stop"), [("cd", 2, 1), ("mu", 1, 3)])
@pytest.mark.usefixtures("cut")
def test_a_run_that_was_stopped_goes_on_with_them(tmp_path: Path, solver: str, beta: float, stop: int) -> None:
    x, given_rows = stored(tmp_path / "x.zarr", X.astype("f4"), (50, N)), tmp_path / "V0.npy"
    np.save(given_rows, GIVEN)
    asked = {"fixed": given_rows, "solver": solver, "beta_loss": beta, "max_iter": 6, "tol": 0, "checkpoint_every": 1}
    whole = dnmf.factorize(x, K, out=tmp_path / "whole.zarr", **asked)
    run = tmp_path / "run.zarr"
    with pytest.raises(KeyboardInterrupt):
        dnmf.factorize(x, K, out=run, listeners=[stop_after(stop)], **asked)
    with pytest.raises(ValueError, match="fixed is not what it was when the run began"):
        dnmf.resume(run, fixed=GIVEN[[1, 0, 2]])
    with pytest.raises(ValueError, match="fixed was 3 when the run began and is 2 now"):
        dnmf.resume(run, fixed=GIVEN[:2])
    given_rows.unlink()
    result = dnmf.resume(run, fixed=GIVEN)
    assert_array_equal(result.V, whole.V)
    assert_array_equal(np.asarray(result.W), np.asarray(whole.W))
    assert_stays(result, GIVEN, "f4")
    further = dnmf.resume(run, max_iter=8)
    assert_stays(further, GIVEN, "f4")


def test_they_come_from_wherever_arrays_are(tmp_path: Path) -> None:
    np.save(tmp_path / "V0.npy", V[:2])
    at = stored(tmp_path / "v0.zarr", V[:2], (1, N))
    before = dnmf.factorize(X, 2, fixed=V[:2], out=tmp_path / "before.zarr")
    for given_rows in (tmp_path / "V0.npy", at, zarr.open_array(at), tmp_path / "before.zarr", before, V[:2].tolist()):
        result = dnmf.factorize(X, 3, fixed=given_rows, init="random", max_iter=1)
        assert_array_equal(result.V[:2], V[:2])


def test_a_run_says_and_keeps_what_it_was_given(tmp_path: Path) -> None:
    result = dnmf.factorize(X.astype("f4"), K, fixed=GIVEN, max_iter=1, out=tmp_path / "run.zarr")
    assert result.record["parameters"]["fixed"] == 3
    assert "fixed 3" in facts(result)["parameters"]
    with xarray.open_zarr(tmp_path / "run.zarr", consolidated=False) as found:
        assert_array_equal(found["fixed"], GIVEN.astype("f4"))
        assert found["fixed"].dims == ("known", "column")
    again = dnmf.factorize(X, K, fixed=tmp_path / "run.zarr" / "fixed", max_iter=1)
    assert_array_equal(again.V[:3], GIVEN.astype("f4"))
    other = dnmf.factorize(X, K, max_iter=1, out=tmp_path / "run.zarr", overwrite=True)
    assert "fixed" not in zarr.open_group(tmp_path / "run.zarr")
    assert other.record["parameters"]["fixed"] is None


@pytest.mark.usefixtures("cut")
def test_they_stay_where_rows_are_added_and_components(tmp_path: Path) -> None:
    old, new = (stored(tmp_path / f"{name}.zarr", part, (50, N)) for name, part in (("old", X[:600]), ("new", X[600:])))
    dnmf.factorize(old, K, fixed=GIVEN, out=tmp_path / "run.zarr")
    for exact in (False, True):
        more = dnmf.extend(tmp_path / "run.zarr", new, rank="+1", exact=exact, out=tmp_path / f"{exact}.zarr")
        assert_array_equal(more.V[:3], GIVEN)
        assert more.V.shape == (K + 1, N)
    dnmf.factorize(old, 3, fixed=GIVEN, out=tmp_path / "all.zarr", init="sample")
    with pytest.raises(ValueError, match="keeps no sample"):
        dnmf.extend(tmp_path / "all.zarr", new)


@pytest.mark.parametrize(
    ("given_rows", "sentence"),
    [
        (V[:2, 1:], r"fixed has shape \(2, 39\) and X has 40 columns: shape \(k₀, 40\) is required"),
        (V[0], r"fixed has shape \(40,\): an array \(k₀, n\)"),
        (-V[:2], "fixed has a negative, NaN or infinite entry"),
        (np.where(V[:2] > 1, np.nan, V[:2]), "fixed has a negative, NaN or infinite entry"),
        (np.vstack([V[:1], 0 * V[:1]]), "row 1 of fixed is zero everywhere"),
        (V[:2] * 1e-200, "rows of fixed have largest entries of .* multiply them by constants"),
        (np.vstack([V, V]), "fixed has 10 components and rank is 5: rank counts known and other components"),
        ("nowhere.zarr", "fixed is nowhere.zarr, and nothing that Zarr opens is there"),
        ("nowhere.npy", "nowhere.npy"),
        (3, "fixed is of type int: an array of real numbers is required"),
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_refused_before_anything_is_written(
    tmp_path: Path, given_rows: Any, sentence: str
) -> None:
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=sentence):
        dnmf.factorize(X, K, fixed=given_rows, out=tmp_path / "run.zarr")
    assert not (tmp_path / "run.zarr").exists()


def test_what_does_not_go_with_them_is_refused(tmp_path: Path, sizes: Resize) -> None:
    with pytest.raises(ValueError, match=r"rank is 'auto' and some components are known"):
        dnmf.factorize(X, "auto", fixed=GIVEN)
    with pytest.raises(ValueError, match="all components are known, and W follows from them: leave init out"):
        dnmf.factorize(X, 3, fixed=GIVEN, init=(np.ones((M, 3)), np.ones((3, N))))
    csc = sparse_stored(tmp_path / "csc.zarr", sparse.csc_matrix(X))
    with pytest.raises(
        ValueError, match=r"known components need whole rows of X at a time: write it row by row, as CSR"
    ):
        dnmf.factorize(csc, K, fixed=GIVEN)
    wide = stored(tmp_path / "wide.zarr", X.T.copy(), (N, 50))
    sizes(strip=2**14)
    dnmf.factorize(wide, 3, out=tmp_path / "wide-run.zarr")
    with pytest.raises(ValueError, match="the sample is one of columns of X"):
        dnmf.factorize(wide, 3, fixed=X[:, :2].T, sample=tmp_path / "wide-run.zarr")
    # Without that sample it is cut along its rows, though columns would cost less.
    result = dnmf.factorize(wide, 3, fixed=X[:, :2].T, max_iter=1)
    assert (result.about.state.axis, result.V[:2].tobytes()) == (0, X[:, :2].T.tobytes())


def test_names_of_columns_go_along(tmp_path: Path) -> None:
    table = anndata.AnnData(X.astype("f4"))
    table.var_names = [f"gene {i}" for i in range(N)]
    result = dnmf.factorize(table, K, fixed=GIVEN, max_iter=1)
    assert_array_equal(result.V[:3], GIVEN.astype("f4"))
    assert result.labels.columns is not None


def _typed(words: list[str]) -> Any:
    return CliRunner().invoke(cli, words, obj=lambda event: None)


def test_the_command_line_asks_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("V0.npy", GIVEN)
    stored(tmp_path / "x.zarr", X - X.mean())
    words = ["--rank", "5", "--out", "run.zarr", "--max-iter", "1", "--quiet"]
    done = _typed(["factorize", "x.zarr", "--fixed", "V0.npy", *words])
    assert (done.exit_code, "allow it with --negative allow" in done.output) == (1, True)
    words += ["--fixed", "V0.npy", "--negative", "allow", "--overwrite"]
    assert _typed(["factorize", "x.zarr", *words]).exit_code == 0
    run = dnmf.open_run("run.zarr")
    assert_array_equal(run.V[:3], GIVEN)
    assert made_again(run.about, "run.zarr").text.endswith(
        " --max-iter 1 --fixed run.zarr/fixed --negative allow --out run.zarr"
    )
    done = _typed(["resume", "run.zarr", "--max-iter", "2", "--fixed", "run.zarr/fixed", "--quiet"])
    assert done.exit_code == 0
    assert_array_equal(dnmf.open_run("run.zarr").V[:3], GIVEN)
    with pytest.raises(ValueError, match="fixed has 3 components and rank is 2"):
        check_asked({"rank": 2, "fixed": "V0.npy"})
