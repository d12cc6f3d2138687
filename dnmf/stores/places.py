"""Paths and URLs alike: what Zarr opens there, whether anything is there, and how it is removed or written."""

from pathlib import Path
from shutil import rmtree

import zarr

from dnmf.stores.credentials import address
from dnmf.stores.local_disk import holds_nothing
from dnmf.stores.memory_store import MemoryURL
from dnmf.stores.paths import absolute, is_url, scheme_of
from dnmf.stores.url_store import URLStore


def place(path: str | Path) -> Path | URLStore | MemoryURL:
    """What Zarr opens, or creates, at a path or URL.

    Raises
    ------
    ValueError
        If the URL is of an unknown kind, or has credentials in it.
    ImportError
        If what reads such URLs is not installed.
    """
    path = absolute(path)
    return _behind(path) if is_url(path) else Path(path)


def _behind(url: str) -> URLStore | MemoryURL:
    """The store of an absolute URL."""
    return MemoryURL(url) if scheme_of(url) == "memory" else URLStore(url)


def answering(path: str | Path) -> Path | URLStore | MemoryURL:
    """What Zarr opens at a path or URL, after one request to the server of a URL.

    Zarr makes several at a time; where all fail, those that are under way when the first is told are lost with a noise.

    Raises
    ------
    OSError
        If the server is not reached, or refuses.
    """
    path = absolute(path)
    if is_url(path):
        _behind(path).holds("zarr.json")
    return place(path)


def location_of(thing: object) -> str | None:
    """The absolute path or URL of a Zarr array or group, whatever store it is in; None where that is not known."""
    if not isinstance(thing, zarr.Array | zarr.Group):
        return None
    base = address(thing.store)
    return base and absolute(f"{base}/{thing.path}")


def followed(path: str | Path) -> str:
    """The absolute path or URL of what is written to at a path: where it is a link, what that leads to."""
    path = absolute(path)
    return str(Path(path).resolve()) if not is_url(path) and Path(path).is_symlink() else path


def occupied(path: str) -> bool:
    """Whether anything is at an absolute path, or at or below a URL; that a run is there does not take a listing."""
    if not is_url(path):
        return Path(path).exists() and not holds_nothing(Path(path))
    store = _behind(path)
    return store.holds("zarr.json") or store.is_occupied()


def check_replaceable(path: str | Path) -> None:
    """Refuse to replace what is no Zarr array or group, or holds what is not its own.

    Raises
    ------
    FileExistsError
        If something else is at the path or URL, or if something is mounted in there.
    """
    check_nothing_mounted(path)
    there = occupied(str(path)) if is_url(path) else Path(path).exists()
    if there and not _is_zarr(str(path)):
        raise FileExistsError(f"{path} is not a Zarr array or group: only these are overwritten; choose another path")


def check_nothing_mounted(path: str | Path) -> None:
    """Refuse to replace a folder in which another one, or a disk, is mounted: all of that would be deleted too.

    Raises
    ------
    FileExistsError
        Names what is mounted.
    """
    if is_url(path) or not Path(path).is_dir():
        return
    import psutil  # noqa: PLC0415, most commands replace nothing

    folder = Path(path).resolve()
    inner = [each.mountpoint for each in psutil.disk_partitions(all=True) if folder in Path(each.mountpoint).parents]
    if inner:
        raise FileExistsError(
            f"{inner[0]} is mounted in {path}, which is therefore not overwritten: unmount it, or choose another place"
        )


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
    _behind(path).drop()


def upload(folder: Path, url: str) -> None:
    """Copy Zarr from a folder to a URL, chunks before what makes them an array or group, the top last. Writes.

    What is there already is deleted first, from the top.
    """
    store = _behind(url)
    store.drop()
    found = [file for file in folder.rglob("*") if file.is_file()]
    for file in sorted(found, key=lambda file: (file.name == "zarr.json", -len(file.parts))):
        store.put(file.relative_to(folder).as_posix(), file.read_bytes())
