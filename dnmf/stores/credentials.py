"""dnmf.stores.credentials."""

from collections.abc import Iterator
from typing import Any

from zarr.storage import FsspecStore

from dnmf.stores.paths import is_url
from dnmf.stores.url_store import FRESH, URLStore

# Options of fsspec's file systems that say nothing of where or how a server is reached.
HARMLESS = {*FRESH, "max_concurrency", "asynchronous", "skip_instance_cache", "listings_expiry_time", "max_paths"}


# Words in the names of options that are credentials, in fsspec's file systems and in obstore; and values that are none.
SECRET = ("key", "secret", "token", "password", "credential", "sas", "connection_string", "auth", "cert")


PUBLIC = (None, False, True, "", "anon", "cloud", "google_default")


def without_credentials(store: Any) -> Any:
    """A caller's store as tasks may carry it: where the environment says the same of how to reach it, its URL.

    Raises
    ------
    ValueError
        If it carries credentials of its own.
    """
    options = dict(getattr(getattr(store, "store", None), "config", None) or {})
    if isinstance(store, FsspecStore) and not isinstance(store, URLStore):
        from fsspec.config import apply_config  # noqa: PLC0415 - an extra

        files = getattr(store.fs, "sync_fs", store.fs)
        options = {name: value for name, value in files.storage_options.items() if name not in HARMLESS}
        url = files.unstrip_protocol(store.path)
        if options == apply_config(type(files), {}) and is_url(url):
            return URLStore(url, store.read_only)
    if found := sorted(set(_secrets(options))):
        raise ValueError(
            f"the store of X carries credentials ({', '.join(found)}), which would travel with every task: set them in "
            f"the environment of this process and of every worker, and give X as a URL or open it without them"
        )
    return store


def _secrets(options: dict[str, Any]) -> Iterator[str]:
    """Names of options that are credentials."""
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _secrets(value)
        elif any(word in str(name).lower() for word in SECRET) and value not in PUBLIC:
            yield str(name)
