"""AnnData in Zarr, written without its warnings."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import anndata


@contextmanager
def written_by_anndata(zarr_format: int = 3) -> Iterator[None]:
    """AnnData and Zarr warn of what they will write some day."""
    with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=zarr_format):
        warnings.simplefilter("ignore")
        yield
