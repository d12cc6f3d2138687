"""Missing entries: how many passes, how near the best, and how right where nothing was seen.

    python benchmarks/masked.py --out FILE                   # all: known truth, an image, ratings
    python benchmarks/masked.py --out FILE --kinds "30 %" --methods dnmf reference --seeds 1
    python benchmarks/masked.py --out FILE --telf FOLDER     # with T-ELF: a checkout's TELF/factorization
    python benchmarks/masked.py --speech FOLDER              # memory: 3.1 GB in two workers of 640 MiB

X is of gamma factors and a tenth of noise: 30 000 × 300 of rank 10, of which 5, 30 or 90 % are missing at random, or
a run of 30 % of the columns in every row; and 16 000 × 3000 of rank 5, of which 1 % are stored. The image is Indian
Pines, of which 13 % are withheld, with 10 components; ratings are MovieLens 100k, of which a fifth is withheld, with 20
components and a penalty of .12 per rating. All methods get the same X, float64, and the same seeds; errors are computed
in float64. A line of JSON for each goes to FILE, where other methods may be added later; the table is of all that is
there: medians over seeds, of passes and reads the most. The loss is relative to the least that any method found for
that seed, the error where nothing was seen also to that of the reference, the best masked solver in memory
(`masked_reference.py`). Where a method never comes within .1 %, seconds are all of its: at most two minutes, after
which it is stopped.
"""

import argparse
import json
import os
import time
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import masked_speech
import numpy as np
from masked_data import PROBLEMS, Matrix, Problem
from masked_peers import Trace, peers
from masked_reference import best, counted
from scipy import sparse

import dnmf

PASSES, RATED_PASSES = 6, 12

# Seconds, after which a method makes no further iteration.
LIMIT = 120.0

Record = dict[str, Any]


def by_dnmf(problem: Problem, seed: int) -> Trace:
    """Runs of dnmf of one pass, of two, and so on, each from the start."""
    thin = sparse.issparse(problem.X)
    X = problem.X if thin else np.where(problem.M > 0, problem.X, np.nan)
    asked: dict[str, Any] = {
        "missing": "zeros" if thin else "nan",
        "alpha_W": problem.alpha,
        "alpha_scale": "observed",
        "tol": 0,
        "seed": seed,
    }
    for passes in range(1, (RATED_PASSES if problem.test is not None else PASSES) + 1):
        result = dnmf.factorize(X, problem.rank, max_iter=passes, **asked)
        yield round(result.reads), np.asarray(result.W, "f8"), np.asarray(result.V, "f8")


def penalized(problem: Problem, W: Matrix, V: Matrix) -> float:
    """What is minimized, with components scaled so that it is least: not all methods care for their scale."""
    rows, columns = (side @ squares for side, squares in ((counted(problem.M), W**2), (counted(problem.M.T), (V**2).T)))
    return problem.loss(W, V) + problem.alpha * float(2 * np.sqrt(rows * columns).sum())


def followed(trace: Trace, problem: Problem, *, anew: bool = False) -> tuple[Record, Matrix]:
    """Losses and seconds after each iteration of a method, its errors at the end, and its last V (k, n).

    `anew` says that each begins from the start.
    """
    record: Record = {name: [] for name in ("reads", "seconds", "loss", "rmse", "clipped")}
    spent, began = 0.0, time.perf_counter()
    for reads, W, V in trace:
        spent = (0.0 if anew else spent) + time.perf_counter() - began
        record["reads"].append(reads)
        record["seconds"].append(round(spent, 3))
        record["loss"].append(penalized(problem, W, V))
        if problem.test is not None:
            record["rmse"].append(problem.rmse(W, V))
            record["clipped"].append(problem.rmse(W, V, clip=True))
        if spent > LIMIT:
            break
        began = time.perf_counter()
    return record | ({} if problem.truth is None else {"unseen": problem.unseen(W, V)}), V


def reference(problem: Problem, seed: int, others: tuple[Matrix, ...]) -> Trace:
    """The end of masked alternation, from its starts and from others' V (n, k)."""
    yield (0, *best(problem, seed, others))


def measured(kind: str, seed: int, methods: list[str] | None, telf: str | None) -> list[Record]:
    """One record for each method asked for. The reference starts from dnmf's factors too, where that is asked for."""
    problem, records = PROBLEMS[kind](seed), []
    ways = {"dnmf": by_dnmf, **peers(telf, rated=problem.test is not None)}
    others: tuple[Matrix, ...] = ()
    for name, way in ways.items():
        if methods and not any(name.startswith(method) for method in methods):
            continue
        record, V = followed(way(problem, seed), problem, anew=name == "dnmf")
        records.append({"kind": kind, "seed": seed, "method": name, **record})
        if name == "dnmf":
            others = (V.T,)
    if not methods or "reference" in methods:
        trace = reference(problem, seed, others)
        records.append({"kind": kind, "seed": seed, "method": "reference", **followed(trace, problem)[0]})
    return records


def reached(record: Record, least: float) -> int | None:
    """The first iteration whose loss is within .1 % of the least."""
    return next((i for i, loss in enumerate(record["loss"]) if loss <= 1.001 * least), None)


def compared(record: Record, records: list[Record]) -> Record:
    """One method beside all others on the same X."""
    rivals = [r for r in records if (r["kind"], r["seed"]) == (record["kind"], record["seed"])]
    at = reached(record, least := min(min(r["loss"]) for r in rivals))
    errors = {r["method"]: r["unseen"] for r in rivals if "unseen" in r}
    never = at is None or record["method"] == "reference"
    return {
        "loss": record["loss"][-1] / least,
        "unseen": errors.get(record["method"], np.nan),
        "beside": errors.get(record["method"], np.nan) / errors.get("reference", np.nan),
        "passes": np.inf if never else at + 1,
        "reads": np.inf if never else record["reads"][at],
        "all": record["reads"][-1],
        "seconds": record["seconds"][-1 if at is None else at],
    }


def shown(number: float) -> str:
    """Four digits behind the point, unless it is large; a method may diverge."""
    return f"{number:.4f}" if number < 1e3 else f"{number:.0e}"


def table(records: list[Record]) -> None:
    """All methods on all kinds of X: medians over seeds, of passes and reads the most."""
    print("| data | method | loss ÷ best | error unseen | ÷ reference | passes to .1 % | reads | reads in all | s |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for kind in PROBLEMS:
        for method in dict.fromkeys(record["method"] for record in records if record["kind"] == kind):
            mine = [r for r in records if (r["kind"], r["method"]) == (kind, method)]
            found = [compared(record, records) for record in mine]
            most = (max(f[name] for f in found) for name in ("passes", "reads"))
            often = " | ".join("–" if np.isinf(number) else f"{number}" for number in most)
            loss, unseen, beside, reads, seconds = (
                median(f[name] for f in found) for name in ("loss", "unseen", "beside", "all", "seconds")
            )
            errors = "– | –" if np.isnan(unseen) else f"{shown(unseen)} | {beside:.3f}"
            print(f"| {kind} | {method} | {shown(loss)} | {errors} | {often} | {reads:g} | {seconds:.1f} |")


def rated(records: list[Record]) -> None:
    """Errors of what was withheld of the ratings, pass by pass, as they are and with predictions cut off at 1 and 5."""
    passes = range(RATED_PASSES)
    print(f"\n| RMSE at pass | {' | '.join(str(p + 1) for p in passes)} | end | end, 1 to 5 |")
    print("|---|" + "--:|" * (RATED_PASSES + 2))
    for method in dict.fromkeys(record["method"] for record in records if record["rmse"]):
        mine = [record for record in records if record["rmse"] and record["method"] == method]
        at = [[r["rmse"][p] for r in mine if len(r["rmse"]) > max(p, 1)] for p in passes]
        ends = [[r[name][-1] for r in mine] for name in ("rmse", "clipped")]
        print(f"| {method} | {' | '.join(shown(median(each)) if each else '' for each in at + ends)} |")


def main() -> None:
    """Measure what is asked for, and print the table of all that was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="lines of JSON are added to this file")
    parser.add_argument("--kinds", nargs="*", default=list(PROBLEMS), choices=PROBLEMS, help="none: the table alone")
    parser.add_argument("--methods", nargs="+", help="dnmf, reference, scikit-learn, RcppML, T-ELF (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--telf", help="the folder TELF/factorization of a checkout of T-ELF")
    parser.add_argument("--speech", type=Path, metavar="FOLDER", help="measure memory instead; X is kept in FOLDER")
    asked = parser.parse_args()
    if asked.speech:
        print(json.dumps(masked_speech.measure(asked.speech), ensure_ascii=False))
        return
    for kind in asked.kinds:
        for seed in asked.seeds:
            with asked.out.open("a") as file:
                file.writelines(json.dumps(r) + "\n" for r in measured(kind, seed, asked.methods, asked.telf))
    lines = map(json.loads, asked.out.read_text().splitlines())
    latest = list({(r["kind"], r["seed"], r["method"]): r for r in lines}.values())
    table(latest)
    rated(latest)


if __name__ == "__main__":
    main()
