"""Tables that are printed, written as CSV, or become a DataFrame: columns of equal length, by name."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import east_asian_width

# What is printed for a number that is not known, and before texts that are below their row.
UNKNOWN, INDENT = "–", "    "

# Numbers below this would be 0.000.
LEAST_SHOWN = 5e-4


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

    @property
    def known(self) -> "Table":
        """The table without columns in which nothing is known."""
        return Table({name: column for name, column in self.columns.items() if not all(x != x for x in column)})

    def lines(self, width: int | None = None) -> list[str]:
        """The table as lines; on a terminal of so many cells the last column is below the others, wrapped."""
        *names, last = self.columns
        columns = [[name.replace("_", " "), *map(_shown, self.columns[name])] for name in names]
        heads = ["  ".join(row) for row in zip(*map(_aligned, columns), strict=True)]
        if width is None:
            texts = [last, *map(", ".join, self.columns[last])]
            return [f"{head}  {text}".rstrip() for head, text in zip(heads, texts, strict=True)]
        fits = len(heads[0]) <= width
        found = heads[:1] if fits else []
        blocks = [[head] for head in heads[1:]] if fits else _in_blocks(columns, width)
        for block, texts in zip(blocks, self.columns[last], strict=True):
            found += [*block, *(INDENT + line for line in _wrapped(texts, width - len(INDENT)))]
        return found

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


def _in_blocks(columns: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """A block of lines for each row of a table that is too wide: every value behind the name of its column."""
    names, rows = [column[0] for column in columns], zip(*(column[1:] for column in columns), strict=True)
    return [_wrapped(list(map(" ".join, zip(names, row, strict=True))), width) for row in rows]


def _shown(value: Any) -> str:
    """A number as it is printed: three digits after the point, where that leaves any."""
    if value != value:  # NaN
        return UNKNOWN
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0e}" if 0 < abs(value) < LEAST_SHOWN else f"{value:.3f}"


def _written(value: Any) -> Any:
    """A number as it is written: all digits, nothing for what is not known."""
    return "" if value != value else repr(value) if isinstance(value, float) else value


def _aligned(texts: list[str]) -> list[str]:
    width = max(map(len, texts))
    return [text.rjust(width) for text in texts]


def _wrapped(texts: Sequence[str], width: int) -> list[str]:
    """Texts one after another, with commas, in lines of so many cells; one that is longer than a line is cut."""
    lines: list[str] = []
    for text in (shortened(text, max(8, width - 1)) for text in texts):
        if lines and cells(lines[-1]) + 2 + cells(text) < width:
            lines[-1] += f", {text}"
        else:
            lines[-1:] = [f"{line}," for line in lines[-1:]]
            lines.append(text)
    return lines


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
