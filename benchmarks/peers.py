"""dnmf against what else there is: reads of X, seconds, losses and memory, in one run, as one table and one plot.

    python benchmarks/peers.py                         all of it: under an hour, 3 GB of disk, 8 GB of memory
    python benchmarks/peers.py --quick                 tiny matrices, a minute or two: whether it works
    python benchmarks/peers.py --only low-rank rare    some matrices
    python benchmarks/peers.py --from results.json     tables and plot again, of an earlier run

It leaves results.json, peers.md and peers.png in the folder `--out`, and saves them whenever a matrix is done. It needs
Linux, and scikit-learn and matplotlib (the extra `test`); nmf-torch takes part where it is installed.

The contestants, each in a process of its own:

- dnmf: `dnmf.factorize` with its defaults, by path. Seconds are those from the call to its return, all reading and
  writing included; worker processes run already. X of less than 64 MB is computed with on threads in one process.
- scikit-learn NMF, X already in memory: cd from nndsvda and from random numbers, mu from nndsvda, tol=0, a few
  iterations at a time, each going on from the factors of the last; what the further calls cost beside their iterations
  is measured and taken off. Also NMF as it comes.
- scikit-learn MiniBatchNMF as it comes, partial_fit with batches of 1024 rows of the same Zarr array (columns where X
  is wide), in order. Its loss is that of the best W for its components. It stalls when an epoch decreases the loss by
  less than 0.1 % of itself, and is not followed further.
- Dask: the multiplicative rules as a user writes them, with persist, from random numbers.
- nmf-torch's HALS ("halsvar", X in memory). Every point of its trace is a run of its own.

What is the same for all: both cores, as one BLAS thread in each of several processes, or as many BLAS threads as cores
in one (but one where a trial says that it is faster, as for small X); the seed; the operating system's page cache,
warm. Exact losses are computed between rounds, off the clock. A read of X is a pass over it, on disk or in memory: 2
per iteration for the peers (those of nndsvda's singular vectors are not counted), 1 for dnmf, and 1 for its sample.
The matrix of 2 GB stands for one that does not fit in memory: dnmf and Dask may not keep it. Smaller ones they may, and
do.

dnmf's loss is reached at 1.001 times its error, or at 0.1 % of ‖X‖. A peer is stopped at 50 times dnmf's seconds, but
cd not before its 200 iterations, and on the 2 GB cd from random numbers right after them. The number shown is the
median of three runs (of the one seed); what takes longer than 30 s, or is stopped, runs once. Every matrix has its
share of the hour, and what those before it left of theirs: what is still to run when that is over is stopped, or left
out, and the table says so.
"""

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import peer_report
import zarr
from peer_data import RECIPES, Recipe
from peer_trace import Task, squared_norm

COMPARED = ("dnmf", "numpy", "scikit-learn", "dask", "zarr", "nmf-torch", "torch")


CORES = os.cpu_count() or 1
HERE = Path(__file__).parent

TORCH = "nmf-torch HALS"

# The script of every contestant and its BLAS threads, in the order in which they run: what matters most comes first.
CONTESTANTS = {
    "dnmf": ("peer_cluster.py", 1),
    "scikit-learn cd, nndsvda": ("peer_sklearn.py", CORES),
    "scikit-learn cd, random": ("peer_sklearn.py", CORES),
    "scikit-learn, defaults": ("peer_sklearn.py", CORES),
    "MiniBatchNMF": ("peer_sklearn.py", CORES),
    "Dask mu, by hand": ("peer_cluster.py", 1),
    "scikit-learn mu": ("peer_sklearn.py", CORES),
    TORCH: ("peer_torch.py", CORES),
}

CLUSTER_BYTES = 64e6

# A contestant that has not answered for this long, seconds, is ended.
HANGS = 1500.0


def run_contestant(task: Task) -> dict[str, Any]:
    """A contestant's result, or why there is none."""
    script, threads = CONTESTANTS[task.contestant]
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    result = Path(f"{task.path}.json")
    command = [sys.executable, str(HERE / script), json.dumps(asdict(task)), str(result)]
    try:
        done = subprocess.run(
            command, env=environment, timeout=HANGS, capture_output=True, text=True, errors="replace", check=False
        )
    except subprocess.TimeoutExpired:
        return {"skipped": f"no answer for {HANGS:.0f} s"}
    if done.returncode or not result.exists():
        why = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        return {"skipped": why.replace("|", "/")}
    answer = json.loads(result.read_text())
    result.unlink()
    return answer


def compete(recipe: Recipe, path: Path, settings: dict[str, Any], until: float) -> dict[str, Any]:
    """All contestants on one matrix, until a time of `time.perf_counter`.

    Raises
    ------
    RuntimeError
        If dnmf fails.
    """
    X = zarr.open_array(path, mode="r")
    matrix = {
        **settings,
        "title": recipe.title,
        "rank": recipe.rank,
        "shape": X.shape,
        "itemsize": X.dtype.itemsize,
        "norm": squared_norm(X),
        "contestants": {},
    }
    names = [name for name in CONTESTANTS if name != TORCH or version("nmf-torch")]
    for number, name in enumerate(names):
        left = until - time.perf_counter()
        # What is left is shared by those that are still to come.
        task = _task(name, path, matrix, left / (len(names) - number))
        needed = name == "dnmf" or name in peer_report.REFERENCES
        record = run_contestant(task) if needed or left > 10 else {"skipped": "out of time"}
        matrix["contestants"][name] = record
        if name == "dnmf" and "skipped" in record:
            raise RuntimeError(f"dnmf failed on {recipe.name}: {record['skipped']}")
    return matrix


def _task(name: str, path: Path, matrix: dict[str, Any], wall: float) -> Task:
    """What a contestant is to do, given what dnmf did."""
    ours, reference = matrix["contestants"].get("dnmf"), name in peer_report.REFERENCES
    once = name == peer_report.DEFAULTS or (name == "scikit-learn cd, random" and matrix["on_disk"])
    error = peer_report.error_of(ours["loss"], matrix["norm"]) if ours else 0.0
    nbytes = matrix["shape"][0] * matrix["shape"][1] * matrix["itemsize"]
    return Task(
        contestant=name,
        path=str(path),
        rank=matrix["rank"],
        seed=matrix["seed"],
        norm=matrix["norm"],
        goal=peer_report.goal(error) ** 2 * matrix["norm"],
        iterations=matrix["iterations"] if reference else 1,
        limit=0.0 if once or not ours else matrix["cap"] * ours["total"],
        wall=wall,
        repeats=matrix["repeats"],
        on_disk=matrix["on_disk"],
        cluster=matrix["on_disk"] or nbytes >= CLUSTER_BYTES,
    )


@contextmanager
def written(recipe: Recipe, folder: Path, *, quick: bool) -> Iterator[Path]:
    """X, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{recipe.name}-") as place:
        path = Path(place, "X.zarr")
        (recipe.small if quick else recipe.write)(path)
        yield path


def run(asked: argparse.Namespace) -> None:
    """Run what was asked for, and print and save as it goes."""
    began = time.perf_counter()
    settings = {
        "iterations": 30 if asked.quick else 200,
        "cap": 3 if asked.quick else 50,
        "repeats": 1 if asked.quick else 3,
        "seed": asked.seed,
    }
    if not version("nmf-torch"):
        print("nmf-torch is not installed: it is left out\n")
    results: dict[str, Any] = {
        "versions": {name: version(name) for name in COMPARED},
        "cores": CORES,
        "matrices": {},
        "skipped": {},
    }
    names = asked.only or [recipe.name for recipe in RECIPES if recipe.in_quick or not asked.quick]
    print(peer_report.table([peer_report.HEADER]), flush=True)
    chosen = [recipe for recipe in RECIPES if recipe.name in names]
    for number, recipe in enumerate(chosen):
        # What was not used before may be used here; what comes after keeps its share.
        later = sum(other.minutes for other in chosen[number + 1 :])
        until = began + 60 * (sum(recipe.minutes for recipe in RECIPES) - later)
        try:
            with written(recipe, asked.out, quick=asked.quick) as path:
                here = {**settings, "on_disk": recipe.on_disk}
                matrix = compete(recipe, path, here, until)
        except RuntimeError as reason:
            results["skipped"][recipe.name] = str(reason)
            print(f"| {recipe.title} | not run: {reason} |" + " |" * 6, flush=True)
            continue
        results["matrices"][recipe.name] = matrix
        rows = peer_report.table([peer_report.HEADER, *peer_report.rows_of(matrix)])
        print("\n".join(rows.splitlines()[2:]), flush=True)
        save(results, asked.out)
    print(f"\n{time.perf_counter() - began:.0f} s in all\n")
    if results["matrices"]:
        print(peer_report.report(results).split("\n\n", 1)[1])


def save(results: dict[str, Any], out: Path) -> None:
    """Write the results, their tables and their plot."""
    Path(out, "results.json").write_text(json.dumps(results, indent=1))
    Path(out, "peers.md").write_text(peer_report.report(results))
    peer_report.draw(results, out / "peers.png")


def version(package: str) -> str | None:
    """Of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/peers"), help="folder of the results")
    parser.add_argument("--only", nargs="+", choices=[recipe.name for recipe in RECIPES], help="some matrices")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="tiny matrices, to see whether it works")
    parser.add_argument("--from", dest="earlier", type=Path, help="results.json of an earlier run: compute nothing")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.earlier is None:
        run(asked)
    else:
        results = json.loads(asked.earlier.read_text())
        save(results, asked.out)
        print(peer_report.report(results))


if __name__ == "__main__":
    main()
