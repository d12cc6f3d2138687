"""What a factorization gives back, and what is opened again from a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import zarr
from numpy.typing import NDArray

from dnmf.arrays.rows import Array
from dnmf.components.features import By
from dnmf.matrix.labels import Labels
from dnmf.run.arrays import below, has, open_array, read_whole
from dnmf.run.components import as_frame, describe
from dnmf.run.factors import as_stored
from dnmf.run.history import read_history, read_snapshots
from dnmf.run.kept_sums import Kept, read_kept
from dnmf.run.labels import read_labels
from dnmf.run.opening import open_whole
from dnmf.run.record import Record, as_json


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
    history : one value per pass, that of the sample aside: `loss`, `objective` (the loss and the penalties, twice
        scikit-learn's), `gradient` (norm of the projected gradient of the objective with respect to the short factor),
        `gain` (share of the objective that its next move takes), `sweeps` (updates of the long factor), `seconds`,
        `bytes_read`.
    snapshots : the short factor by pass, where snapshots were asked for: (k, n) for V, (m, k) for W.
    about : what the run says of itself, as a typed value.
    named : gives the names of X's rows and columns, when they are asked for.
    kept : gives what reads of X have added up, when it is asked for.
    """

    W: Any
    V: Array
    loss: float
    history: Mapping[str, NDArray[np.generic]]
    snapshots: Mapping[int, Array]
    about: Record
    named: Callable[[], Labels] = field(default=Labels, kw_only=True, compare=False, repr=False)
    kept: Callable[[], Kept] = field(default=Kept, kw_only=True, compare=False, repr=False)

    @property
    def labels(self) -> Labels:
        """The names of X's rows (m,) and columns (n,), as `rows` and `columns`; None where X had none."""
        return self.named()

    @property
    def relative_error(self) -> float:
        """‖X − W V‖ / ‖X‖; for other losses √(loss / Σ x^β)."""
        assert self.about.relative_error is not None
        return self.about.relative_error

    def scaled(self, norm: int = 1) -> tuple[Any, Array]:
        """The same product with rows of V of sum 1, so that W (m, k) says how much of X each component makes up.

        Parameters
        ----------
        norm : 1, or 2 for rows of V of length 1.

        Returns
        -------
        W (m, k), a Dask array, and V (k, n). A component of zeros stays what it is.

        Examples
        --------
        >>> import dnmf
        >>> W, V = dnmf.factorize(np.outer([1.0, 2.0], [3.0, 5.0]), 1).scaled()
        >>> W.compute().round(6).tolist(), V.round(6).tolist()
        ([[8.0], [16.0]], [[0.375, 0.625]])
        """
        sizes = np.linalg.norm(self.V, norm, axis=1)
        sizes = np.where(sizes > 0, sizes, 1).astype(self.V.dtype)
        return self.W * sizes, self.V / sizes[:, None]

    def components_table(self, top: int = 10, *, by: By = "specificity", agreement: Any = None) -> Any:
        """What each component is: one row for each, those that X needs most first. X is not read.

        Columns are `component` (its number: 1 is the first row of V), `share` (by how much of ‖X‖² the loss grows
        without it), `mass` (its share of the sum of X), `alone` (how much of ‖X‖² it explains on its own),
        `sparseness_V`, `sparseness_W` (0 to 1), `agreement`, and `features`, the names of the columns of X that lead
        it, or their numbers. What is not known is NaN. Formulas are in `dnmf.components`.

        Parameters
        ----------
        top : features for each component.
        by : what ranks them: "specificity" (how many times as often in the component as in all), "weight" (entries of
            V), or "marker" (by how many deviations a column of X rises with the component).
        agreement : a comparison of ranks of X, see `ranks`: how well each component was found by both halves of the
            sample; or another factorization of X, whose components are matched one to one: cosines of the pairs; NaN
            for components without a partner. Or a number for each component, in the order of the run.

        Returns
        -------
        pandas DataFrame
            Where pandas is not installed, a `dnmf.components.table.Table` of the same columns, which prints as one.

        Raises
        ------
        ValueError
            If there are no marker scores, or the other factorization is not one of the same columns.

        Examples
        --------
        >>> import dnmf
        >>> X = np.kron(np.eye(2), [[3.0, 1.0], [6.0, 2.0]])
        >>> table = dnmf.factorize(X, 2).components_table(top=1)
        >>> sorted(table["features"]), [round(share, 3) for share in table["share"]]
        ([('0',), ('2',)], [0.5, 0.5])
        """
        return as_frame(describe(self, top=top, by=by, agreement=agreement).table)

    @property
    def stopped(self) -> str | None:
        """A sentence that says why the factorization ended; None while it is going on."""
        return self.about.stopped

    @property
    def record(self) -> Mapping[str, Any]:
        """What the run says of itself, as in its attribute `dnmf`: see `dnmf.run.opening`."""
        return as_json(self.about)

    @property
    def reads(self) -> float:
        """How often X was read, the read for the sample included."""
        assert self.about.start is not None
        return (self.about.start.bytes_read + int(sum(self.history["bytes_read"]))) / self.about.x.nbytes


def open_run(path: str | Path | zarr.Group) -> Factorization:
    """Open a run: its last whole state, whether it has ended or not.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no run, or one of a newer format, or one that holds no finished pass yet, or none that dnmf wrote.
    OSError
        If a chunk of V or of the history is damaged.
    """
    return _opened(path, W=True)


def open_without_W(path: str | Path | zarr.Group) -> Factorization:  # noqa: N802, W is the field's name
    """Open a run as `open_run` does, but for W, which would take Dask."""
    return _opened(path, W=False)


def _opened(path: str | Path | zarr.Group, *, W: bool) -> Factorization:
    while True:
        group, record = open_whole(path)
        try:
            return _open_generation(group, record, W=W)
        except (KeyError, OSError, ValueError):
            # A run that goes on deletes old generations: there is a newer one then.
            if open_whole(path)[1].at == record.at:
                raise


def _open_generation(group: zarr.Group, record: Record, *, W: bool) -> Factorization:
    """The state that a record names."""
    (m, n), k, at = record.x.shape, record.parameters.rank, record.at or ""
    history = read_history(group, at, record.iteration)
    V = open_array(group, below(at, "V"), (k, n))
    stored = open_array(group, below(at, "W"), (m, k)) if W and has(group, below(at, "W")) else None
    return Factorization(
        W=None if stored is None else as_stored(stored, name=f"W-{uuid4().hex[:12]}"),
        V=read_whole(V),
        loss=float(history["loss"][-1]),
        history=history,
        snapshots=read_snapshots(group, at),
        about=record,
        named=partial(read_labels, group, (m, n)),
        kept=partial(read_kept, group, record),
    )
