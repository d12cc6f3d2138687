"""Tables that are printed, written as CSV, or become a DataFrame: columns of equal length, by name."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any
from unicodedata import east_asian_width

# What is printed for a number that is not known.
UNKNOWN = "–"


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length, by name: numbers, or in the last one texts, several to a row.

    Examples
    --------
    >>> print(Table({"component": [2, 1], "share": [0.75, 0.25], "features": [("a", "b"), ("c",)]}))
    component  share  features
            2  0.750  a, b
            1  0.250  c
    """

    columns: Mapping[str, Sequence[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> Sequence[Any]:
        return self.columns[name]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, width: int | None = None) -> list[str]:
        """The table as text, the last column wrapped where a line would be wider than `width`."""
        *numbers, last = self.columns
        shown = [[name, *map(_shown, self.columns[name])] for name in numbers]
        heads = ["  ".join(row) for row in zip(*map(_aligned, shown), strict=True)]
        indent = len(heads[0]) + 2
        room = None if width is None else max(20, width - indent)
        texts = [[last], *(_wrapped(each, room) for each in self.columns[last])]
        return list(chain.from_iterable(_joined(head, text, indent) for head, text in zip(heads, texts, strict=True)))

    def csv(self) -> str:
        """The table as CSV, which pandas reads back: texts of a row each in a column of its own, last_1, last_2, …"""
        *numbers, last = self.columns
        most = max(map(len, self.columns[last]), default=0)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*numbers, *(f"{last.removesuffix('s')}_{i}" for i in range(1, most + 1))])
        for row in zip(*self.columns.values(), strict=True):
            *values, texts = row
            writer.writerow([*map(_written, values), *texts, *[""] * (most - len(texts))])
        return out.getvalue()


def _shown(value: Any) -> str:
    """A number as it is printed: shares to three digits after the point."""
    if value != value:  # NaN
        return UNKNOWN
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _written(value: Any) -> Any:
    """A number as it is written: all digits, nothing for what is not known."""
    return "" if value != value else repr(value) if isinstance(value, float) else value


def _aligned(texts: list[str]) -> list[str]:
    width = max(map(len, texts))
    return [text.rjust(width) for text in texts]


def _wrapped(texts: Sequence[str], room: int | None) -> list[str]:
    """Texts one after another, in lines of so many cells; one that is longer is cut."""
    if room is None:
        return [", ".join(texts)]
    lines, line = [], ""
    for text in texts:
        cut = text if cells(text) <= room - 1 else shortened(text, room - 1)
        if line and cells(line) + 2 + cells(cut) > room - 1:
            lines.append(line + ",")
            line = cut
        else:
            line = f"{line}, {cut}" if line else cut
    return [*lines, line]


def _joined(head: str, texts: list[str], indent: int) -> list[str]:
    first, *others = texts
    return [f"{head}  {first}".rstrip(), *(" " * indent + text for text in others)]


def cells(text: str) -> int:
    """How many cells of a terminal a text takes.

    >>> cells("基因"), cells("gene")
    (4, 4)
    """
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)


def shortened(text: str, most: int) -> str:
    """A text of at most so many cells, its middle left out where it is longer: what it begins and ends with tells.

    >>> shortened("ENSG00000141510.16_TP53", 12)
    'ENSG0…6_TP53'
    """
    if cells(text) <= most:
        return text
    ending = most // 2
    beginning = most - 1 - ending
    while cells(text[:beginning]) + 1 + cells(text[-ending:]) > most and beginning > 1:
        beginning, ending = beginning - 1, max(1, ending - 1)
    return f"{text[:beginning]}…{text[-ending:]}"
