"""Figures of a comparison of ranks: held-out error, and how far the halves of the sample agree."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dnmf.rank_selection.choice import ALIKE
from dnmf.report.figures import shades
from dnmf.run.ranking import Ranking


def ranking_figures(found: Ranking) -> dict[str, Figure]:
    """All figures of a comparison by name: "ranks"."""
    return {"ranks": ranks_compared(found)}


def ranks_compared(found: Ranking) -> Figure:
    """Held-out error with the standard errors of its differences to the least; below it the agreement of the halves.

    The pick is marked in both. A dot is one component: its cosine to its partner in the other half of the sample.
    """
    figure = Figure(figsize=(7, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    _draw_errors(above, found)
    _draw_agreement(below, found)
    for axes in (above, below):
        axes.axvline(found.best, color="0.6", linewidth=0.9, linestyle=":", zorder=0)
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    below.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def _draw_errors(axes: Axes, found: Ranking) -> None:
    dark = shades(0)[1]
    axes.errorbar(
        found.ranks, found.held_out, yerr=found.standard_error, color=dark, marker="o", markersize=4, linewidth=1.2,
        capsize=2.5, label="± one standard error of the difference to the least",
    )  # fmt: skip
    at = int(np.flatnonzero(found.ranks == found.best)[0])
    axes.plot(found.best, found.held_out[at], "o", markersize=11, markerfacecolor="none", color=shades(1)[1])
    axes.annotate(
        f"{found.best}", (found.best, found.held_out[at]), (0, 11), textcoords="offset points", ha="center",
        color=shades(1)[1], fontweight="bold",
    )  # fmt: skip
    axes.set(ylabel="share that is not predicted", title="Held-out error")
    axes.margins(y=0.12)
    axes.legend(frameon=False, fontsize=8)


def _draw_agreement(axes: Axes, found: Ranking) -> None:
    ranks = np.concatenate([np.full(int(rank), rank) for rank in found.ranks])
    alike = np.concatenate([found.agreement[int(rank)] for rank in found.ranks])
    axes.plot(ranks, alike, "o", color=shades(0)[0], markersize=3, zorder=1, label="a component")
    axes.plot(found.ranks, found.mean, color=shades(0)[1], linewidth=1.2, label="mean")
    axes.plot(found.ranks, found.worst, color=shades(1)[1], linewidth=1.2, label="worst")
    axes.axhline(ALIKE, color="0.6", linewidth=0.9, linestyle="--", zorder=0)
    axes.set(xlabel="components", ylabel="cosine", ylim=(0, 1.04), title="Agreement of two halves of the sample")
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="lower left")
