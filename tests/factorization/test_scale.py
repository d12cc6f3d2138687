"""The factorization of c X is that of X, times c: to the last bit where c is a power of two."""

import math
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from kinds import stored
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy import sparse

import dnmf

RNG = np.random.default_rng(0)
X: NDArray[Any] = RNG.random((60, 3)) @ RNG.random((3, 20)) + 0.05 * RNG.random((60, 20))
KINDS: dict[str, Any] = {
    "array": lambda X, path: X,
    "csr": lambda X, path: sparse.csr_array(X),
    "zarr": lambda X, path: stored(path / "x.zarr", X),
    "dask": lambda X, path: da.from_array(X, chunks=(20, 20)),
}
ASKED: dict[str, Any] = {"rank": 3, "max_iter": 6, "seed": 1}


def times(a: NDArray[Any], exponent: int) -> NDArray[Any]:
    return np.asarray(np.ldexp(a, exponent), a.dtype)


@pytest.mark.parametrize(
    ("kind", "dtype", "exponent", "asked"),
    [
        ("array", "f4", -90, {}),
        ("zarr", "f8", -600, {"init": "random"}),
        ("dask", "f4", 90, {"solver": "mu", "beta_loss": 1.0}),
        ("csr", "f8", -900, {"solver": "mu"}),
        ("array", "f4", -100, {"solver": "mu", "beta_loss": 0.0, "init": "random"}),
    ],
)
def test_w_takes_a_power_of_two_and_v_stays(tmp_path: Path, kind: str, dtype: str, exponent: int, asked: Any) -> None:
    plain, other = (
        dnmf.factorize(KINDS[kind](x, tmp_path / str(i)), **ASKED, **asked)
        for i, x in enumerate((X.astype(dtype), times(X.astype(dtype), exponent)))
    )
    assert_array_equal(other.V, plain.V)
    assert_array_equal(np.asarray(other.W), times(np.asarray(plain.W), exponent))
    assert other.relative_error == plain.relative_error
    beta = plain.record["parameters"]["beta_loss"]
    assert other.loss == float(plain.loss * np.exp2(exponent * beta))


@pytest.mark.long
def test_a_run_holds_the_factors_of_x_and_goes_on_from_them(tmp_path: Path) -> None:
    tiny = stored(tmp_path / "x.zarr", times(X.astype("f4"), -90))
    whole = dnmf.factorize(tiny, **ASKED, tol=0, out=tmp_path / "whole")
    begun = dnmf.factorize(tiny, **ASKED | {"max_iter": 2}, tol=0, out=tmp_path / "begun")
    assert begun.record["state"]["exponent"] == 91 - math.frexp(X.max())[1]
    ended = dnmf.resume(tmp_path / "begun", max_iter=6)
    for run in (whole, ended):
        W = times(run.W.compute(), 90).astype("f8")
        assert_allclose(np.linalg.norm(W @ run.V - X) / np.linalg.norm(X), run.relative_error, rtol=1e-4)
    assert ended.relative_error < begun.relative_error
    again = dnmf.factorize(tiny, **ASKED, tol=0, sample=tmp_path / "whole")
    assert_array_equal(again.V, whole.V)


@pytest.mark.parametrize("factors", ["W, V", "V, W"])
def test_given_factors_are_those_of_x(factors: str) -> None:
    W, V = RNG.random((60, 3)), RNG.random((3, 20))
    given = {"W, V": (times(W, -700), V), "V, W": (W, times(V, -700))}[factors]
    plain = dnmf.factorize(X, **ASKED, init=(W, V), inner_iter=1, solver="mu")
    tiny = dnmf.factorize(times(X, -700), **ASKED, init=given, inner_iter=1, solver="mu")
    assert_allclose(times(np.asarray(tiny.W), 700) @ tiny.V, np.asarray(plain.W) @ plain.V, rtol=1e-6)


@pytest.mark.parametrize(
    ("beta", "dtype", "quiet"), [(2.0, "f4", -90), (1.0, "f4", -75), (0.0, "f4", -50), (0.5, "f8", -40)]
)
def test_quiet_rows_beside_loud_ones_are_right(beta: float, dtype: str, quiet: int) -> None:
    x = X.astype(dtype)
    x[::7] = times(x[::7], quiet)
    result = dnmf.factorize(x, 3, solver="cd" if beta == 2 else "mu", beta_loss=beta)
    W = times(np.asarray(result.W)[::7], -quiet)
    assert np.linalg.norm(W @ result.V - X[::7]) < 0.1 * np.linalg.norm(X[::7])


def test_rows_that_are_too_far_apart_are_refused() -> None:
    x = X.copy()
    x[3] = times(x[3], -900)
    with pytest.raises(ValueError, match=r"X has entries up to .* beside rows or columns .*: multiply the quiet rows"):
        dnmf.factorize(x, 3, solver="mu", beta_loss=1.0)


@pytest.mark.parametrize(
    ("beta", "dtype", "exponent"),
    [(1.0, "f4", -70), (0.0, "f4", -50), (1.5, "f4", -90), (0.5, "f8", -27), (2.0, "f8", -1020)],
)
def test_rows_of_any_size_are_transformed_each_by_itself(beta: float, dtype: str, exponent: int) -> None:
    x, V = X.astype(dtype), dnmf.factorize(X, 3).V.astype(dtype) + np.asarray(0.01, dtype)
    expected = dnmf.transform(x, V, beta_loss=beta)
    x[1::2] = times(x[1::2], exponent)
    expected[1::2] = times(expected[1::2], exponent)
    assert_allclose(dnmf.transform(x, V, beta_loss=beta), expected, rtol=1e-3, atol=0)
