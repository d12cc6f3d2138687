"""Ranks: data whose rank is known, what `dnmf.ranks` picks, and what it costs.

    python benchmarks/ranks.py                       # least squares and counts, ranks 4 and 8, three seeds
    python benchmarks/ranks.py --ranks 20            # harder
    python benchmarks/ranks.py --cost X.zarr         # 29 ranks of a stored X against one factorization of it

X is 20 000 × 200 of gamma factors: with Gaussian noise of .3 and 1 × the deviation of the signal, with every entry
times a gamma number of variance .25, as Poisson counts of mean 3; for Kullback–Leibler Poisson counts of mean .3,
negative binomial ones of mean 3 and size 2, and texts of 60 words of 1000. Ranks around the true one are offered.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

import dnmf

ROWS, COLUMNS = 20_000, 200
OFFERED = {
    4: (1, 2, 3, 4, 5, 6, 7, 8, 10, 12),
    8: (2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16),
    20: (8, 14, 17, 18, 19, 20, 21, 22, 23, 25, 28),
}
Matrix = NDArray[np.float64]


def signal(rank: int, rng: np.random.Generator, *, shape: float = 0.5, mean: float | None = None) -> Matrix:
    """X without noise, of gamma factors."""
    S = rng.gamma(shape, size=(ROWS, rank)) @ rng.gamma(shape, size=(rank, COLUMNS))
    return S if mean is None else S * (mean / S.mean())


def gaussian(rank: int, rng: np.random.Generator, *, noise: float) -> Matrix:
    """With noise of so many deviations of the signal, cut off at zero."""
    S = signal(rank, rng, shape=2.0)
    return np.maximum(S + noise * S.std() * rng.standard_normal(S.shape), 0)


def multiplicative(rank: int, rng: np.random.Generator, *, variance: float) -> Matrix:
    """Every entry times a gamma number of mean 1."""
    S = signal(rank, rng)
    return S * rng.gamma(1 / variance, variance, size=S.shape)


def poisson(rank: int, rng: np.random.Generator, *, mean: float) -> Matrix:
    """Counts."""
    return rng.poisson(signal(rank, rng, mean=mean)).astype("f8")


def negative_binomial(rank: int, rng: np.random.Generator, *, mean: float, size: float = 2.0) -> Matrix:
    """Overdispersed counts."""
    S = signal(rank, rng, mean=mean)
    return rng.poisson(S * rng.gamma(size, 1 / size, size=S.shape)).astype("f8")


def texts(rank: int, rng: np.random.Generator, *, words: int = 60, vocabulary: int = 1000) -> sparse.csr_matrix:
    """Texts of so many words, each of which is of a topic."""
    topics = rng.dirichlet(np.full(vocabulary, 0.05), size=rank)
    mixed = rng.dirichlet(np.full(rank, 0.1), size=ROWS)
    return sparse.csr_matrix(np.array([rng.multinomial(words, w @ topics) for w in mixed]).astype("f8"))


KINDS: dict[str, tuple[float, Callable[..., Any], dict[str, float]]] = {
    "Gaussian, .3": (2, gaussian, {"noise": 0.3}),
    "Gaussian, 1": (2, gaussian, {"noise": 1.0}),
    "gamma, variance .25": (2, multiplicative, {"variance": 0.25}),
    "Poisson, mean 3": (2, poisson, {"mean": 3.0}),
    "KL: Poisson, mean .3": (1, poisson, {"mean": 0.3}),
    "KL: negative binomial, mean 3": (1, negative_binomial, {"mean": 3.0}),
    "KL: texts": (1, texts, {}),
}


def known_ranks(ranks: list[int], seeds: int, kinds: list[str]) -> None:
    """The table of picks."""
    print("| data | rank | picks | CPU s for all ranks offered |\n|---|--:|---|--:|")
    for name in kinds:
        beta, make, how = KINDS[name]
        for rank in ranks:
            picks, seconds = [], []
            for seed in range(seeds):
                X = make(rank, np.random.default_rng([seed, rank]), **how)
                began = time.process_time()
                picks.append(dnmf.ranks(X, OFFERED[rank], beta_loss=beta, seed=seed).best)
                seconds.append(time.process_time() - began)
            print(f"| {name} | {rank} | {', '.join(map(str, picks))} | {median(seconds):.1f} |", flush=True)


def cost(x: str, rounds: int, rank: int) -> None:
    """Seconds of whole commands, alternating: 29 ranks, and one factorization, both with X from disk."""
    seconds: dict[str, list[float]] = {"ranks": [], "factorize": []}
    with TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, words in (("ranks", ["--ranks", "2:30"]), ("factorize", ["--rank", str(rank)])):
                out = str(Path(folder, name))
                began = time.perf_counter()
                command = [sys.executable, "-m", "dnmf", name, x, *words, "--out", out, "--overwrite", "--quiet"]
                subprocess.run(command, check=True)
                seconds[name].append(time.perf_counter() - began)
    found = {name: median(each) for name, each in seconds.items()}
    print(f"29 ranks {found['ranks']:.1f} s, one factorization {found['factorize']:.1f} s: ", end="")
    print(f"{found['ranks'] / found['factorize']:.1f} times as long (medians of {rounds}, alternating)")


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, nargs="+", default=[4, 8], choices=OFFERED)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--cost", metavar="X", help="A stored X to time instead.")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if asked.cost:
        cost(asked.cost, asked.rounds, 10)
    else:
        known_ranks(asked.ranks, asked.seeds, asked.kinds)


if __name__ == "__main__":
    main()
