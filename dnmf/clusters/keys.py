"""What keys of cluster.yaml may hold: types that read a value of plain YAML and say what they require of it.

None of them names code: no class, module, option or shell line goes through.
"""

import re
from collections.abc import Callable
from typing import Annotated, ClassVar, Self, cast

from dask.utils import parse_bytes, parse_timedelta
from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]


class Key:
    """A value that is made of plain YAML, where that `holds` what is `required`."""

    required: ClassVar[str]

    @staticmethod
    def holds(value: object) -> bool:
        """Whether plain YAML is as required."""
        raise NotImplementedError

    @classmethod
    def read(cls, value: object) -> Self:
        """The value.

        Raises
        ------
        ValueError
            If it is not as required.
        """
        if not cls.holds(value):
            raise ValueError(cls.required)
        return cast("Callable[[object], Self]", cls)(value)


def _is_line(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and value.strip() != ""


def _is_word(value: object) -> bool:
    # Some are put on a command line as they are. Variables, as in $TMPDIR, are meant to be filled in there; nothing
    # that starts a command or an option of its own can be written with these characters.
    return isinstance(value, str) and re.fullmatch(r"[\w./~$][\w./~${}:@+-]*", value, flags=re.ASCII) is not None


class Line(Key, str):
    """A text of one line."""

    required = "a text of one line, in quotes where it looks like a number or a time"
    holds = staticmethod(_is_line)


class Address(Line):
    """Where a scheduler listens."""

    required = "an address, as in tcp://host:8786"


class File(Line):
    """The path of a file; what reads the cluster.yaml looks whether there is one."""

    required = "the path of a file, seen from where the cluster.yaml is"


class Word(Key, str):
    """A name or a path that may stand on a command line."""

    required = "one word of letters, digits and ._/~${}:@+- that does not start with a sign"
    holds = staticmethod(_is_word)


class Lines(Key, list[str]):
    """Texts of one line each."""

    required = "a list of texts of one line each"

    @staticmethod
    def holds(value: object) -> bool:
        """Whether it is a list of one or more of them."""
        return isinstance(value, list) and value != [] and all(map(_is_line, value))


class Hosts(Key, list[str]):
    """Names of hosts: that of the scheduler, then those of the workers."""

    required = "a list of at least two names of hosts, the scheduler's first"

    @staticmethod
    def holds(value: object) -> bool:
        """Whether it is a list of two or more of them."""
        return isinstance(value, list) and len(value) > 1 and all(map(_is_word, value))


class Size(Key, str):
    """A number of bytes, as it is written."""

    required = "a size above 0, as in 2GiB"

    @staticmethod
    def holds(value: object) -> bool:
        """Whether it is a number, or a text with a unit."""
        return isinstance(value, int | str) and _is_positive(parse_bytes, value)

    @property
    def bytes(self) -> int:
        """The number."""
        return int(parse_bytes(str(self)))


class Duration(Key, str):
    """A time, as it is written; without a unit in seconds."""

    required = "a time above 0, as in 10 minutes"

    @staticmethod
    def holds(value: object) -> bool:
        """Whether it is a number, or a text with a unit."""
        return isinstance(value, int | str) and _is_positive(parse_timedelta, value)

    @property
    def seconds(self) -> float:
        """The number of seconds."""
        return float(parse_timedelta(str(self)))


def _is_positive(parse: Callable[[int | str], float], value: int | str) -> bool:
    try:
        return not isinstance(value, bool) and parse(value) > 0
    except (ValueError, KeyError):
        return False
