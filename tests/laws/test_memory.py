"""Memory and provenance on real workers: what was projected holds, nothing is spilled, nothing piles up."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from counters import peak_memory
from distributed import Client, wait
from resize import Resize

import dnmf
from dnmf import datasets
from dnmf.clusters.local import local_cluster
from dnmf.events import PassDone, Planned

MIB = 2**20


def memory_now() -> int:
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) * 1024


def worker_process(dask_worker: Any) -> tuple[str, int]:
    return dask_worker.id, os.getpid()


def spilled(dask_worker: Any) -> float:
    """Everything that the worker has ever written to its spill store: seconds, writes and bytes, added up."""
    metrics = dask_worker.data.cumulative_metrics
    return sum(value for key, value in metrics.items() if key[0] == "disk-write")


@pytest.mark.large
def test_spilling_would_show() -> None:
    with local_cluster(workers=1, memory=256 * MIB) as client:
        futures = client.map(lambda i: bytes(30 * MIB), range(8))
        wait(futures)
        (spill,) = client.run(spilled).values()
    assert spill > 0


def in_one_worker(folder: Path, limit: int, **more: Any) -> tuple[Planned, int, dnmf.Factorization]:
    """Factorize its X in one worker, which must neither spill nor die: the plan, its peak memory, the result."""
    plans: list[Planned] = []
    with local_cluster(workers=1, memory=limit) as client:
        before = client.run(worker_process)
        result = dnmf.factorize(
            str(folder / "x.zarr"), 8, max_iter=2, tol=0, out=folder / "run.zarr", **more,
            listeners=[lambda event: plans.append(event) if isinstance(event, Planned) else None],
        )  # fmt: skip
        (peak,) = client.run(peak_memory).values()
        (spill,) = client.run(spilled).values()
        after = client.run(worker_process)
    assert spill == 0
    assert after == before
    return plans[0], peak, result


@pytest.mark.large
def test_x_four_times_the_memory_runs_through_one_worker(tmp_path: Path) -> None:
    limit, rows, columns, height = 256 * MIB, 131_072, 2048, 4096
    # The same rows again and again: to draw 1 GiB of others takes longer than to factorize them.
    block = datasets.low_rank(tmp_path / "block.zarr", (height, columns), 8)[...]
    storage: dict[str, Any] = {"chunks": (256, columns), "dtype": block.dtype, "compressors": None}
    x = zarr.create_array(str(tmp_path / "x.zarr"), shape=(rows, columns), **storage)
    for start in range(0, rows, height):
        x[start : start + height] = block
    plan, peak, result = in_one_worker(tmp_path, limit)
    assert plan.nbytes >= 4 * limit
    assert plan.limit == limit
    assert peak <= plan.peak
    assert 0 < result.relative_error < 0.5


def sparse_x(path: Path, rows: int, columns: int, per_row: int) -> None:
    """Sparse X with as many non-zeros in every row, one in each of as many runs of columns, as AnnData stores it."""
    rng, size, run = np.random.default_rng(0), rows * per_row, columns // per_row
    attributes = {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [rows, columns]}
    group = zarr.create_group(str(path), attributes=attributes)
    storage = {"shape": (size,), "chunks": (2**17,), "compressors": None}
    data, indices = (
        group.create_array(name, dtype=kind, **storage) for name, kind in (("data", "f4"), ("indices", "i4"))
    )
    for start in range(0, size, 2**22):
        places = np.arange(start, min(start + 2**22, size))
        data[start : start + 2**22] = rng.random(len(places), "f4") + 0.1
        indices[start : start + 2**22] = places % per_row * run + rng.integers(0, run, len(places))
    pointers = group.create_array("indptr", shape=(rows + 1,), chunks=(2**16,), dtype="i8")
    pointers[...] = np.arange(0, size + 1, per_row)


@pytest.mark.large
def test_sparse_x_that_would_be_six_times_the_memory_runs_through_one_worker(tmp_path: Path) -> None:
    limit, rows, columns = 384 * MIB, 200_000, 3000
    sparse_x(tmp_path / "x.zarr", rows, columns, 150)
    plan, peak, result = in_one_worker(tmp_path, limit)
    assert rows * columns * 4 >= 5.9 * limit
    assert plan.strips > 1
    assert peak <= plan.peak <= 0.7 * limit
    assert 0 < result.relative_error < 1


@pytest.mark.long
def test_a_worker_takes_no_more_memory_than_was_planned(tmp_path: Path) -> None:
    limit, rows, columns = 256 * MIB, 40_000, 512
    datasets.low_rank(tmp_path / "x.zarr", (rows, columns), 8, chunks=(1024, columns), compressors=None)
    plan, peak, result = in_one_worker(tmp_path, limit)
    assert plan.strips > 1
    assert peak <= plan.peak <= limit
    assert 0 < result.relative_error < 0.5


def x_with_holes(folder: Path, missing: str) -> dict[str, Any]:
    """X of which a third is missing, in a folder, and how that is said."""
    rows, columns, height = 40_000, 1024, 1000
    if missing == "zeros":
        sparse_x(folder / "x.zarr", rows, 3000, 100)
        return {"missing": missing}
    storage: dict[str, Any] = {"chunks": (height, columns), "compressors": None}
    datasets.low_rank(folder / "x.zarr", (rows, columns), 8, **storage)
    x: Any = zarr.open_array(str(folder / "x.zarr"), mode="r+")
    there = np.random.default_rng(0).random((height, columns)) > 0.3
    if missing == "nan":
        for start in range(0, rows, height):
            x[start : start + height] = np.where(there, x[start : start + height], np.nan)
        return {"missing": missing}
    storage["chunks"] = (height // 2, columns)
    omega = zarr.create_array(str(folder / "omega.zarr"), shape=x.shape, dtype="f4", **storage)
    for start in range(0, rows, height):
        omega[start : start + height] = 2 * there
    return {"weights": str(folder / "omega.zarr")}


@pytest.mark.long
@pytest.mark.parametrize("missing", ["nan", "zeros", "weights"])
def test_a_worker_takes_no_more_memory_than_was_planned_where_entries_are_missing(tmp_path: Path, missing: str) -> None:
    limit = 384 * MIB
    plan, peak, result = in_one_worker(tmp_path, limit, **x_with_holes(tmp_path, missing))
    assert plan.strips > 1
    assert peak <= plan.peak <= limit
    assert 0 < result.relative_error < 1


@pytest.mark.process
def test_provenance_is_cut_and_idle_memory_does_not_grow(client: Client, tmp_path: Path, sizes: Resize) -> None:
    """The scheduler remembers tasks of ten passes at most; workers hold as much around the 30th as around the 10th.

    X takes 4 MiB: strips that were kept would show in twenty passes.
    """
    sizes(strip=2**18)
    X = np.random.default_rng(0).random((2048, 512), "f4")
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(128, 512))
    tasks: dict[int, int] = {}
    memory: dict[int, int] = {}

    def look(event: Any) -> None:
        if isinstance(event, PassDone):
            tasks[event.iteration] = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
            memory[event.iteration] = max(client.run(memory_now).values())

    dnmf.factorize(
        str(tmp_path / "x.zarr"), 4, max_iter=36, tol=0, cache=False, out=tmp_path / "run.zarr", listeners=[look]
    )

    def largest(of: dict[int, int], around: int) -> int:
        return max(of[i] for i in range(around - 5, around + 6))

    # What a pass leaves behind is forgotten where the long factor is read back from the run: after ten at most.
    of_a_pass = tasks[2] - tasks[1]
    assert of_a_pass > 10
    assert max(tasks.values()) <= tasks[1] + 10 * of_a_pass
    assert largest(memory, 30) <= 1.2 * largest(memory, 10)
