"""Texts of a figure, and which of them lie on each other or beyond its edge."""

from itertools import combinations
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg


def texts(figure: Any) -> Any:
    """The texts of a figure; ticks beyond the limits of their axis are not drawn."""
    yield from figure.texts
    for legend in figure.legends:
        yield from legend.get_texts()
    for axes in figure.axes:
        yield axes.title
        yield axes._left_title
        for axis in (axes.xaxis, axes.yaxis):
            yield axis.label
            low, high = sorted(axis.get_view_interval())
            yield from (tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high)


def boxes(figure: Any) -> list[tuple[str, Any]]:
    """What is written, and where."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    shown = [text for text in texts(figure) if text.get_text() and text.get_visible()]
    found = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in shown]
    assert len(found) > 3
    return found


def overlapping(figure: Any) -> list[tuple[str, str]]:
    """Pairs of texts of a figure that lie on each other."""
    return [(a[0], b[0]) for a, b in combinations(boxes(figure), 2) if a[1].overlaps(b[1])]


def beyond(figure: Any) -> list[str]:
    """Texts that are not wholly in the picture."""
    edge = figure.bbox
    return [text for text, box in boxes(figure) if box.x0 < 0 or box.y0 < 0 or box.x1 > edge.x1 or box.y1 > edge.y1]
