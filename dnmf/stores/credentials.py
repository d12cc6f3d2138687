"""A caller's own Zarr stores: what they carry, and where they are."""

from collections.abc import Iterator
from typing import Any

from zarr.abc.store import Store
from zarr.storage import FsspecStore, ObjectStore, ZipStore

from dnmf.stores.memory_store import MemoryURL
from dnmf.stores.servers import url_of
from dnmf.stores.url_store import URLStore

# Options of fsspec's file systems that say nothing of where or how a server is reached.
HARMLESS = (
    "use_listings_cache", "max_concurrency", "asynchronous", "skip_instance_cache", "listings_expiry_time", "max_paths",
)  # fmt: skip

# Words in the names of options that are credentials, in fsspec's file systems and in obstore; and values that are none.
SECRET = ("key", "secret", "token", "password", "credential", "sas", "connection_string", "auth", "cert")
PUBLIC = (None, False, True, "", "anon", "cloud", "google_default")


def refuse_credentials(store: Store) -> None:
    """Raise ValueError where a caller's store carries credentials of its own."""
    if found := sorted(set(_secrets(_options(store)))):
        raise ValueError(
            f"the store of X carries credentials ({', '.join(found)}), which would travel with every task: set them in "
            f"the environment of this process and of every worker, and give X as a URL or open it without them"
        )


def address(store: Store) -> str | None:
    """The path or URL of what is at the top of a store; None where it has none."""
    if isinstance(store, URLStore | MemoryURL):
        return store.url
    if isinstance(store, ObjectStore):
        return url_of(store.store)
    if isinstance(store, FsspecStore):
        return str(_files(store).unstrip_protocol(store.path))
    if isinstance(store, ZipStore):
        return str(store.path)
    # Stores that wrap another one say what that says of itself.
    _, on_disk, root = str(store).partition("file://")
    return root if on_disk else None


def plain_address(store: Store) -> str | None:
    """The same where every process finds it by that alone, and a store of fsspec or obstore was given nothing else."""
    return address(store) if isinstance(store, FsspecStore | ObjectStore) and not _options(store) else None


def _files(store: FsspecStore) -> Any:
    """The file system as the caller made it."""
    return getattr(store.fs, "sync_fs", store.fs)


def _options(store: Store) -> dict[str, object]:
    """How a caller's store reaches its server, where that is said to it and not to the environment."""
    if isinstance(store, FsspecStore) and not isinstance(store, MemoryURL):
        return {name: value for name, value in _files(store).storage_options.items() if name not in HARMLESS}
    if isinstance(store, ObjectStore) and not isinstance(store, URLStore):
        told = {name: getattr(store.store, name, None) for name in ("client_options", "credential_provider")}
        return {**getattr(store.store, "config", {}), **told}
    return {}


def _secrets(options: dict[str, object]) -> Iterator[str]:
    """Names of options that are credentials."""
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _secrets(value)
        elif any(word in str(name).lower() for word in SECRET) and value not in PUBLIC:
            yield str(name)
