"""Clusters of a profile are started here, or found where they run: a client of each kind of cluster.yaml."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import dask
from dask.utils import parse_timedelta
from distributed import Client
from distributed.security import Security

from dnmf.clusters.batch import _jobs
from dnmf.clusters.kubernetes import _kubernetes
from dnmf.clusters.local import local_cluster
from dnmf.clusters.profiles import KINDS, Profile
from dnmf.clusters.settings import SCHEDULING, _allocator, _limit, needed
from dnmf.clusters.ssh import _ssh


@contextmanager
def connect(profile: Profile) -> Iterator[Client]:
    """A client of the cluster that a profile describes; what is started here is ended with the block.

    Raises
    ------
    ConnectionError
        If no scheduler answers at the address, or a cluster does not start.
    ImportError
        If a package that the kind needs is not installed.
    """
    if profile.kind == "local":
        with local_cluster(**profile.options) as client:
            yield client
        return
    if profile.kind == "scheduler":
        with _running(**profile.options) as client, client.as_current():
            yield client
        return
    with _started(profile.kind, profile.options) as client, client.as_current():
        yield client


def _running(address: str, ca: str | None = None, cert: str | None = None, key: str | None = None) -> Client:
    """A client of a scheduler that runs already."""
    security = _security(address, {"tls_ca_file": ca, "tls_client_cert": cert, "tls_client_key": key})
    try:
        return Client(address, timeout="10s", set_as_default=False, security=security)
    except (OSError, ValueError) as error:
        trusted = ", and are the certificates of one authority" if security else ""
        raise ConnectionError(
            f"no scheduler answers at {address} ({error}): is it running, and reached from here{trusted}?"
        ) from None


def _security(address: str, files: dict[str, str | None]) -> Security | None:
    """Certificates for a tls:// address: those of the profile, else those of Dask's own configuration."""
    given = {name: path for name, path in files.items() if path is not None}
    if not address.startswith("tls://"):
        if given:
            raise ValueError(f"certificates are given for {address}: they need an address that starts with tls://")
        return None
    security = Security(require_encryption=True, **given)
    client = security.get_tls_config_for_role("client")
    if not (client["ca_file"] and client["cert"]):
        raise ValueError(
            f"{address} needs certificates: give a profile of kind scheduler with ca, cert and key, the paths of PEM "
            f"files, or set distributed.comm.tls in Dask's configuration"
        )
    return security


@contextmanager
def _started(kind: str, options: dict[str, Any]) -> Iterator[Client]:
    """A client of a cluster that is started, with our settings as far as they reach its scheduler and workers."""
    needed(kind)
    with dask.config.set({**SCHEDULING, **_allocator(_limit(options), "distributed.nanny.pre-spawn-environ.")}):
        try:
            cluster, workers = START[kind](options)
        except Exception as error:  # whatever SSH, a batch system or Kubernetes raise
            raise ConnectionError(
                f"the cluster of kind {kind} did not start ({error or type(error).__name__}): check its profile, and "
                f"that this machine reaches it"
            ) from error
        with cluster, Client(cluster, set_as_default=False) as client:
            _wait(client, workers, kind, options.get("wait", "10 minutes"))
            yield client


def _wait(client: Client, workers: int, kind: str, time: str | int) -> None:
    """Wait until that many workers have joined; after `time` go on with those that have."""
    try:
        client.wait_for_workers(workers, timeout=parse_timedelta(time))
    except TimeoutError:
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise ConnectionError(
                f"no worker of the cluster of kind {kind} joined within {time}: see whether its workers run and what "
                f"their logs say, or wait longer, as in `wait: 2 hours`"
            ) from None


START: dict[str, Callable[[dict[str, Any]], tuple[Any, int]]] = {
    "ssh": _ssh,
    "kubernetes": _kubernetes,
    **{kind: partial(_jobs, kind) for kind, row in KINDS.items() if row.starts},
}
