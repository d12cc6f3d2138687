"""The record: what is written is what is read back, runs of format 1 open, and no value of one is taken on trust."""

import json
from typing import Any

import pytest
import zarr
from edits import set_at
from msgspec import UNSET
from msgspec.structs import replace

from dnmf.run.record import (
    FORMAT,
    Begun,
    Record,
    as_json,
    keep_record,
    parse_record,
    read_record,
    set_stopped,
    write_record,
)

# As dnmf wrote it before it could resume a run, and before W could be left out.
OLDEST: dict[str, Any] = {
    "format": 1, "status": "finished", "stopped": "done", "at": "", "iteration": 2, "relative_error": 0.25,
    "x": {"path": "x.zarr", "shape": [10, 5], "dtype": "float32", "nbytes": 200, "chunks": [4, 5], "fingerprint": "f"},
    "parameters": {"rank": 3, "solver": "cd", "beta_loss": 2, "init": "sample", "max_iter": 9, "tol": 0, "seed": 0,
                   "inner_iter": None, "alpha_W": 0.0, "alpha_H": 0.0, "l1_ratio": 0.0, "shuffle": False,
                   "snapshot_every": None, "cache": True, "memory_limit": None},
    "start": {"seconds": 0, "bytes_read": 200, "rows": 10, "relative_error": None},
    "state": {"axis": 0, "height": 4, "dtype": "float32"},
    "versions": {"dnmf": "0.1.0"},
}  # fmt: skip
FULL = OLDEST | {
    "at": "generations/000002-ab",
    "state": {"axis": 0, "height": 4, "dtype": "float32", "length": 10, "width": 5, "peak": 9, "in_run": False,
              "cached": True, "sample": 0, "largest": 80, "counts": [2, 1], "every": 1, "split_every": 8,
              "next": "generations/000002-ab/next", "reason": None, "before": "generations/000001-ab"},
}  # fmt: skip

PART = {"path": "x.zarr", "start": 0, "stop": 20}
EXTENDED = FULL | {
    "x": FULL["x"] | {"parts": [PART | {"start": 20, "stop": 30}]},
    "extends": {"run": "run.zarr", "identity": "ab", "earlier": [PART], "exact": False},
}

LACKING = FULL | {
    "format": 5,
    "parameters": FULL["parameters"] | {"missing": "zeros", "alpha_scale": "observed"},
    "weights": OLDEST["x"] | {"path": "weights.zarr", "dtype": "bool"},
    "observed": {"entries": 40, "rows": 1, "columns": 0, "first_rows": [7], "first_columns": []},
}


def with_value(path: str, value: Any) -> dict[str, Any]:
    """A whole record with another value at a path; ... takes it away."""
    changed = json.loads(json.dumps(FULL))
    set_at(changed, path, value)
    return changed


@pytest.mark.parametrize(
    "data", [FULL, EXTENDED, LACKING, OLDEST, {name: FULL[name] for name in ("format", "status", "stopped")}]
)
def test_what_is_written_is_what_is_read_back(group: zarr.Group, data: dict[str, Any]) -> None:
    record = parse_record({"at": None} | data, "run")
    write_record(group, record)
    assert read_record(group) == record
    assert isinstance(record, Record) == ("x" in data)
    assert json.loads(json.dumps(as_json(record), allow_nan=False)) == as_json(record)


def test_the_document_is_that_of_format_1() -> None:
    written = as_json(parse_record(FULL, "run"))
    missing = {
        "x": {"norm": None, "parts": []},
        "parameters": {"keep_W": True, "checkpoint_every": None, "missing": None, "alpha_scale": "all"},
        "state": {"exponent": 0, "piece": 0},
    }
    assert written == FULL | {name: FULL[name] | more for name, more in missing.items()} | {
        "extends": None, "weights": None, "observed": None,
    }  # fmt: skip
    begun = {"format": 1, "status": "running", "stopped": None, "at": None}
    assert as_json(parse_record(begun, "run")) == begun


def test_a_run_of_a_dnmf_that_resumed_none_says_so() -> None:
    assert parse_record(OLDEST, "run").state.next is UNSET
    assert "next" not in as_json(parse_record(OLDEST, "run"))["state"]


def test_what_other_keys_hold_is_not_looked_at() -> None:
    assert parse_record(with_value("state.token", "t"), "run") == parse_record(FULL, "run"), "of format 1"
    assert parse_record(with_value("state.more", [None]) | {"more": float("nan")}, "run") == parse_record(FULL, "run")


def test_a_record_replaces_the_one_before_and_leaves_other_attributes(group: zarr.Group, record: Record) -> None:
    group.attrs["title"] = "faces"
    write_record(group, record)
    write_record(group, replace(record, iteration=3))
    group.create_group("generations/a")
    keep_record(group, "generations/a", record)
    assert read_record(group) == replace(record, iteration=3)
    assert read_record(group, "generations/a") == record
    assert group.attrs["title"] == "faces"


def test_only_a_run_that_is_going_on_is_stopped(group: zarr.Group, record: Record) -> None:
    set_stopped(group, "was cancelled")
    assert read_record(group) == Begun(format=FORMAT, status="stopped", stopped="was cancelled", at=None)
    write_record(group, replace(record, status="finished", stopped="reached tol"))
    set_stopped(group, "was cancelled")
    assert read_record(group).stopped == "reached tol"


HOSTILE: list[tuple[str, Any, str]] = [
    ("format", "1", "its record has format '1', and an integer of at least 1 is required"),
    ("format", True, "its record has format True"),
    ("status", 7, "its record has status 7, and one of running, finished, stopped is required"),
    ("status", ..., "its record has no status, and one of running, finished, stopped is required"),
    ("stopped", 1, "its record has stopped 1, and a text, or null is required"),
    ("at", "../good", "its record has at '../good', and the path of a generation, generations/NAME, or an empty text"),
    ("at", "generations/../../x", "its record has at 'generations/../../x'"),
    ("at", "/etc\n", r"its record has at '/etc\n'"),
    ("iteration", 10**12, "its record has iteration 1000000000000, and an integer of at least 0 and at most 10000000"),
    ("relative_error", float("nan"), "its record has relative_error nan, and a finite number of at least 0, or null"),
    ("x", [], "its record has x [], and an object is required"),
    ("x.shape", "4000", "its record has x.shape '4000', and two positive integers is required"),
    ("x.shape", [0, 5], "its record has x.shape[0] 0, and an integer of at least 1 and at most 281474976710656"),
    ("x.shape", [10**12, 5], "its record cuts 1000000000000 rows into strips of 4, and at most 1000000 strips"),
    ("x.dtype", "object", "its record has x.dtype 'object', and the name of a dtype of real numbers is required"),
    ("x.chunks", [1, 2, 3], "its record has x.chunks [1, 2, 3], and one or two positive integers is required"),
    ("x.nbytes", -1, "its record has x.nbytes -1, and an integer of at least 0 is required"),
    ("parameters.rank", -3, "its record has parameters whose rank is -3: an integer of at least 1 is required"),
    ("parameters.rank", 10**300, "its record has parameters.rank 1000000000"),
    ("parameters.solver", "magic", "its record has parameters whose solver is 'magic': one of "),
    ("parameters.tol", "x", "its record has parameters.tol 'x', and a finite number is required"),
    ("parameters.beta_loss", float("inf"), "its record has parameters"),
    ("start", None, "its record names a generation, and no pass, no start or no relative_error"),
    ("start.seconds", -1, "its record has start.seconds -1, and a finite number of at least 0 is required"),
    ("state.axis", True, "its record has state.axis True, and one of 0, 1 is required"),
    ("state.counts", [1, 0], "its record has state.counts[1] 0, and an integer of at least 1"),
    ("state.next", "generations/a/../../next", "its record has state.next"),
    ("state.every", 0, "its record has state.every 0, and an integer of at least 1, or null is required"),
    ("versions", {"dnmf": 1}, "its record has versions {'dnmf': 1}, and an object of texts is required"),
]


@pytest.mark.parametrize(("path", "value", "text"), HOSTILE, ids=[f"{path} {value}"[:30] for path, value, _ in HOSTILE])
def test_what_dnmf_did_not_write_is_refused_with_the_value_and_what_is_required(
    path: str, value: Any, text: str
) -> None:
    with pytest.raises(ValueError, match="is not a run that dnmf wrote") as refused:
        parse_record(with_value(path, value), "run.zarr")
    assert str(refused.value).startswith(f"run.zarr is not a run that dnmf wrote: {text}")


def test_a_newer_format_is_refused_whatever_else_it_says() -> None:
    with pytest.raises(ValueError, match="format") as refused:
        parse_record({"format": 99}, "run.zarr")
    assert (
        str(refused.value) == f"run.zarr has format 99, this dnmf reads up to {FORMAT}: install a newer dnmf to open it"
    )
    with pytest.raises(ValueError, match="its record is None, and an object is required"):
        parse_record(None, "run.zarr")


def test_rows_before_are_those_that_x_does_not_hold() -> None:
    found = parse_record(EXTENDED, "run")
    assert isinstance(found, Record)
    assert found.before == 20
    assert [(part.start, part.stop) for part in found.all_rows] == [(0, 20), (20, 30)]
    assert found.extends is not None
    exact = replace(found, extends=replace(found.extends, exact=True))
    assert (exact.before, len(exact.all_rows)) == (0, 1)
    assert parse_record(FULL, "run").all_rows[0].stop == 10
    with pytest.raises(ValueError, match="rows 20 to 19: a part has one row at least"):
        parse_record(EXTENDED | {"x": FULL["x"] | {"parts": [PART | {"start": 20}]}}, "run")
