"""What schedulers and workers are started with: the scheduling and the allocator that a pass needs."""

from distributed.system import MEMORY_LIMIT

from dnmf.plan.memory import MIB

# One strip per thread at a time, computed with where it was loaded: half the memory of Dask's defaults, and no slower
# where strips are large.
SCHEDULING = {"distributed.scheduler.worker-saturation": 1.0, "distributed.scheduler.work-stealing": False}


def allocator(limit: int | None, prefix: str = "") -> dict[str, str]:
    """Settings of a worker's allocator, as environment variables, for a limit in bytes; that of this machine if None.

    Dask's own make it give every freed buffer back to the system. A pass frees a decoded chunk every few milliseconds,
    and getting the pages again made it 1.3 to 1.7 times as slow. One arena, or every thread that decodes would keep
    some. In workers of less than 512 MiB every page counts, and strips are as small as chunks: Dask's settings stay.
    """
    large = (MEMORY_LIMIT if limit is None else limit) >= 512 * MIB
    trim, mmap = (16 * MIB, 16 * MIB) if large else (2**16, 2**17)
    settings = {"MALLOC_TRIM_THRESHOLD_": trim, "MALLOC_MMAP_THRESHOLD_": mmap, "MALLOC_ARENA_MAX": 1}
    return {prefix + name: str(value) for name, value in settings.items()}
