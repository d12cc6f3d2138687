"""Figures of components are right, and legible for few and for many, with long names."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pairwise import few
from texts import beyond, overlapping

import dnmf
from dnmf.components.features import weights
from dnmf.report.components import compared, component_figures, component_map, top_features
from dnmf.run.compare import compare
from dnmf.run.components import describe

COLUMNS = 120
LONG = [f"ENSG{j:011d}.{j}_a-name-that-is-longer-than-a-figure-is-wide_GENE{j}" for j in range(COLUMNS)]


def run(rank: int, *, names: list[str] | None = LONG, seed: int = 0, **how: Any) -> Any:
    rng = np.random.default_rng(0)
    X = rng.gamma(0.3, size=(400, rank)) @ rng.gamma(0.3, size=(rank, COLUMNS)) + 0.05 * rng.random((400, COLUMNS))
    return dnmf.factorize(pd.DataFrame(X, columns=names) if names else X, rank, max_iter=2, seed=seed, **how)


@pytest.mark.parametrize(
    ("rank", "names"),
    few([(20, LONG), (2, LONG), (1, None), (60, LONG), (20, None), (60, None), (2, None), (1, LONG)], 3),
)
def test_figures_are_legible(rank: int, names: list[str] | None) -> None:
    result = run(rank, names=names)
    found = component_figures(result) | {"compared": compared(result, run(max(1, rank - 1), names=names, seed=1))}
    assert set(found) == {"features", "map", "compared"}
    for figure in found.values():
        assert overlapping(figure) == []
        assert beyond(figure) == []


def test_bars_are_the_top_features_and_how_much_of_the_component_they_are() -> None:
    told = describe(run(5, names=[f"g{j}" for j in range(COLUMNS)]), top=4)
    figure = top_features(told, most=3)
    assert figure.get_suptitle() == "5 of 5 components, by share of X: top features by specificity"
    for place, axes in enumerate(figure.axes):
        assert [text.get_text() for text in axes.get_yticklabels()] == list(told.named_features[place][:3])
        assert_allclose([bar.get_width() for bar in axes.patches], told.weights[place][:3])
        assert axes.get_title(loc="left") == f"{told.number[place]}   share {told.share[place]:.1%}"


def test_where_shares_are_not_known_there_are_masses() -> None:
    told = describe(run(3, solver="mu", beta_loss=1))
    figure = top_features(told)
    assert figure.get_suptitle() == "3 of 3 components, by share of the sum of X: top features by specificity"
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        f"{number}   mass {mass:.1%}" for number, mass in zip(told.number, told.mass, strict=True)
    ]


def test_the_map_has_the_columns_that_lead_or_all_of_them() -> None:
    for names in (LONG, None):
        result = run(4, names=names)
        told = describe(result)
        axes, _ = component_map(told, result).axes
        (image,) = axes.images
        shown = np.asarray(image.get_array())
        expected = weights(result.V)[told.number - 1]
        if names:
            expected = expected[:, [j for features in told.features for j in features[:3]]]
        assert_allclose(shown, expected / expected.max(axis=0))
        assert [text.get_text() for text in axes.get_yticklabels()] == [str(number) for number in told.number]


def test_of_many_columns_neighbours_share_one_and_show_the_largest() -> None:
    V = np.zeros((2, 5000))
    V[0, 1234], V[1, 4999], V[1, 0] = 1, 1, 1
    result = dnmf.factorize(np.ones((8000, 2)) @ V, 2, init=(np.ones((8000, 2)), V), max_iter=1)
    axes, _ = component_map(describe(result), result).axes
    shown = np.asarray(axes.images[0].get_array())
    assert shown.shape == (2, 1000)
    assert (shown == 1).sum() == 3
    assert axes.images[0].get_extent() == [-0.5, 4999.5, 1.5, -0.5]


def test_pairs_lie_on_the_diagonal_and_are_framed() -> None:
    one, other = run(5), run(3, seed=1)
    found = compare(one, other)
    figure = compared(one, other, names=("A", "B"))
    axes, _ = figure.axes
    shown = np.asarray(axes.images[0].get_array())
    assert shown.shape == (5, 3)
    assert_allclose(np.sort(np.diag(shown)), np.sort(found.of_pairs))
    assert sorted((frame.get_x(), frame.get_y()) for frame in axes.patches) == [(i - 0.5, i - 0.5) for i in range(3)]
    assert [axes.get_ylabel(), axes.get_xlabel()] == ["component of A", "component of B"]
    rows = [int(text.get_text()) - 1 for text in axes.get_yticklabels()]
    columns = [int(text.get_text()) - 1 for text in axes.get_xticklabels()]
    assert_allclose(shown, found.cosines[np.ix_(rows, columns)])
