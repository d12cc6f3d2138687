"""What reports are made of in tests."""

import numpy as np

SCRIPT = "<script>alert(1)</script>"


def parts(m: int, n: int, k: int) -> np.ndarray:
    """X (m, n) of k components, and noise."""
    rng = np.random.default_rng(0)
    X = rng.gamma(0.3, size=(m, k)) @ rng.gamma(0.3, size=(k, n))
    return (X * rng.uniform(0.5, 1.5, X.shape)).astype("f4")
