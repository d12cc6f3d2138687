"""dnmf against scikit-learn's NMF on sparse X: seconds, losses, reads of X and memory, in one run, as two tables.

    python benchmarks/sparse_peers.py --data FOLDER                   all of it: 5e7 non-zeros, hours, 4 GB of memory
    python benchmarks/sparse_peers.py --data FOLDER --rows 20000 --columns 5000 --non-zeros 1000000    some minutes
    python benchmarks/sparse_peers.py --data FOLDER --only stories counts
    python benchmarks/sparse_peers.py --data FOLDER --memory          1e8 non-zeros in two workers of 1 GiB

X is written to the folder, strip by strip, unless it is there from an earlier run.

- stories: how often each of 4258 words occurs in each of 395 news stories (data/documents.py), k = 20.
- topics: counts of 50 000 words in 500 000 texts, drawn from 20 topics (sparse_data.py), k = 20. Other sizes by
  `--rows`, `--columns` and `--non-zeros`.
- counts: dense Poisson counts, 20 000 × 500, of rank 15, k = 15: in the table of reads only.

What is measured, each on a machine that does nothing else, in float32, with one BLAS thread in every process:

- dnmf runs with its defaults, from the Zarr store, in two worker processes of one thread (`--workers`); "in memory": X
  is a csr_matrix of this process and computed with here. Seconds are those from the call to its return: sample, start,
  reading and writing are included; starting the cluster is not, and is told beside the table. Seconds of a pass are the
  median of those after the first one.
- scikit-learn's NMF has X in memory as csr_matrix, and reading it is not counted. Seconds of an iteration are measured
  inside fits: (t(6 iterations) − t(2)) / 4, or of more iterations where they take no time. Its time to a loss is what a
  fit does beside iterations (first factors), and as many times the seconds of an iteration as it needs: it is followed,
  in steps of a quarter of what is done, each going on from the factors of the last, until it has dnmf's loss or
  `--most` times dnmf's seconds have gone by.
- What takes less than 30 s is run three times, and the median counts.
- Losses are computed anew, in float64, off the clock. "to the same loss" is to dnmf's final loss itself; "to 1.001 ×"
  to a relative error, √(loss / ‖X‖²) or √(loss / ΣX), that is 0.1 % larger.
- Reads of X: passes over it, whether it is on disk or kept in memory by then: 1 for the sample and 1 per pass.
  "from disk" are those that did read.
- Memory is that of the worker with the highest peak, above that of one that has done nothing (Linux only).
"""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sparse_data
from distributed import Client
from sklearn.exceptions import ConvergenceWarning
from sparse_contest import Case, Ours, Theirs, error_of, size_of, with_dnmf, with_sklearn

from dnmf.clusters.local import local_cluster

MIB = 2**20

CASES = {"cd": ("cd", "frobenius"), "mu": ("mu", "frobenius"), "kl": ("mu", "kullback-leibler")}
INITS = ("nndsvda", "random")

# Iterations of scikit-learn that small X is followed for at least.
ITERATIONS = 200

HEADER = (
    "X", "loss, rule", "against init", "pass ÷ iteration", "total ÷ time to the same loss", "to 1.001 × error",
    "dnmf: pass, start, total, s", "scikit-learn: iteration, s; iterations", "error", "scikit-learn's",
    "loss told ÷ exact − 1", "reads (from disk)", "peak MiB (projected)",
)  # fmt: skip


@contextmanager
def timed_cluster(workers: int, memory: str | None = None) -> Iterator[tuple[Client, float]]:
    """A local cluster, and the seconds that it took to start."""
    began = time.perf_counter()
    with local_cluster(workers=workers, memory=memory) as client:
        yield client, time.perf_counter() - began


def matrices(asked: argparse.Namespace) -> dict[str, tuple[Path, int, int]]:
    """Name, path, rank and least iterations of every X that was asked for."""
    topics = sparse_data.Topics(asked.rows, asked.columns, asked.non_zeros)
    makers: dict[str, tuple[Any, int, int]] = {
        "stories": (sparse_data.stories, 20, ITERATIONS),
        "counts": (sparse_data.counts, 15, ITERATIONS),
        "topics": (topics.written, 20, 0),
    }
    return {name: (makers[name][0](asked.data), *makers[name][1:]) for name in asked.only}


def compare(name: str, path: Path, rank: int, least: int, asked: argparse.Namespace) -> Iterator[list[str]]:
    """Rows of the table for one X; tells of reads and clusters on the way."""
    X = sparse_data.in_memory(path)
    for case in cases(asked, rank):
        size, label = size_of(X, case.beta_loss), f"{name}, {case.beta_loss} {case.solver}"
        with TemporaryDirectory(dir=asked.data) as scratch, timed_cluster(asked.workers) as (client, began):
            ours = with_dnmf(str(path), X, case, Path(scratch, "run"), client)
        say(f"{label}: the cluster took {began:.1f} s to start (not counted), dnmf {ours.seconds:.2f} s")
        here = with_dnmf(X, X, case, None, None) if least and hasattr(X, "nnz") else None
        found = {}
        for init in asked.inits:
            limit = asked.most * ours.seconds
            found[init] = with_sklearn(X, case, init, ours.exact, least=least, limit=limit)
            say(f"{label}: scikit-learn from {init}: {found[init].trace[-1][0]:.0f} iterations")
            for title, mine in ((name, ours), (f"{name}, in memory", here)):
                if mine is not None:
                    yield row(title, case, init, mine, found[init], size, asked.most)
        if least:
            say(reads_until(name, case, ours, found, size))


def row(title: str, case: Case, init: str, ours: Ours, theirs: Theirs, size: float, most: float) -> list[str]:
    """A row of the table."""
    done, last = theirs.trace[-1]
    near = (1.001 * error_of(ours.exact, size)) ** 2 * size
    plan = ours.planned
    return [
        title,
        f"{case.beta_loss} {case.solver}",
        init,
        f"{ours.pass_seconds / theirs.iteration:.2f}",
        times(theirs, ours.exact, ours.seconds, most),
        times(theirs, near, ours.seconds, most),
        f"{ours.pass_seconds:.3g}, {ours.start_seconds:.3g}, {ours.seconds:.3g}",
        f"{theirs.iteration:.3g}; {done:.0f}",
        f"{error_of(ours.exact, size):.5f}",
        f"{error_of(last, size):.5f}",
        f"{ours.trace[-1][1] / ours.exact - 1:.0e}",
        f"{ours.trace[-1][0]:.0f} ({ours.read:.1f})",
        f"{ours.peak / MIB:.0f} ({plan.peak / MIB:.0f})" if ours.peak else "–",
    ]


def times(theirs: Theirs, goal: float, seconds: float, most: float) -> str:
    """dnmf's seconds over scikit-learn's to a loss, as text."""
    until = theirs.until(goal)
    if until is not None:
        return f"1/{until / seconds:.3g}"
    # It was followed further than asked for where X is small.
    return f"< 1/{max(most, theirs.seconds / seconds):.3g}" if theirs.seconds >= most * seconds else "not followed"


def reads_until(name: str, case: Case, ours: Ours, found: dict[str, Theirs], size: float) -> str:
    """dnmf's reads of X until its error is within 0.1 % of scikit-learn's best after so many iterations."""
    best = min(error_of(loss, size) for theirs in found.values() for done, loss in theirs.trace if done == ITERATIONS)
    within = [reads for reads, loss in ours.trace if error_of(loss, size) <= 1.001 * best]
    last = error_of(ours.exact, size) / best
    told = f"{within[0]:.0f} reads" if within else f"not in {ours.trace[-1][0]:.0f} reads"
    return (
        f"{name}, {case.beta_loss} {case.solver}, k = {case.rank}: {told} until within 0.1 % of scikit-learn's error "
        f"after {ITERATIONS} iterations ({best:.5f}); in the end {last:.5f} times that"
    )


def small_memory(asked: argparse.Namespace) -> None:
    """Factorize X in workers of 1 GiB, and print what they held."""
    path = sparse_data.Topics(asked.rows, asked.columns, asked.non_zeros).written(asked.data)
    for case in cases(asked, 20):
        with TemporaryDirectory(dir=asked.data) as scratch, timed_cluster(asked.workers, "1GiB") as (client, _):
            done = with_dnmf(str(path), None, case, Path(scratch, "run"), client, max_iter=3)
        plan = done.planned
        print(
            f"{path.name}, {case.beta_loss} {case.solver}: finished {len(done.trace)} passes, {plan.strips} strips, "
            f"{done.seconds:.0f} s; the largest worker held {done.peak / MIB:.0f} MiB more than when idle, "
            f"{done.peak_in_all / MIB:.0f} MiB in all; projected {plan.peak / MIB:.0f} of {plan.limit / MIB:.0f} MiB",
            flush=True,
        )


def cases(asked: argparse.Namespace, rank: int) -> list[Case]:
    """Those that were asked for."""
    return [Case(*CASES[name], rank, asked.seed) for name in asked.losses]


def say(line: str) -> None:
    """Print a line that is not part of a table."""
    print(line, file=sys.stderr, flush=True)


def show(cells: Sequence[str]) -> None:
    """Print a row of a Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder where X is kept")
    parser.add_argument("--only", nargs="+", choices=["stories", "counts", "topics"])
    parser.add_argument("--losses", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--inits", nargs="+", choices=INITS, default=list(INITS), help="of scikit-learn")
    parser.add_argument("--rows", type=int, help="of topics: 500 000, or 1 000 000 with --memory")
    parser.add_argument("--columns", type=int, help="of topics: 50 000, or 100 000")
    parser.add_argument("--non-zeros", type=int, help="of topics: 5e7, or 1e8")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--most", type=float, default=20, help="times dnmf's seconds that scikit-learn is followed for")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory", action="store_true", help="X in two workers of 1 GiB, three passes, dnmf alone")
    asked = parser.parse_args()
    # scikit-learn is asked for so many iterations, and says that it made as many.
    warnings.simplefilter("ignore", ConvergenceWarning)
    twice = 2 if asked.memory else 1
    asked.rows, asked.columns = asked.rows or twice * 500_000, asked.columns or twice * 50_000
    asked.non_zeros = asked.non_zeros or twice * 50_000_000
    asked.only = asked.only or ["stories", "counts", "topics"]
    asked.data.mkdir(parents=True, exist_ok=True)
    if asked.memory:
        small_memory(asked)
        return
    for cells in (HEADER, ["---"] * len(HEADER)):
        show(cells)
    for name, found in matrices(asked).items():
        for cells in compare(name, *found, asked):
            show(cells)


if __name__ == "__main__":
    main()
