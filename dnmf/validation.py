"""Plain data, as JSON and YAML give them, made typed values; and sentences that say what is wrong with them.

A type is a frozen `msgspec.Struct` (or a dataclass), its fields say what is required of their values: by their types
alone, or by `Annotated[..., Meta(ge=1, description="the words of what is required")]`. A class of one's own that has
`required` and `read` (see `Readable`) may be a field's type too. What a type does not name is ignored, unless the
Struct forbids it. What the values mean together is for the caller to check.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from reprlib import Repr
from typing import ClassVar, Literal, Protocol, Self, TypeVar, cast

import msgspec
from msgspec import inspect

T = TypeVar("T")


class Readable(Protocol):
    """A type of one's own: it reads plain data, and says in words what it requires of them."""

    required: ClassVar[str]

    @classmethod
    def read(cls, value: object) -> Self:
        """Make a value of plain data; raises ValueError where they are not as required."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What is wrong with plain data.

    Attributes
    ----------
    problem : "missing", "unknown", "wrong", or "impossible" where values that are possible do not go together.
    where : path of the value, as in state.counts[3]; empty for all of the data.
    found : the value that is there, shortened; empty where it is missing.
    required : what is required, in words; for an unknown name the known ones; else why the value is impossible.
    """

    problem: Literal["missing", "unknown", "wrong", "impossible"]
    where: str
    found: str
    required: str

    def of(self, subject: str) -> str:
        """The same as a sentence about a subject, as in "its record has no status, and a text is required"."""
        match self.problem:
            case "missing":
                return f"{subject} has no {self.where}, and {self.required} is required"
            case "unknown":
                return f"{subject} has an unknown {self.where}, and one of {self.required} is required"
            case "impossible":
                return (
                    f"{subject} has {self.where} whose {self.required}" if self.where else f"{subject}: {self.required}"
                )
        there = f"has {self.where}" if self.where else "is"
        return f"{subject} {there} {self.found}, and {self.required} is required"


def validated(value: object, of: type[T], refuse: Callable[[Mismatch], Exception]) -> T:
    """Make a typed value of plain data: numbers are finite, no text is a number, true is no integer.

    Raises
    ------
    Exception
        What `refuse` makes of the first thing that is wrong.
    """
    try:
        found = msgspec.convert(value, of, dec_hook=_read)
    except msgspec.ValidationError as error:
        raise refuse(_mismatch(value, of, error)) from None
    for where, number in _numbers(msgspec.to_builtins(found, enc_hook=str), ""):
        if not math.isfinite(number):
            raise refuse(Mismatch("wrong", where, str(number), "a finite number"))
    return found


def _read(of: type, value: object) -> object:
    return cast("type[Readable]", of).read(value)


def _numbers(value: object, where: str) -> Iterator[tuple[str, float]]:
    """All floating-point numbers in plain data, and their paths."""
    if isinstance(value, float):
        yield where, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _numbers(inner, f"{where}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _numbers(inner, f"{where}[{i}]")


_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def _mismatch(value: object, of: type, error: msgspec.ValidationError) -> Mismatch:
    """What msgspec's error says, in our words."""
    text, _, path = str(error).partition(" - at ")
    kind, where = inspect.type_info(of), ""
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        kind = _fields(kind)[name] if name else _entries(kind)
        value = cast("Mapping[str, object]", value)[name] if name else cast("list[object]", value)[int(index)]
        where = f"{where}.{name}".lstrip(".") if name else f"{where}[{index}]"
    if error.__cause__ is not None and not any(isinstance(each, inspect.CustomType) for each in _kinds(kind)):
        return Mismatch("impossible", where, _SHORT.repr(value), str(error.__cause__))
    named = re.fullmatch(r"Object (missing required|contains unknown) field `(.*)`", text, re.DOTALL)
    if named is None:
        return Mismatch("wrong", where, _SHORT.repr(value), _words(kind))
    below, fields = f"{where}.{named[2]}".lstrip("."), _fields(kind)
    if named[2] in fields:
        return Mismatch("missing", below, "", _words(fields[named[2]]))
    return Mismatch("unknown", below, "", ", ".join(sorted(fields)))


def _kinds(kind: inspect.Type) -> list[inspect.Type]:
    """The types that a type is one of, without what is said about them."""
    if isinstance(kind, inspect.Metadata):
        return _kinds(kind.type)
    return [each for one in kind.types for each in _kinds(one)] if isinstance(kind, inspect.UnionType) else [kind]


def _fields(kind: inspect.Type) -> dict[str, inspect.Type]:
    """The fields of an object, by name."""
    objects = [each for each in _kinds(kind) if isinstance(each, inspect.StructType | inspect.DataclassType)]
    return {field.encode_name: field.type for each in objects for field in each.fields}


def _entries(kind: inspect.Type) -> inspect.Type:
    """The type of the entries of a list."""
    for each in _kinds(kind):
        if isinstance(each, inspect.ListType | inspect.VarTupleType):
            return each.item_type
        if isinstance(each, inspect.TupleType):
            return each.item_types[0]
    return inspect.AnyType()


# Of types that take no more saying.
PLAIN = {
    inspect.BoolType: "true or false",
    inspect.StrType: "a text",
    inspect.NoneType: "null",
    inspect.ListType: "a list",
    inspect.VarTupleType: "a list",
    inspect.TupleType: "a list",
}


def _words(kind: inspect.Type) -> str:
    """What a type requires, in words."""
    match kind:
        case inspect.Metadata():
            return (kind.extra_json_schema or {}).get("description") or _words(kind.type)
        case inspect.UnionType():
            others = [_words(each) for each in kind.types if not isinstance(each, inspect.NoneType)]
            return " or ".join(dict.fromkeys(others)) + (", or null" if len(others) < len(kind.types) else "")
        case inspect.IntType():
            return f"an integer{_range(kind)}"
        case inspect.FloatType():
            return f"a finite number{_range(kind)}"
        case inspect.LiteralType():
            return f"one of {', '.join(map(str, kind.values))}"
        case inspect.CustomType():
            return cast("type[Readable]", kind.cls).required
    return PLAIN.get(type(kind), "an object")


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    least = "" if kind.ge is None else f" of at least {kind.ge}"
    return least if kind.le is None else f"{least} {'and' if least else 'of'} at most {kind.le}"
