"""What an extension by new rows is worth, beside all rows factorized anew; and the time of both.

    python benchmarks/new_rows.py                      the loss: four kinds of rows, three seeds, some minutes
    python benchmarks/new_rows.py --gigabytes 1        the time, with a sixteenth as many new rows

The loss: 32 000 old rows of 300 columns and 8000 new ones, of ten components of gamma numbers (shape 0.5) and noise of
a fifth of the signal, cut off at 0; in `new` and `half` the last component is in the new rows alone, and `half` has
16 000 of these; `counts` are Poisson numbers of half of the signal, factorized by Kullback–Leibler. The old rows are
factorized with nine components (ten in `same`), then extended to ten. Losses are those of all rows, with W solved for
each of them against the V in question, relative to that of all rows factorized anew. MiniBatchNMF gets the old rows
once, in batches of 1024, then the new ones.

The time: X of 1000 columns, float32, uncompressed, twenty components of which one is in the new rows alone; extended,
factorized anew and extended exactly, one after the other, three times. The page cache is warm. X does not stay in
memory, with --cache it may.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import zarr
from counters import CountingStore
from sklearn.decomposition import MiniBatchNMF
from zarr.storage import LocalStore

import dnmf
from dnmf.run.kept_sample import read_sample

OLD, NEW, COLUMNS, RANK, SEEDS, BATCH = 32_000, 8_000, 300, 10, 3, 1024
KINDS = ("new", "half", "same", "counts")
WIDE, MANY, ROUNDS = 1000, 20, 3


def problem(kind: str, seed: int) -> Any:
    """X (m, 300), of which the first 32 000 rows are old."""
    rng, rows = np.random.default_rng(seed), OLD + (2 if kind == "half" else 1) * NEW
    W = rng.gamma(0.5, size=(rows, RANK))
    W[:OLD, RANK - 1] *= kind == "same"
    clean = W @ rng.gamma(0.5, size=(RANK, COLUMNS))
    if kind == "counts":
        return rng.poisson(clean / 2).astype("f4")
    return np.maximum(clean + 0.2 * clean.std() * rng.standard_normal(clean.shape), 0).astype("f4")


def loss(X: Any, V: Any, beta: float) -> float:
    """Of all rows, each solved against V."""
    V = np.asarray(V, "f4")
    M = dnmf.transform(X, V, beta_loss=beta, tol=1e-5, max_iter=1000).astype("f8") @ V.astype("f8")
    if beta == 2:
        return float(((X - M) ** 2).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(2 * (np.where(X > 0, X * np.log(X / M), 0) - X + M).sum())


def stored(path: Path, X: Any) -> str:
    """The path of X in Zarr."""
    zarr.create_array(str(path), shape=X.shape, chunks=(1000, X.shape[1]), dtype="f4")[...] = X
    return str(path)


def in_batches(X: Any, seed: int) -> Any:
    """The V of scikit-learn's MiniBatchNMF, which saw every row once."""
    model = MiniBatchNMF(RANK, random_state=seed, batch_size=BATCH)
    for part in (X[:OLD], X[OLD:]):
        for start in range(0, len(part), BATCH):
            model.partial_fit(part[start : start + BATCH])
    return model.components_


def qualities(kind: str, seed: int, folder: Path) -> str:
    """One line of the table."""
    X, beta = problem(kind, seed), 1.0 if kind == "counts" else 2.0
    asked: Any = {"seed": seed, "beta_loss": beta, "solver": "cd" if beta == 2 else "mu", "cache": False}
    old, new, whole = (
        stored(folder / f"{name}.zarr", part) for name, part in zip("onw", (X[:OLD], X[OLD:], X), strict=True)
    )
    run, counted = folder / "run.zarr", [CountingStore(LocalStore(path)) for path in (old, new)]
    before = dnmf.factorize(old, RANK - (kind != "same"), out=run, **asked)
    more = dnmf.extend(run, zarr.open_array(counted[1], mode="r"), rank=RANK, out=folder / "more.zarr")
    exact = dnmf.extend(run, new, rank=RANK, out=folder / "exact.zarr", exact=True)
    anew = dnmf.factorize(whole, RANK, out=folder / "anew.zarr", **asked)
    samples = [read_sample(zarr.open_group(folder / f"{name}.zarr", mode="r")).sample for name in ("more", "anew")]
    same = all(
        np.array_equal(*(getattr(sample, of) for sample in samples)) for of in ("rows", "index", "keys", "sizes")
    )
    best = loss(X, anew.V, beta)
    ratios = [loss(X, result.V, beta) / best for result in (before, more, exact)]
    others = f"{loss(X, in_batches(X, seed), beta) / best:.3f}" if beta == 2 else "–"
    reads = [sum(store.reads().values()) for store in counted]
    return (
        f"| {kind} | {seed} | {ratios[0]:.4f} | {ratios[1]:.5f} | {ratios[2]:.5f} | {others} | {reads[0]} | "
        f"{more.reads:g} | {'yes' if same else 'no'} |"
    )


def write_large(folder: Path, gigabytes: float) -> tuple[str, str, str]:
    """Old and new rows, and both, strip by strip."""
    rng, height = np.random.default_rng(0), 2000
    old = round(gigabytes * 1e9 / (4 * WIDE * height)) * height
    more = max(1, round(old / 16 / height)) * height
    V = rng.gamma(0.5, size=(MANY, WIDE)).astype("f4")
    sides = {"old": old, "new": more, "all": old + more}
    arrays = {
        name: zarr.create_array(
            str(folder / name), shape=(m, WIDE), chunks=(height, WIDE), dtype="f4", compressors=None
        )
        for name, m in sides.items()
    }
    for start in range(0, old + more, height):
        W = rng.gamma(0.5, size=(height, MANY)).astype("f4")
        W[:, MANY - 1] *= start >= old
        x = np.maximum(W @ V + 0.5 * rng.standard_normal((height, WIDE), dtype="f4"), 0)
        part, at = ("old", start) if start < old else ("new", start - old)
        arrays["all"][start : start + height] = arrays[part][at : at + height] = x
    return str(folder / "old"), str(folder / "new"), str(folder / "all")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came of it."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def times(folder: Path, gigabytes: float, *, cache: bool) -> None:
    """Print seconds of each way, and their ratios."""
    old, new, whole = write_large(folder, gigabytes)
    run = folder / "run.zarr"
    dnmf.factorize(old, MANY - 1, out=run, cache=cache)
    to: Any = {"out": folder / "out.zarr", "overwrite": True}
    ways = {
        "extend": lambda: dnmf.extend(run, new, rank="+1", **to),
        "anew": lambda: dnmf.factorize(whole, MANY, cache=cache, **to),
        "exact": lambda: dnmf.extend(run, new, rank="+1", exact=True, **to),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, work in ways.items():
            took, result = timed(work)
            seconds[name].append(took)
            print(f"{name:7s} {took:6.2f} s  {result.reads:.2f} reads of its X  error {result.relative_error:.6f}")
    for name in ("anew", "exact"):
        ratios = [a / b for a, b in zip(seconds[name], seconds["extend"], strict=True)]
        print(f"{name} ÷ extend: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, help="measure the time, for so many of old rows")
    parser.add_argument("--cache", action="store_true", help="with --gigabytes: X may stay in memory")
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.gigabytes:
            times(Path(folder), asked.gigabytes, cache=asked.cache)
            return
        print(
            "| rows | seed | old V | extend | exact | MiniBatchNMF | reads of old chunks | reads of X | same sample |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for kind in asked.kinds:
            for seed in range(asked.seeds):
                into = Path(folder, f"{kind}{seed}")
                into.mkdir()
                print(qualities(kind, seed, into), flush=True)


if __name__ == "__main__":
    main()
