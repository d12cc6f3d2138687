"""Servers of objects: how one is reached, from the environment of this process alone.

Knows obstore, where it is installed.
"""

import atexit
import os
import time
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any

from dnmf.stores.paths import scheme_of

# Schemes of Azure; all that are known.
AZURE = ("az", "abfs", "abfss", "adl")
KNOWN = ("s3", "gs", *AZURE, "http", "https")

# How variables begin that say where servers are and who asks.
VARIABLES = ("AWS_", "GOOGLE_", "AZURE_")

# A connection that is not made, or says nothing, is given up; a chunk may take long. Then it is asked again, as often
# as Amazon's own client does.
PATIENCE = {"connect_timeout": "10s", "read_timeout": "60s", "timeout": "30m"}
AGAIN = {"max_retries": 4, "retry_timeout": timedelta(minutes=1)}


# Seconds in which obstore's threads let go of what the last request held. One that still asks for Python while that is
# being taken down aborts the process, after all that it had to do was done.
LETTING_GO = 0.2


def server(url: str) -> Any:
    """obstore's store of what is at an absolute URL and below it.

    Raises
    ------
    ValueError
        If the URL is of an unknown kind.
    ImportError
        If obstore is not installed.
    PermissionError
        If the environment has no credentials for it.
    """
    scheme = scheme_of(url)
    if scheme not in KNOWN:
        raise ValueError(
            f"{url} is of no known kind: {', '.join(f'{known}://' for known in KNOWN)}, file:// and memory:// are: "
            f"give one of these, or a path"
        )
    said = {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)}
    return _opened(url, tuple(sorted(said.items())))


@lru_cache(maxsize=64)
def _opened(url: str, said: tuple[tuple[str, str], ...]) -> Any:
    """The store, with its connections: once for as long as the environment says the same."""
    try:
        from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store  # noqa: PLC0415 - an extra
    except ImportError:
        raise ImportError(f'{url} cannot be opened, a package is missing here: pip install "dnmf[s3]"') from None
    _let_go_at_exit()
    scheme, (place, _, prefix) = scheme_of(url), url.partition("://")[2].partition("/")
    plain = url.startswith("http:") or any(value.startswith("http:") for name, value in said if "ENDPOINT" in name)
    how: dict[str, Any] = {"client_options": {**PATIENCE, "allow_http": plain}, "retry_config": AGAIN}
    if scheme in ("http", "https"):
        return HTTPStore(url, **how)
    how["prefix"] = prefix or None
    if scheme == "gs":
        return GCSStore(place, **how)
    if scheme in AZURE:
        container, _, host = place.partition("@")
        account: dict[str, Any] = {"account_name": host.partition(".")[0]} if host else {}
        return AzureStore(container, **how, **account)
    return S3Store(place, credential_provider=_from_files(url), **how)


@cache
def _let_go_at_exit() -> None:
    """Wait for obstore's threads where this process ends; once is enough."""
    atexit.register(time.sleep, LETTING_GO)


def _from_files(url: str) -> Any:
    """What asks Amazon's files and services for credentials, where boto3 is installed and no variable has them."""
    if "AWS_ACCESS_KEY_ID" in os.environ or os.environ.get("AWS_SKIP_SIGNATURE", "").lower() == "true":
        return None
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415 - boto3 need not be there
    except ImportError:
        return None
    try:
        return Boto3CredentialProvider()
    except ValueError:
        raise PermissionError(
            f"{url} is refused (NoCredentialsError): check the credentials in the environment of this process, and of "
            f"every worker"
        ) from None


def url_of(store: Any) -> str | None:
    """The URL of what is below obstore's store, or its path; None where it has none, as in memory."""
    prefix = f"/{store.prefix}" if getattr(store, "prefix", None) else ""
    config = getattr(store, "config", {})
    match type(store).__name__:
        case "S3Store":
            return f"s3://{config['bucket']}{prefix}"
        case "GCSStore":
            return f"gs://{config['bucket']}{prefix}"
        case "AzureStore":
            return f"az://{config['container_name']}{prefix}"
        case "LocalStore":
            return str(store.prefix or "/")
        case "HTTPStore":
            return str(store.url)
    return None
