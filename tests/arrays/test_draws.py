"""Random rows belong to their index, whatever pieces they are drawn in."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import cuts, dtypes, seeds

from dnmf.arrays.draws import random_rows

F8 = np.dtype("f8")


@given(st.data(), seeds, st.integers(0, 1), st.integers(1, 60), st.integers(1, 9), dtypes)
def test_pieces_equal_the_whole(data, seed, stream, rows, rank, dtype):
    whole = random_rows(seed, stream, 0, rows, rank, np.dtype(dtype))
    heights = data.draw(cuts(rows))
    starts = np.cumsum([0, *heights[:-1]])
    pieces = [random_rows(seed, stream, int(a), h, rank, np.dtype(dtype)) for a, h in zip(starts, heights, strict=True)]
    assert_array_equal(np.hstack(pieces), whole)


@given(seeds, st.integers(0, 2**40), st.integers(1, 9))
def test_float32_is_the_cast_of_float64(seed, first, rank):
    single, double = (random_rows(seed, 0, first, 20, rank, np.dtype(dtype)) for dtype in ("f4", "f8"))
    assert (single.dtype, double.dtype) == ("f4", "f8")
    assert_array_equal(single, double.astype("f4"))


def test_rows_are_component_major_and_uniform():
    drawn = random_rows(3, 0, 0, 20_000, 5, F8)
    assert drawn.shape == (5, 20_000)
    assert drawn.flags.c_contiguous
    assert (drawn >= 0).all()
    assert (drawn < 1).all()
    assert_allclose(drawn.mean(1), 0.5, atol=0.01)
    assert_allclose(drawn.var(1), 1 / 12, atol=0.003)


def test_streams_seeds_and_components_are_independent():
    drawn = np.vstack([random_rows(seed, stream, 0, 20_000, 2, F8) for seed in (0, 1) for stream in (0, 1)])
    correlation = np.corrcoef(drawn)
    assert np.abs(correlation - np.eye(8)).max() < 0.04


def test_the_numbers_are_pinned():
    """Other numbers would start every factorization elsewhere: a change of these is a change for users."""
    bits = np.random.PCG64(np.random.SeedSequence([7, 1]))
    expected = np.random.Generator(bits).random(6).reshape(3, 2).T
    assert_array_equal(random_rows(7, 1, 0, 3, 2, F8), expected)
