"""What keys of cluster.yaml may hold, and the words that say so. None of them names code.

No class, module, option or shell line goes through: some of these are put on a command line as they are.
"""

from contextlib import suppress
from typing import Annotated, ClassVar, Self, cast

from dask.utils import parse_bytes, parse_timedelta
from msgspec import Meta

from dnmf.plan.memory import LEAST_LIMIT, MIB, MOST_LIMIT


class Line(str):
    """A text of one line."""

    __slots__ = ()
    required: ClassVar[str] = "a text of one line, in quotes where it looks like a number or a time"

    @classmethod
    def read(cls, value: object) -> Self:
        """The text itself; raises ValueError where it is none, or has anything that is not seen or ends a line."""
        if isinstance(value, str) and value.isprintable() and value.strip():
            return cls(value)
        raise ValueError(cls.required)


class Address(Line):
    """Where a scheduler is."""

    __slots__ = ()
    required = "an address, as in tcp://host:8786"


class File(Line):
    """The path of a file."""

    __slots__ = ()
    required = "the path of a file, seen from where the cluster.yaml is"


class Size(int):
    """Bytes."""

    required: ClassVar[str] = "a size above 0, as in 2GiB"
    least: ClassVar[int] = 1

    @classmethod
    def read(cls, value: object) -> Self:
        """Bytes of a number, or of a text with a unit; raises ValueError where it is neither, or out of range."""
        # Dask takes a unit alone for one of it.
        is_text = isinstance(value, str) and value.strip()[:1] in tuple("0123456789.")
        if is_text or (isinstance(value, int) and not isinstance(value, bool)):
            with suppress(ValueError, OverflowError):
                if cls.least <= (size := parse_bytes(cast("int | str", value))) <= MOST_LIMIT:
                    return cls(size)
        raise ValueError(cls.required)


class Memory(Size):
    """Bytes of a worker's limit."""

    required = f"a size with its unit, as in 2GiB, of at least {LEAST_LIMIT // MIB}MiB, which a worker needs to start,"
    least = LEAST_LIMIT


class Duration(float):
    """Seconds."""

    required: ClassVar[str] = "a time above 0, as in 10 minutes"

    @classmethod
    def read(cls, value: object) -> Self:
        """Seconds of a number, or of a text with a unit; raises ValueError where it is neither."""
        try:
            if isinstance(value, int | str) and not isinstance(value, bool) and parse_timedelta(value) > 0:
                return cls(parse_timedelta(value))
        except KeyError:
            pass  # an unknown unit
        raise ValueError(cls.required)


# Variables, as in $TMPDIR, are meant to be filled in; nothing that starts a command or an option can be written so.
ONE_WORD = r"^[A-Za-z0-9_./~$][A-Za-z0-9_./~${}:@+-]*$(?!\n)"
WORDS = "one word of letters, digits and ._/~${}:@+- that does not start with a sign"
Word = Annotated[str, Meta(pattern=ONE_WORD, description=WORDS)]
Count = Annotated[int, Meta(ge=1)]
Lines = Annotated[list[Line], Meta(min_length=1, description="a list of texts of one line each")]
Hosts = Annotated[
    list[Word], Meta(min_length=2, description="a list of at least two names of hosts, the scheduler's first")
]
