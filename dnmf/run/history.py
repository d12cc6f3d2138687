"""What is kept of every pass: one value per name and pass, and snapshots of the short factor."""

from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np
import zarr
from numpy.typing import NDArray

from dnmf.arrays.rows import Array
from dnmf.events import Event, PassDone
from dnmf.run.arrays import below, has, open_array, read_whole, write_array

# What is kept of every pass, and its dtype in a run.
KEPT = {
    "loss": "f8",
    "objective": "f8",
    "gradient": "f8",
    "gain": "f8",
    "sweeps": "i8",
    "seconds": "f8",
    "bytes_read": "i8",
}


class History:
    """A listener that keeps one value per pass, and the short factor of every so many passes.

    `every` is how many, None for no snapshots; `axis` is 0 where the short factor is V, 1 where it is Wᵀ; `first` is
    the short factor (k × N) before the first pass.
    """

    def __init__(self, every: int | None, axis: int, first: Array) -> None:
        self.passes: dict[str, list[float]] = {name: [] for name in KEPT}
        self._every, self._axis = every, axis
        self.snapshots = {0: self._oriented(first)} if every else {}

    def recall(self, passes: Mapping[str, NDArray[np.generic]], snapshots: Mapping[int, Array]) -> None:
        """Take over what was kept before."""
        self.passes = {name: passes[name].tolist() for name in KEPT}
        self.snapshots = dict(snapshots)

    def until(self, iteration: int) -> "History":
        """The same as it was after so many passes.

        Raises
        ------
        ValueError
            If not all of them are kept.
        """
        if any(len(values) < iteration for values in self.passes.values()):
            raise ValueError(f"the history has fewer than {iteration} passes")
        history = copy(self)
        history.passes = {name: values[:iteration] for name, values in self.passes.items()}
        history.snapshots = {taken: short for taken, short in self.snapshots.items() if taken <= iteration}
        return history

    def forget_last(self) -> None:
        """Drop what was kept of the last pass, its snapshot aside."""
        for values in self.passes.values():
            values.pop()

    def __call__(self, event: Event) -> None:
        """Keep a pass."""
        if not isinstance(event, PassDone):
            return
        for name, values in self.passes.items():
            values.append(getattr(event, name))
        if self._every and event.iteration % self._every == 0:
            self.snapshots[event.iteration] = self._oriented(event.short)

    def _oriented(self, short: Array) -> Array:
        return short if self._axis == 0 else short.T


def write_history(group: zarr.Group, at: str, passes: Mapping[str, Sequence[float]]) -> None:
    """Write what is kept of every pass to the generation at a path."""
    for name, values in passes.items():
        write_array(group, below(at, name), np.asarray(values, KEPT[name]), ("pass",))


def read_history(group: zarr.Group, at: str, passes: int) -> dict[str, NDArray[np.generic]]:
    """What is kept of so many passes in the generation at a path, by name."""
    return {name: read_whole(open_array(group, below(at, name), (passes,), "fi")) for name in KEPT}


def write_snapshots(group: zarr.Group, at: str, dimensions: Sequence[str], taken: Mapping[int, Array]) -> None:
    """Write snapshots of a factor with these dimensions, by pass (0 is the first factor), if there are any."""
    if taken:
        write_array(group, below(at, "snapshots"), np.stack(list(taken.values())), ("snapshot", *dimensions))
        write_array(group, below(at, "snapshot_pass"), np.asarray(list(taken), "i8"), ("snapshot",))


def read_snapshots(group: zarr.Group, at: str) -> dict[int, Array]:
    """The snapshots in the generation at a path, by pass."""
    if not has(group, below(at, "snapshots")):
        return {}
    taken = read_whole(open_array(group, below(at, "snapshot_pass"), (None,), "i"))
    snapshots = read_whole(open_array(group, below(at, "snapshots"), (len(taken), None, None)))
    return dict(zip(taken.tolist(), snapshots, strict=True))
