"""Figures: what is drawn is what was computed, pairs are matched, nothing overlaps, and little is read."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import zarr
from matplotlib.colors import rgb_to_hsv, to_rgb
from pairwise import few
from PIL import Image
from texts import overlapping
from zarr.storage import MemoryStore, WrapperStore

from dnmf import factorize
from dnmf.datasets import gaussian_basis
from dnmf.report import animation
from dnmf.report import figures as report_figures


@pytest.fixture(scope="module")
def tall():
    """A (60, 12) X, its rows images of 3 × 4, and its factorization of rank 3."""
    rng = np.random.default_rng(0)
    X = rng.random((60, 3)) @ rng.random((3, 12)) + 0.1 * rng.random((60, 12))
    X.flags.writeable = False
    return X, factorize(X, 3, max_iter=8, tol=0)


@pytest.fixture(scope="module")
def wide(tall):
    """The transposed problem: samples are columns."""
    X = tall[0].T.copy()
    return X, factorize(X, 3, max_iter=8, tol=0)


class Counting(WrapperStore):
    """A store that keeps the keys of the chunks that were read."""

    def __init__(self, store):
        super().__init__(store)
        self.read = []

    async def get(self, key, prototype, byte_range=None):
        self.read += ["c/" in key] * ("c/" in key)
        return await super().get(key, prototype, byte_range)


def _counted(values, chunks):
    store = Counting(MemoryStore())
    array = zarr.create_array(store, shape=values.shape, dtype=values.dtype, chunks=chunks)
    array[:] = values
    store.read.clear()
    return array, store


# Colours and matching


@pytest.mark.parametrize("index", range(7))
def test_shades_are_a_pale_and_a_dark_colour_of_one_hue(index):
    pale, dark = (rgb_to_hsv(shade) for shade in report_figures.shades(index))
    assert pale[0] == pytest.approx(dark[0])
    assert pale[1] < dark[1]
    assert pale[2] > dark[2]


def test_matching_undoes_a_permutation_and_a_scaling():
    basis = gaussian_basis(128, 4)
    others = np.random.default_rng(0).random((128, 2))
    W = np.hstack([others, basis[:, [2, 0, 3, 1]] * [0.1, 7, 300, 1e-6]])
    columns, correlations = report_figures.matched(basis, W)
    np.testing.assert_allclose(columns, basis, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(correlations, 1)


def test_matched_columns_are_scaled_by_least_squares():
    rng = np.random.default_rng(1)
    basis = gaussian_basis(64, 3)
    W = basis[:, ::-1] * [2, 3, 4] + 0.1 * rng.random((64, 3))
    columns, correlations = report_figures.matched(basis, W)
    for truth, column, correlation, given in zip(basis.T, columns.T, correlations, W.T[::-1], strict=True):
        (scale,) = np.linalg.lstsq(given[:, None], truth)[0]
        np.testing.assert_allclose(column, scale * given)
        # What least squares leave of a curve is the sine of the angle whose cosine is the correlation.
        left = np.linalg.norm(truth - column) / np.linalg.norm(truth)
        assert left == pytest.approx(np.sqrt(1 - correlation**2))


def test_a_column_of_zeros_is_matched_last():
    basis = gaussian_basis(64, 2)
    columns, correlations = report_figures.matched(basis, np.c_[np.zeros(64), basis[:, 0]])
    np.testing.assert_allclose(columns, np.c_[basis[:, 0], np.zeros(64)])
    np.testing.assert_allclose(correlations, [1, 0], atol=1e-12)


def test_too_few_columns_are_refused():
    with pytest.raises(ValueError, match="W has 2 columns for 3 true curves: factorize with a higher rank"):
        report_figures.matched(np.eye(3), np.eye(3)[:, :2])


def test_pairs_share_a_hue_and_the_learned_curve_is_thin_and_on_top():
    basis = gaussian_basis(128, 4)
    figure = report_figures.matched_basis(basis, 5 * basis[:, [3, 1, 0, 2]])
    (axes,) = figure.axes
    lines = axes.lines
    assert len(lines) == 8
    for index, (true, learned) in enumerate(zip(lines[::2], lines[1::2], strict=True)):
        assert (true.get_color(), learned.get_color()) == report_figures.shades(index)
        assert true.get_linewidth() > learned.get_linewidth()
        assert true.get_zorder() < learned.get_zorder()
        shown = np.isfinite(true.get_ydata())
        np.testing.assert_array_equal(true.get_ydata()[shown], basis[shown, index])
        np.testing.assert_allclose(learned.get_ydata(), basis[:, index], atol=1e-12)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["correlation 1.0000"] * 4
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("row of X", "entry of W, scaled")
    assert overlapping(figure) == []


# Loss, components, reconstructions


def test_the_loss_is_drawn_against_passes_on_a_log_axis(tall):
    history = tall[1].history
    (axes,) = report_figures.loss_curve(history).axes
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 9))
    np.testing.assert_array_equal(line.get_ydata(), history["loss"])
    assert (axes.get_yscale(), axes.get_xlabel()) == ("log", "passes (at most one read of X each)")
    assert axes.get_ylabel() == "‖X − W V‖²"


@pytest.mark.long
@pytest.mark.parametrize("loss", [[3.0], [0.0], [5.0, 1.0, 0.0], [7.001, 7.0005, 7.0004]])
def test_any_loss_can_be_drawn(loss, tmp_path):
    figure = report_figures.loss_curve({"loss": np.array(loss)})
    assert report_figures.save({"loss": figure}, tmp_path / "new")["loss"].stat().st_size > 1000
    assert overlapping(figure) == []


def test_components_of_a_tall_x_are_rows_of_v(tall):
    result = tall[1]
    figure = report_figures.components(result)
    assert figure.get_suptitle() == "3 of 3 components (rows of V), each scaled to maximum 1"
    assert figure.get_supxlabel() == "column of X"
    for axes, row in zip(figure.axes, result.V, strict=True):
        np.testing.assert_allclose(axes.lines[0].get_ydata(), row / row.max())


def test_components_of_a_wide_x_are_columns_of_w(wide):
    result = wide[1]
    figure = report_figures.components(result)
    assert figure.get_suptitle() == "3 of 3 components (columns of W), each scaled to maximum 1"
    assert figure.get_supxlabel() == "row of X"
    for axes, column in zip(figure.axes, np.asarray(result.W).T, strict=True):
        np.testing.assert_allclose(axes.lines[0].get_ydata(), column / column.max())


@pytest.mark.parametrize(
    ("rank", "panels", "shape"), few([(1, 1, None), (7, 7, None), (40, 32, None), (19, 19, (3, 4))], 2)
)
def test_many_components_stay_legible(tall, rank, panels, shape):
    result = replace(tall[1], V=np.random.default_rng(0).random((rank, 12)))
    figure = report_figures.components(result, shape=shape)
    assert [axes.get_title() for axes in figure.axes] == [str(number) for number in range(1, panels + 1)]
    assert figure.get_suptitle().startswith(f"{panels} of {rank} components")
    assert overlapping(figure) == []


def test_a_component_of_zeros_can_be_drawn(tall):
    V = tall[1].V.copy()
    V[1] = 0
    figure = report_figures.components(replace(tall[1], V=V))
    assert not figure.axes[1].lines[0].get_ydata().any()


def test_reconstructions_are_drawn_on_their_samples(tall, wide):
    for (X, result), kind in ((tall, "row"), (wide, "column")):
        figure = report_figures.reconstructions(X, result)
        product = np.asarray(result.W) @ result.V
        samples, learned = (X, product) if kind == "row" else (X.T, product.T)
        for index, axes in zip((5, 15, 25, 35, 45, 55), figure.axes, strict=True):
            np.testing.assert_array_equal(axes.lines[0].get_ydata(), samples[index])
            np.testing.assert_allclose(axes.lines[1].get_ydata(), learned[index])
            error = np.linalg.norm(samples[index] - learned[index]) / np.linalg.norm(samples[index])
            assert axes.get_title() == f"{kind} {index}, relative error {error:.2g}"
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["X", "W V"]
        assert figure.get_supxlabel() == ("column of X" if kind == "row" else "row of X")
        assert overlapping(figure) == []


def test_a_small_x_is_drawn_whole():
    X = np.random.default_rng(0).random((4, 3))
    figure = report_figures.reconstructions(X, factorize(X, 2, max_iter=6, tol=0))
    assert [axes.get_title().split(",")[0] for axes in figure.axes] == ["row 0", "row 1", "row 2", "row 3"]
    assert overlapping(figure) == []


def test_only_the_chunks_of_the_samples_are_read(tall):
    X, result = tall
    stored, x_store = _counted(X, (2, 12))
    W, w_store = _counted(np.asarray(result.W), (2, 3))
    report_figures.reconstructions(stored, replace(result, W=W))
    assert (len(x_store.read), len(w_store.read)) == (6, 6)


def test_another_x_is_refused(tall):
    with pytest.raises(ValueError, match=r"X has shape \(5, 12\), this run factorized \(60, 12\): give the X of this"):
        report_figures.reconstructions(np.ones((5, 12)), tall[1])


def test_samples_that_are_images_are_drawn_as_images(tall):
    X, result = tall
    stored = zarr.create_array(MemoryStore(), data=X, chunks=(60, 12), attributes={"image_shape": [3, 4]})
    figures = report_figures.run_figures(result, stored)
    first, drawn = figures["components"].axes[0], figures["reconstructions"].axes
    np.testing.assert_allclose(first.images[0].get_array(), (result.V[0] / result.V[0].max()).reshape(3, 4))
    np.testing.assert_array_equal(drawn[0].images[0].get_array(), X[5].reshape(3, 4))
    np.testing.assert_allclose(drawn[6].images[0].get_array(), (np.asarray(result.W[5]) @ result.V).reshape(3, 4))
    assert [axes.get_ylabel() for axes in (drawn[0], drawn[6])] == ["X", "W V"]
    assert all(overlapping(figure) == [] for figure in figures.values())


def test_a_wrong_image_shape_is_refused(tall):
    with pytest.raises(ValueError, match=r"shape is \(5, 5\) for 12 entries: give \(height, width\) of that many pixe"):
        report_figures.components(tall[1], shape=(5, 5))


def test_a_run_has_reconstructions_only_where_x_is_given(tall):
    X, result = tall
    assert list(report_figures.run_figures(result)) == ["loss", "components"]
    assert list(report_figures.run_figures(result, X)) == ["loss", "components", "reconstructions"]


# Files


def test_images_that_are_rows_of_wide_x_are_drawn_of_v():
    X = np.random.default_rng(0).random((20, 30))
    stored = zarr.create_array(MemoryStore(), data=X, attributes={"image_shape": [6, 5]})
    result = factorize(X, 2, max_iter=4)
    figures = report_figures.run_figures(result, stored)
    (drawn,) = figures["components"].axes[0].images
    np.testing.assert_allclose(drawn.get_array(), (result.V[0] / result.V[0].max()).reshape(6, 5))
    assert figures["reconstructions"].axes[0].images[0].get_array().shape == (6, 5)
    assert figures["reconstructions"].axes[0].get_title().startswith("row 1\n")


def test_images_are_scaled_titled_and_coloured_where_some_are_negative():
    grey = report_figures.images([[0.0, 4.0], [1.0, 0.5]], (1, 2), titles=["a", "b"])
    assert [axes.get_title() for axes in grey.axes] == ["a", "b"]
    assert [axes.images[0].get_array().max() for axes in grey.axes] == [1, 1]
    signed = report_figures.images([[-2.0, 1.0]], (1, 2)).axes[0].images[0]
    assert signed.get_array().min() == -1
    assert signed.get_clim() == (-1, 1)
    with pytest.raises(ValueError, match="shape is \\(2, 2\\) for 3 entries"):
        report_figures.images(np.ones((1, 3)), (2, 2))


def test_figures_are_saved_by_name(tall, tmp_path):
    paths = report_figures.save(report_figures.run_figures(tall[1]), tmp_path / "a" / "b")
    assert paths == {name: tmp_path / "a" / "b" / f"{name}.png" for name in ("loss", "components")}
    for path in paths.values():
        with Image.open(path) as image:
            assert min(image.size) > 400


def _frames(path):
    with Image.open(path) as gif:
        frames, stay = [], []
        for index in range(gif.n_frames):
            gif.seek(index)
            frames.append(np.asarray(gif.convert("RGB")))
            stay.append(gif.info["duration"])
        assert gif.info["loop"] == 0
    return frames, stay


def _snapshots(count, *, rng):
    """Noise that turns into Gaussians, every second pass."""
    basis = gaussian_basis(64, 3)
    return {2 * i: np.maximum(basis[:, ::-1] * i / count, rng.random((64, 3)) * (1 - i / count)) for i in range(count)}


def test_the_animation_goes_from_the_first_to_the_last_snapshot(tmp_path):
    snapshots = _snapshots(5, rng=np.random.default_rng(0))
    animation.basis_animation(snapshots, {"loss": np.geomspace(100, 1, 8)}, tmp_path / "basis.gif")
    frames, stay = _frames(tmp_path / "basis.gif")
    assert (len(frames), {frame.shape for frame in frames}) == (5, {(360, 840, 3)})
    assert stay == [800, 90, 90, 90, 3000]
    halves = {"W": np.s_[:, :500], "loss": np.s_[:, 500:]}
    for before, after in ((0, 1), (3, 4), (0, 4)):
        assert all((frames[before][half] != frames[after][half]).any() for half in halves.values())
    assert tuple(frames[0][0, 0]) == (255, 255, 255)


def test_hues_of_the_animation_go_from_left_to_right(tmp_path):
    basis = gaussian_basis(64, 3)[:, [2, 0, 1]]
    animation.basis_animation({0: basis, 2: basis}, {"loss": np.array([2.0, 1.0])}, tmp_path / "basis.gif")
    last = _frames(tmp_path / "basis.gif")[0][-1].astype(int)
    means = []
    for index in range(3):
        distance = np.abs(last[:, :480] - np.rint(255 * np.array(to_rgb(report_figures.shades(index)[1])))).max(axis=2)
        means.append(np.nonzero(distance < 12)[1].mean())
    assert means == sorted(means)


@pytest.mark.long
def test_a_long_animation_is_thinned_and_small(tmp_path):
    snapshots = _snapshots(129, rng=np.random.default_rng(0))
    animation.basis_animation(snapshots, {"loss": np.geomspace(1e5, 1, 256)}, tmp_path / "basis.gif")
    frames, _ = _frames(tmp_path / "basis.gif")
    assert 60 <= len(frames) <= 80
    assert (tmp_path / "basis.gif").stat().st_size < 3e6


@pytest.mark.parametrize("loss", [[5.0, 1.0, 0.0], [0.0]])
def test_a_loss_of_zero_can_be_animated(loss, tmp_path):
    animation.basis_animation({0: np.eye(3), len(loss): np.eye(3)}, {"loss": np.array(loss)}, tmp_path / "basis.gif")
    assert len(_frames(tmp_path / "basis.gif")[0]) == 2


@pytest.mark.process
def test_importing_plots_leaves_matplotlib_as_it_is():
    code = """
import sys, matplotlib
# To ask for the backend would load pyplot.
style = sorted(set(matplotlib.rcParams) - {"backend"})
before = [matplotlib.rcParams[key] for key in style]
import dnmf.report.figures
assert "matplotlib.pyplot" not in sys.modules
assert [matplotlib.rcParams[key] for key in style] == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)
