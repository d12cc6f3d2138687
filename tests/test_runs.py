"""A run on disk: never half, never over something else, and open to plain xarray."""

import json
from functools import partial

import numpy as np
import pytest
import xarray
import zarr
from dnmf.run import factors, generations, opening
from dnmf.run import record as run_record
from dnmf.run.factors import Factor
from dnmf.run.lease import Busy, Lease
from numpy.testing import assert_allclose, assert_array_equal
from zarr.storage import MemoryStore

W = Factor("W", (10, 3), (4, 3), np.dtype("f4"))
V = Factor("V", (3, 5), (3, 5), np.dtype("f4"))
RECORD = {"format": 1, "status": "running", "stopped": None, "at": None, "iteration": 0, "relative_error": None}
RECORD["parameters"] = {"rank": 3}


def values(factor):
    return np.random.default_rng(0).random(factor.shape).astype(factor.dtype)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "run.zarr"


@pytest.fixture
def group(out):
    """A run that was just created."""
    group = opening.create_run(out, overwrite=False)
    run_record.write_record(group, RECORD)
    return group


# Creating


def test_a_new_run_holds_no_factors(out, group):
    assert sorted(zarr.open_group(str(out), mode="r").group_keys()) == ["generations"]
    assert list(group.array_keys()) == []
    assert group.metadata.zarr_format == 3


def test_a_run_without_a_path_lives_in_memory():
    assert isinstance(opening.create_run(None, overwrite=False).store, MemoryStore)


@pytest.mark.parametrize("kind", ["run", "group", "folder", "empty folder", "file"])
def test_what_exists_is_refused(out, kind):
    existing(out, kind)
    before = contents(out)
    with pytest.raises(FileExistsError) as refused:
        opening.create_run(out, overwrite=False)
    assert str(refused.value) == (
        f"{out} exists: choose another output, or overwrite it with --overwrite (overwrite=True)"
    )
    assert contents(out) == before


@pytest.mark.parametrize("kind", ["group", "array", "folder", "empty folder", "file"])
def test_what_is_not_a_run_is_never_overwritten(out, kind):
    existing(out, kind)
    before = contents(out)
    with pytest.raises(FileExistsError) as refused:
        opening.create_run(out, overwrite=True)
    assert str(refused.value) == (
        f"{out} exists and is not a run of dnmf, so it is not overwritten: choose another output"
    )
    assert contents(out) == before


def test_what_a_process_left_that_was_killed_at_its_first_write_is_nothing(out):
    out.mkdir()
    (out / "zarr.0123.partial").write_text("{")
    assert not opening.check_out(out, overwrite=False)
    with pytest.raises(FileNotFoundError, match="there is no run at"):
        opening.open_group(out)
    assert opening.create_run(out, overwrite=False).attrs["dnmf"]["status"] == "running"


def test_a_run_that_a_process_is_at_work_on_is_not_overwritten(out, group):
    with Lease(group), pytest.raises(Busy, match=rf"is at work on the run {out}: wait for it, or end it with `dnmf ca"):
        opening.create_run(out, overwrite=True)
    assert "lease" not in opening.create_run(out, overwrite=True)


def test_a_run_is_overwritten_on_demand_and_nothing_of_it_is_left(out):
    existing(out, "run")
    group = opening.create_run(out, overwrite=True)
    assert "W" not in group
    assert group.attrs["dnmf"]["at"] is None
    assert not (out / "W").exists()
    assert sorted(group.group_keys()) == ["generations"]


def test_a_run_that_failed_before_its_first_pass_can_be_overwritten_too(out):
    opening.create_run(out, overwrite=False)
    opening.create_run(out, overwrite=True)
    with pytest.raises(ValueError, match="holds no whole generation yet"):
        opening.open_whole(out)


def existing(out, kind):
    """Something at the output's path."""
    match kind:
        case "run":
            group = opening.create_run(out, overwrite=False)
            run_record.write_record(group, RECORD)
            factors.write_rows(W, group, "", values(W))
        case "group":
            zarr.create_group(str(out)).create_array("thesis", shape=(2,), dtype="f4")[...] = 1
        case "array":
            zarr.create_array(str(out), shape=(2,), dtype="f4")[...] = 1
        case "folder":
            out.mkdir()
            (out / "thesis.txt").write_text("years of work")
        case "empty folder":
            out.mkdir()
        case "file":
            out.write_text("years of work")


def contents(path):
    """Every file below a path, and its bytes."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return {str(file): file.read_bytes() if file.is_file() else None for file in files}


# Factors


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
    factors.write_rows(W, group, "", np.zeros(W.shape))
    assert sorted(file.name for file in (out / "W" / "c").rglob("0") if file.is_file()) == ["0"] * 3
    assert_array_equal(zarr.open_group(str(out), mode="r")["W"][...], 0)


def test_a_chunk_that_was_not_written_shows(group):
    W.array(group, "")[0:4] = 1
    W.publish(group, "")
    assert_array_equal(np.isnan(group["W"][:, 0]), [False] * 4 + [True] * 6)


def test_factors_are_written_in_their_dtype_from_anything_that_is_sliced(group):
    for factor in (W, V):
        factors.write_rows(factor, group, "", values(factor).astype("f8"))
        assert group[factor.name].dtype == "f4"
        assert_array_equal(group[factor.name][...], values(factor))


# Generations


def test_generations_have_paths_of_their_own_that_sort_by_pass(group):
    names = [generations.new_generation(group, i) for i in (9, 10, 10, 100)]
    assert len(set(names)) == 4
    assert [name.split("-")[0] for name in names] == [f"generations/{i:06d}" for i in (9, 10, 10, 100)]
    assert sorted(names)[0] == names[0]
    assert sorted(names)[-1] == names[-1]


def test_generations_are_dropped_but_those_to_keep(out, group):
    names = [generations.new_generation(group, i) for i in range(4)]
    for at in names:
        factors.write_rows(W, group, at, values(W))
    factors.write_rows(V, group, "", values(V))
    generations.drop_generations(group, [names[1], names[3], ""])
    left = zarr.open_group(str(out), mode="r")["generations"]
    assert sorted(f"generations/{name}" for name in left.group_keys()) == [names[1], names[3]]
    assert "V" in group
    generations.drop_all_generations(group)
    assert [path.name for path in (out / "generations").iterdir()] == ["zarr.json"]


# The record


def test_a_record_replaces_the_one_before_and_leaves_other_attributes(out, group):
    group.attrs["title"] = "faces"
    run_record.write_record(group, RECORD | {"at": "", "iteration": 3})
    run_record.write_record(group, {"format": 1, "status": "finished", "at": ""})
    attrs = dict(zarr.open_group(str(out), mode="r").attrs)
    assert attrs.pop("dnmf") == {"format": 1, "status": "finished", "at": ""}
    assert attrs == {"title": "faces", opening.IDENTITY: group.attrs[opening.IDENTITY]}


def test_a_run_opens_by_path_and_by_group(out, group):
    run_record.write_record(group, RECORD)
    for where in (out, str(out), group):
        found, record = opening.open_group(where)
        assert record == RECORD
        assert "generations" in found


def test_a_newer_format_is_refused(out, group):
    run_record.write_record(group, RECORD | {"format": 2, "at": ""})
    with pytest.raises(ValueError, match="format") as refused:
        opening.open_group(out)
    assert str(refused.value) == f"{out} has format 2, this dnmf reads up to 1: install a newer dnmf to open it"


def test_a_run_without_a_pass_is_refused(out, group):
    with pytest.raises(ValueError, match="holds no whole generation") as refused:
        opening.open_whole(out)
    assert str(refused.value) == (f"{out} holds no whole generation yet: wait, or `dnmf resume` it if it was killed")


def test_nothing_there_is_refused(out):
    with pytest.raises(FileNotFoundError) as refused:
        opening.open_group(out)
    assert str(refused.value) == f"there is no run at {out}: give the --out of a factorization"


@pytest.mark.parametrize("kind", ["group", "array", "folder", "file"])
def test_what_is_not_a_run_is_not_opened(out, kind):
    existing(out, kind)
    with pytest.raises(ValueError, match="is not a run") as refused:
        opening.open_group(out)
    assert str(refused.value) == f"{out} is not a run of dnmf: give the --out of a factorization"


# The history


@pytest.mark.parametrize("at", ["", "generations/000002-abc"])
def test_history_and_snapshots_come_back(group, at):
    history = {"loss": [3.0, 2.5], "seconds": [0.1, 0.2], "bytes_read": [2**40, 0]}
    taken = {0: values(V), 2: 2 * values(V)}
    factors.write_history(group, at, history)
    factors.write_snapshots(group, at, "V", taken)
    found = group[at] if at else group
    for name, kind in (("loss", "f8"), ("seconds", "f8"), ("bytes_read", "i8")):
        assert found[name].dtype == kind
        assert found[name].metadata.dimension_names == ("pass",)
        assert_array_equal(found[name][...], history[name])
    assert_array_equal(found["snapshot_pass"][...], [0, 2])
    assert_array_equal(found["snapshots"][...], np.stack(list(taken.values())))
    assert found["snapshots"].metadata.dimension_names == ("snapshot", "component", "column")


def finish(group):
    """Make a finished run of a new one."""
    for factor in (W, V):
        factors.write_rows(factor, group, "", values(factor))
    factors.write_history(group, "", {"loss": [3.0, 2.5], "seconds": [0.1, 0.2], "bytes_read": [200, 0]})
    factors.write_snapshots(group, "", "W", {1: values(W)})
    run_record.write_record(group, RECORD | {"status": "finished", "at": "", "iteration": 2, "relative_error": 0.25})


@pytest.mark.parametrize("opened", [xarray.open_zarr, partial(xarray.open_dataset, engine="zarr")])
def test_plain_xarray_opens_a_finished_run(out, group, opened):
    finish(group)
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
        record = run.attrs["dnmf"]
        assert json.loads(json.dumps(record, allow_nan=False)) == record
        assert (record["status"], record["relative_error"]) == ("finished", 0.25)
