"""dnmf.clusters.batch."""

import shutil
from typing import Any

import dask

from dnmf.clusters.profiles import KINDS
from dnmf.clusters.settings import _allocator, _limit, needed


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
