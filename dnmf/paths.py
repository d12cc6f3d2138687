"""Paths that mean the same in every process."""

from pathlib import Path


def absolute(path: str | Path) -> str:
    """A path that means the same whatever folder a process runs in; a URL as it is.

    >>> absolute("s3://bucket/X.zarr")
    's3://bucket/X.zarr'
    """
    return str(path) if "://" in str(path) else str(Path(path).expanduser().absolute())
