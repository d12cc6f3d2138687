"""Charts of a page as plain numbers: where its lines, ticks and points are, in percent of its width and height.

A template draws them, as SVG that is stretched to whatever width there is, with texts beside it that are not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Points of a line at most: more are not told apart on a screen, and cost bytes.
MOST_POINTS = 400

# Points of a profile, of which a page may have a hundred.
PROFILE = 100


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where, in percent, and its text."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Curve:
    """A line, an area or dots, as the path of an SVG whose view box is 100 × 100; which series it belongs to, and the
    name of that, where a legend tells series apart.
    """

    path: str
    kind: Literal["line", "area", "dots", "range", "mark"]
    series: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart.

    Attributes
    ----------
    title : what it shows, as a heading.
    description : what there is to see, in a sentence: what is said where nothing is seen.
    x_label, y_label : what is along the axes.
    x_ticks, y_ticks : marks.
    curves : what is drawn, in this order.
    points : what can be pointed at, from left to right: (x, y, text), percent.
    """

    title: str
    description: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    curves: tuple[Curve, ...]
    points: tuple[tuple[float, float, str], ...]

    @property
    def named(self) -> tuple[Curve, ...]:
        """What a legend tells apart."""
        return tuple(curve for curve in self.curves if curve.name)


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers from `low` to `high` along an axis; `down` where large ones are at its beginning."""

    low: float
    high: float
    down: bool = False

    def percent(self, values: ArrayLike) -> NDArray[np.float64]:
        """Where numbers are."""
        share = (np.asarray(values, "f8") - self.low) / (self.high - self.low) * 100
        return np.asarray(np.round(100 - share if self.down else share, 2))

    def ticks(self, count: int, *, whole: bool = False) -> tuple[Tick, ...]:
        """About `count` round numbers within the scale; `whole` ones alone."""
        step = round_step((self.high - self.low) / count)
        step = max(1.0, step) if whole else step
        first = math.ceil(self.low / step - 1e-9)
        values = [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return tuple(
            Tick(at, as_text(value, digits, step))
            for at, value in zip(self.percent(values).tolist(), values, strict=True)
        )


def round_step(least: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that is not smaller.

    >>> [round(round_step(least), 3) for least in (0.03, 1.0, 2.1, 70)]
    [0.05, 1.0, 5.0, 100.0]
    """
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


def as_text(value: float, digits: int, step: float) -> str:
    """A number of a scale with so many digits after the point; very large and very small ones with a power of ten."""
    if value == 0:
        return "0"
    if step >= 1e5 or digits > 5:
        return f"{value:.3g}"
    return f"{value:,.{digits}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def scale_of(values: ArrayLike, *, zero: bool = False, margin: float = 0.06, down: bool = True) -> Scale:
    """A scale on which finite numbers fit with some margin; from 0 where it is to begin there."""
    known = np.asarray(values, "f8")
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    low = min(0.0, low) if zero else low
    room = (high - low) * margin or abs(high) * margin or 1.0
    return Scale(low if zero and low == 0 else low - room, high + room, down)


def line(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """The path along points, in percent; it is broken where one is not known.

    >>> line(np.array([0.0, 50.0, 100.0]), np.array([1.0, 2.5, 3.0]))
    'M0,1L50,2.5L100,3'
    """
    known = np.isfinite(y)
    begins = known & ~np.concatenate([[False], known[:-1]])
    return "".join(f"{'M' if begins[i] else 'L'}{x[i]:g},{y[i]:g}" for i in np.flatnonzero(known))


def area(x: NDArray[np.float64], y: NDArray[np.float64], base: float = 100.0) -> str:
    """The path around what is between points and a base, in percent."""
    return f"M{x[0]:g},{base:g}{line(x, y).replace('M', 'L')}L{x[-1]:g},{base:g}Z"


def dots(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """The path of lines without length: with round ends they are dots, however the chart is stretched."""
    return "".join(f"M{a:g},{b:g}h0" for a, b in zip(x, y, strict=True) if math.isfinite(b))


def ranges(x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> str:
    """The path of upright lines from low to high."""
    return "".join(f"M{a:g},{b:g}V{c:g}" for a, b, c in zip(x, low, high, strict=True))


def thinned(count: int, most: int = MOST_POINTS) -> NDArray[np.intp]:
    """At most so many of the numbers 0, …, count − 1, the first and the last of them among these."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.intp))


def profile(
    values: ArrayLike,
    says: Sequence[str],
    *,
    title: str,
    description: str,
    x_label: str,
    x_ticks: tuple[Tick, ...] = (),
) -> Chart:
    """Numbers of at least 0 one beside the other, as an area that fills the chart; `says` has the text of each."""
    heights = np.asarray(values, "f8")
    # The middle of each block: a profile of one block is a dot in the middle.
    x = np.round((np.arange(len(heights)) + 0.5) / len(heights) * 100, 1)
    y = np.round(100 - 94 * heights / (heights.max() or 1), 1)
    edges = np.concatenate([[0], x, [100]]), np.concatenate([y[:1], y, y[-1:]])
    curves = (Curve(area(*edges), "area"), Curve(line(*edges), "line"))
    points = tuple(zip(x.tolist(), y.tolist(), says, strict=True))
    return Chart(title, description, x_label, "", (), (), curves, points)


def pooled(values: ArrayLike, blocks: int = PROFILE) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The largest number of each of at most so many blocks of consecutive numbers, and where in all of them it is.

    >>> heights, places = pooled([1, 5, 2, 0], 2)
    >>> heights.tolist(), places.tolist()
    ([5.0, 2.0], [1, 2])
    """
    numbers = np.asarray(values, "f8")
    blocks = min(blocks, len(numbers))
    edges = -(-np.arange(blocks + 1) * len(numbers) // blocks)
    places = np.array([i + int(np.argmax(numbers[i:j])) for i, j in pairwise(edges.tolist())])
    return numbers[places], places
