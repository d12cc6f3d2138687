"""Whether the first line of a table in text has names of columns, and which columns have names of rows.

Words are easy; names that are numbers (wavelengths, years, pandas' own 0, 1, 2) are told by how they look beside rows.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dnmf.formats.contents import Numbers

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)

# What stands where there is no number, in small letters.
MISSING = ("", "na", "n/a", "#n/a", "nan", "null", "none", "-", ".", "?")

# What the column of the names of rows is called, in small letters, where its header has a name at all.
CORNERS = ("", "unnamed: 0", "index", "id", "name", "gene", "gene_id", "sample", "sample_id", "rownames", "row")

# So many names of columns that rise or fall are no accident; fewer are mentioned.
RISING, RISING_MAYBE = 5, 3

# Names of columns that rise and are so many times as large as all entries are none of these.
FAR = 10


@dataclass(frozen=True, slots=True)
class Header:
    """What the first line and the first columns are.

    Attributes
    ----------
    names : of columns, without those of row labels; None where the first line is a row.
    labels : how many leading columns hold names of rows.
    """

    names: Sequence[str] | None
    labels: int


def is_number(field: str) -> bool:
    """Whether a field is a number, with a decimal point or comma.

    >>> is_number("1.5e3"), is_number("2,5"), is_number("x7"), is_number("")
    (True, True, False, False)
    """
    return any(map(NUMBER.fullmatch, (field.replace(",", ".", 1), field.replace(",", ""))))


def find_header(rows: Sequence[Sequence[str]], where: str, said: bool | None) -> Header:
    """What the first of some rows of fields is, and the first columns of all.

    Parameters
    ----------
    rows : fields of the first lines of a table, remarks left out; one line at least.
    where : names the first line, for people.
    said : whether it has names of columns, where somebody knows.

    Raises
    ------
    ValueError
        If all of its fields say that there is no number, unless `said`: names, or entries that are missing. If it is
        too short for a row, and for names of columns.
    """
    first, others = rows[0], rows[1:]
    if said is False:
        return Header(None, _words(rows))
    labels = _words(others or rows)
    if short := _uncovered(first, others, labels, where):
        labels = max(labels, short)
        return Header(first[labels - short :], labels)
    labels = labels or _counts(first, others)
    names = first[labels:]
    named = said or _is_named(first, labels) or _are_names(names, [row[labels:] for row in others], where)
    return Header(names if named else None, labels)


def _uncovered(first: Sequence[str], others: Sequence[Sequence[str]], labels: int, where: str) -> int:
    """How many leading columns the first line has no name for, as R writes tables: none above the names of rows.

    Warns where that alone tells that numbers in the first column are names.
    """
    short = len(others[0]) - len(first) if others else 0
    if short <= 0 or (short != labels and all(map(is_number, first))):
        return 0
    if short != labels:
        _check_numbered(first, others, where, alone=short == 1 and not labels)
    return short


def _check_numbered(first: Sequence[str], others: Sequence[Sequence[str]], where: str, *, alone: bool) -> None:
    """Raise ValueError where a short first line has no name for what are no names; warn where they are numbers.

    `alone`: one column has no name, and there is no column of words.
    """
    numbers = [row[0] for row in others]
    if not (alone and _may_be_names(numbers)):
        rule = "names of columns, or a row, are required; begin a line that is neither with #, or delete it"
        raise ValueError(f"{where} has {len(first)} of {len(others[0])} fields ({', '.join(first[:3])}): {rule}")
    if numbers != [str(i + 1) for i in range(len(numbers))]:
        warnings.warn(
            f"{where} has {len(first)} names above {len(others[0])} columns, so that the first column is taken for "
            f"names of rows, as R writes them: if that line is a title, begin it with #, or delete it",
            stacklevel=2,
        )


def _may_be_names(fields: Sequence[str]) -> bool:
    """Whether fields may be names although they are numbers: whole ones that differ."""
    return all(field.isdecimal() for field in fields) and len(set(fields)) == len(fields)


def _words(rows: Sequence[Sequence[str]]) -> int:
    """How many leading columns hold names: words, in more than half of the rows."""
    width = min(map(len, rows))
    count = 0
    while count < width and sum(_is_word(row[count]) for row in rows) * 2 > len(rows):
        count += 1
    # Where there is no number at all, the first line is a header and nothing else is known.
    return count if count < width else 0


def _is_word(field: str) -> bool:
    return not is_number(field) and field.lower() not in MISSING


def _counts(first: Sequence[str], others: Sequence[Sequence[str]]) -> int:
    """1 where the first column has a name of indices, or none, and tells rows apart: it is no column of X."""
    name = first[0].lower()
    if not others or name not in CORNERS:
        return 0
    if name in CORNERS[:2] and others[0][0]:
        return 1
    return int(len(others) > 1 and _may_be_names([row[0] for row in others]))


def _is_named(first: Sequence[str], labels: int) -> bool:
    """Whether the first line has a word above numbers, or a name of indices above names of rows."""
    words = any(map(_is_word, first[labels:]))
    return words or (labels > 0 and first[0].lower() in CORNERS)


def _are_names(names: Sequence[str], others: Sequence[Sequence[str]], where: str) -> bool:
    """Whether a first line without words has names of columns."""
    if names and others and all(name.lower() in MISSING for name in names):
        held = ", ".join(names[:3])
        rule = "say --header or --no-header (header=True or False)"
        raise ValueError(f"{where} has no number and no name ({held}): names, or missing entries? {rule}")
    return all(map(is_number, names)) and _are_numbers_names(names, others, where)


def _are_numbers_names(names: Sequence[str], others: Sequence[Sequence[str]], where: str) -> bool:
    """Whether numbers in the first line are names of columns. Warns where they look like it, whatever is taken."""
    rows = [row for row in others if len(row) == len(names) and all(map(is_number, row))]
    if len(names) < 2 or not rows:
        return False
    why, taken = _looks(names, rows)
    if why:
        some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        kind, other = ("names of columns", "--no-header (header=False)"), ("a row of X", "--header (header=True)")
        (as_, _), (not_, flag) = (kind, (other[0], kind[1])) if taken else (other, (kind[0], other[1]))
        warnings.warn(f"{where} ({some}) is taken for {as_}, as {why}: if it is {not_}, say {flag}", stacklevel=2)
    return taken


def _looks(names: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, bool]:
    """Why numbers may be names of columns, in words, and whether that is enough."""
    numbers, below = _numbers(names), np.array([_numbers(row) for row in rows])
    whole = all(re.fullmatch(r"\d+", name) for name in names)
    if whole and numbers.tolist() == list(range(len(names))):
        goes_on = below[0][0] == len(names)
        return "it counts from 0" + (" and the next line goes on" if goes_on else ""), not goes_on
    if len(names) < RISING_MAYBE:
        return "", False
    if whole and len(set(names)) == len(names) and all(map(_is_decimal, rows)):
        return "its numbers are whole and differ, and those of other lines have decimals", True
    return _looks_by_steps(np.diff(numbers), np.diff(below), numbers.min() > FAR * below.max())


def _is_decimal(row: Sequence[str]) -> bool:
    """Whether most numbers of a row have decimals."""
    return sum("." in field or "," in field for field in row) * 2 > len(row)


def _looks_by_steps(steps: Numbers, below: Numbers, far: bool) -> tuple[str, bool]:
    """The same, from the steps from number to number, here and in other lines; `far`: all are larger by far."""
    if not _is_monotone(steps):
        return "", False
    way = "rise" if steps[0] > 0 else "fall"
    if far:
        return f"its numbers {way} and are more than {FAR} times as large as all others", True
    if any(map(_is_even if _is_even(steps) else _is_monotone, below)):
        return "", False
    if _is_even(steps):
        return "its numbers are evenly spaced and those of other lines are not", True
    why = f"its numbers {way} and those of other lines do not"
    enough = len(steps) + 1 >= RISING
    return why if enough else f"nothing else is said, although {why}", enough


def _numbers(fields: Sequence[str]) -> Numbers:
    return np.array([float(field.replace(",", ".", 1)) if field.count(",") < 2 else np.nan for field in fields])


def _is_even(steps: Numbers) -> bool:
    return bool(steps[0] != 0 and np.allclose(steps, steps[0], rtol=1e-4, atol=0))


def _is_monotone(steps: Numbers) -> bool:
    return bool((steps > 0).all() or (steps < 0).all())
