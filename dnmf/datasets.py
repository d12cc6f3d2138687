"""Synthetic X of any size, written to Zarr strip by strip. Real matrices are made by the scripts in `data/`.

Every random number belongs to a row (or, for samples in columns, a column) of X, so X does not depend on its chunks.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from dnmf.arrays.draws import uniform_table
from dnmf.arrays.rows import Array
from dnmf.plan.parts import well_chunked
from dnmf.stores.missing_chunks import ZarrArray
from dnmf.stores.paths import absolute
from dnmf.stores.places import check_replaceable, followed, place


def gaussian_basis(features: int = 512, d: int = 4) -> NDArray[np.float64]:
    """The basis of the article's experiment: d Gaussian curves over [0, 1], centres evenly spaced, widths growing.

    Returns
    -------
    (features, d) array; every column has maximum 1 up to the grid.

    Examples
    --------
    >>> gaussian_basis(512, 4).argmax(axis=0).tolist()
    [102, 204, 307, 409]
    """
    t = np.linspace(0, 1, features)[:, None]
    centres = np.arange(1, d + 1) / (d + 1)
    widths = np.linspace(0.03, 0.08, d)
    return np.asarray(np.exp(-0.5 * ((t - centres) / widths) ** 2), "f8")


def gaussians(
    path: str | Path, *, features: int = 512, samples: int = 16_384, d: int = 4, dtype: str = "f4", seed: int = 0
) -> ZarrArray:
    """Mixtures of d fixed Gaussians: every column of X is the basis times amplitudes drawn from U(0, 1).

    Parameters
    ----------
    path : where the Zarr array is written; an existing one is replaced.
    features, samples : rows and columns of X. Samples are columns, as in the article.
    d : number of Gaussians, the true rank.
    dtype : of X.
    seed : of the amplitudes.

    Returns
    -------
    zarr.Array, (features, samples), opened for reading.
    """
    basis = gaussian_basis(features, d)

    def columns(start: int, stop: int) -> Array:
        return basis @ uniform_table(seed, 0, start, stop - start, d).T

    return _write(path, (features, samples), dtype, columns, axis=1)


def low_rank(
    path: str | Path,
    shape: tuple[int, int],
    rank: int,
    *,
    noise: float = 0.1,
    dtype: str = "f4",
    seed: int = 0,
    chunks: tuple[int, int] | None = None,
    **storage: Any,
) -> ZarrArray:
    """Low rank plus noise: X = (W V) ⊙ (1 + noise · U(−1, 1)), with W and V from the exponential distribution.

    Parameters
    ----------
    path : where the Zarr array is written; an existing one is replaced.
    shape : (m, n) of X.
    rank : true number of components.
    noise : relative amplitude, from 0 to 1, so that X stays non-negative.
    dtype : of X.
    seed : of W, V and the noise.
    chunks : of the array; chosen for the shape if None.
    storage : passed on to `zarr.create_array`: `shards`, `compressors`, `zarr_format`, …

    Returns
    -------
    zarr.Array, (m, n), opened for reading.

    Raises
    ------
    ValueError
        If the noise is not between 0 and 1.
    """
    if not 0 <= noise <= 1:
        raise ValueError(f"noise is {noise}: a number from 0 to 1 is required, or entries of X could be negative")
    V = _exponential(seed, 1, 0, shape[1], rank).T.astype(dtype)

    def rows(start: int, stop: int) -> Array:
        clean = _exponential(seed, 0, start, stop, rank).astype(dtype) @ V
        if noise:
            factor = uniform_table(seed, 2, start, stop - start, shape[1]).astype(dtype)
            factor *= 2 * noise
            factor += 1 - noise
            clean *= factor
        return np.asarray(clean, dtype)

    return _write(path, shape, dtype, rows, axis=0, chunks=chunks, **storage)


def _exponential(seed: int, stream: int, start: int, stop: int, width: int) -> NDArray[np.float64]:
    """Rows start … stop − 1 of an endless table of numbers of the exponential distribution of mean 1."""
    return np.asarray(-np.log1p(-uniform_table(seed, stream, start, stop - start, width)))


def _write(
    path: str | Path,
    shape: tuple[int, int],
    dtype: str,
    block: Callable[[int, int], Array],
    *,
    axis: int,
    chunks: tuple[int, int] | None = None,
    **storage: Any,
) -> ZarrArray:
    """Write X by blocks of whole chunks (shards) along one axis, one thread per core."""
    target = place(followed(path))
    check_replaceable(absolute(path))
    chunks = chunks or well_chunked(shape, np.dtype(dtype).itemsize)
    array = zarr.create_array(target, shape=shape, chunks=chunks, dtype=dtype, overwrite=True, **storage)
    height = (array.shards or array.chunks)[axis]

    def write(start: int) -> None:
        stop = min(start + height, shape[axis])
        where = (slice(start, stop), slice(None)) if axis == 0 else (slice(None), slice(start, stop))
        array[where] = np.asarray(block(start, stop), dtype)

    with ThreadPoolExecutor(cpu_count()) as pool:
        list(pool.map(write, range(0, shape[axis], height)))
    return zarr.open_array(target, mode="r")
