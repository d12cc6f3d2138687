"""Clusters of a profile are started here, or found where they run: a client of each kind of cluster.yaml."""

import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from multiprocessing import resource_tracker
from typing import Any

import dask
from dask.system import CPU_COUNT
from dask.utils import parse_bytes, parse_timedelta
from distributed import Client, LocalCluster, SSHCluster
from distributed.security import Security
from distributed.system import MEMORY_LIMIT

from dnmf.memory import MIB
from dnmf.profiles import KINDS, Profile

# One strip per thread at a time, computed with where it was loaded: half the memory of Dask's defaults, and no slower
# where strips are large.
SCHEDULING = {"distributed.scheduler.worker-saturation": 1.0, "distributed.scheduler.work-stealing": False}

# Workers here are watched by nobody's dashboard: samples of their stacks would grow with every second.
UNWATCHED = {"distributed.worker.profile.enabled": False}


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


def needed(kind: str) -> Any:
    """The module that a kind needs beyond dnmf's own, imported.

    Raises
    ------
    ImportError
        Says what to install.
    """
    row = KINDS[kind]
    try:
        return import_module(row.module)
    except ImportError:
        raise ImportError(f"kind {kind} needs {row.package}: pip install 'dnmf[{row.extra}]'") from None


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


def _ssh(options: dict[str, Any]) -> tuple[Any, int]:
    """Workers on hosts that are reached by SSH, and their number; the first host has the scheduler."""
    hosts, each = options["hosts"], options.get("workers", 1)
    both = {"interface": options.get("interface")}
    workers = {
        "n_workers": each, "nthreads": options["threads"], "memory_limit": options.get("memory", "auto"),
        "local_directory": options.get("local_directory"), **both,
    }  # fmt: skip
    names = {"username": "username", "port": "port", "key": "client_keys", "known_hosts": "known_hosts"}
    cluster = SSHCluster(
        hosts,
        connect_options={names[key]: value for key, value in options.items() if key in names},
        worker_options=workers,
        scheduler_options={"port": 0, "dashboard_address": ":0", **both},
        remote_python=options.get("python"),
    )
    return cluster, (len(hosts) - 1) * each


def _kubernetes(options: dict[str, Any]) -> tuple[Any, int]:
    """Pods that the operator of dask-kubernetes starts, and the number of workers."""
    import_module("kr8s").api()  # where there is no Kubernetes it says so, and leaves no cluster to be ended at exit
    return needed("kubernetes").KubeCluster(**kubernetes_arguments(options), quiet=True), options["workers"]


def kubernetes_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """What a profile says, as KubeCluster and its `make_cluster_spec` take it."""
    size = {"cpu": str(options["cores"]), "memory": str(parse_bytes(options["memory"]))}
    scheduling = {f"DASK_{key.upper().replace('.', '__').replace('-', '_')}": str(v) for key, v in SCHEDULING.items()}
    return {
        **{key: options[key] for key in ("name", "namespace", "image") if key in options},
        "n_workers": options["workers"],
        "resources": {"requests": size, "limits": size},
        "env": {**scheduling, **_allocator(_limit(options))},
    }


def _jobs(kind: str, options: dict[str, Any]) -> tuple[Any, int]:
    """Workers in jobs of a batch system, and their number; the scheduler is in this process."""
    submits = getattr(needed(kind), KINDS[kind].starts).job_cls.submit_command
    if shutil.which(submits) is None:
        raise RuntimeError(f"{submits} is not found: run dnmf where jobs are submitted")
    cluster = job_cluster(kind, options)
    cluster.scale(jobs=options["jobs"])
    return cluster, len(cluster.plan)


def job_cluster(kind: str, options: dict[str, Any]) -> Any:
    """A cluster of dask-jobqueue, without jobs yet. Its configuration holds for what the profile does not say."""
    arguments = {key: value for key, value in options.items() if key not in ("jobs", "wait")}
    exports = [f"export {name}={value}" for name, value in _allocator(_limit(options)).items()]
    prologue = dask.config.get(f"jobqueue.{kind}.job-script-prologue") or []
    return getattr(needed(kind), KINDS[kind].starts)(**arguments, job_script_prologue=[*exports, *prologue])


START: dict[str, Callable[[dict[str, Any]], tuple[Any, int]]] = {
    "ssh": _ssh,
    "kubernetes": _kubernetes,
    **{kind: partial(_jobs, kind) for kind, row in KINDS.items() if row.starts},
}


def _limit(options: dict[str, Any]) -> int:
    """Memory of one worker process, in bytes, where a profile says it, else that of this machine."""
    memory = options.get("memory")
    return MEMORY_LIMIT if memory is None else int(parse_bytes(memory)) // options.get("processes", 1)


def _allocator(limit: int, prefix: str = "") -> dict[str, str]:
    """Settings of a worker's allocator, as environment variables, for a limit in bytes.

    Dask's own make it give every freed buffer back to the system. A pass frees a decoded chunk every few milliseconds,
    and getting the pages again made it 1.3 to 1.7 times as slow. One arena, or every thread that decodes would keep
    some. In workers of less than 512 MiB every page counts, and strips are as small as chunks: Dask's settings stay.
    """
    trim, mmap = (16 * MIB, 16 * MIB) if limit >= 512 * MIB else (2**16, 2**17)
    settings = {"MALLOC_TRIM_THRESHOLD_": trim, "MALLOC_MMAP_THRESHOLD_": mmap, "MALLOC_ARENA_MAX": 1}
    return {prefix + name: str(value) for name, value in settings.items()}


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Environment variables for processes that are started inside the block, and started again after they died.

    Dask's own setting for that stays in this process's environment, and there it outweighs that of the next cluster.
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def local_cluster(workers: int | None = None, threads: int = 1, memory: str | int | None = None) -> Iterator[Client]:
    """A client of worker processes on this machine: one of one thread per core, unless said otherwise.

    Parameters
    ----------
    workers : number of processes.
    threads : threads of each.
    memory : limit of each, bytes or a text such as "2GiB"; an equal share of the machine's if None.
    """
    count = workers or max(1, CPU_COUNT // threads)
    limit = parse_bytes(memory) if memory is not None else MEMORY_LIMIT // count
    with (
        dask.config.set({**SCHEDULING, **UNWATCHED}),
        _environment(_allocator(limit)),
        _whole(n_workers=count, threads_per_worker=threads, memory_limit=limit) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _whole(**how: Any) -> LocalCluster:
    """A cluster that has started as a whole; where this process is told to end meanwhile, it is closed then.

    Dask cannot close what has half started. Ctrl-C in a terminal reaches workers too, from their first moment on: they
    inherit that it is blocked, and this process ends them in order.
    """
    # Errors of tasks come back to the caller: workers need not print them too.
    start = partial(LocalCluster, silence_logs=logging.CRITICAL, dashboard_address=":0", **how)
    block = partial(signal.pthread_sigmask, signal.SIG_BLOCK, {signal.SIGINT})
    # Python would start it with the first worker, and unblock Ctrl-C in that worker's thread.
    resource_tracker.ensure_running()
    with ThreadPoolExecutor(1, initializer=block) as thread:
        starting = thread.submit(start)
        try:
            return starting.result()
        except BaseException:
            if starting.exception() is None:
                starting.result().close()
            raise
