"""What kinds of clusters have in common: each is a class, whose fields are its keys, and which starts what they say."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from types import ModuleType
from typing import ClassVar

import dask
import msgspec
from distributed import Client
from distributed.deploy import Cluster
from distributed.system import MEMORY_LIMIT

from dnmf.clusters.keys import Duration, Memory
from dnmf.plan.memory import MIB

# Seconds for workers to join, where a profile does not say it.
WAIT = 600.0

# One strip per thread at a time, computed with where it was loaded: half the memory of Dask's defaults, and no slower
# where strips are large.
SCHEDULING = {"distributed.scheduler.worker-saturation": 1.0, "distributed.scheduler.work-stealing": False}


def allocator(limit: int | None, prefix: str = "") -> dict[str, str]:
    """Settings of a worker's allocator, as environment variables, for a limit in bytes; that of this machine if None.

    Dask's own make it give every freed buffer back to the system. A pass frees a piece of X every few milliseconds,
    and getting the pages again made it 1.3 to 1.7 times as slow. So buffers of up to two pieces are kept; 32 MiB is
    the most that glibc takes. One arena, or every thread that decodes would keep some. In workers of less than 512 MiB
    every page counts: Dask's settings stay.
    """
    large = (MEMORY_LIMIT if limit is None else limit) >= 512 * MIB
    trim, mmap = (32 * MIB, 32 * MIB) if large else (2**16, 2**17)
    settings = {"MALLOC_TRIM_THRESHOLD_": trim, "MALLOC_MMAP_THRESHOLD_": mmap, "MALLOC_ARENA_MAX": 1}
    return {prefix + name: str(value) for name, value in settings.items()}


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """A cluster of some kind, as a cluster.yaml describes it; its module is in this package."""

    files: ClassVar[tuple[str, ...]] = ()  # keys that hold paths of files

    @property
    def kind(self) -> str:
        """The name of its kind."""
        return str(self.__struct_config__.tag)

    @abstractmethod
    def open(self) -> AbstractContextManager[Client]:
        """A client of the cluster, current in the block; what is started for it is ended with the block.

        Raises
        ------
        ConnectionError
            If no scheduler answers at the address, or a cluster does not start.
        ImportError
            If a package that the kind needs is not installed.
        """


class Started(Profile, frozen=True, kw_only=True):
    """A cluster that is started from here, on other machines."""

    needs: ClassVar[tuple[str, str, str]]  # a module, the package that has it, the extra that installs it
    memory: Memory | None = None
    wait: Duration | None = None

    @classmethod
    def needed(cls) -> ModuleType:
        """The module that the kind needs, imported.

        Raises
        ------
        ImportError
            Says what to install.
        """
        module, package, extra = cls.needs
        try:
            return import_module(module)
        except ImportError:
            kind = cls.__struct_config__.tag
            raise ImportError(f"kind {kind} needs {package}: pip install 'dnmf[{extra}]'") from None

    @property
    def limit(self) -> int | None:
        """Memory of one worker process, in bytes; None where the profile does not say it."""
        return self.memory

    @abstractmethod
    def start(self) -> tuple[Cluster, int]:
        """The cluster, and the number of its workers, which may still be on their way."""

    @contextmanager
    def open(self) -> Iterator[Client]:
        """A client of the cluster, with our settings as far as they reach its scheduler and workers."""
        self.needed()
        with dask.config.set({**SCHEDULING, **allocator(self.limit, "distributed.nanny.pre-spawn-environ.")}):
            try:
                cluster, workers = self.start()
            except Exception as error:  # whatever SSH, a batch system or Kubernetes raise
                raise ConnectionError(
                    f"the cluster of kind {self.kind} did not start ({error or type(error).__name__}): check its "
                    f"profile, and that this machine reaches it"
                ) from error
            with cluster, Client(cluster, set_as_default=False) as client:
                self._wait(client, workers)
                with client.as_current():
                    yield client

    def _wait(self, client: Client, workers: int) -> None:
        """Wait until that many workers have joined; after the time to wait go on with those that have."""
        wait = self.wait or WAIT
        try:
            client.wait_for_workers(workers, timeout=wait)
        except TimeoutError:
            if not client.scheduler_info(n_workers=-1)["workers"]:
                raise ConnectionError(
                    f"no worker of the cluster of kind {self.kind} joined within {wait:.0f} s: see whether its "
                    f"workers run and what their logs say, or wait longer, as in `wait: 2 hours`"
                ) from None
