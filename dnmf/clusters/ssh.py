"""dnmf.clusters.ssh."""

from typing import Any

from distributed import SSHCluster


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
