"""NumPy arrays in memory: dnmf against the same arithmetic in a plain loop, for sizes from 0.1 to 100 MB.

    python benchmarks/small.py

Both make the same passes from the same random first factors: X Vᵀ, ten sweeps, Wᵀ X, ten sweeps; the loop does nothing
else, with one BLAS thread in one process. dnmf also checks X, sums in float64, knows its loss after every pass, stores
the run in memory, and uses all cores where X is more than one strip. They alternate; medians over all rounds.
"""

import argparse
import os
import time
from statistics import median

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

import dnmf
from dnmf.arrays.draws import random_rows
from dnmf.rules import RULES
from dnmf.rules.from_scratch import scale_rows

SWEEPS = 10


Array = NDArray[np.floating]


def loop(X: Array, rank: int, passes: int) -> tuple[Array, Array]:
    """The plain loop's factors, W component-major."""
    rule = RULES["cd"]
    W = random_rows(0, 0, 0, X.shape[0], rank, X.dtype)
    V = random_rows(0, 1, 0, X.shape[1], rank, X.dtype)
    for i in range(passes):
        if i:
            V = rule(V, W @ X, W @ W.T, SWEEPS)
        N, G = V @ X.T, V @ V.T
        W = rule(W if i else scale_rows(W, N, G), N, G, SWEEPS)
    return W, V


def timed(X: Array, rank: int, passes: int) -> tuple[float, float]:
    """Seconds of dnmf and of the loop."""
    began = time.perf_counter()
    W, V = loop(X, rank, passes)
    between = time.perf_counter()
    result = dnmf.factorize(X, rank, init="random", max_iter=passes, tol=0)
    ended = time.perf_counter()
    error = float(np.linalg.norm(X - W.T @ V) / np.linalg.norm(X))
    if abs(result.relative_error - error) > 1e-3 * error:
        raise ArithmeticError(f"dnmf ended at {result.relative_error}, the loop at {error}: not the same arithmetic")
    return ended - between, between - began


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rank", type=int, default=10)
    parser.add_argument("--passes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[0.1, 1, 5, 10, 20, 50, 100])
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    print("| MB | shape | dnmf s | loop s | dnmf / loop |\n|---|---|---|---|---|")
    for size in asked.megabytes:
        columns = 500 if size > 1 else 100
        rows = int(size * 1e6 / 4 / columns)
        W, V = rng.random((rows, asked.rank), "f4"), rng.random((asked.rank, columns), "f4")
        X = (W @ V) * (1 + 0.1 * (2 * rng.random((rows, columns), "f4") - 1))
        timed(X, asked.rank, 2)
        rounds = [timed(X, asked.rank, asked.passes) for _ in range(asked.rounds)]
        ours, theirs = (median(each) for each in zip(*rounds, strict=True))
        ratio = median(a / b for a, b in rounds)
        print(f"| {size:g} | {rows} × {columns} | {ours:.3f} | {theirs:.3f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
