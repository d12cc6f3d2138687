"""Blocks of rows in memory: products, samples, random numbers, checksums. NumPy and SciPy; no Dask, no Zarr."""
