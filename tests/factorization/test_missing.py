"""Missing entries and weights, from the call to the factors: every way to say it, every kind of X, and what is kept."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from counters import CountingStore
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from resize import Resize
from scipy import sparse
from zarr.storage import LocalStore

import dnmf
from dnmf.events import Decided, Observed, PassDone

RNG = np.random.default_rng(3)
TRUTH = RNG.gamma(0.5, size=(240, 3)) @ RNG.gamma(0.5, size=(3, 50)) + 0.01
SEEN = RNG.random(TRUTH.shape) > 0.3
HOLES = np.where(SEEN, TRUTH, np.nan)
# What is under a mask may be anything.
GARBAGE = np.where(SEEN, TRUTH, -7.0)

LOSSES: dict[str, dict[str, Any]] = {"frobenius": {}, "kullback-leibler": {"solver": "mu", "beta_loss": 1}}
losses = pytest.mark.parametrize("asked", LOSSES.values(), ids=LOSSES)


def stored(path: Path, x: Any, chunks: tuple[int, int] = (40, 50)) -> str:
    """The path of an array, or of a sparse matrix, in Zarr."""
    if sparse.issparse(x):
        sparse.save_npz(path.with_suffix(".npz"), x)
        dnmf.convert(path.with_suffix(".npz"), path)
    else:
        zarr.create_array(str(path), data=x, chunks=chunks)
    return str(path)


def on_pattern(values: np.ndarray, pattern: np.ndarray) -> sparse.csr_matrix:
    """A sparse matrix that stores exactly the entries of a pattern, zeros too."""
    found = sparse.csr_matrix(pattern.astype(values.dtype))
    found.data = values[pattern]
    return found


WAYS = {
    "nan": lambda path: (HOLES, {"missing": "nan"}),
    "nan stored": lambda path: (stored(path / "x.zarr", HOLES), {"missing": "nan"}),
    "nan lazy": lambda path: (da.from_array(HOLES, chunks=(60, 50)), {"missing": "nan"}),
    "masked": lambda path: (np.ma.masked_array(GARBAGE, ~SEEN), {"missing": "nan"}),
    "zeros": lambda path: (on_pattern(TRUTH, SEEN), {"missing": "zeros"}),
    "zeros stored": lambda path: (stored(path / "x.zarr", on_pattern(TRUTH, SEEN)), {"missing": "zeros"}),
    "mask": lambda path: (GARBAGE, {"weights": SEEN}),
    "mask stored": lambda path: (
        stored(path / "x.zarr", GARBAGE), {"weights": stored(path / "o.zarr", SEEN, (30, 50))}
    ),
    "weights": lambda path: (GARBAGE, {"weights": SEEN.astype("f8")}),
    "sparse weights": lambda path: (GARBAGE, {"weights": sparse.csr_matrix(SEEN.astype("f8"))}),
}  # fmt: skip


@losses
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_say_what_is_missing_finds_what_was_not_seen(way: str, asked: Any, tmp_path: Path) -> None:
    X, said = WAYS[way](tmp_path)
    events: list[Any] = []
    result = dnmf.factorize(X, 3, **said, **asked, max_iter=40, tol=1e-6, listeners=[events.append])
    model = np.asarray(result.W) @ result.V
    assert result.relative_error < 0.02
    assert np.abs(model - TRUTH)[~SEEN].mean() < 0.03 * TRUTH.mean()
    residual = np.where(SEEN, TRUTH - model, 0)
    if not asked:
        assert result.loss == pytest.approx((residual**2).sum(), rel=1e-5)
    told = [event for event in events if isinstance(event, Observed)]
    assert told == [Observed(int(SEEN.sum()), SEEN.size)]
    assert result.about.observed.entries == SEEN.sum()


@losses
@pytest.mark.parametrize("turned", [False, True])
def test_strips_may_be_rows_or_columns(asked: Any, turned: bool, sizes: Resize, tmp_path: Path) -> None:
    sizes(strip=2**14)
    path = stored(tmp_path / "x.zarr", HOLES.T.copy() if turned else HOLES, (50, 40) if turned else (40, 50))
    result = dnmf.factorize(path, 3, missing="nan", **asked, max_iter=40, tol=1e-6)
    assert result.about.state.axis == int(turned)
    assert len(result.about.state.counts) > 1 or result.about.state.height < 240
    model = np.asarray(result.W) @ result.V
    assert np.abs((model.T if turned else model) - TRUTH)[~SEEN].mean() < 0.03 * TRUTH.mean()


@losses
def test_weights_of_one_change_nothing_that_counts(asked: Any) -> None:
    plain, masked, weighted = (
        dnmf.factorize(TRUTH, 2, **asked, **said, max_iter=200, tol=1e-7)
        for said in ({}, {"missing": "nan"}, {"weights": np.ones_like(TRUTH)})
    )
    assert masked.loss == pytest.approx(plain.loss, rel=1e-4)
    assert weighted.loss == pytest.approx(plain.loss, rel=1e-4)


@losses
def test_a_weight_of_two_is_a_row_that_is_there_twice(asked: Any) -> None:
    counts = RNG.integers(1, 3, len(TRUTH))
    init = (RNG.random((240, 2)), RNG.random((2, 50)))
    how = {"max_iter": 150, "tol": 0, **asked}
    weighted = dnmf.factorize(TRUTH, 2, weights=np.repeat(counts[:, None] * 1.0, 50, 1), init=init, **how)
    again = dnmf.factorize(np.repeat(TRUTH, counts, 0), 2, init=(np.repeat(init[0], counts, 0), init[1]), **how)
    assert weighted.loss == pytest.approx(again.loss, rel=1e-3)


def test_rows_and_columns_without_anything_are_named_once_get_zeros_and_end_nothing() -> None:
    X = HOLES.copy()
    X[[5, 70]], X[:, 9] = np.nan, np.nan
    events: list[Any] = []
    result = dnmf.factorize(X, 3, missing="nan", max_iter=10, listeners=[events.append])
    told = [event for event in events if isinstance(event, Observed)]
    assert told == [Observed(int(np.isfinite(X).sum()), X.size, 2, 1, ("5", "70"), ("9",))]
    assert "nothing is known of 2 rows (5, 70) and 1 column (9): they get zeros" in str(told[0])
    assert not np.asarray(result.W)[[5, 70]].any()
    assert not result.V[:, 9].any()
    assert result.relative_error < 0.05


@losses
def test_where_nothing_is_observed_the_end_says_so(asked: Any) -> None:
    result = dnmf.factorize(np.full((10, 8), np.nan), 2, missing="nan", **asked)
    assert result.stopped == "after 1 pass the loss is 0: nothing of X is observed but zeros, if anything"


def test_weights_out_of_range_are_refused_before_they_make_nan() -> None:
    remedy = "multiply all weights by one constant"
    with pytest.raises(ValueError, match=remedy):
        dnmf.factorize(TRUTH, 3, weights=np.full(TRUTH.shape, 1e307))
    with pytest.raises(ValueError, match=remedy):
        dnmf.transform(TRUTH, np.ones((1, 50)), weights=np.full(TRUTH.shape, 1e307))


def test_a_stored_zero_is_refused_where_the_loss_is_infinite_there() -> None:
    X = on_pattern(TRUTH, SEEN)
    X.data[3] = 0
    with pytest.raises(ValueError, match="X has an entry of 0, and beta_loss is 0"):
        dnmf.factorize(X, 3, missing="zeros", solver="mu", beta_loss=0)


@pytest.mark.parametrize("init", ["sample", "random"])
def test_how_the_short_factor_moves_is_told_once(init: str) -> None:
    events: list[Any] = []
    dnmf.factorize(HOLES, 3, missing="nan", init=init, max_iter=3, tol=0, listeners=[events.append])
    told = [event for event in events if isinstance(event, Decided)]
    assert len(told) == 1
    assert "the short factor moves" in str(told[0])


@losses
@pytest.mark.parametrize("way", ["nan stored", "mask stored", "zeros stored"])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(way: str, asked: Any, sizes: Resize, tmp_path: Path) -> None:
    sizes(strip=2**14)
    X, said = WAYS[way](tmp_path)

    def stop(event: Any) -> None:
        if isinstance(event, PassDone) and event.iteration == 4:
            raise KeyboardInterrupt

    how = {"max_iter": 8, "tol": 0, "checkpoint_every": 2, **said, **asked}
    whole = dnmf.factorize(X, 3, out=tmp_path / "whole.zarr", **how)
    with pytest.raises(KeyboardInterrupt):
        dnmf.factorize(X, 3, out=tmp_path / "run.zarr", listeners=[stop], **how)
    found = dnmf.resume(tmp_path / "run.zarr")
    assert_array_equal(found.V, whole.V)
    assert_array_equal(np.asarray(found.W), np.asarray(whole.W))
    assert found.about.observed == whole.about.observed
    assert found.about.weights == whole.about.weights


def test_x_and_weights_are_each_read_once_per_pass(sizes: Resize, tmp_path: Path) -> None:
    sizes(strip=2**14)
    stores = [CountingStore(LocalStore(stored(tmp_path / f"{name}.zarr", x)))
              for name, x in (("x", GARBAGE), ("o", SEEN))]  # fmt: skip
    X, weights = (zarr.open_array(store, mode="r") for store in stores)
    result = dnmf.factorize(X, 3, weights=weights, max_iter=4, tol=0, cache=False, out=tmp_path / "run.zarr")
    for store in stores:
        assert set(store.reads().values()) == {5}
    assert result.reads == 5


def test_a_record_says_what_is_missing_and_where_weights_are(tmp_path: Path) -> None:
    X, said = WAYS["mask stored"](tmp_path)
    record = dnmf.factorize(X, 3, **said, out=tmp_path / "run.zarr", max_iter=2).record
    assert record["format"] == 5
    assert record["weights"]["path"] == said["weights"]
    assert record["observed"]["entries"] == SEEN.sum()
    (tmp_path / "o.zarr").rename(tmp_path / "moved.zarr")
    with pytest.raises(FileNotFoundError):
        dnmf.resume(tmp_path / "run.zarr", max_iter=4)
    again = dnmf.resume(tmp_path / "run.zarr", weights=tmp_path / "moved.zarr", max_iter=4, tol=0)
    assert len(again.history["loss"]) == 4


def test_weights_in_memory_are_asked_for_again(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.zarr", GARBAGE)
    dnmf.factorize(path, 3, weights=SEEN, out=tmp_path / "run.zarr", max_iter=2, tol=0)
    with pytest.raises(ValueError, match=r"the weights of this run were .+: give them again, resume\(run, weights=…\)"):
        dnmf.resume(tmp_path / "run.zarr", max_iter=4)
    assert len(dnmf.resume(tmp_path / "run.zarr", weights=SEEN, max_iter=4).history["loss"]) == 4
    with pytest.raises(ValueError, match=r"the array of weights at .+ is not the one that the run was begun with"):
        dnmf.resume(tmp_path / "run.zarr", weights=SEEN.astype("f8"), max_iter=6)


def test_a_run_whose_weights_have_moved_says_so_and_goes_on_where_they_are(tmp_path: Path) -> None:
    X, said = WAYS["mask stored"](tmp_path)
    dnmf.factorize(X, 3, **said, out=tmp_path / "run.zarr", max_iter=2, tol=0)
    Path(said["weights"]).rename(tmp_path / "moved.zarr")
    with pytest.raises(
        FileNotFoundError, match=r"^the weights cannot be used: .* if the weights have moved since, say"
    ):
        dnmf.resume(tmp_path / "run.zarr", max_iter=3)
    again = dnmf.resume(tmp_path / "run.zarr", weights=str(tmp_path / "moved.zarr"), max_iter=3)
    assert len(again.history["loss"]) == 3


def test_weights_that_were_written_to_are_not_taken_for_x(tmp_path: Path) -> None:
    X, said = WAYS["mask stored"](tmp_path)
    dnmf.factorize(X, 3, **said, out=tmp_path / "run.zarr", max_iter=2, tol=0)
    zarr.open_array(said["weights"])[7] = False
    with pytest.raises(OSError, match="X, or its array of weights, was written to since then"):
        dnmf.resume(tmp_path / "run.zarr", max_iter=3)


def test_new_rows_are_solved_with_what_is_there(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.zarr", HOLES)
    run = dnmf.factorize(path, 3, missing="nan", out=tmp_path / "run.zarr", max_iter=40, tol=1e-6)
    W = np.asarray(dnmf.transform(path, tmp_path / "run.zarr", tol=1e-7, max_iter=2000))
    np.testing.assert_allclose(W @ run.V, np.asarray(run.W) @ run.V, atol=0.02 * TRUTH.mean())
    by_weights = dnmf.transform(GARBAGE, run.V, weights=SEEN, tol=1e-7, max_iter=2000)
    np.testing.assert_allclose(by_weights @ run.V, W @ run.V, atol=0.02 * TRUTH.mean())
    nothing = np.full((2, 50), np.nan)
    nothing[1, :20] = TRUTH[0, :20]
    found = dnmf.transform(nothing, run)
    assert not found[0].any()
    np.testing.assert_allclose(found[1] @ run.V, TRUTH[0], rtol=0.2, atol=0.05)
    with pytest.raises(ValueError, match=r"X\[0, 0\] is nan"):
        dnmf.transform(nothing, run, missing=None)
    written = dnmf.transform(path, run, out=tmp_path / "W.zarr", tol=1e-7, max_iter=2000)
    np.testing.assert_allclose(np.asarray(written), W, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"missing": "none"}, r"missing is 'none': one of nan, zeros is required"),
        ({"missing": "zeros"}, r"missing is 'zeros', and X, .+ is dense"),
        ({"weights": SEEN[:9]}, r"the weights, .+, are 9 × 50, and X is 240 × 50"),
        ({"weights": -1.0 * SEEN}, r"weights\[\d+, \d+\] is -1.0"),
        ({"alpha_scale": "some"}, r"alpha_scale is 'some': one of all, observed is required"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(asked: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        dnmf.factorize(HOLES if asked.get("missing") == "nan" else TRUTH, **({"rank": 2} | asked))


def test_what_cannot_go_on_from_missing_entries_says_so(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.zarr", HOLES)
    run = tmp_path / "run.zarr"
    dnmf.factorize(path, 3, missing="nan", out=run, max_iter=2)
    with pytest.raises(ValueError, match="with the same entries missing and the same weights"):
        dnmf.factorize(path, 3, sample=run, out=tmp_path / "other.zarr")
    assert dnmf.factorize(path, 3, sample=run, missing="nan", max_iter=1, out=tmp_path / "same.zarr").about.observed
    with pytest.raises(ValueError, match="weights are given, and the run began without any"):
        dnmf.resume(run, weights=SEEN, max_iter=4)
    with pytest.raises(ValueError, match="missing was 'nan' when the run began and is 'zeros' now"):
        dnmf.resume(run, missing="zeros", max_iter=4)


@losses
def test_penalties_may_grow_with_what_is_observed(asked: Any) -> None:
    """Where as much of every row and column is there, they are those of all entries, that many times smaller."""
    mask = (np.add.outer(np.arange(40), np.arange(20)) % 4) != 0
    X = TRUTH[:40, :20]
    how = {"weights": mask, "max_iter": 300, "tol": 1e-8, **asked}
    observed = dnmf.factorize(X, 2, alpha_W=0.02, alpha_scale="observed", **how)
    every = dnmf.factorize(X, 2, alpha_W=0.02 * 0.75, **how)
    assert observed.history["objective"][-1] == pytest.approx(every.history["objective"][-1], rel=1e-4)
    full = [dnmf.factorize(X, 2, alpha_W=0.02, alpha_scale=scale, **asked).loss for scale in ("all", "observed")]
    assert full[0] == full[1]


kinds = st.sampled_from(["entries", "stripes", "rows", "weights"])


@given(
    shape=st.tuples(st.integers(2, 30), st.integers(2, 30)),
    kind=kinds,
    share=st.sampled_from([0.05, 0.3, 0.6, 0.9]),
    asked=st.sampled_from([*LOSSES.values(), {"solver": "mu"}]),
    init=st.sampled_from(["sample", "random"]),
    seed=st.integers(0, 2**16),
)
def test_the_loss_never_rises_whatever_is_missing(
    shape: tuple[int, int], kind: str, share: float, asked: Any, init: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.random((shape[0], 3)) @ rng.random((3, shape[1])) + 0.05 * rng.random(shape)
    seen = {
        "entries": lambda: rng.random(shape) > share,
        "stripes": lambda: np.broadcast_to(rng.random(shape[1]) > share, shape),
        "rows": lambda: np.broadcast_to(rng.random((shape[0], 1)) > share, shape),
        "weights": lambda: rng.random(shape) * (rng.random(shape) > share),
    }[kind]().copy()
    seen[0, 0] = True
    result = dnmf.factorize(X, 2, weights=seen, init=init, seed=seed, max_iter=8, tol=0, **asked)
    size = float((seen * X**2).sum())
    assert (np.diff(result.history["objective"]) <= 1e-6 * size).all()
    assert np.isfinite(result.V).all()
    assert np.isfinite(np.asarray(result.W)).all()
    assert (result.V >= 0).all()
