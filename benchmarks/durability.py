"""What it costs that a run can go on: generations in time and bytes, a resumption, the death of a worker.

    python benchmarks/durability.py                    1 GB of float32, 1024 columns, 20 components, some ten minutes
    python benchmarks/durability.py --codec raw
    python benchmarks/durability.py --gigabytes 4 --k 50

Two workers of one thread each factorize X with init "random", unless said otherwise, tol 0, and X not kept in memory.
X and runs go through the operating system's page cache, which is warm; what earlier runs left there to be written is
written before each run. X is counted decoded, runs as they are on disk.

Generations: 20 passes, with none, with one every 20, 5 and 1 passes, and as many as the default makes; all of these in
each of three rounds, every second one in reverse order. `pass s` is the time from the plan to the last pass
that is done and saved, over all passes: every generation is in it, the final factors are not. Its ratio is to the run
without generations of the same round. The size of a generation is that of the files in its folder when the record names
it, and looking there is not timed. What one costs is the median of all passes that end with one, less that of all
passes of the runs without; `after the pass` is what of it comes after the strips, which write the long factor.

Resumption: a run with a generation every 5 passes is stopped by a listener in the middle of pass 8; once the workers
are idle, three copies of it are resumed on them, each for one pass. Seconds are from the call of `resume` to the first
strip that is done and to the end of the pass, beside those of a pass before the stop. `start s` is what the start took
that a resumption does not repeat: where it was from a sample, that is read back from the run and sketched again.

Death: a worker's process is killed in the middle of pass 6 of 10, after a run of the same that is left alone. Reads of
X's chunks are counted by its store, in every process; `extra` are those of the killed run beyond those of the other,
`most of a chunk` is how often one chunk was among them. Seconds are those of passes 2 to 10, of one pair of runs, with
the start of a new worker.
"""

import argparse
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import zarr
from counters import CountingStore
from distributed import Client
from zarr.storage import LocalStore

import dnmf
from dnmf import datasets
from dnmf.clusters.local import local_cluster
from dnmf.events import Cancelled, Event, PassDone, Sampled, Saved, Started, StripDone

COLUMNS, WORKERS = 1024, 2

# Of the comparison of generations: passes, rounds, and passes between generations, where None is the default.
PASSES, ROUNDS = 20, 3
EVERY: dict[str, int | None] = {"none": PASSES + 1, "N = 20": 20, "N = 5": 5, "N = 1": 1, "default": None}
# Where a run is stopped, its generations, how often it is resumed; where a worker is killed, of how many passes.
STOPPED_IN, SAVED_EVERY, RESUMPTIONS = 8, 5, 3
KILLED_IN, OF = 6, 10

Row = Mapping[str, str]


class Watch:
    """A listener that notes when every event came, without the time that `look` takes at it."""

    def __init__(self, look: Callable[[Event], None] = lambda event: None) -> None:
        self.seen: list[tuple[float, Event]] = []
        self._look, self._away = look, 0.0

    def __call__(self, event: Event) -> None:
        """Note an event, then look."""
        now = time.perf_counter()
        self.seen.append((now - self._away, event))
        self._look(event)
        self._away += time.perf_counter() - now

    def times(self, kind: type[Any]) -> dict[int, float]:
        """When passes, or their first strips, were done, or saved: seconds by pass."""
        first: dict[int, float] = {}
        for when, event in self.seen:
            if isinstance(event, kind):
                first.setdefault(event.iteration, when)
        return first


def middle_of(event: Event, iteration: int) -> bool:
    """Whether half of the strips of a pass are done."""
    return isinstance(event, StripDone) and event.iteration == iteration and 2 * event.done >= event.total


def factorize(X: object, k: int, run: str, watch: Watch, **options: Any) -> dnmf.Factorization:
    """One factorization, begun when nothing is left to be written of earlier ones."""
    os.sync()
    given = {"init": "random", "tol": 0.0, "cache": False, "overwrite": True, **options}
    return dnmf.factorize(X, k, out=run, listeners=[watch], **given)


def record_of(run: str) -> Any:
    """The record of a run as it is now."""
    return zarr.open_group(run, mode="r").attrs["dnmf"]


def saved_run(path: str, k: int, every: int | None) -> dict[str, Any]:
    """One run of the comparison: seconds of all, of passes and of saving; sizes of generations, passes between them."""
    sizes: list[int] = []

    def look(event: Event) -> None:
        if isinstance(event, Saved) and event.iteration:
            folder = Path(f"{path}.run", record_of(f"{path}.run")["at"])
            sizes.append(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))

    watch = Watch(look)
    factorize(path, k, f"{path}.run", watch, max_iter=PASSES, checkpoint_every=every)
    done, saved = watch.times(PassDone), watch.times(Saved)
    ends = [watch.seen[0][0], *(saved.get(i, done[i]) for i in sorted(done))]
    passes = dict(enumerate(np.diff(ends), 1))
    return {
        "seconds": ends[-1] - ends[0],
        "plain": [passes[i] for i in passes if i not in saved],
        "writing": [passes[i] for i in passes if i in saved],
        "saving": [saved[i] - done[i] for i in saved if i],
        "sizes": sizes,
        "every": record_of(f"{path}.run")["state"]["every"],
    }


def generations(path: str, k: int) -> dict[str, Row]:
    """What generations cost, by how often they are written."""
    # Workers import, write and read what they will, and X comes into the page cache.
    factorize(path, k, f"{path}.run", Watch(), max_iter=8, checkpoint_every=1)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in EVERY}
    for i in range(ROUNDS):
        for name in list(EVERY)[:: 1 if i % 2 == 0 else -1]:
            runs[name].append(saved_run(path, k, EVERY[name]))
    read = PASSES * zarr.open_array(path, mode="r").nbytes
    return {name: _generations(rounds, runs["none"], read) for name, rounds in runs.items()}


def middle(rounds: list[dict[str, Any]], name: str) -> float:
    """The median of all that the rounds have under a name."""
    return median(value for one in rounds for value in one[name])


def _generations(rounds: list[dict[str, Any]], none: list[dict[str, Any]], read: int) -> Row:
    """One column: runs of all rounds, beside those without generations."""
    pairs = list(zip(rounds, none, strict=True))
    ratios = [one["seconds"] / other["seconds"] for one, other in pairs]
    sizes = rounds[-1]["sizes"]
    found = {
        "pass s": f"{median(one['seconds'] for one in rounds) / PASSES:.3f}",
        "ratio to none": f"{median(ratios):.3f}",
        "of the rounds": f"{min(ratios):.2f}–{max(ratios):.2f}",
        "passes between": str(rounds[-1]["every"] or "by time") if sizes else "–",
        "generations": str(len(sizes)),
    }
    if sizes:
        found |= {
            "MB of one": f"{median(sizes) / 1e6:.2f}",
            "MB in all": f"{sum(sizes) / 1e6:.2f}",
            "written / read": f"{sum(sizes) / read:.2%}",
            "s of one": f"{middle(rounds, 'writing') - middle(none, 'plain'):.3f}",
            "after the pass": f"{middle(rounds, 'saving'):.3f}",
        }
    return found


def stop_if(found: Callable[[Event], bool]) -> Callable[[Event], None]:
    """What stops a run at an event."""

    def look(event: Event) -> None:
        if found(event):
            raise Cancelled

    return look


def resumed(run: str) -> tuple[float, float, int]:
    """Seconds from the call to the first strip and to the end of the first pass, and which pass that was."""
    watch = Watch(stop_if(lambda event: isinstance(event, PassDone)))
    os.sync()
    called = time.perf_counter()
    with suppress(Cancelled):
        dnmf.resume(run, listeners=[watch])
    ((iteration, done),) = watch.times(PassDone).items()
    return watch.times(StripDone)[iteration] - called, done - called, iteration


def resumption(client: Client, path: str, k: int, init: str) -> Row:
    """What it takes until a run goes on that was stopped."""
    run, watch = f"{path}.run", Watch(stop_if(lambda event: middle_of(event, STOPPED_IN)))
    with suppress(Cancelled):
        factorize(path, k, run, watch, init=init, max_iter=PASSES, checkpoint_every=SAVED_EVERY)
    done, strips, saved = watch.times(PassDone), watch.times(StripDone), watch.times(Saved)
    begun = {i: saved.get(i - 1, done.get(i - 1)) for i in done}
    ordinary = [(strips[i] - begun[i], done[i] - begun[i]) for i in done if i > 1]
    first_strip, a_pass = (median(values) for values in zip(*ordinary, strict=True))
    again = []
    for _ in range(RESUMPTIONS):
        while any(client.processing().values()):
            time.sleep(0.05)
        shutil.copytree(run, f"{path}.copy")
        again.append(resumed(f"{path}.copy"))
        shutil.rmtree(f"{path}.copy")
    to_strip, to_pass, at = (median(values) for values in zip(*again, strict=True))
    start = {type(event): event.seconds for _, event in watch.seen if isinstance(event, Sampled | Started)}
    return {
        "pass s": f"{a_pass:.3f}",
        "its first strip s": f"{first_strip:.3f}",
        "resumed: strip s": f"{to_strip:.3f}",
        "resumed: pass s": f"{to_pass:.3f}",
        "resumed / pass": f"{to_pass / a_pass:.2f}",
        "passes again": str(STOPPED_IN - at),
        "start s": f"{start[Started]:.3f}" if start else "–",
        "its read of X s": f"{start[Sampled]:.3f}" if start else "–",
    }


def counted(
    client: Client, path: str, k: int, every: int, run: str, *, kill: bool
) -> tuple[float, list[Counter[str]], dnmf.Factorization]:
    """A run with or without the death of a worker: seconds of its passes, reads until the end of each, factors."""
    client.wait_for_workers(WORKERS)
    victim = min(client.run(os.getpid).values())
    store, reads, killed = CountingStore(LocalStore(path)), [Counter[str]()], False
    shutil.rmtree(store.log, ignore_errors=True)

    def look(event: Event) -> None:
        nonlocal killed
        if isinstance(event, PassDone):
            reads.append(store.reads())
        if kill and not killed and middle_of(event, KILLED_IN):
            os.kill(victim, signal.SIGKILL)
            killed = True

    watch = Watch(look)
    result = factorize(zarr.open_array(store, mode="r"), k, run, watch, max_iter=OF, checkpoint_every=every)
    assert killed == kill
    done = watch.times(PassDone)
    return done[OF] - done[1], reads, result


def death(client: Client, path: str, k: int, every: int) -> Row:
    """What the death of a worker costs, by passes between generations."""
    X = zarr.open_array(path, mode="r")
    calm, calm_reads, expected = counted(client, path, k, every, f"{path}.calm", kill=False)
    shaken, reads, result = counted(client, path, k, every, f"{path}.run", kill=True)
    of_passes = [(now - before).total() / X.nchunks - 1 for before, now in pairwise(reads)]
    extra = Counter(reads[-1])
    extra.subtract(calm_reads[-1])
    pairs = [(getattr(expected, name), getattr(result, name)) for name in ("W", "V")]
    pairs.append((expected.history["loss"], result.history["loss"]))
    same = all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)
    return {
        "reads / pass, calm": f"{calm_reads[-1].total() / X.nchunks / OF:.2f}",
        "extra reads / X": f"{extra.total() / X.nchunks:.2f}",
        "extra MB": f"{extra.total() / X.nchunks * X.nbytes / 1e6:.0f}",
        "most of a chunk": str(max(extra.values())),
        "in passes": " ".join(str(i) for i, more in enumerate(of_passes, 1) if more) or "–",
        "extra s": f"{shaken - calm:.2f}",
        "pass s, calm": f"{calm / (OF - 1):.3f}",
        "same bits": "yes" if same else "NO",
    }


def show(title: str, columns: Mapping[str, Row]) -> None:
    """Print a Markdown table, one column a setting."""
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    lines = [[title, *columns], ["---"] * (1 + len(columns))]
    lines += [[name, *(column.get(name, "–") for column in columns.values())] for name in names]
    for head, *cells in lines:
        print(f"| {head:18s} | " + " | ".join(f"{cell:>8s}" for cell in cells) + " |")
    print(flush=True)


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of X, decoded, to whole chunks")
    parser.add_argument("--codec", choices=["zstd", "raw"], default="zstd")
    parser.add_argument("--k", type=int, default=20)
    asked = parser.parse_args()
    storage = {"compressors": None} if asked.codec == "raw" else {}
    height = 2048
    rows = height * max(WORKERS, round(asked.gigabytes * 1e9 / (4 * COLUMNS * height)))
    with tempfile.TemporaryDirectory() as folder, local_cluster(workers=WORKERS) as client:
        path = f"{folder}/x.zarr"
        datasets.low_rank(path, (rows, COLUMNS), asked.k, chunks=(height, COLUMNS), **storage)
        show("generations", generations(path, asked.k))
        show("resumption", {init: resumption(client, path, asked.k, init) for init in ("random", "sample")})
        show("a worker's death", {f"N = {every}": death(client, path, asked.k, every) for every in (20, 5, 1)})


if __name__ == "__main__":
    main()
