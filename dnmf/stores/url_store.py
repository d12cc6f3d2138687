"""The Zarr store behind a URL: it asks its server each time, and travels as its URL alone, without credentials.

What a server or its library says of a failure is not repeated, only its code: the text may hold anything.
"""

import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

from zarr.abc.buffer import Buffer
from zarr.storage import ObjectStore

from dnmf.stores.servers import server

P = ParamSpec("P")
T = TypeVar("T")

# Methods of a store.
Asking = Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]
Listing = Callable[Concatenate[Any, P], AsyncGenerator[T, None]]

# What to say, beside the code, of a failure.
DENIED = "check the credentials in the environment of this process, and of every worker"
UNREACHED = "is the server running, and is its address (AWS_ENDPOINT_URL, …) right here and in every worker?"
NOTHING = "there is no such bucket or object: create the bucket first"

# What obstore's errors have in them where nobody has credentials, or nobody answers.
NO_CREDENTIALS = ("169.254.169.254", "metadata.google.internal", "credential provider")
NO_ANSWER = ("error sending request", "timed out", "HTTP error")

# What servers say that know no conditions.
NO_CONDITIONS = ("501", "NotImplemented", "NotImplementedError", "NotSupportedError")

CODES = (re.compile(r"<Code>(\w{1,60})</Code>"), re.compile(r"status code: (\d{3})\b"))


@contextmanager
def failures_in_words(url: str) -> Iterator[None]:
    """Raise OSError in place of what servers and their libraries raise, without their text."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] in ("builtins", "zarr", "dnmf"):
            raise
        raise _failure(url, error) from None


def _failure(url: str, error: Exception) -> OSError:
    """The sentence for a failure, with its code or the name of its type."""
    code, text = _code(error), str(error)
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"{url} cannot be written or read ({code}): {NOTHING}")
    if code == "NoCredentialsError" or type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError"):
        return PermissionError(f"{url} is refused ({code}): {DENIED}")
    if isinstance(error, TimeoutError | ConnectionError) or any(word in text for word in NO_ANSWER):
        return ConnectionError(f"{url} is not reached ({code}): {UNREACHED}")
    return OSError(f"{url} cannot be written or read ({code}): the server, or what it is called with, is at fault")


def _code(error: Exception) -> str:
    """What a server calls a failure, or its number; else the name of its type."""
    text = str(error)
    if any(place in text for place in NO_CREDENTIALS):
        return "NoCredentialsError"
    if "configured region" in text:
        return "another region: set AWS_REGION"
    found = next((match for code in CODES if (match := code.search(text))), None)
    return found[1] if found else type(error).__name__


def _in_words(method: Asking[P, T]) -> Asking[P, T]:
    """A method of a store whose failures are told in our words."""

    async def called(self: "URLStore", /, *args: P.args, **kwargs: P.kwargs) -> T:
        with failures_in_words(self.url):
            return await method(self, *args, **kwargs)

    return called


def _each_in_words(method: Listing[P, T]) -> Listing[P, T]:
    """A method of a store that lists, and whose failures are told in our words."""

    async def called(self: "URLStore", /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T, None]:
        with failures_in_words(self.url):
            async for each in method(self, *args, **kwargs):
                yield each

    return called


class URLStore(ObjectStore[Any]):
    """A Zarr store behind a URL. Its pickle is the URL: every process opens it from its own environment."""

    def __init__(self, url: str, read_only: bool = False) -> None:
        super().__init__(server(url), read_only=read_only)
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
    def supports_listing(self) -> bool:
        """Whether listings can be right: web servers have pages at best."""
        return not self.url.startswith(("http://", "https://"))

    def with_read_only(self, read_only: bool = False) -> "URLStore":
        """The same store, to read only or to write too."""
        return URLStore(self.url, read_only)

    get = _in_words(ObjectStore.get)
    get_partial_values = _in_words(ObjectStore.get_partial_values)
    set = _in_words(ObjectStore.set)
    exists = _in_words(ObjectStore.exists)
    getsize = _in_words(ObjectStore.getsize)
    delete = _in_words(ObjectStore.delete)
    list = _each_in_words(ObjectStore.list)
    list_prefix = _each_in_words(ObjectStore.list_prefix)
    list_dir = _each_in_words(ObjectStore.list_dir)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write an object if there is none of this key: in one step, but where the server cannot do that."""
        with failures_in_words(self.url):
            try:
                await super().set_if_not_exists(key, value)
            except Exception as error:
                if _code(error) not in NO_CONDITIONS:
                    raise
                if not await super().exists(key):
                    await super().set(key, value)

    async def delete_dir(self, prefix: str) -> None:
        """Delete what is listed below a prefix; first, listed or not, what makes it an array or group."""
        with failures_in_words(self.url):
            await super().delete(f"{prefix.strip('/')}/zarr.json".lstrip("/"))
            await super().delete_dir(prefix)

    async def clear(self) -> None:
        """Delete everything."""
        await self.delete_dir("")

    # What is called where no event loop runs.

    def holds(self, key: str) -> bool:
        """Whether there is an object of this key."""
        with failures_in_words(self.url):
            try:
                self.store.head(key)
            except FileNotFoundError:
                return False
            return True

    def is_occupied(self) -> bool:
        """Whether there is an object of any key, where that can be listed."""
        with failures_in_words(self.url):
            return self.supports_listing and any(map(bool, self.store.list(chunk_size=1)))

    def put(self, key: str, data: bytes) -> None:
        """Write an object."""
        with failures_in_words(self.url):
            self.store.put(key, data)

    def drop(self) -> None:
        """Delete all objects that are listed, as far as that is possible; first what makes them an array or group."""
        with suppress(OSError), failures_in_words(self.url):
            with suppress(FileNotFoundError):
                self.store.delete("zarr.json")
            for some in self.store.list(chunk_size=1000):
                self.store.delete([each["path"] for each in some])
