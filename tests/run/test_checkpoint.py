"""A checkpoint that is written is the one that is read back; of damaged generations the one before is read."""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from msgspec.structs import replace as with_fields
from pairwise import few
from zarr.storage import MemoryStore

from dnmf.losses.protocol import STEPS
from dnmf.run import checkpoint as checkpoints
from dnmf.run.checkpoint import Checkpoint, read_checkpoint, read_generation, write_checkpoint
from dnmf.run.factors import write_blocks
from dnmf.run.generations import new_generation
from dnmf.run.history import KEPT, History
from dnmf.run.keeper import Ending, Keeper
from dnmf.run.record import CHECKSUMS, Record, read_record

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def drawn(draw: st.DrawFn) -> Checkpoint:
    """Any checkpoint, with what there may not be."""
    k, width, sampled, dtype = draw(st.tuples(*3 * [st.integers(1, 4)], st.sampled_from(["f4", "f8"])))
    entries = st.floats(0, width=8 * np.dtype(dtype).itemsize, allow_infinity=False)
    factor, rows = arrays(dtype, (k, width), elements=entries), arrays(dtype, (k, sampled), elements=entries)
    return Checkpoint(
        iteration=draw(st.integers(0, 10**7)),
        short=draw(factor),
        plain=draw(st.none() | factor),
        modelled=draw(st.booleans()),
        steps=draw(st.integers(1, STEPS)),
        rows=draw(st.none() | rows),
        checksums=draw(st.none() | arrays("u8", st.integers(0, 4), elements=st.integers(0, 2**64 - 2))),
        loss=draw(st.none() | NUMBERS),
        total=draw(NUMBERS | st.just(math.nan)),
        gain=draw(NUMBERS | st.just(math.inf)),
        norm=draw(NUMBERS | st.just(math.nan)),
    )


@given(checkpoint=drawn())
@settings(deadline=None)
def test_what_is_written_is_what_is_read_back(checkpoint: Checkpoint) -> None:
    group = zarr.create_group(MemoryStore())
    for at in ("", "generations/a"):
        assert read_checkpoint(group, write_checkpoint(group, at, checkpoint)) == checkpoint


def test_checkpoints_are_the_same_only_bit_by_bit() -> None:
    one = Checkpoint(3, np.ones((2, 2), "f4"), checksums=np.arange(2, dtype="u8"))
    assert one == replace(one, short=np.ones((2, 2), "f4"))
    for other in (
        {"short": np.ones((2, 2), "f8")}, {"short": np.nextafter(one.short, 2)}, {"plain": one.short}, {"norm": 1.0},
        {"checksums": None}, {"iteration": 4},
    ):  # fmt: skip
        assert one != replace(one, **other)


def test_what_is_on_disk_is_what_runs_of_format_1_have_but_for_the_kind_of_checksums() -> None:
    group = zarr.create_group(MemoryStore())
    write_checkpoint(group, "", Checkpoint(3, np.ones((2, 5), "f4"), checksums=np.arange(2, dtype="u8"), loss=2.0))
    assert dict(group["next"].attrs) == {"iteration": 3, "modelled": False, "steps": 10, "loss": 2.0}
    assert sorted(group["next"].array_keys()) == ["short", CHECKSUMS]


def test_checksums_of_another_kind_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have another name: a run that has them goes on, and its X is not compared with what it was."""
    group, one = (
        zarr.create_group(MemoryStore()),
        Checkpoint(3, np.ones((2, 5), "f4"), checksums=np.arange(2, dtype="u8")),
    )
    write_checkpoint(group, "", one)
    monkeypatch.setattr(checkpoints, "CHECKSUMS", "others")
    assert read_checkpoint(group, "next") == replace(one, checksums=None)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"iteration": None},
            "next has no iteration, and an integer of at least 0 and at most 10000000 is required: the",
        ),
        ({"iteration": -1}, "next has iteration -1, and an integer"),
        ({"gain": "large"}, "next has gain 'large', and a finite number, or null is required: the run is damaged"),
    ],
)
def test_a_damaged_one_is_told(change: dict[str, Any], text: str) -> None:
    group = zarr.create_group(MemoryStore())
    write_checkpoint(group, "", Checkpoint(3, np.ones((2, 5), "f4")))
    changed = {**group["next"].attrs, **change}
    group["next"].attrs.put({name: value for name, value in changed.items() if value is not None})
    with pytest.raises(ValueError, match=text):
        read_checkpoint(group, "next")


# Generations


@pytest.fixture
def three(group: zarr.Group, record: Record) -> Record:
    """A run with three generations, of which the first is deleted by now; its record."""
    first = with_fields(record, at=None, iteration=0, relative_error=None, start=None)
    keeper = Keeper(group, first)
    keeper.begin(None)
    short, history = np.ones((3, 5), "f4"), History(1, 0, np.ones((3, 5), "f4"))
    for iteration in (1, 2, 3):
        at = new_generation(group, iteration)
        write_blocks(keeper.long.array(group, at), np.full((10, 3), iteration, "f4"))
        for values in history.passes.values():
            values.append(iteration)
        history.snapshots[iteration] = short
        outcome = Ending(iteration * short, record.start, 0.5)
        keeper.commit(at, outcome, Checkpoint(iteration, iteration * short, norm=8.0), history)
    return read_record(group)


def test_a_generation_is_read_whole(group: zarr.Group, three: Record) -> None:
    found = read_generation(group, three)
    assert found.record == three
    assert found.checkpoint == Checkpoint(3, np.full((3, 5), 3, "f4"), norm=8.0)
    assert {name: list(values) for name, values in found.passes.items()} == {name: [1, 2, 3] for name in KEPT}
    assert list(found.snapshots) == [0, 1, 2, 3]
    assert len(list(group["generations"].group_keys())) == 2


@pytest.mark.parametrize(
    "what",
    few(["W/c/1/0", "loss/c/0", "snapshots/c/1/0/0", "next/short/c/0/0", "next/short/zarr.json", "next/zarr.json"], 2),
)
def test_before_a_damaged_generation_there_is_another(out: Path, group: zarr.Group, three: Record, what: str) -> None:
    (out / three.at / what).unlink()
    found = read_generation(group, three)
    assert (found.checkpoint.iteration, found.record.at, found.record.iteration) == (2, three.state.before, 2)


@pytest.mark.parametrize("before", ["damaged", "gone", "of nobody"])
def test_where_both_are_damaged_it_says_so(out: Path, group: zarr.Group, three: Record, before: str) -> None:
    for at in (three.at, three.state.before):
        (out / at / "W/c/1/0").unlink()
    if before == "gone":
        shutil.rmtree(out / three.state.before)
    if before == "of nobody":
        group[three.state.before].attrs["dnmf"] = {"format": "2"}
    with pytest.raises(
        OSError, match=r"^what the run would go on from is damaged \(1 of 3 chunks of W are missing\): st"
    ):
        read_generation(group, three)
