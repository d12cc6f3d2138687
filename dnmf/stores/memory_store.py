"""The Zarr store of a memory:// URL, which lives in this process: what Zarr itself opens there."""

from collections.abc import Callable
from typing import Any

from zarr.storage import FsspecStore


class MemoryURL(FsspecStore):
    """Numbers of this process, by a URL."""

    def __init__(self, url: str, read_only: bool = False) -> None:
        # Dask brings the package for this that Zarr needs.
        opened = FsspecStore.from_url(url)
        super().__init__(opened.fs, read_only, opened.path)
        self.url = url

    def __reduce__(self) -> tuple[Callable[..., "MemoryURL"], tuple[str, bool]]:
        return MemoryURL, (self.url, self.read_only)

    def __str__(self) -> str:
        return self.url

    def with_read_only(self, read_only: bool = False) -> "MemoryURL":
        """The same store, to read only or to write too."""
        return MemoryURL(self.url, read_only)

    @property
    def _files(self) -> Any:
        """The file system, to call from where no event loop runs."""
        return self.fs.sync_fs

    def holds(self, key: str) -> bool:
        """Whether there is a file of this name."""
        return bool(self._files.exists(f"{self.path}/{key}"))

    def is_occupied(self) -> bool:
        """Whether there is anything."""
        return bool(self._files.exists(self.path))

    def put(self, key: str, data: bytes) -> None:
        """Write a file."""
        self._files.pipe_file(f"{self.path}/{key}", data)

    def drop(self) -> None:
        """Delete all of it."""
        if self.is_occupied():
            self._files.rm(self.path, recursive=True)
