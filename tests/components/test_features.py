"""Which features lead a component."""

import naive
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dnmf.components.features import deviations, leading, markers, most_specific, specificity, weights


def test_weights_are_shares_of_a_row_even_where_its_sum_leaves_the_range_of_numbers():
    V = np.array([[1e308, 1e308, 2e307], [0, 0, 0], [1e-320, 0, 0]])
    assert_allclose(weights(V), [[1 / 2.2, 1 / 2.2, 0.2 / 2.2], [0, 0, 0], [1, 0, 0]])


def test_specificity_is_how_many_times_as_often_a_feature_is_in_a_component():
    """The last feature leads every component and is specific to none; only the middle one is in one alone."""
    V = np.array([[0.2, 0.0, 0.8], [0.05, 0.15, 0.8]])
    W = np.random.default_rng(0).random((50, 2))
    mass = W.sum(axis=0)
    found = specificity(V, mass)
    model = W @ V
    assert_allclose(found, V / (model.sum(axis=0) / model.sum()))
    assert_allclose(found[:, 2], 1)
    assert found[1, 1] == pytest.approx(mass.sum() / mass[1])
    # It is the feature's own: how scale is divided between W and V says nothing.
    assert_allclose(specificity(V * [[3], [1e-3]], mass), found)


def test_a_feature_that_no_component_has_and_a_component_of_zeros_score_nothing():
    assert_array_equal(specificity(np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([2.0, 0.0])), [[1, 0], [0, 0]])


def test_markers_are_least_squares_of_z_scored_columns():
    """With a constant column, and one component twice: then the shortest solution."""
    rng = np.random.default_rng(0)
    W = rng.random((60, 4)) * [1, 1e-3, 1e3, 1]
    X = W @ rng.random((4, 9)) + rng.random((60, 9))
    X[:, 3] = 0.1
    columns = deviations(X.sum(axis=0), (X**2).sum(axis=0), len(X))
    for some in (W, W[:, :1]):
        scores = markers(some.T @ X, some.T @ some, some.sum(axis=0), *columns)
        expected = naive.marker_scores(X, some)
        assert_allclose(scores, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())
        assert_array_equal(scores[:, 3], 0)
    twice = W[:, [0, 0]]
    scores = markers(twice.T @ X, twice.T @ twice, twice.sum(axis=0), X.mean(axis=0), X.std(axis=0) * (X.std(0) > 1e-9))
    assert_allclose(scores, naive.marker_scores(X, twice), rtol=1e-6, atol=1e-9)


def test_deviations_of_columns_that_vary_little_beside_their_mean():
    x = np.array([1e4, 1e4, 1e4 + 1])[:, None] * [1, 1, 0] + [0, 0.1, 0.3]
    x[:, 1] = x[0, 1]
    means, found = deviations(x.sum(axis=0), (x**2).sum(axis=0), 3)
    assert_allclose(means, x.mean(axis=0))
    assert_allclose(found[0], x[:, 0].std(), rtol=1e-4)
    assert_array_equal(found[1:], 0)


def test_features_lead_by_score_and_only_where_they_have_one():
    scores = np.array([[5.0, 7.0, 1.0, 0.0, -3.0, 5.0], [0, 0, 0, 0, 0, 0]])
    assert [found.tolist() for found in leading(scores, 10)] == [[1, 0, 5, 2], []]
    assert [found.tolist() for found in leading(scores, 2)] == [[1, 0], []]


def test_of_features_that_are_as_good_as_equally_specific_the_heavier_ones_come_first():
    """And one that is only just there, below the average weight of a sixth, does not."""
    scores = np.array([[9.7, 10.0, 2.0, 0.0, 10.0, 6.0]])
    alike = np.array([[0.4, 0.17, 0.2, 0.0, 0.03, 0.2]])
    assert [found.tolist() for found in most_specific(scores, alike, 10)] == [[0, 1, 5, 2]]
    assert [found.tolist() for found in most_specific(scores, alike, 1)] == [[0]]
    assert [found.tolist() for found in most_specific(np.zeros((1, 6)), alike, 10)] == [[]]
