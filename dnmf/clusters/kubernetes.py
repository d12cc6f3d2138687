"""Workers in pods, which the operator of dask-kubernetes starts."""

from importlib import import_module

from distributed.deploy import Cluster

from dnmf.clusters.keys import Count, Memory, Word
from dnmf.clusters.kind import SCHEDULING, Started, allocator


class Kubernetes(Started, frozen=True, kw_only=True, tag="kubernetes"):
    """A name, an image that has dnmf, the number of workers, and what each of them has."""

    needs = ("dask_kubernetes.operator", "dask-kubernetes", "kubernetes")
    name: Word
    image: Word
    workers: Count
    cores: Count
    memory: Memory
    namespace: Word | None = None

    def start(self) -> tuple[Cluster, int]:
        """Pods, and their number."""
        # Where there is no Kubernetes this says so, and leaves no cluster to be ended at exit.
        import_module("kr8s").api()
        return self.needed().KubeCluster(**self.arguments(), quiet=True), self.workers

    def arguments(self) -> dict[str, object]:
        """The keys, as KubeCluster and its `make_cluster_spec` take them."""
        size = {"cpu": str(self.cores), "memory": str(self.memory)}
        settings = {f"DASK_{key.upper().replace('.', '__').replace('-', '_')}": str(v) for key, v in SCHEDULING.items()}
        return {
            "name": self.name,
            "image": self.image,
            **({} if self.namespace is None else {"namespace": self.namespace}),
            "n_workers": self.workers,
            "resources": {"requests": size, "limits": size},
            "env": {**settings, **allocator(self.limit)},
        }
