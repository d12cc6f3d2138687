import numpy as np

import dnmf
from dnmf.report.rank_figures import ranking_figures


def test_the_errors_and_every_components_agreement_are_drawn() -> None:
    rng = np.random.default_rng(0)
    found = dnmf.ranks(
        rng.gamma(0.5, size=(200, 2)) @ rng.gamma(0.5, size=(2, 12)) + 0.1 * rng.random((200, 12)), "1:3"
    )
    figure = ranking_figures(found)["ranks"]
    errors, agreement = figure.axes
    np.testing.assert_array_equal(errors.lines[0].get_ydata(), found.held_out)
    dots, mean, worst = agreement.lines[:3]
    assert np.asarray(dots.get_xdata()).tolist() == [1, 2, 2, 3, 3, 3]
    np.testing.assert_array_equal(mean.get_ydata(), found.mean)
    np.testing.assert_array_equal(worst.get_ydata(), found.worst)
