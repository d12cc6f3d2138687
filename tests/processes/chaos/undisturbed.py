"""The matrix of all trials, what is asked of it, and the answer of a run that nothing disturbs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

ROWS, COLUMNS, STRIP, RANK, PASSES, SEED = 16_384, 256, 2048, 5, 20, 0
INITS = ("sample", "random")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a finished run holds, and the paths of its files below the run."""

    W: NDArray[np.floating]
    V: NDArray[np.floating]
    loss: NDArray[np.floating]
    files: frozenset[str]

    def differences(self, other: "Answer") -> list[str]:
        """In what another answer is not the same, bit for bit."""
        arrays = [
            name for name in ("W", "V", "loss") if getattr(self, name).tobytes() != getattr(other, name).tobytes()
        ]
        extra, missing = sorted(other.files - self.files), sorted(self.files - other.files)
        return [
            *(f"{name} differs" for name in arrays),
            *(f"left in the run: {file}" for file in extra),
            *(f"missing in the run: {file}" for file in missing),
        ]


def make_matrix(folder: Path) -> Path:
    """Write X: low rank plus noise, float32, one chunk per strip."""
    rng = np.random.default_rng(SEED)
    X = rng.random((ROWS, RANK)) @ rng.random((RANK, COLUMNS)) + 0.1 * rng.random((ROWS, COLUMNS))
    zarr.create_array(str(folder / "X.zarr"), data=X.astype("f4"), chunks=(STRIP, COLUMNS))
    return folder / "X.zarr"


def asked(init: str, every: int | None) -> list[str]:
    """The options of a factorization, beside X, the run and where to compute."""
    words = ["--rank", RANK, "--tol", 0, "--max-iter", PASSES, "--no-cache", "--init", init, "--seed", SEED]
    return [str(word) for word in (*words, *([] if every is None else ["--checkpoint-every", every]))]


def record_of(run: Path) -> dict[str, Any] | None:
    """The record of a run as it is on disk, None where none can be read."""
    try:
        return dict(json.loads((run / "zarr.json").read_text())["attributes"]["dnmf"])
    except (FileNotFoundError, NotADirectoryError, KeyError, ValueError):
        return None


def read_answer(run: Path) -> Answer:
    """The answer of a finished run."""
    record, group = record_of(run), zarr.open_group(str(run), mode="r")
    assert record is not None
    assert (record["status"], record["iteration"]) == ("finished", PASSES), f"{record['status']}: {record['stopped']}"
    assert record["state"]["height"] == STRIP, f"strips are {record['state']['height']} rows high"
    W, V, loss = (np.asarray(group[name][...]) for name in ("W", "V", "loss"))
    return Answer(W, V, loss, frozenset(files_below(run)))


def files_below(folder: Path) -> Sequence[str]:
    """Paths of all files below a folder, relative to it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
