"""dnmf.clusters.settings."""

from importlib import import_module
from typing import Any

from dask.utils import parse_bytes
from distributed.system import MEMORY_LIMIT

from dnmf.clusters.profiles import KINDS
from dnmf.plan.memory import MIB

# One strip per thread at a time, computed with where it was loaded: half the memory of Dask's defaults, and no slower
# where strips are large.
SCHEDULING = {"distributed.scheduler.worker-saturation": 1.0, "distributed.scheduler.work-stealing": False}


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
