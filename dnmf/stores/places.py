"""dnmf.stores.places."""

from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

from dnmf.stores.local_disk import holds_nothing
from dnmf.stores.paths import absolute, is_url
from dnmf.stores.url_store import URLStore, _missing_parts, _options, _told


def place(path: str | Path) -> str | URLStore:
    """What Zarr opens, or creates, at a path or URL.

    Raises
    ------
    ValueError
        If the URL is of an unknown kind, or has credentials in it.
    ImportError
        If what reads such URLs is not installed.
    """
    path = absolute(path)
    return URLStore(path) if is_url(path) else path


def answering(path: str | Path) -> str | URLStore:
    """The same, after one request to the server of a URL.

    Zarr makes several at a time; where all fail, those that are under way when the first is told are lost with a noise.

    Raises
    ------
    OSError
        If the server is not reached, or refuses.
    """
    path = absolute(path)
    if is_url(path):
        _has_node(path)
    return place(path)


def _has_node(url: str) -> bool:
    files, inside = _files(url)
    with _told(url):
        try:
            files.cat_file(f"{inside}/zarr.json")
        except FileNotFoundError:
            return False
    return True


def occupied(path: str) -> bool:
    """Whether anything is at an absolute path, or at or below a URL; that a run is there does not take a listing."""
    if not is_url(path):
        return Path(path).exists() and not holds_nothing(Path(path))
    if _has_node(path):
        return True
    files, inside = _files(path)
    with _told(path):
        return bool(files.exists(inside))


def remove(path: str) -> None:
    """Delete all that is at an absolute path or URL, as far as that is possible. Deletes."""
    if not is_url(path):
        rmtree(path, ignore_errors=True)
        return
    files, inside = _files(path)
    with suppress(OSError), _told(path):
        files.rm(inside, recursive=True)


def upload(folder: Path, url: str) -> None:
    """Copy Zarr from a folder to a URL, chunks before what makes them an array or group, the top last. Writes.

    What is there already is deleted first, from the top.
    """
    files, inside = _files(url)
    remove(f"{url}/zarr.json")
    remove(url)
    found = [file for file in folder.rglob("*") if file.is_file()]
    with _told(url):
        for file in sorted(found, key=lambda file: (file.name == "zarr.json", -len(file.parts))):
            files.pipe_file(f"{inside}/{file.relative_to(folder).as_posix()}", file.read_bytes())


def _files(url: str) -> tuple[Any, str]:
    """The file system of a URL, to call from where no event loop runs; and the path in it."""
    with _missing_parts(url):
        from fsspec import url_to_fs  # noqa: PLC0415 - an extra

        files, inside = url_to_fs(url, **_options(url))
    return files, inside
