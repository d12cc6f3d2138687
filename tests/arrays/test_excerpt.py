"""Excerpts: entries of the sketch, times weights that make sums of squares those of all of it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dnmf.arrays.excerpt import excerpt
from dnmf.arrays.sketch import Sketch, as_it_is, sketch
from dnmf.rules import Penalty


def heavy() -> np.ndarray:
    """Rows and columns of very different sizes, some of them 0."""
    rng = np.random.default_rng(0)
    A = np.outer(rng.pareto(1.5, 90), rng.pareto(1.5, 70)) * rng.random((90, 70))
    A[::9] = A[:, ::7] = 0
    return A


KINDS = {
    "dense": as_it_is(heavy()),
    "sketch": sketch(heavy(), 3, seed=0),
}


def entries(A: Sketch) -> np.ndarray:
    """The matrix that a sketch is of."""
    return A.B if A.Q is None else A.Q.T @ A.B


@pytest.mark.parametrize("kind", KINDS)
def test_it_holds_weighted_entries_of_the_sketch(kind: str) -> None:
    A = KINDS[kind]
    part = excerpt(A, seed=0, side=20)
    rows, columns = part.rows, part.columns
    expected = entries(A)[np.ix_(rows.index, columns.index)] * np.outer(rows.weights, columns.weights)
    assert expected.shape == (20, 20)
    assert_allclose(entries(part.A), expected, rtol=1e-9, atol=1e-12)
    assert part.A.square == pytest.approx(float((expected**2).sum()))
    whole = part.columns.of(A)
    assert_allclose(entries(whole), entries(A)[:, columns.index] * columns.weights, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_sums_of_squares_are_those_of_all_on_average(kind: str) -> None:
    A = KINDS[kind]
    squares = [excerpt(A, seed=seed, side=30).A.square for seed in range(200)]
    assert np.mean(squares) == pytest.approx(A.square, rel=4 * np.std(squares) / np.sqrt(200) / A.square)


@pytest.mark.parametrize("kind", KINDS)
def test_where_there_are_no_more_rows_and_columns_it_is_the_sketch(kind: str) -> None:
    A = KINDS[kind]
    part = excerpt(A, seed=0, side=90)
    assert part.A is A
    assert_array_equal(part.rows.of_factor(np.arange(90.0)[None]), np.arange(90.0)[None])


def test_lines_of_zeros_are_never_drawn() -> None:
    part = excerpt(KINDS["dense"], seed=0, side=75)
    assert not set(part.rows.index) & set(range(0, 90, 9))
    assert len(part.rows.index) == 75
    assert_array_equal(part.columns.index, np.arange(70), "there are no more columns than that")


def test_penalties_are_on_average_those_on_all_of_a_factor() -> None:
    """A row's l1 may differ from the others', as in a weighted sample."""
    W = np.random.default_rng(1).random((3, 90))
    before = Penalty(np.random.default_rng(2).random(90), 0.3), Penalty(0.2, 0.1)
    A = as_it_is(np.random.default_rng(3).random((90, 70)))
    found = []
    for seed in range(300):
        part = excerpt(A, seed=seed, side=40)
        found.append(part.penalties(before)[0].of(part.rows.of_factor(W)))
    assert np.mean(found) == pytest.approx(before[0].of(W), rel=0.02)
