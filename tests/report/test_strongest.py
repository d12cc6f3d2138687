"""Where components are strong, from one scan of W: against all of W in memory."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnmf.report import strongest
from dnmf.report.strongest import strongest_rows


def _in_memory(W, sizes, count, blocks):
    """All of it from W as a whole, by sorting."""
    m, k = W.shape
    amounts = W.astype("f8") * sizes
    totals = amounts.sum(axis=1)
    shares = amounts / np.where(totals > 0, totals, 1)[:, None]
    order = [sorted(range(m), key=lambda i: (-shares[i, a], -amounts[i, a], i)) for a in range(k)]
    rows = [[i for i in order[a][:count] if shares[i, a] > 0] for a in range(k)]
    leads = [sum(shares[i].argmax() == a for i in range(m) if totals[i] > 0) for a in range(k)]
    along = [shares[np.arange(m) * blocks // m == b].mean(axis=0) for b in range(blocks)]
    return rows, [shares[rows[a], a].tolist() for a in range(k)], leads, np.transpose(along)


@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 7), st.integers(0, 9))
def test_the_cut_of_the_long_factor_does_not_matter(m, k, height, seed):
    rng = np.random.default_rng(seed)
    # Small integers, and many zeros: shares are equal often.
    W, sizes = rng.integers(0, 3, (m, k)).astype("f4"), rng.integers(1, 3, k).astype("f8")
    blocks = min(m, 6)
    found = strongest_rows(da.from_array(W, chunks=(height, k)), sizes, count=3, blocks=6)
    rows, shares, leads, along = _in_memory(W, sizes, 3, blocks)
    assert [each.tolist() for each in found.rows] == rows
    assert [each.tolist() for each in found.shares] == shares
    assert found.leads.tolist() == leads
    np.testing.assert_allclose(found.along, along, rtol=1e-12)


def test_a_chunk_that_is_large_is_looked_at_part_by_part(monkeypatch):
    W, sizes = np.random.default_rng(0).random((50, 3)), np.ones(3)
    whole = strongest_rows(da.from_array(W, chunks=(50, 3)), sizes, count=4, blocks=5)
    monkeypatch.setattr(strongest, "PART", 7)
    parts = strongest_rows(da.from_array(W, chunks=(50, 3)), sizes, count=4, blocks=5)
    assert [rows.tolist() for rows in parts.rows] == [rows.tolist() for rows in whole.rows]
    np.testing.assert_allclose(parts.along, whole.along, rtol=1e-12)


def test_a_chunk_is_computed_once_and_let_go_before_the_next():
    seen = []

    def block(values, block_info=None):
        seen.append(block_info[0]["chunk-location"][0])
        return values

    W = da.ones((40, 2), chunks=(10, 2)).map_blocks(block, dtype="f8")
    seen.clear()
    strongest_rows(W, np.ones(2), count=2, blocks=4)
    assert seen == [0, 1, 2, 3]


def test_a_component_of_zeros_is_strong_nowhere():
    found = strongest_rows(da.zeros((6, 2), chunks=(3, 2)), np.zeros(2), count=2, blocks=2)
    assert [rows.tolist() for rows in found.rows] == [[], []]
    assert found.leads.tolist() == [0, 0]
    assert found.along.tolist() == [[0, 0], [0, 0]]


@pytest.mark.long
def test_a_million_rows_take_little_memory_and_time():
    W = da.random.default_rng(0).random((1_000_000, 20), chunks=(50_000, 20), dtype="f4")
    found = strongest_rows(W, np.ones(20), count=5, blocks=120)
    assert found.leads.sum() == 1_000_000
    assert all(len(rows) == 5 for rows in found.rows)
