"""Non-negative matrix factorization, X ≈ W V, of Zarr matrices larger than memory: one read of X per iteration."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnmf.estimators.minibatch import MiniBatchNMF
    from dnmf.estimators.nmf import NMF, non_negative_factorization
    from dnmf.factorization.factorize import factorize
    from dnmf.factorization.transform import transform
    from dnmf.run.result import Factorization, open_run


_HOMES = {
    "NMF": "dnmf.estimators.nmf",
    "MiniBatchNMF": "dnmf.estimators.minibatch",
    "Factorization": "dnmf.run.result",
    "factorize": "dnmf.factorization.factorize",
    "non_negative_factorization": "dnmf.estimators.nmf",
    "cancel": "dnmf.factorization.submit",
    "open_run": "dnmf.run.result",
    "resume": "dnmf.factorization.resume",
    "status": "dnmf.run.status",
    "submit": "dnmf.factorization.submit",
    "transform": "dnmf.factorization.transform",
}


__all__ = [
    "NMF",
    "Factorization",
    "MiniBatchNMF",
    "cancel",
    "factorize",
    "non_negative_factorization",
    "open_run",
    "resume",
    "status",
    "submit",
    "transform",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import dnmf.rules` must load neither Dask nor Zarr."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dnmf' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
