"""What a report shows of a comparison of ranks: the held-out error and the agreement of halves by rank, and a table."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnmf.report.charts import Chart, Curve, Scale, dots, line, ranges, scale_of, thinned
from dnmf.report.ranking import COLUMNS
from dnmf.run.ranking import Ranking

F8 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankView:
    """Curves and a table of ranks.

    Attributes
    ----------
    sentence : what the comparison says, and how far it can be trusted.
    charts : held-out error and agreement; none where there is one rank only.
    head, rows : the table.
    pick : number of the row that was picked, from 0.
    """

    sentence: str
    charts: tuple[Chart, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    pick: int


def rank_view(found: Ranking) -> RankView:
    """What there is to show of a comparison of ranks."""
    told = [(name, *COLUMNS[name]) for name in COLUMNS if name in found.columns]
    columns = [[_text(value, how) for value in found.columns[name].tolist()] for name, _, how in told]
    return RankView(
        sentence=found.sentence,
        charts=(_held_out(found), _agreement(found)) if len(found.ranks) > 1 else (),
        head=tuple(head for _, head, _ in told),
        rows=tuple(zip(*columns, strict=True)),
        pick=found.ranks.tolist().index(found.best),
    )


def _text(value: float, how: str) -> str:
    return "–" if value != value else format(value, how)


def _held_out(found: Ranking) -> Chart:
    across, x, keep = _across(found)
    errors, spread = found.held_out, found.standard_error
    up = scale_of(np.concatenate([errors - spread, errors + spread]))
    y = up.percent(errors)
    least = int(found.ranks[np.argmin(errors)])
    says = [
        f"{rank} components: held-out error {error:.4f}, {error - errors.min():.4f} ± {deviation:.4f} above the least"
        for rank, error, deviation in zip(found.ranks.tolist(), errors.tolist(), spread.tolist(), strict=True)
    ]
    curves = (
        _mark(across, found.best),
        Curve(ranges(x, up.percent(errors - spread), up.percent(errors + spread)), "range"),
        Curve(line(x, y), "line"),
        Curve(dots(x[keep], y[keep]), "dots"),
    )
    return Chart(
        "Held-out error",
        f"Least at {least} components; {found.best} are picked. Bars are one standard error of the difference to the "
        f"least, over pairs of the same rows.",
        "components", "Share of the sample that is not predicted", across.ticks(8, whole=True), up.ticks(4), curves,
        tuple(zip(x.tolist(), y.tolist(), says, strict=True)),
    )  # fmt: skip


def _agreement(found: Ranking) -> Chart:
    across, x, keep = _across(found)
    up = Scale(0, 1.03, down=True)
    worst, mean = up.percent(found.worst), up.percent(found.mean)
    says = [
        f"{rank} components: agreement {low:.2f} at worst, {middle:.2f} on average"
        for rank, low, middle in zip(found.ranks.tolist(), found.worst.tolist(), found.mean.tolist(), strict=True)
    ]
    at = found.ranks.tolist().index(found.best)
    curves = (
        _mark(across, found.best),
        Curve(line(x, mean), "line", 0, "mean"),
        Curve(dots(x[keep], mean[keep]), "dots"),
        Curve(line(x, worst), "line", 1, "worst component"),
        Curve(dots(x[keep], worst[keep]), "dots", 1),
    )
    return Chart(
        "Agreement of the halves",
        f"How alike the components of two halves of the sample are, as cosines: with {found.best} components "
        f"{found.worst[at]:.2f} at worst, {found.mean[at]:.2f} on average.",
        "components", "Cosine", across.ticks(8, whole=True), up.ticks(4), curves,
        tuple(zip(x.tolist(), worst.tolist(), says, strict=True)),
    )  # fmt: skip


def _across(found: Ranking) -> tuple[Scale, F8, NDArray[np.intp]]:
    """The scale of ranks, where they are on it, and those that have a dot."""
    low, high = float(found.ranks[0]), float(found.ranks[-1])
    room = max(0.4, 0.02 * (high - low))
    across = Scale(low - room, high + room)
    return across, across.percent(found.ranks), thinned(len(found.ranks), 60)


def _mark(across: Scale, rank: int) -> Curve:
    at = float(across.percent(rank))
    return Curve(f"M{at:g},0V100", "mark")
