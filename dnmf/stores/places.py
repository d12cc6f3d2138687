"""Paths and URLs alike: what Zarr opens there, whether anything is there, and how it is removed or written."""

from contextlib import suppress
from pathlib import Path
from shutil import rmtree

import zarr

from dnmf.stores.local_disk import holds_nothing
from dnmf.stores.paths import absolute, is_url
from dnmf.stores.url_store import URLStore, failures_in_words, file_system


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
    """What Zarr opens at a path or URL, after one request to the server of a URL.

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
    """Whether there is a Zarr array or group of format 3 at a URL. Asks its server once."""
    files, inside = file_system(url)
    with failures_in_words(url):
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
    files, inside = file_system(path)
    with failures_in_words(path):
        return bool(files.exists(inside))


def check_replaceable(path: str | Path) -> None:
    """Refuse to replace what is no Zarr array or group.

    Raises
    ------
    FileExistsError
        If something else is at the path or URL.
    """
    there = occupied(str(path)) if is_url(path) else Path(path).exists()
    if there and not _is_zarr(str(path)):
        raise FileExistsError(f"{path} is not a Zarr array or group: only these are overwritten; choose another path")


def _is_zarr(path: str) -> bool:
    if not is_url(path):
        return any(Path(path, key).is_file() for key in ("zarr.json", ".zarray", ".zgroup"))
    try:
        zarr.open(place(path), mode="r")
    except (FileNotFoundError, ValueError):
        return False
    return True


def remove(path: str) -> None:
    """Delete all that is at an absolute path or URL, as far as that is possible. Deletes."""
    if not is_url(path):
        rmtree(path, ignore_errors=True)
        return
    files, inside = file_system(path)
    with suppress(OSError), failures_in_words(path):
        files.rm(inside, recursive=True)


def upload(folder: Path, url: str) -> None:
    """Copy Zarr from a folder to a URL, chunks before what makes them an array or group, the top last. Writes.

    What is there already is deleted first, from the top.
    """
    files, inside = file_system(url)
    remove(f"{url}/zarr.json")
    remove(url)
    found = [file for file in folder.rglob("*") if file.is_file()]
    with failures_in_words(url):
        for file in sorted(found, key=lambda file: (file.name == "zarr.json", -len(file.parts))):
            files.pipe_file(f"{inside}/{file.relative_to(folder).as_posix()}", file.read_bytes())
