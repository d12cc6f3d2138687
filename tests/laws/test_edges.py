"""X at the edges of what a matrix can be: it works, with finite factors whose loss is the one that is told."""

from typing import Any

import numpy as np
import pytest
from pairwise import few, in_turn
from resize import Resize
from scipy import sparse

import dnmf
from dnmf.losses.divergence.sums import strip_sums

RNG = np.random.default_rng(0)
X = RNG.random((40, 12)) * (RNG.random((40, 12)) < 0.5)
X[0, 0] = 0.5


def without(rows: slice | int, columns: slice | int) -> np.ndarray:
    changed = X.copy()
    changed[rows], changed[:, columns] = 0, 0
    return changed


EDGES = {
    "zero rows and columns": without(slice(0, 25), 3),
    "all zero": np.zeros((20, 8)),
    "one row": X[:1],
    "one column": X[:, :1],
    "one entry": X[:1, :1],
    "fewer columns than components": X[:, :2],
    "fewer rows than components": X[:2],
    "as many rows as components": X[:3],
    "float32": X.astype("f4"),
    "float16": X.astype("f2"),
    "integers": (10 * X).astype("i4"),
    "64-bit integers": (10 * X).astype("u8"),
    "bool": X > 0.5,
    "big-endian": X.astype(">f8"),
    "big-endian integers": (10 * X).astype(">i2"),
    "Fortran order": np.asfortranarray(X),
    "strided": np.repeat(X, 2, axis=0)[::2],
}
KINDS: dict[str, Any] = {"dense": np.asarray, "csr": sparse.csr_array, "csc": sparse.csc_matrix}


# SciPy has no sparse float16, and none in another byte order.
SPARSE = [edge for edge, x in EDGES.items() if x.dtype != np.float16 and x.dtype.isnative]
CASES = [*((edge, "dense") for edge in EDGES), *in_turn(SPARSE, ["csr", "csc"])]


@pytest.mark.parametrize(
    ("case", "how"),
    few(in_turn(CASES, [("cd", 2.0, 0.0), ("mu", 1.0, 0.01), ("cd", 2.0, 0.1), ("cd", 2.0, 0.0)]), 6),
    ids=str,
)
def test_x_at_an_edge_is_factorized(case: tuple[str, str], how: tuple[str, float, float]) -> None:
    (edge, kind), (solver, beta, alpha) = case, how
    x = EDGES[edge]
    result = dnmf.factorize(KINDS[kind](x), 3, solver=solver, beta_loss=beta, alpha_W=alpha, max_iter=4)
    W, V = np.asarray(result.W), result.V
    assert (W.shape, V.shape) == ((x.shape[0], 3), (3, x.shape[1]))
    for factor in (W, V):
        assert np.isfinite(factor).all()
        assert (factor >= 0).all()
    loss = strip_sums(x.astype("f8"), W.T.astype("f8"), V.astype("f8"), beta=beta).loss
    size = (x.astype("f8") ** beta).sum() if beta != 1 else x.sum(dtype="f8")
    np.testing.assert_allclose(result.loss, loss, rtol=1e-5, atol=1e-5 * size + 1e-12)
    again = dnmf.transform(KINDS[kind](x), result)
    assert np.isfinite(again).all()
    assert (again >= 0).all()


@pytest.mark.parametrize(
    ("init", "edge"),
    in_turn(
        ["random", "nndsvda", "nndsvdar", "nndsvd"],
        ["zero rows and columns", "one row", "fewer columns than components"],
    ),
)
def test_so_it_is_from_other_first_factors(edge: str, init: str) -> None:
    result = dnmf.factorize(EDGES[edge], 3, init=init, max_iter=4)
    assert np.isfinite(np.asarray(result.W) @ result.V).all()
    assert result.relative_error < 1


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_most_strips_may_be_empty(kind: str, sizes: Resize) -> None:
    """All non-zeros are in a few lines, the other strips hold none."""
    sizes(small_strip=2**10, worthwhile_strip=2**10)
    dense = np.zeros((4000, 30))
    dense[1900:2000] = RNG.random((100, 3)) @ RNG.random((3, 30))
    dense = dense if kind == "csr" else dense.T
    result = dnmf.factorize(KINDS[kind](dense), 3, tol=1e-6)
    assert result.relative_error < 0.01
    assert result.W.shape == (len(dense), 3)
