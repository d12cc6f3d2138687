"""When a pass is saved, and what is kept where a run ends early."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.testing import assert_array_equal
from pairwise import few
from resize import Resize

import dnmf
from dnmf.events import Cancelled, PassDone, Saved, StripDone
from dnmf.factorization import saving
from dnmf.run.components import describe
from dnmf.run.keeper import Keeper

RNG = np.random.default_rng(0)
X = RNG.random((200, 5)) @ RNG.random((5, 40)) + 0.2 * RNG.random((200, 40))
ASKED: dict[str, Any] = {"tol": 0, "max_iter": 5, "cache": False}


@pytest.fixture
def x(tmp_path: Path, sizes: Resize) -> Path:
    """X in strips of 20 rows."""
    sizes(strip=2**12)
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(20, 40))
    return tmp_path / "x.zarr"


def saved(x: Path, name: str, **asked: Any) -> list[int]:
    """The passes that are saved, 0 for the first factors."""
    events: list[Any] = []
    dnmf.factorize(x, 3, out=x.parent / name, listeners=[events.append], **ASKED, **asked)
    return [event.iteration for event in events if isinstance(event, Saved)]


@pytest.mark.long
def test_passes_are_saved_as_often_as_their_time_pays_for_it(x: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Five passes take less than fifty times what a generation is taken to cost; of long ones each one is due.
    assert saved(x, "short.zarr") == [0]
    assert saved(x, "asked.zarr", checkpoint_every=2) == [0, 2, 4]
    monkeypatch.setattr(saving, "PER_COST", 0)
    assert saved(x, "long.zarr") == [0, 1, 2, 3, 4, 5]
    assert saved(x, "asked-too.zarr", checkpoint_every=4) == [0, 4]
    one, other = (dnmf.open_run(x.parent / f"{name}.zarr") for name in ("short", "long"))
    assert_array_equal(one.V, other.V)
    assert_array_equal(np.asarray(one.W), np.asarray(other.W))


@pytest.mark.parametrize("where", few(["here", "threads", "cluster"], 1))
@pytest.mark.parametrize(("number", "error"), [(4, KeyboardInterrupt), (9, Cancelled)])
def test_a_run_that_is_ended_in_a_pass_keeps_the_one_before(
    request: pytest.FixtureRequest, x: Path, sizes: Resize, where: str, number: int, error: type[BaseException]
) -> None:
    if where == "cluster":
        request.getfixturevalue("client")
    elif where == "here":
        sizes(strip=2**24)
    whole, out, told = dnmf.factorize(x, 3, out=x.parent / "whole.zarr", **ASKED), x.parent / "run.zarr", []

    def end(event: Any) -> None:
        told.append(event)
        last = (
            isinstance(event, StripDone) and event.iteration == 4 and event.done == (1 if where == "here" else number)
        )
        # Who was asked to end tells it at every event from then on, as a signal's listener does.
        if last or (len(told) > 1 and isinstance(told[-2], StripDone) and told[-2].iteration == 4):
            raise error

    with pytest.raises(error):
        dnmf.factorize(x, 3, out=out, listeners=[end], **ASKED)
    kept = dnmf.open_run(out)
    assert (kept.about.iteration, kept.about.status) == (3, "stopped")
    assert_array_equal(kept.history["loss"], whole.history["loss"][:3])
    assert np.isfinite(describe(kept).share).all(), "sums of the pass are kept, too"
    result = dnmf.resume(out)
    assert_array_equal(result.V, whole.V)
    assert_array_equal(np.asarray(result.W), np.asarray(whole.W))


def test_what_cannot_be_kept_in_time_is_left(x: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "IN_TIME", 0)

    def end(event: Any) -> None:
        if isinstance(event, PassDone) and event.iteration == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        dnmf.factorize(x, 3, out=x.parent / "run.zarr", checkpoint_every=2, listeners=[end], **ASKED)
    kept = dnmf.open_run(x.parent / "run.zarr")
    assert (kept.about.iteration, kept.stopped) == (2, "was cancelled")
    # What a run goes on from has no sums.
    assert "`dnmf resume RUN` gives them" in describe(kept).notes[0]


def test_a_run_that_is_killed_between_its_last_pass_and_its_end_keeps_the_sums(
    x: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = dnmf.factorize(x, 3, out=x.parent / "whole.zarr", **ASKED)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "finish", die)
        with pytest.raises(KeyboardInterrupt):
            dnmf.factorize(x, 3, out=x.parent / "run.zarr", checkpoint_every=1, **ASKED)
    assert dnmf.open_run(x.parent / "run.zarr").about.at
    result = dnmf.resume(x.parent / "run.zarr")
    assert result.about.status == "finished"
    assert_array_equal(describe(result).share, describe(whole).share)
