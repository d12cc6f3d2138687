"""What keys of cluster.yaml may hold, and the words that say so. None of them names code.

No class, module, option or shell line goes through: some of these are put on a command line as they are.
"""

from typing import Annotated, ClassVar, Self

from dask.utils import parse_bytes, parse_timedelta
from msgspec import Meta

# Nothing that ends a line, nor what is not seen; and something that is. No line break may follow what `$` finds.
ONE_LINE = r"^(?=.*\S)[^\x00-\x1f\x7f-\xa0\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]+$(?!\n)"
# Variables, as in $TMPDIR, are meant to be filled in; nothing that starts a command or an option can be written so.
ONE_WORD = r"^[A-Za-z0-9_./~$][A-Za-z0-9_./~${}:@+-]*$(?!\n)"
WORDS = "one word of letters, digits and ._/~${}:@+- that does not start with a sign"
Count = Annotated[int, Meta(ge=1)]
Line = Annotated[
    str, Meta(pattern=ONE_LINE, description="a text of one line, in quotes where it looks like a number or a time")
]
Lines = Annotated[list[Line], Meta(min_length=1, description="a list of texts of one line each")]
Word = Annotated[str, Meta(pattern=ONE_WORD, description=WORDS)]
Hosts = Annotated[
    list[Word], Meta(min_length=2, description="a list of at least two names of hosts, the scheduler's first")
]
Address = Annotated[str, Meta(pattern=ONE_LINE, description="an address, as in tcp://host:8786")]
A_FILE = "the path of a file, seen from where the cluster.yaml is"
File = Annotated[str, Meta(pattern=ONE_LINE, description=A_FILE)]


class Size(int):
    """Bytes."""

    required: ClassVar[str] = "a size above 0, as in 2GiB"

    @classmethod
    def read(cls, value: object) -> Self:
        """Bytes of a number, or of a text with a unit; raises ValueError where it is neither."""
        if isinstance(value, int | str) and not isinstance(value, bool) and parse_bytes(value) > 0:
            return cls(parse_bytes(value))
        raise ValueError(cls.required)


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
