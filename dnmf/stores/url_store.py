"""The Zarr store behind a URL: it asks its server each time, and travels as its URL alone, without credentials.

Knows Zarr, and fsspec where it is installed.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from zarr.abc.store import Store
from zarr.storage import FsspecStore

from dnmf.stores.paths import is_url

P = ParamSpec("P")
T = TypeVar("T")

# Methods of a store.
Asking = Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]
Listing = Callable[Concatenate[Any, P], AsyncIterator[T]]

# fsspec's file systems remember what they listed, for as long as a process lives: nothing of that is trusted.
FRESH: dict[str, object] = {"use_listings_cache": False}

# Options of fsspec's file systems that say nothing of where or how a server is reached.
HARMLESS = {*FRESH, "max_concurrency", "asynchronous", "skip_instance_cache", "listings_expiry_time", "max_paths"}

# Words in the names of options that are credentials, in fsspec's file systems and in obstore; and values that are none.
SECRET = ("key", "secret", "token", "password", "credential", "sas", "connection_string", "auth", "cert")
PUBLIC = (None, False, True, "", "anon", "cloud", "google_default")

# What to say, beside the code, of a failure.
DENIED = "check the credentials in the environment of this process, and of every worker"
UNREACHED = "is the server running, and is its address (AWS_ENDPOINT_URL, …) right here and in every worker?"
NOTHING = "there is no such bucket or object: create the bucket first"


@contextmanager
def failures_in_words(url: str) -> Iterator[None]:
    """Raise OSError in place of what servers and their libraries raise, without their text, which may hold anything."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] in ("builtins", "zarr", "dnmf"):
            raise
        raise _failure(url, error) from None


def _failure(url: str, error: Exception) -> OSError:
    """The sentence for a failure, with its code or the name of its type."""
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    code = str(response["Error"].get("Code")) if isinstance(response, dict) else type(error).__name__
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"{url} cannot be written or read ({code}): {NOTHING}")
    if isinstance(error, PermissionError) or any(word in code for word in ("Credential", "Signature", "Token")):
        return PermissionError(f"{url} is refused ({code}): {DENIED}")
    if isinstance(error, TimeoutError | ConnectionError) or any(
        word in code for word in ("Connect", "Timeout", "HTTPClient", "Proxy", "SSL", "Disconnected")
    ):
        return ConnectionError(f"{url} is not reached ({code}): {UNREACHED}")
    return OSError(f"{url} cannot be written or read ({code}): the server, or what it is called with, is at fault")


def _in_words(method: Asking[P, T]) -> Asking[P, T]:
    """A method of a store whose failures are told in our words."""

    async def called(self: "URLStore", /, *args: P.args, **kwargs: P.kwargs) -> T:
        with failures_in_words(self.url):
            return await method(self, *args, **kwargs)

    return called


def _each_in_words(method: Listing[P, T]) -> Listing[P, T]:
    """A method of a store that lists, and whose failures are told in our words."""

    async def called(self: "URLStore", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        with failures_in_words(self.url):
            async for each in method(self, *args, **kwargs):
                yield each

    return called


class URLStore(FsspecStore):
    """A Zarr store behind a URL. Its pickle is the URL: every process opens it from its own environment.

    fsspec copies credentials from environment variables and files into the options of a file system, and pickles them
    with it. What a server or its library says of a failure is not repeated either, only its code.
    """

    def __init__(self, url: str, read_only: bool = False) -> None:
        with _what_is_missing(url):
            opened = FsspecStore.from_url(url, storage_options=_options(url))
        super().__init__(opened.fs, read_only, opened.path)
        self.url = url

    def __reduce__(self) -> tuple[Callable[..., "URLStore"], tuple[str, bool]]:
        return URLStore, (self.url, self.read_only)

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"URLStore({self.url!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, URLStore) and (self.url, self.read_only) == (other.url, other.read_only)

    __hash__ = None  # type: ignore[assignment]

    @property
    def supports_listing(self) -> bool:  # type: ignore[override]
        """Whether listings can be right: web servers have pages at best."""
        return not self.url.startswith(("http://", "https://"))

    def with_read_only(self, read_only: bool = False) -> "URLStore":
        """The same store, to read only or to write too."""
        return URLStore(self.url, read_only)

    get = _in_words(FsspecStore.get)
    get_partial_values = _in_words(FsspecStore.get_partial_values)
    set = _in_words(FsspecStore.set)
    exists = _in_words(FsspecStore.exists)
    getsize = _in_words(FsspecStore.getsize)
    delete = _in_words(FsspecStore.delete)
    list = _each_in_words(FsspecStore.list)
    list_prefix = _each_in_words(FsspecStore.list_prefix)
    list_dir = _each_in_words(FsspecStore.list_dir)

    async def delete_dir(self, prefix: str) -> None:
        """Delete what is listed below a prefix; first, listed or not, what makes it an array or group."""
        with failures_in_words(self.url):
            await super().delete(f"{prefix.strip('/')}/zarr.json".lstrip("/"))
            await super().delete_dir(prefix)

    async def clear(self) -> None:
        """Delete everything."""
        await self.delete_dir("")


def without_credentials(store: Store) -> Store:
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


def _secrets(options: dict[str, object]) -> Iterator[str]:
    """Names of options that are credentials."""
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _secrets(value)
        elif any(word in str(name).lower() for word in SECRET) and value not in PUBLIC:
            yield str(name)


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, to call from where no event loop runs; and the path in it."""
    with _what_is_missing(url):
        from fsspec import url_to_fs  # noqa: PLC0415 - an extra

        files, inside = url_to_fs(url, **_options(url))
    return files, inside


def _options(url: str) -> dict[str, object]:
    """How the file system of a URL is opened. s3fs would ask for the length of every object before it reads it."""
    return {**FRESH, "max_concurrency": 1} if url.startswith(("s3:", "s3a:")) else dict(FRESH)


@contextmanager
def _what_is_missing(url: str) -> Iterator[None]:
    """Say what is to be installed for a URL, or that it is of no known kind."""
    scheme = url.partition("://")[0]
    try:
        yield
    except ImportError:
        what = 'pip install "dnmf[s3]"' if scheme in ("s3", "s3a") else f"install fsspec's file system for {scheme}://"
        raise ImportError(f"{url} cannot be opened, a package is missing here: {what}") from None
    except ValueError:
        raise ValueError(f"{url} is of no known kind: fsspec has no {scheme}://; give another URL or a path") from None
