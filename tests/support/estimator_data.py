"""X, first factors and penalties that the tests of the estimators share."""

import numpy as np

PENALTIES = {"alpha_W": 0.01, "alpha_H": 0.02, "l1_ratio": 0.3}


def matrix(seed=0, shape=(40, 17), zeros=0.2):
    x = np.random.default_rng(seed).gamma(0.7, 1, shape)
    x[x < zeros] = 0
    return x


def first_factors(shape, k, dtype="f8", seed=1):
    rng = np.random.default_rng(seed)
    return {"W": rng.random((shape[0], k)).astype(dtype), "H": rng.random((k, shape[1])).astype(dtype)}
