"""A comparison of ranks whose process is killed."""

import os
import signal
from pathlib import Path

import processes
import pytest
from numpy.testing import assert_array_equal

import dnmf


@pytest.mark.process
def test_a_comparison_goes_on_where_its_process_was_killed(tmp_path: Path) -> None:
    folder = processes.with_x(tmp_path)
    asked = ("ranks", "x.zarr", "--ranks", "2:9", "--out")
    process = processes.dnmf(*asked, "killed.zarr", folder=folder)
    tried = folder / "killed.zarr" / "tried"
    try:
        processes.until(lambda: process.poll() is not None or (tried.exists() and len(list(tried.glob("0*"))) >= 2))
        assert process.poll() is None, process.communicate()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    for out in ("killed.zarr", "whole.zarr"):
        code, _, errors = processes.done(*asked, out, folder=folder)
        assert (code, errors) == (0, "")
    killed, whole = (dnmf.open_ranks(folder / out) for out in ("killed.zarr", "whole.zarr"))
    assert killed.sentence == whole.sentence
    for name, values in whole.columns.items():
        assert_array_equal(killed.columns[name], values)
