"""A run is created where nothing else is, never over something else, and opened only if it is one."""

import pytest
import zarr
from msgspec.structs import replace
from zarr.storage import MemoryStore

from dnmf.run import opening
from dnmf.run.lease import Busy, Lease
from dnmf.run.record import FORMAT, Begun, write_record


def test_a_new_run_holds_no_factors(out, group):
    assert sorted(zarr.open_group(str(out), mode="r").group_keys()) == ["generations"]
    assert list(group.array_keys()) == []
    assert group.metadata.zarr_format == 3
    assert opening.open_group(out)[1] == Begun(format=FORMAT, status="running", stopped=None, at=None)


def test_a_run_without_a_path_lives_in_memory():
    assert isinstance(opening.create_run(None, overwrite=False).store, MemoryStore)


@pytest.mark.parametrize("kind", ["run", "group", "array", "folder", "empty folder", "file"])
def test_what_exists_is_refused_and_what_is_not_a_run_is_never_overwritten(out, kind):
    existing(out, kind)
    before = contents(out)
    with pytest.raises(FileExistsError) as refused:
        opening.create_run(out, overwrite=False)
    assert str(refused.value) == (
        f"{out} exists: choose another output, or overwrite it with --overwrite (overwrite=True)"
    )
    if kind != "run":
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


def test_a_run_that_ended_before_it_had_first_factors_is_overwritten_without_being_asked(out, group, record):
    assert opening.check_out(out, overwrite=False), "it has not even said what it was asked for"
    nothing = replace(record, at=None, iteration=0, relative_error=None, start=None, status="stopped", stopped="failed")
    write_record(group, nothing)
    assert opening.check_out(out, overwrite=False)
    for more in ({"status": "running"}, {"start": record.start}, {"at": "", "iteration": 2, "start": record.start}):
        write_record(group, replace(nothing, **{"relative_error": 0.5} | more))
        with pytest.raises(FileExistsError):
            opening.check_out(out, overwrite=False)


def existing(out, kind):
    """Something at the output's path."""
    match kind:
        case "run":
            opening.create_run(out, overwrite=False)
            group = zarr.open_group(str(out))
            group.create_array("W", shape=(2,), dtype="f4")[...] = 1
            group.attrs["dnmf"] = {**group.attrs["dnmf"], "at": "", "parameters": {}}
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


def test_a_run_opens_by_path_and_by_group(out, group, record):
    write_record(group, record)
    for where in (out, str(out), group):
        found, read = opening.open_group(where)
        assert read == record
        assert "generations" in found


def test_a_run_without_a_pass_is_refused(out, group, record):
    with pytest.raises(ValueError, match="holds no whole generation") as refused:
        opening.open_whole(out)
    assert str(refused.value) == f"{out} holds no whole generation yet: wait, or `dnmf resume` it if it was killed"
    nothing = {"at": None, "iteration": 0, "relative_error": None}
    write_record(group, replace(record, status="stopped", stopped="was interrupted", **nothing))
    with pytest.raises(ValueError, match=r"generation: it was interrupted; `dnmf resume` it$"):
        opening.open_whole(out)


@pytest.mark.parametrize("kind", ["group", "array", "folder", "file", "nothing"])
def test_what_is_not_a_run_is_not_opened(out, kind):
    existing(out, kind)
    with pytest.raises((ValueError, FileNotFoundError)) as refused:
        opening.open_group(out)
    said = f"there is no run at {out}" if kind == "nothing" else f"{out} is not a run of dnmf"
    assert str(refused.value) == f"{said}: give the --out of a factorization"
