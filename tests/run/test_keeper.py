"""Whenever a process dies while it writes a run, the run holds a whole state, from which the next one goes on."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import zarr
from msgspec.structs import replace
from numpy.testing import assert_array_equal
from zarr.storage import MemoryStore, WrapperStore

from dnmf.parameters import Parameters
from dnmf.run.checkpoint import Checkpoint, read_generation
from dnmf.run.factors import stored_long, write_blocks
from dnmf.run.generations import new_generation
from dnmf.run.history import History
from dnmf.run.keeper import Ending, Keeper
from dnmf.run.lease import Busy
from dnmf.run.opening import open_whole
from dnmf.run.record import Record, read_record
from dnmf.run.result import open_run

SHORT, LONG = np.ones((3, 5), "f4"), np.ones((10, 3), "f4")


class Killed(BaseException):
    """What a process that dies raises here."""


class Mortal(WrapperStore[Any]):
    """A store that takes `left` more writes and deletions, and no more."""

    left = 10**9

    def _write(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1

    async def set(self, *args: Any, **others: Any) -> None:
        self._write()
        await super().set(*args, **others)

    async def set_if_not_exists(self, *args: Any, **others: Any) -> None:
        self._write()
        await super().set_if_not_exists(*args, **others)

    async def delete(self, *args: Any, **others: Any) -> None:
        self._write()
        await super().delete(*args, **others)

    async def delete_dir(self, *args: Any, **others: Any) -> None:
        self._write()
        await super().delete_dir(*args, **others)


@dataclass
class Drive:
    """Drives a run of made-up factors: those after pass i hold i + 1."""

    keeper: Keeper
    start: Any
    history: History

    def state(self, iteration: int) -> tuple[Ending, Checkpoint]:
        short = (iteration + 1) * SHORT
        reason = "reached max_iter" if iteration == 3 else None
        return Ending(short, self.start, 0.5, reason), Checkpoint(iteration, short, loss=2.0, norm=8.0)

    def commit(self, iteration: int) -> None:
        at = new_generation(self.keeper.group, iteration)
        write_blocks(self.keeper.long.array(self.keeper.group, at), (iteration + 1) * LONG)
        self._passed(iteration)
        self.keeper.commit(at, *self.state(iteration), self.history)

    def finish(self, iteration: int) -> None:
        self._passed(iteration)
        self.keeper.finish(*self.state(iteration), self.history, partial(write_blocks, values=(iteration + 1) * LONG))

    def _passed(self, iteration: int) -> None:
        for values in self.history.passes.values():
            values.append(iteration)


@pytest.fixture
def drive(record: Record) -> Callable[..., Drive]:
    def begun(store: Any, *, lasting: bool = True, every: int | None = None, **asked: Any) -> Drive:
        group = zarr.create_group(store, overwrite=True)
        group.create_group("generations")
        first = replace(record, at=None, iteration=0, relative_error=None, start=None)
        first = replace(first, state=replace(first.state, next=None, every=every), x=replace(first.x, norm=None))
        first = replace(first, parameters=Parameters(**asdict(first.parameters) | asked))
        keeper = Keeper(group, first, lasting)
        keeper.begin(None)
        return Drive(keeper, record.start, History(None, 0, SHORT))

    return begun


def whole(group: zarr.Group, record: Record) -> int:
    """The pass of the state that a record names, every part of which is there."""
    found = read_generation(group, record)
    assert found.record == record, "no generation before it is needed"
    iteration = found.checkpoint.iteration
    assert_array_equal(found.checkpoint.short, (iteration + 1) * SHORT)
    if iteration:
        assert_array_equal(stored_long(group, record)[...], (iteration + 1) * LONG)
        assert len(found.passes["loss"]) == iteration
        run = open_run(group)
        assert (run.about.iteration, run.relative_error) == (iteration, 0.5)
        assert_array_equal(run.V, (iteration + 1) * SHORT)
        assert_array_equal(np.asarray(run.W), (iteration + 1) * LONG)
    return iteration


@pytest.mark.long
def test_a_run_is_whole_whichever_write_is_the_last(drive: Callable[..., Drive]) -> None:
    passes: list[int] = []
    for left in range(0, 10**4, 5):
        store = Mortal(MemoryStore())
        driver = drive(store)
        store.left, ended = left, True
        try:
            driver.keeper.keep_start(None, driver.start, driver.state(0)[1])
            driver.commit(1)
            driver.commit(2)
            driver.finish(3)
        except Killed:
            store.left, ended = 10**9, False
        group = zarr.open_group(store)
        record = read_record(group)
        assert isinstance(record, Record)
        passes.append(whole(group, record) if record.state.next else -1)
        assert record.stopped == ("reached max_iter" if passes[-1] == 3 else None)
        if ended:
            break
    assert passes == sorted(passes)
    assert set(passes) == {-1, 0, 1, 2, 3}
    assert list(group["generations"].group_keys()) == []


@pytest.mark.long
def test_a_finished_run_becomes_one_that_goes_on(drive: Callable[..., Drive]) -> None:
    store, left, done = Mortal(MemoryStore()), 0, False
    while not done:
        store = Mortal(MemoryStore())
        driver = drive(store)
        driver.commit(1)
        driver.finish(2)
        group = driver.keeper.group
        store.left, left, done = left, left + 5, True
        try:
            at = driver.keeper.move_down(*driver.state(2), driver.history, partial(write_blocks, values=3 * LONG))
        except Killed:
            store.left, done = 10**9, False
        assert whole(group, open_whole(zarr.open_group(store))[1]) == 2
    assert sorted(group) == ["generations"]
    assert (read_record(group).status, read_record(group).at) == ("running", at)


def test_a_run_in_memory_has_no_generations_and_what_is_not_wanted_is_not_written(drive: Callable[..., Drive]) -> None:
    driver = drive(MemoryStore(), lasting=False, keep_W=False)
    assert not driver.keeper.keep_start(None, driver.start, driver.state(0)[1])
    driver.finish(1)
    assert sorted(driver.keeper.group.array_keys())[0] == "V"
    assert "next" not in driver.keeper.group
    assert open_run(driver.keeper.group).W is None


def test_random_first_factors_are_not_kept(drive: Callable[..., Drive]) -> None:
    driver = drive(MemoryStore(), init="random")
    assert not driver.keeper.keep_start(None, driver.start, driver.state(0)[1])
    assert read_record(driver.keeper.group).state.next is None


@pytest.mark.parametrize("status", ["stopped", "finished"])
def test_a_run_that_goes_on_says_with_what_it_does(drive: Callable[..., Drive], status: str) -> None:
    driver = drive(MemoryStore(), every=4)
    driver.commit(1)
    record = read_record(driver.keeper.group)
    record = replace(record, status=status, stopped="was x", state=replace(record.state, reason="reached max_iter"))
    driver.keeper.go_on(record)
    now = read_record(driver.keeper.group)
    assert (now.status, now.stopped, now.at, now.state.every) == ("running", None, record.at, 4)
    assert now.state.reason == (None if status == "finished" else "reached max_iter")


def test_nothing_is_named_where_another_process_drives_the_run(drive: Callable[..., Drive]) -> None:
    def busy() -> None:
        raise Busy("another process")

    driver = drive(MemoryStore())
    driver.commit(1)
    before, start = read_record(driver.keeper.group), driver.start
    keeper = Keeper(driver.keeper.group, before, check=busy)
    driver.keeper = keeper
    for act in (
        lambda: driver.commit(2), lambda: driver.finish(3), lambda: keeper.stop("x"), lambda: keeper.go_on(before),
        lambda: keeper.keep_start(None, start, driver.state(0)[1]),
    ):  # fmt: skip
        with pytest.raises(Busy):
            act()
    assert read_record(keeper.group) == before


def test_strips_of_columns_are_written_as_they_are_shown(record: Record) -> None:
    turned = replace(record, state=replace(record.state, axis=1, height=2))
    keeper = Keeper(zarr.create_group(MemoryStore()), turned, lasting=False)
    keeper.group.create_group("generations")
    W = np.arange(30, dtype="f4").reshape(3, 10)
    done = Ending(W, record.start, 0.5, "done")
    keeper.finish(
        done, Checkpoint(1, W, norm=8.0), History(None, 1, W), partial(write_blocks, values=np.ones((3, 5), "f4"))
    )
    assert_array_equal(keeper.group["W"][...], W.T)
    assert_array_equal(keeper.group["V"][...], np.ones((3, 5)))
