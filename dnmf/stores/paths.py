"""Paths and URLs that mean the same in every process, and never carry credentials."""

import re
from pathlib import Path
from urllib.parse import urlsplit

# Schemes of paths on this machine.
LOCAL = ("file", "local")

# Schemes that are another one by an older name.
OTHER_NAMES = {"s3a": "s3", "gcs": "gs", "azure": "az"}

# Schemes in which a name stands before the place, as in abfs://container@account.dfs.core.windows.net/X.zarr.
NAMED_PLACES = ("abfs", "abfss", "hdfs", "sftp", "ssh", "wasb", "wasbs")

# What the first part of a Path is that was made of a URL.
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def absolute(path: str | Path) -> str:
    """A path that means the same whatever folder a process runs in; a URL in the one way to write it.

    What `..` leads to is what the file system says, where there are links. Links themselves stay: other machines may
    reach a place by the same name through other ones.

    Raises
    ------
    ValueError
        If it is a URL that was made a Path, or one that carries credentials. These are not repeated.

    >>> absolute("s3a://bucket//data/../X.zarr/")
    's3://bucket/X.zarr'
    >>> absolute("file:///data/X.zarr"), absolute("/data/a:b.zarr")
    ('/data/X.zarr', '/data/a:b.zarr')
    """
    if isinstance(path, Path) and _was_url(path):
        raise ValueError(f"{path} looks like a URL that was made a Path, which drops a slash: give it as a str")
    if is_url(path):
        _check_no_credentials(str(path))
        return _one_spelling(str(path))
    found = Path(_local(str(path))).expanduser().absolute()
    if ".." in found.parts:
        after = found.parts[::-1].index("..")
        cut = len(found.parts) - after
        found = Path(*found.parts[:cut]).resolve().joinpath(*found.parts[cut:])
    return str(found)


def here(path: str | Path) -> Path:
    """A file or folder on this machine, as it was named.

    Raises
    ------
    ValueError
        If it is a URL of something else.
    """
    absolute(path)
    if is_url(path):
        raise ValueError(f"{path} is a URL, and a path on this machine is required here: give one")
    return Path(_local(str(path))).expanduser()


def shown(location: object) -> str:
    """A place as people write it: a store on a disk here by its path.

    >>> shown("file:///data/run.zarr"), shown("s3://bucket/run.zarr")
    ('/data/run.zarr', 's3://bucket/run.zarr')
    """
    return str(location).removeprefix("file://")


def is_url(path: str | Path) -> bool:
    """Whether it is a URL of something that is not a file on this machine. A colon without slashes is a letter.

    >>> is_url("s3://bucket/X.zarr"), is_url("a:b.zarr"), is_url("/data/a://b.zarr"), is_url("FILE:///X.zarr")
    (True, False, False, False)
    """
    return scheme_of(path) not in ("", *LOCAL)


def scheme_of(path: str | Path) -> str:
    """What stands before the :// of a URL, in small letters; an empty text for a path."""
    before, found, _ = str(path).partition("://")
    return before.lower() if found and "/" not in before else ""


def _was_url(path: Path) -> bool:
    """Whether a Path was made of a URL: its first part is a scheme, and there is no folder of that name."""
    first = path.parts[:1]
    return len(path.parts) > 1 and bool(SCHEME.fullmatch(first[0])) and not Path(first[0]).exists()


def _local(path: str) -> str:
    """A path on this machine without the scheme that says so."""
    if scheme_of(path) not in LOCAL:
        return path
    rest = path.partition("://")[2]
    return rest.removeprefix("localhost") if rest.startswith("localhost/") else rest


def _one_spelling(url: str) -> str:
    """A URL with one name for its scheme, one slash between its parts, none at the end, and no dots to follow."""
    parts: list[str] = []
    for part in url.partition("://")[2].split("/"):
        if part == "..":
            # No further up than the bucket.
            del parts[max(1, len(parts) - 1) :]
        elif part not in ("", "."):
            parts.append(part)
    scheme = scheme_of(url)
    return f"{OTHER_NAMES.get(scheme, scheme)}://{'/'.join(parts)}"


def _check_no_credentials(url: str) -> None:
    """Refuse a URL that has, or may have, a key, a password or a signature in it."""
    scheme, _, rest = url.partition("://")
    # A secret may hold slashes, so that what is before the @ need not be what a parser calls the user.
    before, at, _ = rest.rpartition("@")
    named = bool(at) and (":" in before or ("/" not in before and scheme.lower() not in NAMED_PLACES))
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
    if is_url(path) and not path.startswith("memory:") and "/" not in path.partition("://")[2]:
        raise ValueError(
            f"{path} is a whole bucket, which is not written to: name a place in it, as in {path}/{example}"
        )
