"""The animation of a run: components as they move from pass to pass, and the loss as it falls."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from dnmf.arrays.rows import Array
from dnmf.report.figures import label_loss, shades

History = Mapping[str, NDArray[np.generic]]
FRAMES = 80
FIRST, MIDDLE, LAST = 800, 90, 3000  # milliseconds that frames of an animation stay


def basis_animation(snapshots: Mapping[int, Array], history: History, path: str | Path) -> None:
    """Write a GIF: the columns of W as they move, each scaled to maximum 1, beside the loss as it falls.

    Parameters
    ----------
    snapshots : W (m, k) by pass, of which at most 80 are drawn, denser at the start, where W moves fast.
    history : its `loss` has one value per pass.
    path : of the GIF; an existing file is replaced.
    """
    shown, loss = _frames(sorted(snapshots)), np.asarray(history["loss"])
    figure = Figure(figsize=(8.4, 3.6), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    # Hues go from left to right along the final curves, as they do in the figure of a sorted true basis.
    order = np.argsort(snapshots[shown[-1]].argmax(axis=0))
    curves = [left.plot([], [], color=shades(i)[1], linewidth=1.6)[0] for i in range(len(order))]
    right.plot(np.arange(len(loss) + 1), np.r_[np.nan, loss], alpha=0)  # only to set the limits
    (falling,) = right.plot([], [], color="0.2", marker="o", markevery=[-1], markersize=4)
    left.set(xlim=(0, len(snapshots[shown[-1]]) - 1), ylim=(0, 1.08), xlabel="row of X", ylabel="entry of W, scaled")
    label_loss(right, loss)
    moving, canvas, frames = [*curves, falling, left.title], FigureCanvasAgg(figure), []
    for artist in moving:
        artist.set_animated(True)
    # What stands still is drawn once: text and axes would be most of the time.
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)
    for iteration in shown:
        W = snapshots[iteration][:, order]
        for curve, column in zip(curves, W.T / np.maximum(W.max(axis=0), np.finfo(W.dtype).tiny)[:, None], strict=True):
            curve.set_data(np.arange(column.size), column)
        falling.set_data(np.arange(iteration + 1), np.r_[np.nan, loss[:iteration]])
        left.set_title(f"Columns of W after pass {iteration}")
        canvas.restore_region(still)
        for artist in moving:
            figure.draw_artist(artist)
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[:, :, :3].copy()))
    _write_gif(frames, path)


def _frames(passes: Sequence[int]) -> list[int]:
    """At most 80 of the passes, the first and the last among them, denser at the start."""
    where = np.linspace(0, 1, min(FRAMES, len(passes))) ** (1.5 if len(passes) > FRAMES else 1)
    return [passes[i] for i in np.unique(np.rint(where * (len(passes) - 1)).astype(int))]


def _write_gif(frames: Sequence[Image.Image], path: str | Path) -> None:
    # One palette for all, from the last frame, which has all colours: a frame then stores only where curves moved.
    palette = frames[-1].quantize(128, method=Image.Quantize.MAXCOVERAGE)
    indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    stay = [FIRST, *[MIDDLE] * (len(frames) - 2), LAST][: len(frames)]
    indexed[0].save(path, save_all=True, append_images=indexed[1:], duration=stay, loop=0)
