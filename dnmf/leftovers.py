"""What killed processes leave on a local disk. An object store keeps nothing of a write that did not end."""

from pathlib import Path

import zarr
from zarr.storage import LocalStore


def folders(group: zarr.Group) -> set[str]:
    """The folders in a group on a local disk, whatever they hold; none elsewhere."""
    if not isinstance(group.store, LocalStore):
        return set()
    return {path.name for path in Path(group.store.root, group.path).iterdir() if path.is_dir()}


def sweep(group: zarr.Group) -> None:
    """Delete what writes left on a local disk that a killed process had begun: Zarr writes aside, then renames."""
    if isinstance(group.store, LocalStore):
        for file in Path(group.store.root, group.path).rglob("*.partial"):
            file.unlink(missing_ok=True)
