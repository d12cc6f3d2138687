"""Errors of estimators name no option that they have not."""

import dask.array as da
import numpy as np
import pytest

from dnmf import NMF, MiniBatchNMF


@pytest.mark.parametrize(
    ("estimator", "value", "advice"),
    [(NMF(2), np.nan, "or, if nothing is known there"), (NMF(2), -1, ""), (MiniBatchNMF(2), np.nan, "")],
)
def test_what_is_refused_is_advised_as_far_as_the_estimator_has_it(estimator, value, advice):
    X = np.ones((20, 5))
    X[3, 1] = value
    with pytest.raises(ValueError, match=r"X\[3, 1\] is .* mend X and start again") as refused:
        estimator.fit(da.from_array(X, chunks=(10, 5)))
    said = str(refused.value).partition("start again")[2]
    assert said.startswith(f", {advice}") if advice else not said
