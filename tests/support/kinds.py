"""A matrix in every kind that X may be, for tests that hold one answer for all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import zarr
from scipy import sparse

from dnmf.matrix.matrix import Matrix


def stored(path: Path, X: Any, chunks: tuple[int, int] = (16, 11)) -> str:
    zarr.create_array(str(path), shape=X.shape, chunks=chunks, dtype=X.dtype)[...] = X
    return str(path)


def sparse_stored(path: Path, X: Any) -> str:
    attributes = {"encoding-type": f"{X.format}_matrix", "encoding-version": "0.1.0", "shape": list(X.shape)}
    group = zarr.create_group(str(path), attributes=attributes)
    for name in ("data", "indices", "indptr"):
        values = getattr(X, name)
        group.create_array(name, shape=values.shape, chunks=(101,), dtype=values.dtype)[...] = values
    return str(path)


def lazy(X: Any, blocks: tuple[int, int] = (20, 13)) -> da.Array:
    return da.from_array(X, chunks=blocks)


KINDS: dict[str, Callable[[Any, Path], Any]] = {
    "csr": lambda X, path: sparse.csr_matrix(X),
    "csc": lambda X, path: sparse.csc_array(X),
    "zarr": lambda X, path: stored(path / "x.zarr", X),
    "csr in zarr": lambda X, path: sparse_stored(path / "csr.zarr", sparse.csr_matrix(X)),
    "csc in zarr": lambda X, path: sparse_stored(path / "csc.zarr", sparse.csc_matrix(X)),
    "dask": lambda X, path: lazy(X),
    "dask of csr": lambda X, path: lazy(X).map_blocks(sparse.csr_matrix),
    "dask of csc": lambda X, path: lazy(X, (45, 5)).map_blocks(sparse.csc_matrix),
}


def kind_of(matrix: Matrix) -> tuple[str, str]:
    """Where an opened X is, and what its strips are."""
    (where,) = (
        n for n, is_so in (("stored", matrix.stored), ("memory", matrix.in_memory), ("lazy", matrix.lazy)) if is_so
    )
    assert matrix.repeats == (where != "lazy")
    assert bool(matrix.nodes) == bool(matrix.arrays) == (where == "stored")
    return where, "sparse" if matrix.sparse else "dense"
