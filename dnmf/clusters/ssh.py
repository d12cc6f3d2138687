"""Workers on hosts that SSH reaches."""

from distributed import SSHCluster
from distributed.deploy import Cluster

from dnmf.clusters.keys import Count, File, Hosts, Word
from dnmf.clusters.kind import Started


class SSH(Started, frozen=True, kw_only=True, tag="ssh"):
    """Hosts, the first of which has the scheduler, and what their workers have. The rest is ssh's own, unless given."""

    needs = ("asyncssh", "asyncssh", "ssh")
    files = ("key", "known_hosts")
    hosts: Hosts
    threads: Count
    workers: Count = 1
    python: Word | None = None
    username: Word | None = None
    port: Count | None = None
    key: File | None = None
    known_hosts: File | None = None
    interface: Word | None = None
    local_directory: Word | None = None

    def start(self) -> tuple[Cluster, int]:
        """Workers on all hosts but the first, and their number."""
        both = {"interface": self.interface}
        workers = {
            "n_workers": self.workers, "nthreads": self.threads, "memory_limit": self.memory or "auto",
            "local_directory": self.local_directory, **both,
        }  # fmt: skip
        options = {
            "username": self.username, "port": self.port, "client_keys": self.key, "known_hosts": self.known_hosts,
        }  # fmt: skip
        cluster = SSHCluster(
            self.hosts,
            connect_options={name: value for name, value in options.items() if value is not None},
            worker_options=workers,
            scheduler_options={"port": 0, "dashboard_address": ":0", **both},
            remote_python=self.python,
        )
        return cluster, (len(self.hosts) - 1) * self.workers
