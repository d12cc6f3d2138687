"""Gram matrices of the entries that are there, against sums over single entries."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from dnmf.arrays.grams import column_pairs, row_grams, unpack
from dnmf.arrays.weighted import Weighted
from dnmf.plan.weighing import pair_bytes

RANK = 3


def masks(shape):
    """Weights of every kind, and how many groups their rows need at most."""
    rng = np.random.default_rng(0)
    h, n = shape
    stripes = np.ones((2, n), bool)
    stripes[0, : n // 2] = stripes[1, 3 : n - 3] = False
    empty = rng.random(shape) < 0.5
    empty[::3] = False
    one = np.zeros(shape, bool)
    one[np.arange(h), rng.integers(0, n, h)] = True
    hidden = np.ones(shape, bool)
    hidden[::2, :2] = False
    return {
        "few missing": rng.random(shape) > 0.04,
        "half": rng.random(shape) < 0.5,
        "few there": rng.random(shape) < 0.05,
        "stripes": stripes[rng.integers(0, 2, h)],
        "all": np.ones(shape, bool),
        "rows of nothing": empty,
        "one each": one,
        "a component without its entries": hidden,
        "weights": rng.random(shape) * (rng.random(shape) < 0.7),
        "weights by column": np.broadcast_to(rng.random(n), shape).copy(),
        "weights of one": np.ones(shape),
    }


KINDS = list(masks((1, 9)))


def rows(kind, *, layout="dense", shape=(70, 50)):
    omega = masks(shape)[kind]
    if layout == "dense":
        return Weighted(np.zeros(shape), omega), omega
    at = np.nonzero(omega)
    indptr = np.concatenate([[0], np.cumsum((omega > 0).sum(axis=1))])
    return Weighted(sparse.csr_matrix((np.zeros(len(at[0])), at[1], indptr), shape=shape), omega[at]), omega


def factor(width):
    S = np.random.default_rng(1).random((RANK, width))
    S[1] = 0
    S[1, :2] = [1, 2]  # a component that only two columns know
    return S


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_row_has_its_own(kind, layout):
    y, omega = rows(kind, layout=layout)
    S = factor(omega.shape[1])
    found, times = np.full((RANK, RANK, len(omega)), np.nan), np.zeros(len(omega))
    for at, G in row_grams(y, S):
        found[:, :, at] = G[:, :, None] if G.ndim == 2 else G
        times[at] += 1
    assert (times == 1).all()
    assert_allclose(found, np.einsum("ij,aj,bj->abi", omega.astype("f8"), S, S), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", ["few missing", "a component without its entries"])
def test_what_a_row_does_not_see_is_no_rounding(kind):
    """In float32, what is left after a subtraction would be."""
    y, omega = rows(kind)
    S = factor(omega.shape[1]).astype("f4")
    expected = np.einsum("ij,aj,bj->abi", omega.astype("f8"), S, S)
    for at, G in row_grams(y, S):
        own = G[:, :, None] if G.ndim == 2 else G
        assert_allclose(np.broadcast_to(own, (RANK, RANK, len(at))), expected[:, :, at], rtol=2e-5)


def test_rows_that_miss_the_same_share_one():
    for kind, most in (("stripes", 2), ("all", 1), ("weights by column", 1), ("weights of one", 1)):
        y, omega = rows(kind)
        groups = list(row_grams(y, factor(omega.shape[1])))
        assert len(groups) <= most
        assert all(G.ndim == 2 for _, G in groups)


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_column_has_its_own(kind, layout):
    y, omega = rows(kind, layout=layout)
    L = np.random.default_rng(2).random((RANK, len(omega)))
    pairs = column_pairs(y, L)
    assert pairs.nbytes == pair_bytes(RANK, omega.shape[1])
    assert_allclose(unpack(pairs, RANK), np.einsum("ij,ai,bi->abj", omega.astype("f8"), L, L), rtol=1e-12, atol=1e-13)


def test_many_rows_and_columns_come_in_parts(monkeypatch):
    monkeypatch.setattr("dnmf.arrays.grams.PAIR_BYTES", 1)
    monkeypatch.setattr("dnmf.arrays.grams.PACKED_BYTES", 1)
    monkeypatch.setattr("dnmf.arrays.grams.GROUP_BYTES", 1)
    shape = (300, 200)
    y, omega = rows("half", shape=shape)
    S = factor(shape[1])
    for at, G in row_grams(y, S):
        assert len(at) == 16 or 299 in at
        assert_allclose(G, np.einsum("ij,aj,bj->abi", omega[at].astype("f8"), S, S), rtol=1e-12, atol=1e-13)
