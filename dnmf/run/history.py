"""dnmf.run.history."""

from collections.abc import Mapping
from typing import Any

from dnmf.events import Event, PassDone

# What is kept of every pass.
KEPT = ("loss", "objective", "gradient", "gain", "sweeps", "seconds", "bytes_read")


class History:
    """A listener that keeps one value per pass, and snapshots of the short factor."""

    def __init__(self, every: int | None, axis: int, first: Any) -> None:
        self.passes: dict[str, list[float]] = {name: [] for name in KEPT}
        self._every, self._axis = every, axis
        self.snapshots = {0: self._oriented(first)} if every else {}

    def recall(self, passes: Mapping[str, Any], snapshots: Mapping[int, Any]) -> None:
        """Take over what was kept before."""
        self.passes = {name: passes[name].tolist() for name in KEPT}
        self.snapshots = dict(snapshots)

    def __call__(self, event: Event) -> None:
        """Keep a pass."""
        if not isinstance(event, PassDone):
            return
        for name, values in self.passes.items():
            values.append(getattr(event, name))
        if self._every and event.iteration % self._every == 0:
            self.snapshots[event.iteration] = self._oriented(event.short)

    def _oriented(self, short: Any) -> Any:
        return short if self._axis == 0 else short.T
