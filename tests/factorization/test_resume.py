"""Runs that were stopped, and go on: bit for bit what they would have been, or a sentence."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.testing import assert_array_equal
from pairwise import few, in_turn
from resize import Resize

import dnmf
from dnmf.events import PassDone, Planned, Sampled, StripDone
from dnmf.factorization.session import drive
from dnmf.run import keeper, opening
from dnmf.run.keeper import Keeper

RNG = np.random.default_rng(5)
X = (RNG.gamma(0.5, size=(900, 4)) @ RNG.gamma(0.5, size=(4, 40)) + 0.1 * RNG.random((900, 40))).astype("f4")
FIRST = np.random.default_rng(6).random((900, 4)), np.random.default_rng(7).random((4, 40))
FACTS = {"max_iter": 9, "tol": 0, "checkpoint_every": 2}


def interrupt(when: Any) -> Any:
    """A listener that interrupts at the first event of which `when` is true."""

    def listen(event: Any) -> None:
        if when(event):
            raise KeyboardInterrupt

    return listen


def after(iteration: int) -> Any:
    return interrupt(lambda event: isinstance(event, PassDone) and event.iteration == iteration)


def begin(x: Any, out: Path, listener: Any, **asked: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        dnmf.factorize(x, 4, out=out, listeners=[listener], **(FACTS | asked))


def assert_same(one: dnmf.Factorization, other: dnmf.Factorization) -> None:
    assert_array_equal(one.V, other.V)
    assert_array_equal(np.asarray(one.W), np.asarray(other.W))
    for name in ("loss", "objective", "gradient", "gain", "sweeps"):
        assert_array_equal(one.history[name], other.history[name])
    assert one.stopped == other.stopped


@pytest.fixture
def x(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The path of X, which is tall where nothing else is asked for."""
    tall = getattr(request, "param", "tall") == "tall"
    path = str(tmp_path / "x.zarr")
    zarr.create_array(path, data=X if tall else X.T.copy(), chunks=(100, 40) if tall else (40, 100))
    return path


@pytest.fixture
def cut(sizes: Resize) -> None:
    """Small strips: several of them."""
    sizes(strip=2**14)


ASKED = [
    {"solver": "mu", "beta_loss": 1.0, "cache": False},
    {"init": "random", "shuffle": True},
    {"init": "nndsvdar", "alpha_W": 0.01, "l1_ratio": 0.5},
    {"init": "given"},
    {"init": "given", "inner_iter": 1, "solver": "mu"},
]


@pytest.mark.parametrize(
    ("asked", "x", "stops"),
    few([({}, "wide", (7,)), ({}, "wide", (1,)), *in_turn(ASKED, ["tall", "wide"], [(4,), (7,), (1,)])], 1),
    indirect=["x"],
    ids=str,
)
@pytest.mark.usefixtures("cut")
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
    x: str, tmp_path: Path, asked: dict[str, Any], stops: tuple[int, ...]
) -> None:
    if asked.get("init") == "given":
        m, n = zarr.open_array(x, mode="r").shape
        asked = asked | {"init": FIRST if m > n else tuple(F.T for F in FIRST[::-1])}
    whole = dnmf.factorize(x, 4, out=tmp_path / "whole.zarr", **(FACTS | asked))
    assert len(whole.about.state.plan.heights) >= 5
    for stop in stops:
        begin(x, tmp_path / f"{stop}.zarr", after(stop), **asked)
        assert_same(dnmf.resume(tmp_path / f"{stop}.zarr"), whole)


@pytest.mark.long
@pytest.mark.parametrize("x", ["wide"], indirect=True)
@pytest.mark.usefixtures("cut")
def test_a_run_may_be_stopped_again_and_again(x: str, tmp_path: Path) -> None:
    whole, out = dnmf.factorize(x, 4, out=tmp_path / "whole.zarr", **FACTS, snapshot_every=3), tmp_path / "run.zarr"
    begin(x, out, after(2), snapshot_every=3)
    for stop in (3, 5, 8):
        with pytest.raises(KeyboardInterrupt):
            dnmf.resume(out, listeners=[after(stop)])
    result = dnmf.resume(out)
    assert_same(result, whole)
    assert list(result.snapshots) == [0, 3, 6, 9]
    for taken, other in zip(result.snapshots.values(), whole.snapshots.values(), strict=True):
        assert_array_equal(taken, other)


@pytest.mark.long
@pytest.mark.usefixtures("cut")
def test_nothing_is_computed_twice_that_was_saved(x: str, tmp_path: Path) -> None:
    """Neither the sample nor the first factors, nor a pass before the last generation."""
    events: list[Any] = []
    begin(x, tmp_path / "sampled.zarr", interrupt(lambda event: isinstance(event, Sampled)))
    assert zarr.open_group(tmp_path / "sampled.zarr").attrs["dnmf"]["state"]["next"] is None
    begin(x, tmp_path / "begun.zarr", interrupt(lambda event: isinstance(event, StripDone) and event.iteration == 1))
    whole = dnmf.factorize(x, 4, out=tmp_path / "whole.zarr", **FACTS)
    result = dnmf.resume(tmp_path / "begun.zarr", listeners=[events.append])
    assert_same(result, whole)
    assert not [event for event in events if isinstance(event, Sampled)]
    assert result.record["start"]["bytes_read"] == whole.record["start"]["bytes_read"] > 0
    begin(x, tmp_path / "passes.zarr", after(5))
    events.clear()
    dnmf.resume(tmp_path / "passes.zarr", listeners=[events.append])
    assert [event.iteration for event in events if isinstance(event, PassDone)] == [6, 7, 8, 9]


@pytest.mark.long
@pytest.mark.parametrize("x", ["wide"], indirect=True)
@pytest.mark.usefixtures("cut")
def test_a_sample_that_is_whole_is_not_drawn_again(x: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dnmf.factorize(x, 4, out=tmp_path / "whole.zarr", **FACTS)
    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "keep_start", _full)
        with pytest.raises(OSError, match="cannot be written"):
            dnmf.factorize(x, 4, out=tmp_path / "run.zarr", **FACTS)
    sampled: list[Any] = []
    result = dnmf.resume(tmp_path / "run.zarr", listeners=[sampled.append])
    assert_same(result, whole)
    assert not [event for event in sampled if isinstance(event, StripDone) and event.iteration == 0]
    assert result.reads == whole.reads + 1  # X was in memory, and has to be read into it again


@pytest.mark.long
@pytest.mark.usefixtures("cut")
def test_a_sample_of_another_run_is_kept_before_anything_else(x: str, tmp_path: Path) -> None:
    """A process that dies as it begins leaves it to the one that goes on."""
    dnmf.factorize(x, 4, out=tmp_path / "first.zarr", seed=3, max_iter=1)
    given = {"sample": tmp_path / "first.zarr"}
    whole = dnmf.factorize(x, 4, out=tmp_path / "whole.zarr", **FACTS, **given)
    begin(x, tmp_path / "run.zarr", interrupt(lambda event: isinstance(event, Planned)), **given)
    assert_same(dnmf.resume(tmp_path / "run.zarr"), whole)


def _full(*_: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.long
def test_on_a_cluster_too(client: Any, x: str, tmp_path: Path) -> None:
    asked = {"cache": False, "memory_limit": 2**28}
    whole = dnmf.factorize(x, 4, out=tmp_path / "whole.zarr", **FACTS, **asked)
    begin(x, tmp_path / "run.zarr", after(5), **asked)
    assert_same(dnmf.resume(tmp_path / "run.zarr"), whole)


@pytest.mark.long
@pytest.mark.usefixtures("cut")
def test_workers_with_too_little_memory_for_the_strips_get_others(
    x: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: Resize
) -> None:
    begin(x, tmp_path / "run.zarr", after(5))
    before = opening.open_group(tmp_path / "run.zarr")[1].state.height
    monkeypatch.setattr("dnmf.factorization.resume.refit", lambda *_, **__: None)
    sizes(strip=2**16)
    result = dnmf.resume(tmp_path / "run.zarr")
    assert result.about.state.height != before
    assert result.about.iteration == 9
    whole = dnmf.factorize(x, 4, **FACTS)
    np.testing.assert_allclose(np.asarray(result.W) @ result.V, np.asarray(whole.W) @ whole.V, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("asked", few([{}, {"init": FIRST, "inner_iter": 1}], 1), ids=["sample", "published"])
def test_a_finished_run_goes_on_where_more_passes_are_allowed(tmp_path: Path, asked: dict[str, Any]) -> None:
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(100, 40))
    x, out = str(tmp_path / "x.zarr"), tmp_path / "run.zarr"
    short = dnmf.factorize(x, 4, out=out, max_iter=5, tol=0, **asked)
    longer = dnmf.resume(out, max_iter=12)
    assert longer.loss < short.loss
    assert longer.record["parameters"]["max_iter"] == 12
    direct = dnmf.factorize(x, 4, max_iter=12, tol=0, **asked)
    assert len(longer.history["loss"]) == len(direct.history["loss"])
    assert longer.loss == pytest.approx(direct.loss, rel=1e-4 if asked else 1e-2)
    with pytest.raises(
        ValueError, match=r"is finished \(reached max_iter = 12 .*\): give a larger max_iter or a small"
    ):
        dnmf.resume(out)


@pytest.mark.long
def test_a_run_killed_while_its_last_generations_were_deleted_goes_on(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(100, 40))
    for name in ("run", "whole"):
        dnmf.factorize(str(tmp_path / "x.zarr"), 4, out=tmp_path / f"{name}.zarr", max_iter=3, tol=0)
    shutil.rmtree(tmp_path / "run.zarr" / "generations")
    after_it = [dnmf.resume(tmp_path / f"{name}.zarr", max_iter=6, checkpoint_every=1) for name in ("run", "whole")]
    assert_same(*after_it)
    assert [path.name for path in (tmp_path / "run.zarr" / "generations").iterdir()] == ["zarr.json"]


@pytest.mark.parametrize("stage", few(["one factor", "begun", "all but the record"], 1))
def test_a_run_killed_while_it_finished_is_finished(
    tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(100, 40))
    x, out = str(tmp_path / "x.zarr"), tmp_path / "run.zarr"
    whole = dnmf.factorize(x, 4, out=tmp_path / "whole.zarr", **(FACTS | {"checkpoint_every": 3}))

    class Killed(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        # What a SIGKILL at these places leaves: nothing runs after it, so nothing says "stopped" either.
        patch.setattr(Keeper, "stop", lambda *_: die())
        if stage == "begun":
            patch.setattr(Keeper, "finish", die)
        elif stage == "one factor":
            history = keeper.write_history
            patch.setattr(keeper, "write_history", lambda g, at, h: history(g, at, h) if at else die())
        else:
            record = keeper.write_record
            patch.setattr(keeper, "write_record", lambda g, r: record(g, r) if r.status != "finished" else die())
        with pytest.raises(Killed):
            dnmf.factorize(x, 4, out=out, **(FACTS | {"checkpoint_every": 3}))
    assert dnmf.open_run(out).record["status"] == "running"
    assert_same(dnmf.resume(out), whole)
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in (tmp_path / "whole.zarr").iterdir())


def test_what_may_not_change_is_refused_with_both_values(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(100, 40))
    out = tmp_path / "run.zarr"
    begin(str(tmp_path / "x.zarr"), out, after(3))
    for name, value, before in (
        ("rank", 5, "4"), ("solver", "mu", "'cd'"), ("seed", 1, "0"), ("beta_loss", "kullback-leibler", "2.0"),
        ("init", "random", "'sample'"), ("alpha_W", 0.5, "0.0"),
    ):  # fmt: skip
        with pytest.raises(
            ValueError, match=f"^{name} was {before} when the run began and is .* now: a run goes on with"
        ):
            dnmf.resume(out, **{name: value})
    with pytest.raises(TypeError, match="resume has no parameter 'tolerance'"):
        dnmf.resume(out, tolerance=1)
    with pytest.raises(ValueError, match="has made 3 passes and max_iter is 2: give a larger one"):
        dnmf.resume(out, max_iter=2)
    same = dnmf.resume(out, rank=4, seed=0, beta_loss="frobenius", alpha_H="same", max_iter=6, checkpoint_every=1)
    assert same.record["iteration"] == 6


def test_another_x_is_refused(tmp_path: Path) -> None:
    """By its shape, its dtype, its chunks, its codecs."""
    path, out = str(tmp_path / "x.zarr"), tmp_path / "run.zarr"
    zarr.create_array(path, data=X, chunks=(100, 40))
    begin(path, out, after(3))
    changes: list[tuple[dict[str, Any], str]] = [
        ({"data": X[:-1]}, r"its shape were \[900, 40\] and are \[899, 40\] now"),
        ({"data": X.astype("f8")}, "its dtype were float32 and are float64 now"),
        ({"data": X, "chunks": (50, 40)}, r"its chunks were \[100, 40\] and are \[50, 40\] now"),
        ({"data": X, "compressors": None}, "its codecs were"),
    ]
    for change, said in changes:
        zarr.create_array(path, overwrite=True, **({"chunks": (100, 40)} | change))
        with pytest.raises(ValueError, match=f"is not the one that the run was begun with: {said}"):
            dnmf.resume(out)


@pytest.mark.usefixtures("cut")
def test_an_x_with_other_numbers_is_refused_by_its_first_pass(tmp_path: Path) -> None:
    path, out = str(tmp_path / "x.zarr"), tmp_path / "run.zarr"
    array = zarr.create_array(path, data=X, chunks=(100, 40))
    begin(path, out, after(3), cache=False)
    before = dnmf.open_run(out)
    array[450, 3] = np.nextafter(X[450, 3], np.float32(9), dtype="f4")
    with pytest.raises(OSError, match="rows 400 to 599 of X are not what they were when they were first read"):
        dnmf.resume(out)
    kept = dnmf.open_run(out)
    assert_array_equal(kept.V, before.V)
    array[450, 3] = X[450, 3]
    assert dnmf.resume(out).record["status"] == "finished"


@pytest.mark.long
def test_x_that_is_not_stored_is_given_again(tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    begin(X, out, after(3))
    with pytest.raises(ValueError, match="X of this run was an array in memory: give it again"):
        dnmf.resume(out)
    assert_same(dnmf.resume(out, X), dnmf.factorize(X, 4, **FACTS))


def test_x_may_have_moved(tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(100, 40))
    begin(str(tmp_path / "x.zarr"), out, after(3))
    shutil.move(tmp_path / "x.zarr", tmp_path / "moved.zarr")
    with pytest.raises(FileNotFoundError, match="there is no Zarr array"):
        dnmf.resume(out)
    assert dnmf.resume(out, tmp_path / "moved.zarr").record["x"]["path"] == str(tmp_path / "moved.zarr")


def test_what_cannot_go_on_is_refused(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(100, 40))
    x, out = str(tmp_path / "x.zarr"), tmp_path / "run.zarr"
    with pytest.raises(FileNotFoundError, match="there is no run"):
        dnmf.resume(out)
    dnmf.factorize(x, 4, out=out, max_iter=2, tol=0, keep_W=False)
    with pytest.raises(ValueError, match="is finished and keeps no W, which going on needs"):
        dnmf.resume(out, max_iter=5)
    group = zarr.open_group(out)
    record = dict(group.attrs["dnmf"])
    record["state"] = {name: value for name, value in record["state"].items() if name != "next"}
    group.attrs["dnmf"] = record | {"status": "stopped"}
    with pytest.raises(ValueError, match="is of an older dnmf, which kept nothing to go on from"):
        dnmf.resume(out)


@pytest.mark.long
def test_no_files_are_left_behind(x: str, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    begin(x, out, after(5))
    dnmf.resume(out)
    left = {path.name for path in out.iterdir()}
    assert left >= {"W", "V", "loss", "sample", "next", "lease", "generations", "zarr.json"}
    assert [path.name for path in (out / "generations").iterdir()] == ["zarr.json"]


def test_a_process_that_is_killed_as_it_begins_or_ends_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(100, 40))
    x, out = str(tmp_path / "x.zarr"), tmp_path / "run.zarr"
    opening.create_run(out, overwrite=False)
    with pytest.raises(ValueError, match=r"was killed before it said what was asked for: start it again"):
        dnmf.resume(out)
    dnmf.factorize(x, 4, out=out, **FACTS)
    # As if killed between the last record and the deletion of generations.
    shutil.copytree(out / "next", out / "generations" / "000008-00000000" / "next")
    with pytest.raises(ValueError, match="is finished"):
        dnmf.resume(out)
    assert [path.name for path in (out / "generations").iterdir()] == ["zarr.json"]


@pytest.mark.long
def test_a_run_that_ended_while_it_was_opened_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may finish between the look at the record and the lease."""
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(100, 40))
    out, shadow = tmp_path / "run.zarr", dnmf.resume
    begin(str(tmp_path / "x.zarr"), out, after(3))

    def late(*args: Any, **others: Any) -> None:
        monkeypatch.setattr("dnmf.factorization.resume.drive", drive)
        shadow(out)
        drive(*args, **others)

    monkeypatch.setattr("dnmf.factorization.resume.drive", late)
    with pytest.raises(RuntimeError, match="went on while it was opened: try again"):
        dnmf.resume(out)
    run = dnmf.open_run(out)
    assert (run.record["status"], run.record["iteration"], np.asarray(run.W).shape) == ("finished", 9, (900, 4))


@pytest.mark.long
@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("what", ["W/c/2/0", "next/zarr.json"])
def test_a_damaged_generation_has_one_before_it(tmp_path: Path, what: str) -> None:
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(100, 40))
    x, out = str(tmp_path / "x.zarr"), tmp_path / "run.zarr"
    whole = dnmf.factorize(x, 4, out=tmp_path / "whole.zarr", **FACTS)
    begin(x, out, after(7))
    at = opening.open_group(out)[1].at
    assert at.startswith("generations/000007-")
    (out / at / what).unlink()
    passes: list[int] = []
    result = dnmf.resume(
        out, listeners=[lambda event: passes.append(event.iteration) if isinstance(event, PassDone) else None]
    )
    assert passes == [7, 8, 9]
    assert_same(result, whole)


@pytest.mark.long
@pytest.mark.usefixtures("cut")
def test_where_both_are_damaged_it_says_so(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(100, 40))
    out = tmp_path / "run.zarr"
    begin(str(tmp_path / "x.zarr"), out, after(7))
    for chunk in out.glob("generations/*/W/c/1/0"):
        chunk.unlink()
    with pytest.raises(OSError, match=r"is damaged \(1 of \d+ chunks of W are missing\): start it again"):
        dnmf.resume(out)
