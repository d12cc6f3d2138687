"""The article's experiment, small: everything is written, the Gaussians are found, nothing of a user's is replaced."""

import numpy as np
import pytest
import zarr
from PIL import Image

from dnmf import open_run
from dnmf.cli.experiment import OUTPUTS, demo
from dnmf.datasets import gaussian_basis
from dnmf.events import PassDone, Stopped
from dnmf.report import figures
from dnmf.run.opening import IDENTITY

SMALL = {"features": 64, "samples": 600}


def turns(W):
    """The share of rows at which the slope of a column turns: two of three in noise, a few in a curve."""
    return (np.diff(np.sign(np.diff(W, axis=0)), axis=0) != 0).mean()


@pytest.mark.long
def test_the_demo_runs_on_a_cluster(client, tmp_path):
    made = demo(tmp_path / "out", **SMALL, max_iter=4)
    assert len(made.result.history["loss"]) == 4
    assert all(path.exists() for path in made.files.values())


def test_the_demo_leads_from_noise_to_curves(tmp_path):
    events = []
    made = demo(tmp_path / "out", listeners=[events.append], **SMALL)
    assert {path.name for path in made.files.values()} == set(OUTPUTS)
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(OUTPUTS)
    assert all(path.exists() for path in made.files.values())
    passes = [event for event in events if isinstance(event, PassDone)]
    assert [event.iteration for event in passes] == list(range(1, 257))
    assert isinstance(events[-1], Stopped)

    X = zarr.open_array(made.files["X"], mode="r")
    run = open_run(made.files["run"])
    assert (X.shape, X.dtype, run.V.shape) == ((64, 600), np.float32, (4, 600))
    W = np.asarray(run.W)
    # The experiment: from white noise to four smooth curves.
    noise = run.snapshots[0]
    assert noise.shape == W.shape
    assert turns(noise) > 0.5
    assert passes[0].relative_error > 0.2
    assert turns(W) < 0.2
    assert figures.matched(gaussian_basis(64), noise)[1].min() < 0.9
    assert figures.matched(gaussian_basis(64), W)[1].min() > 0.98
    assert passes[0].loss > 1000 * run.loss
    assert np.linalg.norm(X[:] - W @ run.V) / np.linalg.norm(X[:]) == pytest.approx(run.relative_error, rel=1e-5)
    assert run.relative_error < 0.03
    assert run.record["parameters"]["solver"] == "mu"
    assert run.record["parameters"]["inner_iter"] == 1
    assert sorted(run.snapshots) == list(range(0, 257, 2))

    for name in ("gaussians", "loss", "reconstructions"):
        with Image.open(made.files[name]) as image:
            assert (image.format, min(image.size) > 400) == ("PNG", True)
    with Image.open(made.files["basis"]) as gif:
        assert (gif.format, gif.n_frames) == ("GIF", 76)


@pytest.mark.long
def test_a_second_demo_replaces_the_first_and_nothing_else(tmp_path):
    first = demo(tmp_path, **SMALL, max_iter=4)
    (tmp_path / "notes.txt").write_text("mine")
    run = tmp_path / "run.zarr"
    before, V = zarr.open_group(run).attrs[IDENTITY], first.result.V
    second = demo(tmp_path, **SMALL, max_iter=4)
    assert zarr.open_group(run).attrs[IDENTITY] != before
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {*OUTPUTS, "notes.txt"}
    np.testing.assert_array_equal(second.result.V, V)


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_no_demo_wrote_is_not_overwritten(name, tmp_path):
    if name == "X.zarr":
        zarr.create_array(tmp_path / name, shape=(3, 2), chunks=(3, 2), dtype="f4")[:] = 7
    else:
        (tmp_path / name).mkdir()
    with pytest.raises(FileExistsError, match=rf"{name} exists and no demo wrote it, so it is not overwritten: remove"):
        demo(tmp_path, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if name == "X.zarr":
        assert (zarr.open_array(tmp_path / name, mode="r")[:] == 7).all()
