"""What is kept of every pass comes back as it was written."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dnmf.events import PassDone, StripDone
from dnmf.run.history import KEPT, History, read_history, read_snapshots, write_history, write_snapshots


def passed(iteration, short):
    return PassDone(iteration, 2.0**-iteration, 3.0, 0.5, 0.1, 0.2, 4, 1.5, 2**40, short)


@pytest.mark.parametrize(("axis", "dimensions"), [(0, ("component", "column")), (1, ("row", "component"))])
@pytest.mark.parametrize("at", ["", "generations/000002-abc"])
def test_history_and_snapshots_come_back(group, at, axis, dimensions):
    short = np.random.default_rng(0).random((3, 5)).astype("f4")
    history = History(2, axis, short)
    for event in (StripDone(1, 1, 2), passed(1, short), passed(2, 2 * short), passed(3, short)):
        history(event)
    history.forget_last()
    write_history(group, at, history.passes)
    write_snapshots(group, at, dimensions, history.snapshots)
    found = group[at] if at else group
    for name, kind in KEPT.items():
        assert (found[name].dtype, found[name].metadata.dimension_names) == (np.dtype(kind), ("pass",))
    assert found["snapshots"].metadata.dimension_names == ("snapshot", *dimensions)
    other = History(2, axis, short)
    other.recall(read_history(group, at, 2), read_snapshots(group, at))
    assert other.passes == history.passes
    assert other.passes["loss"] == [0.5, 0.25]
    assert list(other.snapshots) == [0, 2]
    assert_array_equal(other.snapshots[2], 2 * short if axis == 0 else 2 * short.T)


def test_without_snapshots_none_are_written(group):
    history = History(None, 0, np.ones((2, 2)))
    write_snapshots(group, "", ("component", "column"), history.snapshots)
    assert "snapshots" not in group
    assert read_snapshots(group, "") == {}
