"""The article's experiment, small: everything is written, the Gaussians are found, nothing of a user's is replaced."""

import numpy as np
import pytest
import zarr
from PIL import Image

from dnmf import open_run
from dnmf.cli.demo import OUTPUTS, demo
from dnmf.datasets import gaussian_basis
from dnmf.events import PassDone, Stopped
from dnmf.report import figures

SMALL = {"features": 64, "samples": 600, "max_iter": 150}


def test_the_demo_from_end_to_end_on_a_cluster(client, tmp_path):
    events = []
    made = demo(tmp_path / "out", listeners=[events.append], **SMALL)
    assert {path.name for path in made.files.values()} == set(OUTPUTS)
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(OUTPUTS)
    assert all(path.exists() for path in made.files.values())
    assert [event.iteration for event in events if isinstance(event, PassDone)] == list(range(1, 151))
    assert isinstance(events[-1], Stopped)

    X = zarr.open_array(made.files["X"], mode="r")
    run = open_run(made.files["run"])
    assert (X.shape, X.dtype, run.V.shape) == ((64, 600), np.float32, (4, 600))
    W = np.asarray(run.W)
    assert figures.matched(gaussian_basis(64), W)[1].min() > 0.97
    assert np.linalg.norm(X[:] - W @ run.V) / np.linalg.norm(X[:]) == pytest.approx(run.relative_error, rel=1e-5)
    assert run.relative_error < 0.05
    assert run.record["parameters"]["solver"] == "mu"
    assert run.record["parameters"]["inner_iter"] == 1
    assert sorted(run.snapshots) == list(range(0, 151, 2))

    for name in ("gaussians", "loss", "reconstructions"):
        with Image.open(made.files[name]) as image:
            assert (image.format, min(image.size) > 400) == ("PNG", True)
    with Image.open(made.files["basis"]) as gif:
        assert (gif.format, gif.n_frames) == ("GIF", 76)


def test_a_second_demo_replaces_the_first_and_nothing_else(tmp_path):
    first = demo(tmp_path, **{**SMALL, "max_iter": 6})
    (tmp_path / "notes.txt").write_text("mine")
    before = first.result.record["state"]["token"]
    second = demo(tmp_path, **{**SMALL, "max_iter": 8})
    assert len(second.result.history["loss"]) == 8
    assert open_run(tmp_path / "run.zarr").record["state"]["token"] != before
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {*OUTPUTS, "notes.txt"}


def test_the_result_depends_on_the_seed_alone(tmp_path):
    small = {**SMALL, "max_iter": 6}
    V, again, other = (demo(tmp_path / str(i), **small, seed=seed).result.V for i, seed in enumerate((0, 0, 1)))
    np.testing.assert_array_equal(V, again)
    assert (other != V).any()


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
