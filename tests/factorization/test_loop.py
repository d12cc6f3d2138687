"""The loop: when it stops and what it says, what it tells, what it saves, and what a reader sees meanwhile."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from pairwise import few
from resize import Resize
from scipy import sparse

import dnmf
from dnmf.events import PassDone, Planned, Stopped
from dnmf.losses.protocol import STEPS
from dnmf.plan.dense import DenseGrid
from dnmf.run.checkpoint import read_generation
from dnmf.run.record import full_record, read_record

RNG = np.random.default_rng(0)
X = RNG.random((200, 5)) @ RNG.random((5, 60)) + 0.2 * RNG.random((200, 60))


@pytest.mark.parametrize("init", ["sample", "random"])
def test_it_stops_when_a_pass_no_longer_pays_and_says_so(init: str) -> None:
    result = dnmf.factorize(X, 5, tol=1e-4, init=init)
    gains = result.history["gain"]
    assert gains[-1] < 1e-4
    assert (gains[:-1] >= 1e-4).all()
    passes = "1 pass" if len(gains) == 1 else f"{len(gains)} passes"
    assert result.stopped == (
        f"after {passes}, one more would decrease the loss by some {gains[-1]:.1e} of itself, less than tol = 0.0001"
    )


def test_the_gain_is_what_moving_the_short_factor_brings() -> None:
    """A further pass decreases the loss by at least that: it moves the long factor too."""
    history = dnmf.factorize(X, 5, tol=0, init="random", max_iter=12).history
    decreases = -np.diff(history["loss"]) / history["loss"][:-1]
    # The gain is relative to the loss and a ten-thousandth of the squared norm, so it is a little smaller.
    assert (decreases >= 0.99 * history["gain"][:-1]).all()
    assert (history["gain"] > 0).all()


def test_the_projected_gradient_falls_with_the_gain() -> None:
    history = dnmf.factorize(X, 5, tol=0, init="random", max_iter=60).history
    assert history["gradient"][-1] < 0.02 * history["gradient"][0]


def test_the_long_factor_is_solved_against_the_short_one_that_is_kept() -> None:
    """Solving for W once more with the stored V changes nothing: that is what new rows of X get."""
    result = dnmf.factorize(X, 5, tol=1e-6)
    W, V = np.asarray(result.W), result.V
    gradient = 2 * (W @ (V @ V.T) - X @ V.T)
    assert np.abs(gradient[W > 0]).max() < 1e-2 * np.abs(X @ V.T).max()
    assert gradient[W == 0].min() > -1e-2 * np.abs(X @ V.T).max()


def test_it_stops_at_max_iter_and_says_so() -> None:
    result = dnmf.factorize(X, 5, tol=0, max_iter=3)
    assert len(result.history["loss"]) == 3
    assert result.stopped.startswith("reached max_iter = 3 passes; one more would decrease the loss by some ")
    assert dnmf.factorize(X, 5, tol=0, max_iter=1).stopped.startswith("reached max_iter = 1 pass; one more would ")


def test_the_events_are_one_plan_every_pass_and_one_end() -> None:
    events: list[Any] = []
    result = dnmf.factorize(X, 5, max_iter=4, tol=0, listeners=[events.append])
    assert isinstance(events[0], Planned)
    assert events[0].shape == (200, 60)
    assert [e.iteration for e in events if isinstance(e, PassDone)] == [1, 2, 3, 4]
    assert [e.loss for e in events if isinstance(e, PassDone)] == result.history["loss"].tolist()
    assert events[-1] == Stopped(result.stopped)
    assert sum(isinstance(e, Stopped) for e in events) == 1


def test_more_updates_per_read_need_fewer_reads() -> None:
    one, ten = (
        len(dnmf.factorize(X, 5, init="random", tol=1e-4, inner_iter=inner).history["loss"]) for inner in (1, 10)
    )
    assert ten < one


@pytest.mark.long
def test_a_reader_sees_whole_generations_that_belong_together(tmp_path: Path) -> None:
    """While it runs, what is named by the record is complete, and its loss is that of its factors."""
    out, seen = tmp_path / "run.zarr", {}

    def look(event: Any) -> None:
        if not isinstance(event, PassDone):
            return
        if event.iteration <= 5:
            with pytest.raises(ValueError, match="holds no whole generation yet"):
                dnmf.open_run(out)
            return
        run = dnmf.open_run(out)
        W, V = np.asarray(run.W), run.V
        seen[run.record["iteration"]] = (run.loss, ((X - W @ V) ** 2).sum(), run.record["status"], run.stopped)

    dnmf.factorize(X, 5, max_iter=17, tol=0, out=out, checkpoint_every=5, listeners=[look])
    assert sorted(seen) == [5, 10, 15]
    for loss, true, status, stopped in seen.values():
        np.testing.assert_allclose(loss, true, rtol=1e-9)
        assert (status, stopped) == ("running", None)


@pytest.mark.long
def test_only_the_last_two_generations_are_kept(tmp_path: Path) -> None:
    out, counts = tmp_path / "run.zarr", []

    def count(event: Any) -> None:
        if isinstance(event, PassDone):
            counts.append(len([p for p in (out / "generations").iterdir() if p.is_dir()]))

    dnmf.factorize(X, 5, max_iter=31, tol=0, out=out, checkpoint_every=3, listeners=[count])
    assert max(counts) <= 3  # two whole ones, and the one being written
    assert [p for p in (out / "generations").iterdir() if p.is_dir()] == []


@pytest.mark.parametrize("where", few(["threads", "cluster"], 1))
def test_a_long_factor_that_lives_in_the_run_gives_the_same_answer(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: Resize, where: str
) -> None:
    if where == "cluster":
        request.getfixturevalue("client")
    array = zarr.create_array(str(tmp_path / "x.zarr"), shape=X.shape, chunks=(20, 60), dtype="f8")
    array[...] = X
    sizes(small_strip=2**12, worthwhile_strip=2**12)
    held = dnmf.factorize(array, 5, max_iter=7, tol=0, out=tmp_path / "held.zarr")
    candidates = DenseGrid.candidates

    def in_run(*where: Any, cached: bool) -> Any:
        return (replace(plan, in_run=True) for plan in candidates(*where, cached=cached))

    monkeypatch.setattr(DenseGrid, "candidates", in_run)
    kept = dnmf.factorize(array, 5, max_iter=7, tol=0, out=tmp_path / "kept.zarr")
    assert [run.record["state"]["in_run"] for run in (held, kept)] == [False, True]
    np.testing.assert_allclose(np.asarray(kept.W), np.asarray(held.W), rtol=1e-9)
    np.testing.assert_allclose(kept.history["loss"], held.history["loss"], rtol=1e-12)


def test_an_interrupted_run_keeps_its_last_pass_and_says_so(tmp_path: Path) -> None:
    def interrupt(event: Any) -> None:
        if isinstance(event, PassDone) and event.iteration == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dnmf.factorize(X, 5, max_iter=20, tol=0, out=tmp_path / "run.zarr", checkpoint_every=5, listeners=[interrupt])
    run = dnmf.open_run(tmp_path / "run.zarr")
    assert run.record["status"] == "stopped"
    assert run.stopped == "was interrupted"
    assert run.record["iteration"] == 8
    np.testing.assert_allclose(run.loss, ((X - np.asarray(run.W) @ run.V) ** 2).sum(), rtol=1e-9)


def rare_words(rows: int, columns: int, rank: int) -> sparse.csr_matrix:
    """Counts in which half of the topics are in one row of a hundred, and make long rows of these."""
    rng = np.random.default_rng(0)
    W = rng.gamma(0.3, size=(rows, rank))
    W[:, rank // 2 :] *= (rng.random((rows, rank - rank // 2)) < 0.01) * 20
    return sparse.csr_matrix(rng.poisson(W @ rng.gamma(0.2, size=(rank, columns))).astype("f4"))


@pytest.mark.parametrize(("size", "beta"), [(100, 1.0), (200, 1.0), (200, 1.5)])
def test_a_sample_that_lacks_what_x_has_makes_no_loss_rise(sizes: Resize, size: int, beta: float) -> None:
    sizes(sample_rows=size)
    result = dnmf.factorize(rare_words(1500, 200, 6), 6, solver="mu", beta_loss=beta, max_iter=30)
    loss = result.history["loss"]
    assert (np.diff(loss) <= 0).all()
    assert len(loss) <= 15


def test_a_sample_that_disappoints_is_trusted_less_after_a_stop_too(tmp_path: Path, sizes: Resize) -> None:
    sizes(sample_rows=100)
    X, asked = rare_words(2000, 300, 6), {"solver": "mu", "beta_loss": 1.0, "tol": 0}
    store = str(tmp_path / "X.zarr")
    group = zarr.create_group(store, attributes={"encoding-type": "csr_matrix", "shape": list(X.shape)})
    for name in ("data", "indices", "indptr"):
        group.create_array(name, data=getattr(X, name))
    whole = dnmf.factorize(store, 6, out=tmp_path / "whole.zarr", max_iter=10, **asked)

    def stop(event: Any) -> None:
        if isinstance(event, PassDone) and event.iteration == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dnmf.factorize(store, 6, out=tmp_path / "part.zarr", max_iter=10, listeners=[stop], **asked)
    group = zarr.open_group(tmp_path / "part.zarr")
    part = read_generation(group, full_record(read_record(group), "part.zarr")).checkpoint
    assert part.modelled
    assert part.steps < STEPS
    resumed = dnmf.resume(tmp_path / "part.zarr")
    np.testing.assert_array_equal(resumed.history["loss"], whole.history["loss"])
    np.testing.assert_array_equal(resumed.V, whole.V)
