"""dnmf.clusters.kubernetes."""

from importlib import import_module
from typing import Any

from dask.utils import parse_bytes

from dnmf.clusters.settings import SCHEDULING, _allocator, _limit, needed


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
