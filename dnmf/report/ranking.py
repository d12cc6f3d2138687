"""A comparison of ranks in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from dnmf.plan.strips import rows_or_columns
from dnmf.run.ranking import Ranking

# How a column of the table is headed and written.
COLUMNS: Mapping[str, tuple[str, str]] = {
    "rank": ("rank", "d"),
    "held_out": ("held-out error", ".6f"),
    "difference": ("difference", ".6f"),
    "standard_error": ("± SE", ".6f"),
    "worst_agreement": ("worst", ".2f"),
    "mean_agreement": ("mean agreement", ".2f"),
    "fit": ("error of the sample", ".6f"),
    "relative_error": ("of all of X", ".6f"),
}


def ranking_lines(found: Ranking) -> Iterator[str]:
    """What was compared, the table, with a mark at the pick, and the sentence."""
    state, shape = found.about.state, found.about.x.shape
    lines, across = rows_or_columns(state.axis), rows_or_columns(1 - state.axis)
    drawn = min(state.sample or shape[state.axis], shape[state.axis])
    yield f"{drawn} of {shape[state.axis]} {lines} of X in two halves, each of which predicts {across} of the other"
    shown = {name: [head, *(_text(value, how) for value in found.columns[name])] for name, (head, how) in _there(found)}
    widths = {name: max(map(len, texts)) for name, texts in shown.items()}
    for row in range(len(found.ranks) + 1):
        mark = " ←" if row and int(found.ranks[row - 1]) == found.best else ""
        yield "  ".join(texts[row].rjust(widths[name]) for name, texts in shown.items()) + mark
    yield found.sentence


def _there(found: Ranking) -> list[tuple[str, tuple[str, str]]]:
    return [(name, how) for name, how in COLUMNS.items() if name in found.columns]


def _text(value: Any, how: str) -> str:
    """A number; nothing for NaN."""
    return "" if value != value else format(value, how)
