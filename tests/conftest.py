"""One BLAS thread, Hypothesis profiles, two real clusters. Oracles are in naive.py, random inputs in strategies.py."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # of the processes that tests start, and of what is loaded from here on

# Where xarray is, Dask loads it in every worker, and pandas: half a second, and 40 MiB more than plans are made for.
# A worker that is in this process leaves it as it is, as it is loaded here with Dask's arrays.
os.environ["DASK_DISTRIBUTED__WORKER__PRELOAD"] = """["import sys; sys.modules.setdefault('xarray', None)"]"""

import dask.array  # noqa: F401 - loads xarray
import pytest
import scipy.linalg  # noqa: F401 - brings a BLAS of its own
from distributed import Client
from hypothesis import settings
from resize import Resize
from threadpoolctl import threadpool_limits

from dnmf.clusters.local import local_cluster

threadpool_limits(limits=1, user_api="blas")  # plugins of pytest may have loaded NumPy before

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=60)
# Where nobody waits to look at a new failure, examples are the same each time.
settings.register_profile("dev", derandomize="CI" in os.environ, deadline=None, max_examples=10)
settings.load_profile("dev")


@contextmanager
def _hidden(**asked: Any) -> Iterator[Client]:
    """A client of a real LocalCluster, which is the current one of no test that does not ask for it."""
    # In a context of its own: the client that a cluster opens would be every later test's current one.
    context, opened = copy_context(), local_cluster(**asked)
    first = context.run(opened.__enter__)
    try:
        first.close()
        with Client(first.cluster.scheduler_address, set_as_default=False) as hidden:
            yield hidden
    finally:
        context.run(opened.__exit__, None, None, None)


@pytest.fixture(scope="session", name="_shared")
def shared() -> Iterator[Client]:
    """The client of two workers that share the memory of the machine; the first test that asks for it starts them."""
    with _hidden(workers=2) as hidden:
        yield hidden


@pytest.fixture(scope="session", name="_small")
def small() -> Iterator[Client]:
    """The client of two workers of 400 MiB, which tests may kill: they start again."""
    with _hidden(workers=2, memory="400MiB") as hidden:
        yield hidden


@pytest.fixture
def client(_shared: Client) -> Iterator[Client]:
    """The client of the shared cluster, current in this test; other tests compute on threads."""
    _shared.wait_for_workers(2, timeout=60)
    with _shared.as_current():
        yield _shared


@pytest.fixture
def tight(_small: Client) -> Iterator[Client]:
    """The client of the workers of 400 MiB, current in this test; both of them are there and run."""
    try:
        _small.wait_for_workers(2, timeout=20)
    except TimeoutError:
        # One that holds too much of tests before it waits until it holds less, which may be never.
        _small.restart(timeout=120)
    with _small.as_current():
        yield _small


@pytest.fixture(scope="session")
def address(_shared: Client) -> str:
    """Where the scheduler of the shared cluster is, for the command line; no client is current."""
    return str(_shared.scheduler.address)


@pytest.fixture
def sizes() -> Iterator[Resize]:
    """Plans of this test are made with other sizes of strips and samples: sizes(strip=2**14), sizes(sample_rows=9)."""
    with ExitStack() as stack:
        yield Resize(stack)
