"""A plugin of pytest: scikit-learn's tests of NMF, with dnmf's classes in their place."""

import sklearn.decomposition
from sklearn.decomposition import _nmf

import dnmf


def pytest_configure() -> None:
    """Swap the names, in a process that loads this as a plugin."""
    for name in ("NMF", "MiniBatchNMF", "non_negative_factorization"):
        for module in (sklearn.decomposition, _nmf):
            setattr(module, name, getattr(dnmf, name))
