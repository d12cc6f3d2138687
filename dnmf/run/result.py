"""What a factorization gives back, and what is opened again from a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from dnmf.run.factors import whole
from dnmf.run.history import KEPT
from dnmf.run.opening import open_whole
from dnmf.run.reading import has, member, read_whole
from dnmf.run.record import Record


@dataclass(frozen=True, slots=True)
class Factorization:
    """X ≈ W V.

    Attributes
    ----------
    W : Dask array (m, k) over the run, in chunks that line up with strips; nothing of it is in memory. None where W
        was not kept.
    V : NumPy array (k, n).
    loss : ‖X − W V‖² of this very W and V; twice the β-divergence for other losses. Good to six digits where the run
        has ended, to some 5e-7 ‖X‖² where it is going on or was stopped.
    relative_error : ‖X − W V‖ / ‖X‖; for other losses √(loss / Σ x^β).
    stopped : a sentence that says why the factorization ended; None while it is going on.
    history : one value per pass, that of the sample aside: `loss`, `objective` (the loss and the penalties, twice
        scikit-learn's), `gradient` (norm of the projected gradient of the objective with respect to the short factor),
        `gain` (share of the objective that its next move takes), `sweeps` (updates of the long factor), `seconds`,
        `bytes_read`.
    snapshots : the short factor by pass, where snapshots were asked for: (k, n) for V, (m, k) for W.
    record : what the run says of itself: see `dnmf.runs`.
    """

    W: Any
    V: NDArray[np.floating]
    loss: float
    relative_error: float
    stopped: str | None
    history: Mapping[str, NDArray[Any]]
    snapshots: Mapping[int, NDArray[np.floating]]
    record: Mapping[str, Any]

    @property
    def reads(self) -> float:
        """How often X was read, the read for the sample included."""
        read = self.record["start"]["bytes_read"] + int(sum(self.history["bytes_read"]))
        return read / int(self.record["x"]["nbytes"])


def open_run(path: Any) -> Factorization:
    """Open a run: its last whole state, whether it has ended or not.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no run, or one of a newer format, or one that holds no finished pass yet, or none that dnmf wrote.
    OSError
        If a chunk of V or of the history is damaged.
    """
    while True:
        group, record = open_whole(path)
        try:
            return _opened(group, record)
        except (KeyError, OSError, ValueError):
            # A run that goes on deletes old generations: there is a newer one then.
            if open_whole(path)[1]["at"] == record["at"]:
                raise


def _opened(group: Any, record: Record) -> Factorization:
    """The state that a record names."""
    (m, n), k, below = record["x"]["shape"], record["parameters"]["rank"], f"{record['at']}/".lstrip("/")
    history = read_history(group, record["at"], record["iteration"])
    V, token = member(group, f"{below}V", (k, n)), uuid4().hex[:12]
    W = member(group, f"{below}W", (m, k)) if has(group, f"{below}W") else None
    return Factorization(
        W=None if W is None else as_stored(W, name=f"W-{token}"),
        V=read_whole(V),
        loss=float(history["loss"][-1]),
        relative_error=record["relative_error"],
        stopped=record["stopped"],
        history=history,
        snapshots=read_snapshots(group, record["at"]),
        record=record,
    )


def read_history(group: Any, path: str, passes: int) -> dict[str, NDArray[Any]]:
    """The history of the generation at a path, by name."""
    return {name: read_whole(member(group, f"{path}/{name}".lstrip("/"), (passes,), "fi")) for name in KEPT}


def read_snapshots(group: Any, path: str) -> dict[int, NDArray[np.floating]]:
    """The snapshots of the generation at a path, by pass."""
    at = f"{path}/".lstrip("/")
    if not has(group, f"{at}snapshots"):
        return {}
    taken = read_whole(member(group, f"{at}snapshot_pass", (None,), "i"))
    snapshots = read_whole(member(group, f"{at}snapshots", (len(taken), None, None)))
    return dict(zip(taken.tolist(), snapshots, strict=True))


def as_stored(array: Any, *, name: str) -> da.Array:
    """A stored factor as a Dask array of its chunks, in its own orientation: what a result shows."""
    stored = da.from_array(array, chunks=array.chunks, name=f"{name}-chunks", inline_array=True)
    return stored.map_blocks(whole, array, name=name, dtype=array.dtype)
