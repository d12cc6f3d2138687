"""What the record of a run must say, whoever wrote it: a run may come from anywhere, and may mean harm.

The record is that of `dnmf.runs`. Every value that dnmf reads has a line in `RULES`; what other keys hold is not looked
at, so that a record may say more. Sizes have ceilings that no run comes near, so that nobody can ask for memory with
them.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from reprlib import Repr
from typing import Any

import zarr

# More than any matrix has rows or columns, and more passes than anybody makes.
LONGEST, MOST_PASSES, LARGEST = 2**48, 10**7, 2**63


# Chunks of W at most: each is one strip, or part of one, and passes over more strips would never end.
MOST_CHUNKS = 10**6


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must be: a test, and the same in words."""

    holds: Callable[[Any], bool]
    words: str

    @property
    def or_null(self) -> "Rule":
        """The same, or null."""
        return Rule(lambda value: value is None or self.holds(value), f"{self.words}, or null")


def _integer(least: int, most: int = LARGEST) -> Rule:
    words = f"an integer of at least {least}" + (f" and at most {most}" if most < LARGEST else "")
    return Rule(lambda value: type(value) is int and least <= value <= most, words)


def _among(*values: Any) -> Rule:
    return Rule(lambda value: any(type(value) is type(v) and value == v for v in values), f"one of {_list(values)}")


def _list(values: tuple[Any, ...]) -> str:
    return ", ".join(map(str, values))


def _text(pattern: str, words: str) -> Rule:
    return Rule(lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value)), words)


def _integers(fewest: int, most: int, largest: int, words: str) -> Rule:
    def holds(value: Any) -> bool:
        return (
            # A group that has not been opened again holds what JSON makes lists of.
            isinstance(value, list | tuple)
            and fewest <= len(value) <= most
            and all(type(each) is int and 1 <= each <= largest for each in value)
        )

    return Rule(holds, words)


def _is_number(value: Any) -> bool:
    # Python reads integers of any length, of which none is a float.
    return (type(value) is int and abs(value) < LARGEST) or (type(value) is float and math.isfinite(value))


TEXT = Rule(lambda value: isinstance(value, str), "a text")


FLAG = Rule(lambda value: isinstance(value, bool), "true or false")


NUMBER = Rule(lambda value: _is_number(value) and value >= 0, "a finite number of at least 0")


OBJECT = Rule(lambda value: isinstance(value, dict), "an object")


# Names of generations: nothing that leads elsewhere.
GENERATION = r"generations/[0-9A-Za-z][0-9A-Za-z-]*"


DTYPE = r"[<>=|]?[biuf](1|2|4|8|16)|bool|u?int(8|16|32|64)|float(16|32|64|96|128)"


# By key, those of objects in objects with a dot.
RULES: Mapping[str, Rule] = {
    "format": _integer(1),
    "status": _among("running", "finished", "stopped"),
    "stopped": TEXT.or_null,
    "at": _text(f"|{GENERATION}", "the path of a generation, generations/NAME, or an empty text").or_null,
    "iteration": _integer(0, MOST_PASSES),
    "relative_error": NUMBER.or_null,
    "x": OBJECT,
    "x.path": TEXT,
    "x.shape": _integers(2, 2, LONGEST, "two positive integers"),
    "x.dtype": _text(DTYPE, "the name of a dtype of real numbers"),
    "x.nbytes": _integer(0),
    "x.chunks": _integers(1, 2, LONGEST**2, "one or two positive integers"),
    "x.fingerprint": TEXT,
    "parameters": OBJECT,
    "parameters.rank": _integer(1, LONGEST),
    "parameters.solver": TEXT,
    "parameters.beta_loss": Rule(_is_number, "a finite number"),
    "parameters.init": TEXT,
    "parameters.max_iter": _integer(1),
    "parameters.tol": NUMBER,
    "parameters.seed": Rule(lambda value: type(value) is int and value >= 0, "an integer of at least 0"),
    "parameters.alpha_W": NUMBER,
    "parameters.alpha_H": NUMBER,
    "parameters.l1_ratio": NUMBER,
    "start": OBJECT.or_null,
    "start.seconds": NUMBER,
    "start.bytes_read": _integer(0),
    "start.rows": _integer(0),
    "start.relative_error": NUMBER.or_null,
    "state": OBJECT,
    "state.axis": _among(0, 1),
    "state.height": _integer(1, LONGEST),
    "state.dtype": _among("float32", "float64"),
    "versions": Rule(
        lambda value: isinstance(value, dict) and all(isinstance(v, str) for v in value.values()), "an object of texts"
    ),
}


# What a resumed run reads; a run may have been written by a dnmf that resumed none.
MAY_BE_ABSENT: Mapping[str, Rule] = {
    "state.length": _integer(1, LONGEST),
    "state.width": _integer(1, LONGEST),
    "state.peak": _integer(0),
    "state.in_run": FLAG,
    "state.cached": FLAG,
    "state.sample": _integer(0, LONGEST),
    "state.largest": _integer(0),
    "state.counts": _integers(0, MOST_CHUNKS, LONGEST, "positive integers"),
    "state.every": _integer(1).or_null,
    "state.next": _text(f"next|{GENERATION}/next", "next, or generations/NAME/next").or_null,
    "state.reason": TEXT.or_null,
}


# What whoever drives a run says of itself, see `dnmf.lease`; of how far it is, any numbers.
LEASE: Mapping[str, Rule] = {
    "token": TEXT,
    "host": TEXT,
    "pid": _integer(1, 2**31),
    "started": NUMBER,
    "beat": NUMBER,
    "progress": Rule(
        lambda value: isinstance(value, Mapping) and all(map(_is_number, value.values())), "an object of numbers"
    ),
}


# All that a run says that has just begun.
FIRST = ("format", "status", "stopped", "at")


_SHORT = Repr()


_SHORT.maxstring = _SHORT.maxother = 60


def checked(record: Any, path: object, newest: int) -> dict[str, Any]:
    """The record of the run at a path, if it can be one.

    Raises
    ------
    ValueError
        If it cannot, or if its format is newer than `newest`: names the first value that is wrong.
    """
    if not isinstance(record, Mapping):
        raise _refusal(path, f"its record is {_SHORT.repr(record)}, and an object is required")
    values: dict[str, Any] = dict(record)
    _check(values, path, "format", RULES["format"])
    if values["format"] > newest:
        raise ValueError(
            f"{path} has format {values['format']}, this dnmf reads up to {newest}: install a newer dnmf to open it"
        )
    begun = "x" not in values and values.get("at") is None
    for name, rule in RULES.items():
        parent, _, below = name.rpartition(".")
        if (begun and name not in FIRST) or (below and parent and values[parent] is None):
            continue
        _check(values, path, name, rule)
    for name, rule in MAY_BE_ABSENT.items():
        parent, _, below = name.rpartition(".")
        if not begun and below in values[parent]:
            _check(values, path, name, rule)
    if not begun:
        _check_whole(values, path)
    return values


def checked_lease(lease: Mapping[str, Any], path: object) -> dict[str, Any]:
    """What the lease of the run at a path says, if it can be one.

    Raises
    ------
    ValueError
        If it cannot: names the first value that is wrong.
    """
    for name, rule in LEASE.items():
        _check({"lease": dict(lease)}, path, f"lease.{name}", rule)
    return {name: lease[name] for name in LEASE}


def _check(record: Mapping[str, Any], path: object, name: str, rule: Rule) -> None:
    parent, _, below = name.rpartition(".")
    values = record[parent] if parent else record
    if below not in values:
        raise _refusal(path, f"its record has no {name}, and {rule.words} is required")
    if not rule.holds(values[below]):
        raise _refusal(path, f"its record has {name} {_SHORT.repr(values[below])}, and {rule.words} is required")


def _check_whole(record: Mapping[str, Any], path: object) -> None:
    """Raise ValueError where values that are possible do not go together."""
    if record["at"] is None:
        return
    if record["iteration"] == 0 or record["start"] is None or record["relative_error"] is None:
        raise _refusal(path, "its record names a generation, and no pass, no start or no relative_error")
    axis, length = record["state"]["axis"], record["x"]["shape"][record["state"]["axis"]]
    if length > MOST_CHUNKS * record["state"]["height"]:
        raise _refusal(
            path,
            f"its record cuts {length} {('rows', 'columns')[axis]} into strips of {record['state']['height']}, and at "
            f"most {MOST_CHUNKS} strips are possible",
        )


def _refusal(path: object, why: str) -> ValueError:
    return ValueError(f"{path} is not a run that dnmf wrote: {why}")


FORMAT = 1


Record = dict[str, Any]


def write_record(group: zarr.Group, record: Mapping[str, Any]) -> None:
    """Replace the record: one write of one key."""
    group.update_attributes({"dnmf": dict(record)})


def fresh_record(group: zarr.Group) -> Record:
    """The record as it is in the store now: what a group object remembers may be old."""
    return record_of(group, "")


def record_of(group: zarr.Group, at: str) -> Record:
    """The record of a run as it was when the generation at a path was the last one."""
    path = f"{group.path}/{at}".strip("/")
    return dict(zarr.open_group(group.store, path=path, mode="r", use_consolidated=False).attrs["dnmf"])  # type: ignore


def keep_record(group: zarr.Group, at: str, record: Record) -> None:
    """Write the record to its generation too: a run goes back to it where the next one is damaged."""
    write_record(zarr.open_group(group.store, path=f"{group.path}/{at}".strip("/"), mode="r+"), record)
