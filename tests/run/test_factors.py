"""Factors on disk: listed when all of them is there, open to plain xarray, with a value that shows what is missing."""

import json
from functools import partial

import numpy as np
import pytest
import xarray
import zarr
from msgspec.structs import replace
from numpy.testing import assert_allclose, assert_array_equal

from dnmf.run.factors import Factor, long_factor, short_factor, stored_long, write_factor
from dnmf.run.history import write_history, write_snapshots
from dnmf.run.record import write_record

W = Factor("W", (10, 3), (4, 3), np.dtype("f4"))
V = Factor("V", (3, 5), (3, 5), np.dtype("f4"))


def values(factor):
    return np.random.default_rng(0).random(factor.shape).astype(factor.dtype)


def test_factors_follow_from_the_record(group, record):
    assert (long_factor(record), short_factor(record)) == (W, V)
    turned = replace(record, state=replace(record.state, axis=1, height=2, next="generations/a/next"))
    assert long_factor(turned) == Factor("V", (3, 5), (3, 2), np.dtype("f4"))
    assert short_factor(turned) == Factor("W", (10, 3), (10, 3), np.dtype("f4"))
    assert stored_long(group, turned).path == "generations/a/V"
    assert stored_long(group, record).path == "W"


@pytest.mark.parametrize("at", ["", "generations/000001-abc"])
def test_a_factor_is_listed_when_it_is_published_and_not_before(out, group, at):
    target = W.array(group, at)
    for start in range(0, 10, 4):
        target[start : start + 4] = values(W)[start : start + 4]
    path = f"{at}/W" if at else "W"
    assert path not in zarr.open_group(str(out), mode="r")
    assert_array_equal(W.array(group, at)[...], values(W), "a task can read what another has written")
    W.publish(group, at)
    found = zarr.open_group(str(out), mode="r")[path]
    assert_array_equal(found[...], values(W))
    assert (found.chunks, found.dtype, found.metadata.dimension_names) == ((4, 3), W.dtype, ("row", "component"))


def test_chunks_of_zeros_are_stored(out, group):
    write_factor(W, group, "", np.zeros(W.shape))
    assert sorted(file.name for file in (out / "W" / "c").rglob("0") if file.is_file()) == ["0"] * 3
    assert_array_equal(zarr.open_group(str(out), mode="r")["W"][...], 0)


def test_a_chunk_that_was_not_written_shows(group):
    W.array(group, "")[0:4] = 1
    W.publish(group, "")
    assert_array_equal(np.isnan(group["W"][:, 0]), [False] * 4 + [True] * 6)


def test_factors_are_written_in_their_dtype_from_anything_that_is_sliced(group):
    for factor in (W, V):
        write_factor(factor, group, "", values(factor).astype("f8"))
        assert group[factor.name].dtype == "f4"
        assert_array_equal(group[factor.name][...], values(factor))


@pytest.mark.parametrize("opened", [xarray.open_zarr, partial(xarray.open_dataset, engine="zarr")])
def test_plain_xarray_opens_a_finished_run(out, group, record, opened):
    for factor in (W, V):
        write_factor(factor, group, "", values(factor))
    write_history(group, "", {"loss": [3.0, 2.5], "seconds": [0.1, 0.2], "bytes_read": [200, 0]})
    write_snapshots(group, "", W.dimensions, {1: values(W)})
    write_record(group, replace(record, status="finished"))
    with opened(out, consolidated=False) as run:
        assert {name: run[name].dims for name in run.variables} == {
            "W": ("row", "component"),
            "V": ("component", "column"),
            "loss": ("pass",),
            "seconds": ("pass",),
            "bytes_read": ("pass",),
            "snapshots": ("snapshot", "row", "component"),
            "snapshot_pass": ("snapshot",),
        }
        assert dict(run.sizes) == {"row": 10, "component": 3, "column": 5, "pass": 2, "snapshot": 1}
        assert_array_equal(run["W"].values, values(W))
        assert_array_equal(run["V"].values, values(V))
        assert run["W"].dtype == "f4"
        assert_allclose((run["W"] @ run["V"]).values, values(W) @ values(V), rtol=1e-6)
        assert run["loss"].values.tolist() == [3.0, 2.5]
        assert run["bytes_read"].values.tolist() == [200, 0]
        read = run.attrs["dnmf"]
        assert json.loads(json.dumps(read, allow_nan=False)) == read
        assert (read["status"], read["relative_error"]) == ("finished", 0.25)
