"""What a factorization says of itself."""

import dask.array as da
import numpy as np
import pytest

import dnmf


@pytest.mark.parametrize("norm", [1, 2])
def test_scaled_factors_have_the_same_product(norm: int) -> None:
    X = np.random.default_rng(0).random((30, 8)).astype("f4")
    result = dnmf.factorize(X, 3)
    W, V = result.scaled(norm)
    assert isinstance(W, da.Array)
    assert (W.dtype, V.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(np.linalg.norm(V, norm, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(W) @ V, np.asarray(result.W) @ result.V, rtol=1e-5)


def test_a_component_of_zeros_stays_what_it_is() -> None:
    X = np.outer(np.arange(1.0, 7.0), np.ones(4))
    result = dnmf.factorize(X, 2, init=(np.ones((6, 2)), np.vstack([np.ones(4), np.zeros(4)])), max_iter=1)
    _, V = result.scaled()
    assert np.isfinite(V).all()
