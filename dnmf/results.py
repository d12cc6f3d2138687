"""What a factorization gives back, and what is opened again from a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from dnmf import passes, runs
from dnmf.progress import KEPT


@dataclass(frozen=True, slots=True)
class Factorization:
    """X ≈ W V.

    Attributes
    ----------
    W : Dask array (m, k) over the run, in chunks that line up with strips; nothing of it is in memory. None where W
        was not kept.
    V : NumPy array (k, n).
    loss : ‖X − W V‖² of this very W and V; twice the β-divergence for other losses.
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
        If there is no run, or one of a newer format, or one that holds no finished pass yet.
    """
    group, record = runs.open_group(path)
    at: Any = group[record["at"]] if record["at"] else group
    history = {name: at[name][...] for name in KEPT}
    token = uuid4().hex[:12]
    return Factorization(
        W=passes.as_stored(at["W"], name=f"W-{token}") if "W" in at else None,
        V=np.asarray(at["V"][...]),
        loss=float(history["loss"][-1]),
        relative_error=record["relative_error"],
        stopped=record["stopped"],
        history=history,
        snapshots=_snapshots(at),
        record=record,
    )


def _snapshots(at: Any) -> dict[int, NDArray[np.floating]]:
    if "snapshots" not in at:
        return {}
    return dict(zip(at["snapshot_pass"][...].tolist(), at["snapshots"][...], strict=True))
