"""Figures of a factorization, drawn with matplotlib's objects: no pyplot, no window, no style set for anyone else.

`save` and `basis_animation` alone write files. Of X and of the long factor only samples that are drawn are read.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from dnmf.arrays.matching import match
from dnmf.arrays.rows import Array
from dnmf.matrix.labels import Names
from dnmf.run.result import Factorization
from dnmf.stores.paths import here

# Okabe and Ito's palette, told apart with any kind of colour vision; yellow is left out, too pale for a line on white.
HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
PANELS, SAMPLES = 32, 6

# Entries of a component that are named, and characters of a name.
LARGEST, LONGEST = 3, 16


class Drawable(Protocol):
    """What samples are drawn of: a Zarr, Dask or NumPy array (m, n)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(m, n)."""

    def __getitem__(self, where: int | tuple[slice, int], /) -> ArrayLike:
        """A row or a column."""


def shades(index: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """A pale and a dark colour of one hue, for what is given and what was learned; hues repeat after six.

    >>> [tuple(round(float(c), 2) for c in shade) for shade in shades(0)]
    [(0.6, 0.78, 0.88), (0.0, 0.38, 0.59)]
    """
    rgb = np.array(to_rgb(HUES[index % len(HUES)]))
    return tuple(0.4 * rgb + 0.6), tuple(0.85 * rgb)


def run_figures(result: Factorization, X: Drawable | None = None) -> dict[str, Figure]:
    """All figures of a run by name: "loss", "components", and "reconstructions" where X is given.

    Parameters
    ----------
    result : X ≈ W V, W (m, k), V (k, n).
    X : (m, n), the matrix that was factorized. Where it has an attribute `image_shape`,
        (height, width) of a sample, samples and components are drawn as images.

    Raises
    ------
    ValueError
        If X is not of the shape that was factorized.
    """
    image = getattr(X, "attrs", {}).get("image_shape")
    figures = {"loss": loss_curve(result.history), "components": components(result, shape=image)}
    if X is not None:
        figures["reconstructions"] = reconstructions(X, result, shape=image)
    return figures


def save(figures: Mapping[str, Figure], folder: str | Path) -> dict[str, Path]:
    """Write every figure to `folder`/<name>.png, and return the paths by name."""
    folder = here(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.png" for name in figures}
    for name, figure in figures.items():
        figure.savefig(paths[name], dpi=150)
    return paths


def loss_curve(history: Mapping[str, NDArray[np.generic]]) -> Figure:
    """The loss against passes, on a log axis, from a `Factorization`'s history: its `loss` has one value per pass."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    loss = np.asarray(history["loss"])
    axes.plot(np.arange(1, len(loss) + 1), loss, color=shades(0)[1], marker="." if len(loss) < 50 else "")
    label_loss(axes, loss)
    return figure


def label_loss(axes: Axes, loss: NDArray[np.generic]) -> None:
    """Axes, scale and title of a plot of the loss against passes."""
    scale = "log" if loss.any() else "linear"
    axes.set(xlabel="passes (at most one read of X each)", ylabel="‖X − W V‖²", yscale=scale, title="Loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(color="0.9")


def components(result: Factorization, *, shape: Sequence[int] | None = None) -> Figure:
    """The first 32 components, each scaled to maximum 1: rows of V where X is tall (m ≥ n), else columns of W.

    Of images, those that have as many entries. Where columns (rows) of X have names, those of the three largest entries
    of each are shown.

    Parameters
    ----------
    result : X ≈ W V, W (m, k), V (k, n).
    shape : (height, width) of a component that is an image; curves are drawn if None.

    Raises
    ------
    ValueError
        If a component does not have as many entries as the image.
    """
    tall, rank = _by_rows((result.W.shape[0], result.V.shape[1]), shape), len(result.V)
    short = (result.V if tall else np.asarray(result.W).T)[:PANELS]
    short = short / np.maximum(short.max(axis=1, keepdims=True), np.finfo(short.dtype).tiny)
    layout = (min(4, -(-len(short) // 5)), 3.2, 1.1) if shape is None else (8, 1.3, 1.4 * min(2.0, shape[0] / shape[1]))
    names = result.labels.columns if tall else result.labels.rows
    figure, panels = panel_grid(len(short), layout)
    figure.supxlabel("" if shape is not None else "column of X" if tall else "row of X", fontsize=10)
    for number, (axes, component) in enumerate(zip(panels, short, strict=True), start=1):
        if shape is None:
            axes.fill_between(np.arange(component.size), component, color=shades(0)[0], linewidth=0)
            axes.plot(component, color=shades(0)[1], linewidth=0.9)
            axes.margins(x=0)
            axes.set(ylim=(0, 1.1), yticks=(0, 1))
        else:
            _draw_image(axes, component, shape)
        axes.set_title(_title(number, component, names), fontsize=9 if names is None else 7, pad=3)
    named = "rows of V" if tall else "columns of W"
    figure.suptitle(f"{len(short)} of {rank} components ({named}), each scaled to maximum 1")
    return figure


def images(
    components: ArrayLike, shape: Sequence[int], *, titles: Sequence[str] | None = None, columns: int = 8
) -> Figure:
    """Draw components as images, each scaled to a largest size of 1: grey, or red and blue where some are negative.

    Parameters
    ----------
    components : (k, height · width), such as V, or W.T.
    shape : (height, width).
    titles : what to write above each, instead of its number.
    columns : images side by side.

    Raises
    ------
    ValueError
        If a component does not have as many entries as the image.

    Examples
    --------
    >>> len(images(np.eye(4), (2, 2)).axes)
    4
    """
    F = np.asarray(components)
    figure, panels = panel_grid(len(F), (columns, 1.3, 1.4 * min(2.0, shape[0] / shape[1])))
    for number, (axes, values) in enumerate(zip(panels, F, strict=True)):
        _draw_image(axes, values / max(np.abs(values).max(), np.finfo("f8").tiny), shape, signed=bool((F < 0).any()))
        axes.set_title(str(number + 1) if titles is None else titles[number], fontsize=9, pad=3)
    return figure


def _by_rows(shape: tuple[int, int], image: Sequence[int] | None) -> bool:
    """Whether samples are rows of X (m, n) and components rows of V: where it is tall, or where rows are the images."""
    m, n = shape
    pixels = None if image is None else image[0] * image[1]
    return n == pixels if pixels in (m, n) and m != n else m >= n


def _title(number: int, component: Array, names: Names | None) -> str:
    """The number of a component, and the names of its largest entries, where entries have names."""
    if names is None:
        return str(number)
    largest = [at for at in np.argsort(-component, kind="stable")[:LARGEST] if component[at] > 0]
    shown = (name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names[largest])
    return f"{number}: {', '.join(shown)}"


def panel_grid(count: int, layout: tuple[int, float, float], *, alike: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels, so many a row, of so many inches each; they share their axes where they are alike."""
    columns = min(count, layout[0])
    rows = -(-count // columns)
    figure = Figure(figsize=(max(7.0, layout[1] * columns), 0.9 + layout[2] * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, sharex=alike, sharey=alike, squeeze=False).flat)
    for unused in panels[count:]:
        unused.remove()
    # Shared axes are labelled in the last row only, and that row may be short.
    for lowest in panels[max(0, count - columns) : count]:
        lowest.tick_params(labelbottom=True)
    return figure, panels[:count]


def _draw_image(axes: Axes, values: Array, shape: Sequence[int], *, signed: bool = False) -> None:
    if values.size != shape[0] * shape[1]:
        raise ValueError(f"shape is {tuple(shape)} for {values.size} entries: give (height, width) of that many pixels")
    how: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1} if signed else {"cmap": "gray_r", "vmin": 0}
    axes.imshow(values.reshape(shape), **how)
    axes.set(xticks=(), yticks=())


def reconstructions(X: Drawable, result: Factorization, *, shape: Sequence[int] | None = None) -> Figure:
    """Six samples, evenly spread over X, and their reconstructions: rows where X is tall (m ≥ n), else columns.

    Of images, those that have as many entries.

    Parameters
    ----------
    X : (m, n).
    result : X ≈ W V, W (m, k), V (k, n).
    shape : (height, width) of a sample that is an image; curves are drawn if None.

    Raises
    ------
    ValueError
        If X is not of the shape that was factorized, or an image not of the size of a sample.
    """
    factorized = (result.W.shape[0], result.V.shape[1])
    if tuple(X.shape) != factorized:
        raise ValueError(f"X has shape {tuple(X.shape)}, this run factorized {factorized}: give the X of this run")
    by_rows = _by_rows(factorized, shape)
    samples = list(_samples(X, result, by_rows))
    across = "column of X" if by_rows else "row of X"
    figure = _sample_curves(samples, across) if shape is None else _sample_images(samples, shape)
    figure.suptitle("Samples of X and their reconstructions")
    return figure


def _samples(X: Drawable, result: Factorization, by_rows: bool) -> Iterator[tuple[str, Array, Array]]:
    """Title, x (a row or a column) and its reconstruction, one by one: a list is answered with all between by some."""
    count = X.shape[0 if by_rows else 1]
    for index in sorted({int((i + 0.5) * count / SAMPLES) for i in range(SAMPLES)}):
        given = np.asarray(X[index] if by_rows else X[slice(None), index])
        learned = np.asarray(result.W[index]) @ result.V if by_rows else np.asarray(result.W) @ result.V[:, index]
        size = np.linalg.norm(given)
        error = np.linalg.norm(given - learned) / size if size else 0.0
        yield f"{'row' if by_rows else 'column'} {index}, relative error {error:.2g}", given, learned


def _sample_curves(samples: Sequence[tuple[str, Array, Array]], across: str) -> Figure:
    figure, panels = panel_grid(len(samples), (3, 3.4, 2.4))
    for axes, (title, given, learned) in zip(panels, samples, strict=True):
        axes.plot(given, color=shades(0)[0], linewidth=5.5, label="X")
        axes.plot(learned, color=shades(1)[1], linewidth=1, label="W V")
        axes.margins(x=0)
        axes.set_title(title, fontsize=10)
    figure.supxlabel(across, fontsize=10)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
    return figure


def _sample_images(samples: Sequence[tuple[str, Array, Array]], shape: Sequence[int]) -> Figure:
    figure = Figure(figsize=(max(5.0, 1.9 * len(samples)), 4.6), layout="constrained")
    grid = figure.subplots(2, len(samples), squeeze=False)
    for (above, below), (title, given, learned) in zip(grid.T, samples, strict=True):
        _draw_image(above, given, shape)
        _draw_image(below, learned, shape)
        above.set_title(title.replace(", ", "\n"), fontsize=9)
    grid[0, 0].set_ylabel("X")
    grid[1, 0].set_ylabel("W V")
    return figure


def matched(basis: Array, W: Array) -> tuple[Array, Array]:
    """Find the column of W that goes with each true curve, and scale it to fit: NMF leaves order and scale open.

    Parameters
    ----------
    basis, W : (m, d) true curves, (m, k) learned columns, k ≥ d.

    Returns
    -------
    (m, d) array of the chosen columns, each scaled by least squares; (d,) array of correlations, ⟨a, b⟩ / (‖a‖ ‖b‖).

    Raises
    ------
    ValueError
        If there are more curves than columns.

    Examples
    --------
    >>> columns, correlations = matched(np.eye(3), 5 * np.eye(3)[:, ::-1])
    >>> bool(np.allclose(columns, np.eye(3))), correlations.tolist()
    (True, [1.0, 1.0, 1.0])
    """
    if W.shape[1] < basis.shape[1]:
        raise ValueError(f"W has {W.shape[1]} columns for {basis.shape[1]} true curves: factorize with a higher rank")
    order, correlations = match(basis.T, W.T)
    columns = W[:, order]
    sizes = np.maximum(np.einsum("md,md->d", columns, columns), np.finfo(W.dtype).tiny)
    return columns * (np.einsum("md,md->d", basis, columns) / sizes), correlations


def matched_basis(basis: Array, W: Array) -> Figure:
    """The d true curves, pale, under learned columns of W, dark: `matched`, one hue per pair. (m, d) and (m, k)."""
    columns, correlations = matched(basis, W)
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    pairs: list[Any] = []
    for index, (truth, column) in enumerate(zip(basis.T, columns.T, strict=True)):
        pale, dark = shades(index)
        # Where a true curve is next to nothing, its thick line would only hide the others' floor.
        (true,) = axes.plot(np.where(truth > 0.005 * truth.max(), truth, np.nan), color=pale, linewidth=6, zorder=1)
        (learned,) = axes.plot(column, color=dark, linewidth=1.4, zorder=2)
        pairs.append((true, learned))
    axes.margins(x=0)
    axes.set(xlabel="row of X", ylabel="entry of W, scaled", title="True curves (pale) and learned columns of W (dark)")
    labels = [f"correlation {correlation:.4f}" for correlation in correlations]
    figure.legend(pairs, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure
