"""What a report shows of each component: what leads it, where it is strong, how large and how sure it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dnmf.components.features import weights
from dnmf.components.table import shortened
from dnmf.components.words import Components
from dnmf.matrix.labels import Labels, Names
from dnmf.report.charts import PROFILE, Chart, pooled, profile
from dnmf.report.strongest import Strongest, strongest_rows
from dnmf.report.words import count, decimal, percent
from dnmf.run.components import describe
from dnmf.run.result import Factorization

# Rows and features that are named, and names in the table of all components.
NAMED, IN_TABLE = 10, 4

# Characters of names that need little room, or much; and of one that is cut in the table of all components.
SHORT, LONG, LONGEST = 7, 18, 28

F8 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bar:
    """A line of a table of bars: a name, the length of its bar (0 to 1), its number, and another one."""

    name: str
    share: float
    text: str
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """A table of bars, with what its columns are; `empty` is said where there are none."""

    title: str
    note: str
    of: str
    value: str
    bars: tuple[Bar, ...]
    empty: str = ""
    beside: str = ""

    @property
    def names(self) -> Literal["short", "usual", "long"]:
        """How much room names need beside bars."""
        most = max((len(bar.name) for bar in self.bars), default=0)
        return "long" if most > LONG else "short" if most <= SHORT else "usual"


@dataclass(frozen=True, slots=True)
class Portrait:
    """What there is to see of a component.

    Attributes
    ----------
    number : which component of the run it is; 1 is the first row of V.
    share : its share, in words; "–" where it is not known.
    width : its share over the largest one, 0 to 1.
    names : the names of the features that lead it.
    facts : its other numbers by name, in words.
    features, rows : the features that lead it, and the rows in which it is strong; None where W was not kept.
    charts : its profile along columns and rows, as far as there is something to see.
    """

    number: int
    share: str
    width: float
    names: tuple[str, ...]
    facts: dict[str, str]
    features: Bars
    rows: Bars | None
    charts: tuple[Chart, ...]


def portraits(run: Factorization, agreement: F8 | None = None) -> tuple[Components, tuple[Portrait, ...]]:
    """All components in the order of their shares: V and one scan of W tell, X is not read.

    Parameters
    ----------
    run : X ≈ W V.
    agreement : (k,) how sure each component is, in the order of the run.
    """
    sure = None if agreement is None else agreement.tolist()
    described, labels = describe(run, top=NAMED, agreement=sure), run.labels
    sizes = run.V.astype("f8").sum(axis=1)
    strongest = None if run.W is None else strongest_rows(run.W, sizes, count=NAMED, blocks=PROFILE)
    drawn = _portraits(described, weights(run.V), labels, strongest, run.about.x.shape[0])
    return described, tuple(drawn)


def _portraits(
    described: Components, alike: F8, labels: Labels, strongest: Strongest | None, m: int
) -> Iterator[Portrait]:
    shares = main_shares(described)
    largest = np.nanmax(shares, initial=0) or 1
    for i, number in enumerate(described.number.tolist()):
        a = number - 1
        charts = [] if not in_order(labels.columns) else [_along_columns(alike[a], labels.columns, number)]
        if strongest is not None and in_order(labels.rows) and m > 1:
            charts.append(_along_rows(strongest.along[a], m, labels.rows, number))
        yield Portrait(
            number=number,
            share=percent(shares[i]),
            width=0.0 if np.isnan(shares[i]) else max(0.0, float(shares[i] / largest)),
            names=tuple(shortened(name, LONGEST) for name in described.named_features[i][:IN_TABLE]),
            facts=_facts(described, i, None if strongest is None else int(strongest.leads[a]), m),
            features=feature_bars(described.named_features[i], described.scores[i], described.weights[i], "column"),
            rows=None if strongest is None else _rows(strongest, a, labels.rows),
            charts=tuple(charts),
        )


def main_shares(described: Components) -> F8:
    """The shares by which components are ordered: of the loss, where that is known; else of the sum of X."""
    return described.mass if np.isnan(described.share).all() else described.share


def _facts(described: Components, i: int, leads: int | None, m: int) -> dict[str, str]:
    """Numbers of a component, in words, as far as they are known."""
    by_mass = np.isnan(described.share).all()
    known = {
        f"of the sum of {described.mass_of}": "–" if by_mass else percent(described.mass[i]),
        "explains alone": percent(described.alone[i]),
        "leads in": "–" if leads is None else f"{count(leads)} of {count(m)} rows",
        "agreement": decimal(described.agreement[i]),
        "sparseness of V": decimal(described.sparseness_V[i]),
        "of W": decimal(described.sparseness_W[i]),
    }
    return {name: text for name, text in known.items() if text != "–"}


def feature_bars(names: Sequence[str], scores: F8, alike: F8, kind: str) -> Bars:
    """The features that lead a component, the first one first: how specific they are, and their weights.

    Parameters
    ----------
    names : of the features.
    scores, alike : of each, how many times as much of it as of all, and its share of the component.
    kind : what features are: "column" or "row".
    """
    largest = float(scores.max(initial=0)) or 1
    bars = tuple(
        Bar(name, score / largest, f"{score:.3g} ×", percent(weight))
        for name, score, weight in zip(names, scores.tolist(), alike.tolist(), strict=True)
    )
    return Bars("What leads it", f"{kind}s of X", kind, "specific", bars, f"No {kind} leads it.", "of it")


def _rows(strongest: Strongest, a: int, names: Names | None) -> Bars:
    bars = tuple(
        Bar(str(i) if names is None else str(names[i]), share, percent(share))
        for i, share in zip(strongest.rows[a].tolist(), strongest.shares[a].tolist(), strict=True)
    )
    return Bars(
        "Where it is strong", "rows with the largest share of it", "row", "share", bars, empty="It is strong nowhere."
    )


def _called(names: Names | None, place: int, kind: str) -> str:
    """The name of a row or column, or its number where it has none."""
    return f"{kind} {place}" if names is None else str(names[place])


def in_order(names: Names | None) -> bool:
    """Whether rows or columns that follow one another may belong together: they have no names, or numbers for names."""
    if names is None:
        return True
    try:
        return bool(len(names)) and all(np.isfinite(float(name)) for name in names[:: max(1, len(names) // 50)])
    except ValueError:
        return False


def _along_columns(alike: F8, names: Names | None, number: int) -> Chart:
    heights, places = pooled(alike)
    called = [_called(names, j, "column") for j in places.tolist()]
    says = [f"{name}: {percent(height)}" for name, height in zip(called, heights.tolist(), strict=True)]
    most = called[int(heights.argmax())]
    return profile(
        heights, says, title="Along the columns of X",
        description=f"The row of V of component {number} from the first to the last column, highest at {most}.",
        x_label=_span(names, len(alike), "column"),
    )  # fmt: skip


def _along_rows(along: F8, m: int, names: Names | None, number: int) -> Chart:
    edges = (-(-np.arange(len(along) + 1) * m // len(along))).tolist()
    called = [
        _called(names, i, "row") if j - i == 1 else f"{_called(names, i, 'row')} to {_called(names, j - 1, '').strip()}"
        for i, j in pairwise(edges)
    ]
    says = [f"{name}: {percent(share)} on average" for name, share in zip(called, along.tolist(), strict=True)]
    return profile(
        along, says, title="Along the rows of X",
        description=f"The mean share of component {number} from the first to the last row, "
        f"highest at {called[int(along.argmax())]}.",
        x_label=_span(names, m, "row"),
    )  # fmt: skip


def _span(names: Names | None, length: int, kind: str) -> str:
    """What a profile goes along."""
    return f"{kind}s {_called(names, 0, '').strip()} to {_called(names, length - 1, '').strip()}"
