"""Paths and URLs that mean the same in every process, and never carry credentials."""

from pathlib import Path
from urllib.parse import urlsplit

# Schemes of paths on this machine.
LOCAL = ("file", "local")

# Schemes in which a name stands before the place, as in abfs://container@account.dfs.core.windows.net/X.zarr.
NAMED_PLACES = ("abfs", "abfss", "hdfs", "sftp", "ssh", "wasb", "wasbs")


def absolute(path: str | Path) -> str:
    """A path that means the same whatever folder a process runs in; a URL as it is, without a slash at its end.

    Raises
    ------
    ValueError
        If it is a URL that was made a Path, or one that carries credentials. These are not repeated.

    >>> absolute("s3://bucket/X.zarr")
    's3://bucket/X.zarr'
    >>> absolute("file:///data/X.zarr")
    '/data/X.zarr'
    """
    if not isinstance(path, str) and ":" in "".join(path.parts[:1]):
        raise ValueError(f"{path} looks like a URL that was made a Path, which drops a slash: give it as a str")
    if not is_url(path):
        return str(Path(_local(str(path))).expanduser().absolute())
    _check_no_credentials(str(path))
    return str(path).rstrip("/")


def shown(location: object) -> str:
    """A place as people write it: a store on a disk here by its path.

    >>> shown("file:///data/run.zarr"), shown("s3://bucket/run.zarr")
    ('/data/run.zarr', 's3://bucket/run.zarr')
    """
    return str(location).removeprefix("file://")


def is_url(path: str | Path) -> bool:
    """Whether it is a URL of something that is not a file on this machine."""
    scheme, found, _ = str(path).partition("://")
    return bool(found) and scheme not in LOCAL


def _local(path: str) -> str:
    """A path on this machine without the scheme that says so."""
    scheme, found, rest = path.partition("://")
    return rest if found and scheme in LOCAL else path


def _check_no_credentials(url: str) -> None:
    """Refuse a URL that has, or may have, a key, a password or a signature in it."""
    scheme, _, rest = url.partition("://")
    # A secret may hold slashes, so that what is before the @ need not be what a parser calls the user.
    before, at, _ = rest.rpartition("@")
    named = bool(at) and (":" in before or ("/" not in before and scheme not in NAMED_PLACES))
    if named or "?" in rest or _has_no_port(scheme, rest):
        raise ValueError(
            f"a {scheme}:// URL with a key, a password, a token or a query in it is not taken, as it would be written "
            f"into runs and logs: give the bare URL, and credentials in the environment (AWS_ACCESS_KEY_ID, …)"
        )


def _has_no_port(scheme: str, rest: str) -> bool:
    """Whether a colon in the place of a URL is followed by no port, as in key:secret."""
    try:
        return urlsplit(f"{scheme}://{rest}").port is None and ":" in rest.partition("/")[0].strip("[]")
    except ValueError:
        return True


def refuse_bucket(path: str, example: str) -> None:
    """Raise ValueError where an absolute path or URL is that of a whole bucket or server; `example` may be in it."""
    if is_url(path) and not path.startswith("memory:") and len(_segments(path)) < 3:
        raise ValueError(
            f"{path} is a whole bucket, which is not written to: name a place in it, as in {path}/{example}"
        )


def nested(one: str, other: str) -> bool:
    """Whether one of two absolute paths or URLs is the other, or is inside it.

    >>> nested("s3://bucket/X.zarr/layers/counts", "s3://bucket/X.zarr"), nested("s3://bucket/X", "s3://bucket/X.zarr")
    (True, False)
    """
    a, b = _segments(one), _segments(other)
    return a[: len(b)] == b or b[: len(a)] == a


def _segments(path: str) -> list[str]:
    """A path or URL, cut at its slashes."""
    if not is_url(path):
        return list(Path(path).parts)
    scheme, _, rest = path.partition("://")
    return [scheme.replace("s3a", "s3"), *filter(None, rest.split("/"))]
