"""Memory with missing entries: 3.1 GB of speech, of which 30 % are missing, on two workers of 640 MiB each.

Called by `masked.py --speech FOLDER`. The store is made in FOLDER once, where it takes 3 GB: the spectrogram of
`data/speech.py` with a hop of 4 samples, 3 057 317 × 257 float32, NaN where an entry is missing.
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from counters import peak_memory

import dnmf
from dnmf.clusters.local import local_cluster
from dnmf.events import PassDone, Planned

sys.path.insert(0, str(Path(__file__).parent.parent / "data"))
import fetch
import speech

HOP, MISSING, RANK, WORKERS, LIMIT = 4, 0.3, 24, 2, 640 * 2**20


def write(out: Path) -> None:
    """The spectrogram with holes, drawn anew for every block of rows."""
    signal = speech.joined(fetch.deb(speech.PACKAGE, ".wav").items())
    shape = (speech.frame_count(len(signal), HOP), speech.LENGTH // 2 + 1)
    facts: dict[str, object] = {**speech.ALLISON, "hop": HOP, "missing": MISSING}
    with fetch.publishing(out, shape=shape, dtype="f4", attributes=facts, compressors=speech.COMPRESSOR) as array:
        for first, last in fetch.row_blocks(shape[0], array.chunks[0]):
            rows = speech.spectra(signal, first, last, hop=HOP)
            rows[np.random.default_rng([0, first]).random(rows.shape, "f4") < MISSING] = np.nan
            array[first:last] = rows


def spilled(dask_worker: Any) -> float:
    """Everything that the worker has written to its spill store."""
    return sum(value for key, value in dask_worker.data.cumulative_metrics.items() if key[0] == "disk-write")


def measure(folder: Path) -> dict[str, object]:
    """Factorize, and compare each worker's peak memory with the plan's."""
    x, events = folder / "speech4-missing.zarr", []
    if not x.exists():
        write(x)
    with local_cluster(workers=WORKERS, memory=LIMIT) as client:
        began = time.perf_counter()
        result = dnmf.factorize(
            str(x), RANK, missing="nan", out=folder / "run.zarr", overwrite=True, listeners=[events.append]
        )
        seconds = time.perf_counter() - began
        peaks, spills = client.run(peak_memory).values(), client.run(spilled).values()
    (plan,) = (event for event in events if isinstance(event, Planned))
    return {
        "X": f"{' × '.join(map(str, zarr.open_array(x, mode='r').shape))} float32, {MISSING:.0%} missing",
        "MiB a worker at most": [round(peak / 2**20) for peak in peaks],
        "MiB planned": round(plan.peak / 2**20),
        "MiB allowed": LIMIT // 2**20,
        "spilled": sum(spills),
        "passes": sum(isinstance(event, PassDone) for event in events),
        "relative error": result.relative_error,
        "seconds": round(seconds, 1),
    }
