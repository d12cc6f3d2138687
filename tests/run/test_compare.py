"""Components of two factorizations go together, whatever their order, scale and number."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import dnmf
from dnmf.run.compare import compare
from dnmf.run.components import describe, pairs, pairs_in_words

RNG = np.random.default_rng(0)
W, V = RNG.gamma(0.3, size=(200, 4)), RNG.gamma(0.3, size=(4, 30))
NAMES = [f"gene {j}" for j in range(30)]


def run(*components: int, names: list[str] | None = NAMES, columns: Any = slice(None)) -> Any:
    """A factorization whose V has these components of V, each at a scale of its own."""
    of = list(components)
    X = pd.DataFrame(W @ V, columns=names) if names else W @ V
    X = X.iloc[:, columns] if names else X[:, columns]
    start = (W[:, of], (V[of] * np.arange(1, len(of) + 1)[:, None])[:, columns])
    return dnmf.factorize(X, len(of), init=start, solver="mu", max_iter=1, inner_iter=1)


def test_pairs_are_found_in_any_order_of_components_and_columns() -> None:
    mixed = RNG.permutation(30)
    found = compare(run(0, 1, 2, 3), run(2, 0, 3, 1, columns=mixed))
    assert_array_equal(found.first, [0, 1, 2, 3])
    assert_array_equal(found.second, [1, 3, 0, 2])
    assert (found.of_pairs > 0.99).all()
    assert_array_equal(found.agreement, found.of_pairs)


@pytest.mark.parametrize("turned", [False, True])
def test_ranks_may_differ(turned: bool) -> None:
    few, many = run(3, 0), run(0, 1, 2, 3)
    found = compare(many, few) if turned else compare(few, many)
    assert found.cosines.shape == ((4, 2) if turned else (2, 4))
    pairs_ = dict(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs_ == ({0: 1, 3: 0} if turned else {0: 3, 1: 0})
    assert [alone.tolist() for alone in found.unmatched] == ([[1, 2], []] if turned else [[], [1, 2]])
    assert_array_equal(np.isnan(found.agreement), [False, True, True, False] if turned else [False, False])


def test_agreement_is_in_the_order_of_the_table() -> None:
    one, other = run(0, 1, 2, 3), run(2, 0)
    told = describe(one, agreement=other)
    assert_allclose(told.agreement, compare(one, other).agreement[told.number - 1])
    assert np.isnan(told.agreement).sum() == 2


def test_pairs_are_told_in_the_order_of_the_first_ones_shares_and_in_words() -> None:
    one, other = run(0, 1, 2, 3), run(2, 0, 1)
    table, order = pairs(one, other, top=2), describe(one).number.tolist()
    assert table["first"] == [number for number in order if number != 4]
    assert dict(zip(table["first"], table["second"], strict=True)) == {1: 2, 2: 3, 3: 1}
    assert all(set(features) <= set(NAMES) and len(features) == 2 for features in table["features"])
    told = pairs_in_words(one, other)
    assert told.startswith("3 of 3 pairs agree to a cosine of 0.9 or more; the median is 0.99")
    assert told.endswith("; without a partner in the first: 4")
    assert "without a partner" not in pairs_in_words(one, one)


def test_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="the first factorization is of 30 columns and the second of 12: two of the s"):
        compare(run(0, 1), run(0, 1, columns=slice(12)))
    others = [*NAMES[:-1], "novel"]
    with pytest.raises(ValueError, match="of columns of other names: 'gene 29' and 1 more are in one of them alone"):
        compare(run(0, 1), run(0, 1, names=others))
    # What has no names is taken as it is.
    assert (compare(run(0, 1), run(0, 1, names=None)).of_pairs > 0.99).all()
