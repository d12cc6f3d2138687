"""A small run that was just created, and the record of one that has made two passes."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from dnmf.parameters import Parameters
from dnmf.run import record as records
from dnmf.run.opening import create_run
from dnmf.run.record import Record, Start, State, StoredX

PARAMETERS = Parameters(
    rank=3, solver="cd", beta_loss=2.0, init="sample", max_iter=9, tol=0.0, seed=0, inner_iter=None, alpha_W=0.0,
    alpha_H=0.0, l1_ratio=0.0, shuffle=False, snapshot_every=None, cache=True, memory_limit=None, keep_W=True,
    checkpoint_every=None,
)  # fmt: skip


@pytest.fixture
def record() -> Record:
    """X (10, 5) in strips of four rows, rank 3, float32; two passes, whose generation is at the top."""
    return Record(
        format=records.FORMAT, status="running", stopped=None, at="", iteration=2, relative_error=0.25,
        x=StoredX(path="x.zarr", shape=(10, 5), dtype="float32", nbytes=200, chunks=(4, 5), fingerprint="f", norm=8.0),
        parameters=PARAMETERS, start=Start(0.5, 200, 10, 0.3),
        state=State(axis=0, height=4, dtype="float32", length=10, width=5, peak=9, in_run=False, cached=True, sample=0,
                    largest=80, every=1, split_every=8, next="next"),
        versions={"dnmf": "0.1.0"},
    )  # fmt: skip


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run.zarr"


@pytest.fixture
def group(out: Path) -> zarr.Group:
    """A run that was just created."""
    return create_run(out, overwrite=False)


def values(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype("f4")
