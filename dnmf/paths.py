"""Paths that mean the same in every process."""

from pathlib import Path


def absolute(path: str | Path) -> str:
    """A path that means the same whatever folder a process runs in; a URL as it is.

    >>> absolute("s3://bucket/X.zarr")
    's3://bucket/X.zarr'
    """
    return str(path) if "://" in str(path) else str(Path(path).expanduser().absolute())


def check_replaceable(path: str | Path) -> None:
    """Refuse to replace what is no Zarr array or group.

    Raises
    ------
    FileExistsError
        If something else is at the path.
    """
    place = Path(path)
    if place.exists() and not any((place / key).is_file() for key in ("zarr.json", ".zarray", ".zgroup")):
        raise FileExistsError(f"{path} is not a Zarr array or group: only these are overwritten; choose another path")
