"""Figures of what components are: their top features, V as a map, and two factorizations side by side. X is not read.

They show a `Components` value, of `dnmf.run.components.describe`, and what belongs to it.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from dnmf.components.features import weights
from dnmf.components.sums import F8
from dnmf.components.table import shortened
from dnmf.components.words import Components
from dnmf.report.figures import PANELS, panel_grid, shades
from dnmf.run.compare import Comparison, compare
from dnmf.run.components import describe
from dnmf.run.result import Factorization

# Bars of a component, and characters of a name beside a bar or below a map.
BARS, LONGEST_NAME = 10, 22

# Columns of a map: more of them share one, and show the largest. Those that lead each component, where they have names.
MAP_COLUMNS, LEADING = 1000, 3

# Names that fit along an axis, and numbers in the cells of a map.
NAMES_ALONG, CELLS_WITH_NUMBERS = 60, 20

# From nothing, white, to all.
COLORS = "Blues"


def component_figures(result: Factorization) -> dict[str, Figure]:
    """Figures of what components are, by name: "features", the top features of each as bars, and "map", V as a map."""
    told = describe(result, top=BARS)
    return {"features": top_features(told), "map": component_map(told, result)}


def top_features(told: Components, *, most: int = BARS) -> Figure:
    """The top features of the 32 components with the largest shares as bars: how much of the component each one is.

    Parameters
    ----------
    told : components, with their features.
    most : features of each at most.
    """
    count = min(len(told), PANELS)
    bars = max(1, min(most, max(map(len, told.features))))
    figure, panels = panel_grid(count, (min(4, count), 3.2, 0.45 + 0.17 * bars), alike=False)
    for place, axes in enumerate(panels):
        names = [shortened(name, LONGEST_NAME) for name in told.named_features[place][:most]]
        axes.barh(range(len(names)), told.weights[place][:most], color=shades(0)[1], height=0.7)
        axes.set_yticks(range(len(names)), names, fontsize=7)
        axes.set(ylim=(bars - 0.4, -0.6), xlim=(0, None if names else 1))
        axes.tick_params(axis="x", labelsize=7)
        axes.locator_params(axis="x", nbins=4)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(_title(told, place), fontsize=8.5, loc="left", pad=3)
    figure.supxlabel("share of the component", fontsize=9)
    order = f"the sum of {told.mass_of}" if np.isnan(told.share).all() else "X"
    figure.suptitle(f"{count} of {len(told)} components, by share of {order}: top features by {told.by}", fontsize=11)
    return figure


def component_map(told: Components, result: Factorization) -> Figure:
    """V as a map, components in the order of their shares by columns of X, each column scaled to its largest entry.

    Where columns of X have names, those are shown that lead a component, beside it; else all of them in their order, of
    neighbours the largest.

    Parameters
    ----------
    told : components, with their features.
    result : X ≈ W V, of which they are.
    """
    alike = weights(result.V)[told.number - 1]
    if told.names is None:
        values, labels, across = _pooled(alike), None, "column of X"
    else:
        columns = list(dict.fromkeys(j for features in told.features for j in features[:LEADING].tolist()))
        values = alike[:, columns]
        labels, across = [told.name(j) for j in columns], f"columns of X that lead a component, by {told.by}"
    top = values.max(axis=0, keepdims=True)
    figure, axes = _map(np.divide(values, top, out=np.zeros_like(values), where=top > 0), len(labels or ()))
    _name_rows(axes, told.number)
    axes.set(xlabel=across, ylabel="component")
    if labels is None:
        n = result.V.shape[1]
        axes.images[0].set_extent((-0.5, n - 0.5, len(told) - 0.5, -0.5))
    else:
        _name_columns(axes, labels)
    axes.set_title("V, rows of sum 1, each column relative to its largest entry", fontsize=11)
    return figure


def compared(first: Factorization, second: Factorization, *, names: Sequence[str] = ("A", "B")) -> Figure:
    """The cosines of all components of two factorizations, in the order of the first one's shares; pairs are framed.

    Parameters
    ----------
    first, second : factorizations of the same columns, of any ranks.
    names : what to call them.

    Raises
    ------
    ValueError
        If they are of other columns.
    """
    found = compare(first, second)
    rows, columns = _in_pairs(found, describe(first, top=1).number - 1, describe(second, top=1).number - 1)
    values = found.cosines[np.ix_(rows, columns)]
    figure, axes = _square_map(values)
    for a, b in zip(found.first, found.second, strict=True):
        at = int(np.flatnonzero(columns == b)[0]), int(np.flatnonzero(rows == a)[0])
        axes.add_patch(Rectangle((at[0] - 0.5, at[1] - 0.5), 1, 1, fill=False, edgecolor=shades(1)[1], linewidth=1.2))
    if max(values.shape) <= CELLS_WITH_NUMBERS:
        _write_numbers(axes, values)
    _name_rows(axes, rows + 1)
    _name_columns(axes, [str(number) for number in columns + 1])
    kinds = [shortened(name, LONGEST_NAME) for name in names]
    axes.set(ylabel=f"component of {kinds[0]}", xlabel=f"component of {kinds[1]}")
    figure.suptitle("Cosines of components, pairs framed", fontsize=11)
    return figure


def _title(told: Components, place: int) -> str:
    """The number of a component and its share, or its mass where that is not known."""
    share, mass = told.share[place], told.mass[place]
    said = f"mass {mass:.1%}" if np.isnan(share) else f"share {share:.1%}"
    return f"{told.number[place]}   {'' if np.isnan(share) and np.isnan(mass) else said}".rstrip()


def _pooled(values: F8) -> F8:
    """Columns (k, n), of many the largest of each group of neighbours."""
    n = values.shape[1]
    if n <= MAP_COLUMNS:
        return values
    starts = np.linspace(0, n, MAP_COLUMNS, endpoint=False).astype(int)
    return np.maximum.reduceat(values, starts, axis=1)


def _map(values: F8, labels: int = 0) -> tuple[Figure, Axes]:
    """A figure with values from 0 to 1 as shades of one colour, and a scale of them; so many labels below it."""
    height = max(2.6, 1.6 + 0.2 * len(values))
    # Names below take as much room again.
    figure = _figure(max(6.0, 2 + 0.16 * labels) if labels else 8.0, height + (1.1 if labels else 0))
    return figure, _shade(figure, values, aspect="auto")


def _square_map(values: F8) -> tuple[Figure, Axes]:
    """The same with square cells."""
    rows, columns = values.shape
    figure = _figure(2.4 + 0.2 * columns, max(3.6, 1.6 + 0.2 * rows))
    figure.set_layout_engine("compressed")
    return figure, _shade(figure, values, aspect="equal")


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(max(5.0, min(width, 30.0)), height), layout="constrained")


def _shade(figure: Figure, values: F8, *, aspect: Literal["auto", "equal"]) -> Axes:
    axes = figure.subplots()
    image = axes.imshow(values, cmap=COLORS, vmin=0, vmax=1, aspect=aspect, interpolation="none")
    figure.colorbar(image, ax=axes, shrink=min(1.0, 2.5 / figure.get_figheight()), aspect=12)
    return axes


def _name_rows(axes: Axes, numbers: NDArray[Any]) -> None:
    axes.set_yticks(range(len(numbers)), [str(number) for number in numbers], fontsize=7 if len(numbers) > 8 else 9)


def _name_columns(axes: Axes, labels: Sequence[str]) -> None:
    """Names below columns: as many as fit, evenly spread."""
    step = -(-len(labels) // (3 * NAMES_ALONG))
    turned = max(map(len, labels)) > 2
    axes.set_xticks(
        range(0, len(labels), step),
        [shortened(label, LONGEST_NAME) for label in labels[::step]],
        fontsize=7 if len(labels) > 8 else 9,
        rotation=90 if turned else 0,
    )


def _write_numbers(axes: Axes, values: F8) -> None:
    for (i, j), value in np.ndenumerate(values):
        color = "white" if value > 0.6 else "0.3"
        axes.text(j, i, f"{value:.2f}".lstrip("0"), ha="center", va="center", fontsize=6, color=color)


def _in_pairs(
    found: Comparison, first: NDArray[np.intp], second: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Components of both in the order of the first one's shares, so that pairs lie on the diagonal; the others last."""
    partner = dict(zip(found.first.tolist(), found.second.tolist(), strict=True))
    rows = [a for a in first.tolist() if a in partner]
    columns = [partner[a] for a in rows]
    alone = [a for a in first.tolist() if a not in partner], [b for b in second.tolist() if b not in columns]
    return np.array(rows + alone[0]), np.array(columns + alone[1])
