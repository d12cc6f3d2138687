"""Workers in jobs of a batch system, submitted from here, where the scheduler runs too.

Keys have dask-jobqueue's names and meanings; its own configuration file holds for all that a profile does not say.
"""

import shutil
from typing import Any, ClassVar

import dask
import msgspec
from distributed.deploy import Cluster

from dnmf.clusters.keys import Count, Line, Lines, Memory, Size, Word
from dnmf.clusters.kind import Started, allocator


class Jobs(Started, frozen=True, kw_only=True):
    """What all batch systems have."""

    needs = ("dask_jobqueue", "dask-jobqueue", "jobqueue")
    starts: ClassVar[str]  # a class of dask-jobqueue
    jobs: Count
    cores: Count
    memory: Memory
    processes: Count | None = None
    job_name: Line | None = None
    interface: Word | None = None
    local_directory: Word | None = None
    log_directory: Word | None = None

    @property
    def limit(self) -> int:
        """Memory of one worker process, in bytes."""
        return self.memory // (self.processes or 1)

    def start(self) -> tuple[Cluster, int]:
        """Workers in jobs, and their number."""
        submits = self.system().job_cls.submit_command
        if shutil.which(submits) is None:
            raise RuntimeError(f"{submits} is not found: run dnmf where jobs are submitted")
        cluster = self.cluster()
        cluster.scale(jobs=self.jobs)
        return cluster, len(cluster.plan)

    def cluster(self) -> Any:
        """A cluster of dask-jobqueue, without jobs yet."""
        given = {key: value for key, value in msgspec.structs.asdict(self).items() if value is not None}
        arguments = {key: value for key, value in given.items() if key not in ("jobs", "wait")}
        exports = [f"export {name}={value}" for name, value in allocator(self.limit).items()]
        prologue = dask.config.get(f"jobqueue.{self.kind}.job-script-prologue") or []
        return self.system()(**arguments, job_script_prologue=[*exports, *prologue])

    @classmethod
    def system(cls) -> Any:
        """The class of dask-jobqueue that submits the jobs."""
        return getattr(cls.needed(), cls.starts)


class Queued(Jobs, frozen=True, kw_only=True):
    """What all but HTCondor have. Lines of its jobs may name their executable: they stay in its own configuration."""

    queue: Line | None = None
    walltime: Line | None = None
    job_extra_directives: Lines | None = None


class Slurm(Queued, frozen=True, kw_only=True, tag="slurm"):
    """Slurm."""

    starts = "SLURMCluster"
    account: Line | None = None
    job_cpu: Count | None = None
    job_mem: Line | None = None


class PBS(Queued, frozen=True, kw_only=True, tag="pbs"):
    """PBS and Torque."""

    starts = "PBSCluster"
    account: Line | None = None
    resource_spec: Line | None = None


class Moab(PBS, frozen=True, kw_only=True, tag="moab"):
    """Moab, in front of PBS."""

    starts = "MoabCluster"


class LSF(Queued, frozen=True, kw_only=True, tag="lsf"):
    """IBM Spectrum LSF."""

    starts = "LSFCluster"
    project: Line | None = None


class SGE(Queued, frozen=True, kw_only=True, tag="sge"):
    """Grid Engine."""

    starts = "SGECluster"
    project: Line | None = None
    resource_spec: Line | None = None


class OAR(Queued, frozen=True, kw_only=True, tag="oar"):
    """OAR."""

    starts = "OARCluster"
    project: Line | None = None
    resource_spec: Line | None = None
    memory_per_core_property_name: Word | None = None


class HTCondor(Jobs, frozen=True, kw_only=True, tag="htcondor"):
    """HTCondor."""

    starts = "HTCondorCluster"
    disk: Size
