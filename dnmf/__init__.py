"""Non-negative matrix factorization, X ≈ W V, of Zarr matrices larger than memory: one read of X per iteration."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnmf.estimators.minibatch import MiniBatchNMF
    from dnmf.estimators.nmf import NMF, non_negative_factorization
    from dnmf.factorization import factorize
    from dnmf.results import Factorization, open_run
    from dnmf.transformation import transform

_HOMES = {
    "NMF": "dnmf.estimators.nmf",
    "MiniBatchNMF": "dnmf.estimators.minibatch",
    "Factorization": "dnmf.results",
    "factorize": "dnmf.factorization",
    "non_negative_factorization": "dnmf.estimators.nmf",
    "cancel": "dnmf.relay",
    "open_run": "dnmf.results",
    "resume": "dnmf.resumption",
    "status": "dnmf.standing",
    "submit": "dnmf.relay",
    "transform": "dnmf.transformation",
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
