"""Tables in text, as spreadsheets, pandas, R and instruments write them: .csv, .tsv, .txt.

What a table does not say is concluded from its first lines: what stands between fields, which lines are remarks,
whether the first one has names of columns, which columns have names of rows. What was taken for what is said.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import TextIO

import numpy as np

from dnmf.formats.contents import About, Contents, Source, strip_height
from dnmf.formats.headers import MISSING, NUMBER, Header, find_header, is_number
from dnmf.formats.text import numbered, open_text, records

# What may stand between fields, in the order in which it is looked for; " " is any white space.
MARKS = "\t;, "

# What lines begin with that are no rows, in GEO's series of samples; these have as many fields as rows.
REMARK = "!"

# What a line begins with that is a remark or, where it has as many fields as a row, names of columns.
TITLE = re.compile(r"\s*(#|%|//)[#%/]*\s*")

# What else to do about a line that cannot be read.
HINT = (
    ": after the names of a row, numbers are required; fill what is missing, leave its row or column out, or, to have "
    'NaN there, say --missing nan (missing="nan")'
)

# The first line of a .gct file: the second one has its size.
GCT = re.compile(r"#1\.\d\s*")

# Lines from which is concluded how a table is written, fewer where they have more characters than that in all.
LINES, CHARACTERS = 100, 2**23

# A number such as 1,234 may be a thousand or one and a quarter.
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")


@dataclass(frozen=True, slots=True)
class Table:
    """How a table is written.

    Attributes
    ----------
    mark : what stands between fields, one of MARKS.
    skip : lines before the first row.
    labels : leading columns that hold names of rows.
    names : of the other columns, None where the table has no header.
    width : columns of X.
    ended : whether lines end with a mark, behind the last field.
    commas : whether numbers have decimal commas.
    taken : what was taken for what, in words.
    """

    mark: str
    skip: int
    labels: int
    names: Sequence[str] | None
    width: int
    ended: bool
    commas: bool
    taken: tuple[str, ...]

    @property
    def fields(self) -> int:
        """Fields of a line."""
        return self.labels + self.width + self.ended

    def rows(self, text: TextIO) -> Iterator[tuple[int, str]]:
        """The lines that hold a row, with their numbers."""
        return (
            (number, line) for number, line in numbered(text, self.skip) if not is_remark(line, self.mark, self.fields)
        )

    def numbers(self, text: TextIO, *, missing: bool = False) -> Iterator[tuple[int, str]]:
        """The same, each as its numbers alone, with decimal points, and nan for what is missing, where some may be."""
        as_it_is = not (self.labels or self.ended or self.commas)
        lines = ((number, line if as_it_is else self._numbers_of(line)) for number, line in self.rows(text))
        if not missing:
            return lines
        lacking = fields_without_numbers(self.mark)
        return ((number, lacking.sub("nan", line.rstrip("\r\n"))) for number, line in lines)

    def _numbers_of(self, line: str) -> str:
        if not self.commas and not self.ended and '"' not in line and self.mark != " ":
            return line.split(self.mark, self.labels)[-1]
        numbers = split(line, self.mark)[self.labels :]
        if self.ended and numbers[-1:] == [""]:
            numbers.pop()
        return self.mark.join(number.replace(",", ".") if self.commas else number for number in numbers)

    def labels_of(self, path: Path) -> Iterator[list[str]]:
        """Names of rows, so many at a time: the table is read again for them."""
        with open_text(path) as text:
            lines = (line for _, line in self.rows(text))
            while some := list(islice(lines, LINES)):
                yield [" ".join(split(line, self.mark)[: self.labels]) for line in some]


def fields_without_numbers(mark: str) -> re.Pattern[str]:
    """What stands between two marks where there is no number.

    >>> fields_without_numbers(",").sub("nan", "1,,NA, null,?"), fields_without_numbers(" ").sub("nan", "1 NA 2")
    ('1,nan,nan,nan,nan', '1 nan 2')
    """
    words = "|".join(re.escape(word) for word in sorted(MISSING, key=len, reverse=True) if word or mark != " ")
    if mark == " ":
        return re.compile(rf'(?<!\S)(?:{words}|"(?:{words})")(?!\S)', re.IGNORECASE)
    return re.compile(rf'(?<![^{mark}]) *(?:{words}|"(?:{words})") *(?![^{mark}])', re.IGNORECASE)


def read_table(source: Source) -> Contents:
    """Read a table in text, twice (three times where rows have names): how many rows it has is known at its end."""
    path = source.path
    table = table_of(path, source.header)
    with open_text(path) as text:
        m = sum(1 for _ in table.rows(text))
    shape, dtype = (m, table.width), np.dtype("f8")
    delimiter = None if table.mark == " " else table.mark
    strips = records(
        path, partial(table.numbers, missing=source.missing),
        np.dtype([("value", dtype, shape[1:])]), strip_height(shape, dtype),
        delimiter=delimiter, quotes='"', hint=HINT,
    )  # fmt: skip
    rows = table.labels_of(path) if table.labels else None
    about = About(rows, None if table.names is None else [table.names], table.taken)
    # Not a generator: it would hold a strip while the next one is read.
    return Contents(shape, dtype, map(itemgetter("value"), strips), about)


def table_of(path: Path, header: bool | None) -> Table:
    """How the table at a path is written; `header` says whether its first line has names, if somebody knows.

    Raises
    ------
    ValueError
        If its first lines can be read in more than one way, and nothing speaks for one of them.
    """
    lines, given = _first_lines(path)
    mark = given or _mark([line for _, line in lines])
    lines = _without_remarks(lines, mark)
    rows = [split(line, mark) for _, line in lines]
    if not rows:
        return Table(mark, 0, 0, None, 1, ended=False, commas=False, taken=())
    if ended := _is_ended(rows):
        rows = _without_ends(rows)
    header = _is_headed(lines, mark) or None if header is None else header
    rows[0] = untitled(lines[0][1], mark)[: len(rows[0])]
    where = f"{path}, line {lines[0][0]}"
    found = find_header(rows, where, header)
    skip = lines[0][0] - (found.names is None)
    body = [row[found.labels :] for row in rows[found.names is not None :]]
    commas = _has_commas(body, where)
    width = len(body[0] if found.names is None else found.names)
    return Table(mark, skip, found.labels, found.names, width, ended, commas, _told(found, lines[0][0], commas))


def _without_remarks(lines: list[tuple[int, str]], mark: str) -> list[tuple[int, str]]:
    """Lines without titles above them, and without remarks."""
    plain = [line for _, line in lines if not is_titled(line, mark)] or [line for _, line in lines]
    fields = len(split(plain[-1], mark)) if lines else 0
    while len(lines) > 1 and _is_title(lines[0][1], lines[1][1], mark):
        lines = lines[1:]
    return [(number, line) for number, line in lines if not is_remark(line, mark, fields)]


def _is_headed(lines: list[tuple[int, str]], mark: str) -> bool:
    """Whether the first of some lines, and not the second, begins with what says that it is no row."""
    return len(lines) > 1 and is_titled(lines[0][1], mark) and not is_titled(lines[1][1], mark)


def is_remark(line: str, mark: str, fields: int) -> bool:
    """Whether a line is a remark: it begins with !, or with # (%, //) and has not as many fields as a row.

    >>> is_remark("# two words", " ", 3), is_remark("# a b c", " ", 3)
    (True, False)
    """
    return line.startswith(REMARK) or (is_titled(line, mark) and len(untitled(line, mark)) != fields)


def is_titled(line: str, mark: str) -> bool:
    """Whether a line begins with what says that it is no row; a name of a row may begin with % or //, too."""
    found = TITLE.match(line)
    return found is not None and (found[1] == "#" or not _is_row(split(line, mark)))


def untitled(line: str, mark: str) -> list[str]:
    """The fields of a line, without what it begins with where that says that it is no row."""
    return split(TITLE.sub("", line, count=1) if is_titled(line, mark) else line, mark)


def split(line: str, mark: str) -> list[str]:
    """The fields of a line, without quotes."""
    line = line.strip() if mark == " " else line.strip("\r\n")
    if '"' not in line:
        return [field.strip() for field in (line.split() if mark == " " else line.split(mark))]
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=mark, skipinitialspace=True), [])]
    except csv.Error:
        return [line]


def _first_lines(path: Path) -> tuple[list[tuple[int, str]], str | None]:
    """Some of the first lines that are not empty, with their numbers; and the mark, where the table says it."""
    lines: list[tuple[int, str]] = []
    characters = 0
    with open_text(path) as text:
        for number, line in numbered(text):
            if line.startswith(REMARK):
                continue
            lines.append((number, line))
            characters += len(line)
            if len(lines) >= LINES or (len(lines) > 2 and characters > CHARACTERS):
                break
    if len(lines) > 1 and GCT.fullmatch(lines[0][1]):
        return lines[2:], "\t"
    # What Excel is told about its own files.
    said = re.fullmatch(r"\"?sep=(.)\"?\s*", lines[0][1]) if lines else None
    return (lines[1:], said[1]) if said else (lines, None)


def _mark(lines: Sequence[str]) -> str:
    """What stands between fields: the first mark that cuts all rows alike, into names and then numbers."""
    for mark in MARKS:
        rows = [split(line, mark) for line in lines if not is_titled(line, mark)]
        if rows and len(rows[-1]) > 1 and len({len(row) for row in rows[1:]}) < 2 and _is_row(rows[-1]):
            return mark
    return next((mark for mark in MARKS[:-1] if mark in "".join(lines[:1])), ",")


def _is_row(row: Sequence[str]) -> bool:
    """Whether fields are names first, then numbers."""
    first = next((at for at, field in enumerate(row) if is_number(field)), len(row))
    return first < len(row) and all(is_number(field) or field.lower() in MISSING for field in row[first:])


def _is_title(line: str, following: str, mark: str) -> bool:
    """Whether a line begins with # and says nothing of the columns: the one that follows does, or is another."""
    row = _is_row(split(following, mark))
    if is_titled(following, mark):
        row = row and _is_row(split(line, mark))
    return is_titled(line, mark) and not row


def _without_ends(rows: list[list[str]]) -> list[list[str]]:
    """Rows without the empty field after a mark at their end."""
    return [row[:-1] if row[-1:] == [""] else row for row in rows]


def _is_ended(rows: Sequence[Sequence[str]]) -> bool:
    """Whether rows end with a mark, which the first line may lack; they may also end with an entry that is missing."""
    first, others = rows[0], rows[1:]
    if not all(len(row) > 1 and not row[-1] for row in others or [first]):
        return False
    return not first[-1] or len(first) < len(others[0])


def _has_commas(rows: Sequence[Sequence[str]], where: str) -> bool:
    """Whether numbers have decimal commas."""
    found = [field for row in rows for field in row if "," in field and NUMBER.fullmatch(field.replace(",", ".", 1))]
    if found and all(THOUSANDS.fullmatch(field) for field in found):
        rule = "decimal points are required where numbers can be read in two ways; write it again"
        raise ValueError(f"{where}: {found[0]!r} may be a thousand and more, or a number with a decimal comma: {rule}")
    return bool(found)


def _told(found: Header, line: int, commas: bool) -> tuple[str, ...]:
    """What was taken for what, in words."""
    names = found.names
    if names is None:
        header = "no header"
    else:
        some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        header = f"line {line} taken as names of columns ({some})"
    first = "column 1" if found.labels == 1 else f"columns 1 to {found.labels}"
    said = {header: True, f"{first} as names of rows": found.labels > 0, "commas as decimal points": commas}
    return tuple(words for words, holds in said.items() if holds)
