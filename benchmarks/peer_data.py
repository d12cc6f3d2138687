"""The matrices of `peers.py`: how each is made, its rank, and how long its contestants may take together."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import zarr

from dnmf import datasets
from dnmf.datasets import gaussians
from dnmf.plan.parts import well_chunked

SCRIPTS = Path(__file__).parent.parent / "data"
SHARE_OF_ROWS = 0.001

Block = Callable[[int, int], np.ndarray]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One matrix.

    Attributes
    ----------
    name, title : for the command line; for the table.
    rank : k.
    minutes : that its contestants may take together.
    write : writes X to a path that does not exist.
    small : the same, for `--quick`.
    on_disk : whether X stands for one that does not fit in memory: nobody who reads it from disk may keep it.
    in_quick : whether `--quick` takes it when nothing else is said.
    """

    name: str
    title: str
    rank: int
    minutes: float
    write: Callable[[Path], object]
    small: Callable[[Path], object]
    on_disk: bool = False
    in_quick: bool = False


def low_rank(path: Path, *, rows: int, columns: int) -> None:
    """X = W V of rank 20, exponential, times 1 ± 10 % of noise."""
    datasets.low_rank(path, (rows, columns), 20, seed=0)


def rare(path: Path, *, rows: int, columns: int) -> None:
    """The same, where 5 of the 20 components are in one row out of a thousand each, and 0 in all others."""
    rng = np.random.default_rng(1)
    W, V = rng.exponential(size=(rows, 20)), rng.exponential(size=(20, columns))
    for component in range(5):
        present = rng.choice(rows, max(1, round(SHARE_OF_ROWS * rows)), replace=False)
        W[np.setdiff1d(np.arange(rows), present), component] = 0
    _write_noisy(path, W, V, seed=1)


def in_order(path: Path, *, rows: int, columns: int) -> None:
    """The same, where one component dominates every row, and rows are sorted by which."""
    rng = np.random.default_rng(2)
    W, V = 0.05 * rng.exponential(size=(rows, 20)), rng.exponential(size=(20, columns))
    W[np.arange(rows), np.arange(rows) * 20 // rows] += rng.exponential(size=rows)
    _write_noisy(path, W, V, seed=2)


def poisson(path: Path, *, rows: int = 20_000, columns: int = 500) -> None:
    """Poisson counts whose means have rank 15, with gamma-distributed factors."""
    rng = np.random.default_rng(3)
    W, V = rng.gamma(0.5, 1, size=(rows, 15)), rng.gamma(0.5, 1, size=(15, columns))
    _write(path, (rows, columns), lambda start, stop: _at(3, start).poisson(W[start:stop] @ V))


def script(name: str, *options: str) -> Callable[[Path], None]:
    """A writer that runs one of the recipes in `data/`, which fetches its source.

    The writer raises RuntimeError, with what the recipe says, where that fails.
    """

    def write(path: Path) -> None:
        command = [sys.executable, str(SCRIPTS / f"{name}.py"), "--out", str(path), *options]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError((done.stderr.strip() or "no reason given").splitlines()[-1])

    return write


def _at(seed: int, start: int) -> np.random.Generator:
    return np.random.default_rng([seed, start])


def _write_noisy(path: Path, W: np.ndarray, V: np.ndarray, *, seed: int) -> None:
    def block(start: int, stop: int) -> np.ndarray:
        return W[start:stop] @ V * _at(seed, start).uniform(0.9, 1.1, size=(stop - start, V.shape[1]))

    _write(path, (len(W), V.shape[1]), block)


def _write(path: Path, shape: tuple[int, int], block: Block) -> None:
    array = zarr.create_array(path, shape=shape, chunks=well_chunked(shape, 4), dtype="f4")
    for start in range(0, shape[0], array.chunks[0]):
        stop = min(start + array.chunks[0], shape[0])
        array[start:stop] = block(start, stop).astype("f4")


SIZES = {"rows": 131_072, "columns": 256}
SMALL = {"rows": 8192, "columns": 64}
LARGE = {"rows": 131_072, "columns": 4096}

RECIPES = (
    Recipe("digits", "digits", 16, 1.5, script("digits"), script("digits"), in_quick=True),
    Recipe("faces", "faces", 25, 1.5, script("faces"), script("faces")),
    Recipe("documents", "documents", 20, 1.5, script("documents"), script("documents")),
    Recipe("gaussians", "Gaussians", 4, 1.5, gaussians, partial(gaussians, features=128, samples=1024), in_quick=True),
    Recipe("poisson", "Poisson counts", 15, 2, poisson, partial(poisson, rows=1000, columns=100)),
    Recipe("speech", "speech", 24, 2.5, script("speech"), script("speech", "--hop", "512")),
    Recipe("rare", "rare components", 20, 3.5, partial(rare, **SIZES), partial(rare, **SMALL)),
    Recipe("sorted", "sorted rows", 20, 3.5, partial(in_order, **SIZES), partial(in_order, **SMALL)),
    Recipe(
        "low-rank",
        "low rank + noise",
        20,
        28,
        partial(low_rank, **LARGE),
        partial(low_rank, **SMALL),
        on_disk=True,
        in_quick=True,
    ),
)
