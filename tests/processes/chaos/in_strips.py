"""The command line, `python -m in_strips COMMAND …`, and what workers load first: strips are one chunk high.

Plans are made for what dnmf installs. Where xarray is, Dask loads it, and pandas: 40 MiB more in an idle worker, and
with limits as small as these ones it may be paused for good.
"""

import sys
from contextvars import ContextVar
from typing import Any

from dnmf.cli.main import main
from dnmf.plan import sizes


def dask_setup(worker: Any) -> None:
    """Called by Dask in every worker before it works."""
    sys.modules.setdefault("xarray", None)  # type: ignore[arg-type]
    # For every thread: drivers that were submitted run in one of a worker's.
    small = sizes.Sizes.of_strips(2 * 2**20)
    sizes._SIZES = ContextVar("dnmf.plan.sizes", default=small)


if __name__ == "__main__":
    dask_setup(None)
    main()
