"""What killed processes leave on a local disk. An object store keeps nothing of a write that did not end."""

from pathlib import Path

import zarr
from zarr.storage import LocalStore

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
