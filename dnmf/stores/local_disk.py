"""Disks of this machine: what to say where one takes no more, and what killed processes left on one."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zarr
from zarr.storage import LocalStore

# What an error of writing says that no error of reading does, and what to do.
WHY = {
    errno.ENOSPC: "its disk is full; make room",
    errno.EDQUOT: "the quota there is used up; make room",
    errno.EROFS: "its disk is read-only; choose another place, or mount it for writing",
}


@contextmanager
def writing(where: object) -> Iterator[None]:
    """Raise OSError, one sentence that names `where`, in place of those that say no more than that a disk is full.

    They come from this process or from a worker.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in WHY:
            raise
        raise OSError(full_disk(error, where)) from error


def full_disk(error: BaseException, where: object) -> str:
    """A sentence that names `where`, for an error that says no more than that a disk is full; any other one's own."""
    why = WHY.get(error.errno or 0) if isinstance(error, OSError) else None
    return f"{where} cannot be written: {why}" if why else str(error)


# How the names end of files that are being written.
PARTIAL = ".partial"


def folders(group: zarr.Group) -> set[str]:
    """The folders in a group on a local disk, whatever they hold; none elsewhere."""
    if not isinstance(group.store, LocalStore):
        return set()
    return {path.name for path in Path(group.store.root, group.path).iterdir() if path.is_dir()}


def holds_nothing(folder: Path) -> bool:
    """Whether there is nothing in a folder but what a process left there that was killed at its first write."""
    suffixes = {file.suffix for file in folder.iterdir()} if folder.is_dir() else set()
    return suffixes == {PARTIAL}


def sweep(group: zarr.Group) -> None:
    """Delete what writes left on a local disk that a killed process had begun: Zarr writes aside, then renames."""
    if isinstance(group.store, LocalStore):
        for file in Path(group.store.root, group.path).rglob(f"*{PARTIAL}"):
            file.unlink(missing_ok=True)
