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
from types import UnionType
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar, cast, overload

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


@overload
def validated(value: object, of: type[T], refuse: Callable[[Mismatch], Exception]) -> T: ...
@overload
def validated(value: object, of: UnionType, refuse: Callable[[Mismatch], Exception]) -> Any: ...
def validated(value: object, of: Any, refuse: Callable[[Mismatch], Exception]) -> Any:
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


def _mismatch(value: object, of: Any, error: msgspec.ValidationError) -> Mismatch:
    """What msgspec's error says, in our words."""
    text, _, path = str(error).partition(" - at ")
    named = re.fullmatch(r"Object (missing required|contains unknown) field `(.*)`", text, re.DOTALL)
    kind, where = inspect.type_info(of), ""
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        kind = _inside(kind, value, name)
        value = cast("Mapping[str, object]", value)[name] if name else cast("list[object]", value)[int(index)]
        where = f"{where}.{name}".lstrip(".") if name else f"{where}[{index}]"
    if error.__cause__ is not None and not isinstance(_bare(kind), inspect.CustomType):
        return Mismatch("impossible", where, _SHORT.repr(value), str(error.__cause__))
    if named is None:
        return Mismatch("wrong", where, _SHORT.repr(value), _words(kind))
    below = f"{where}.{named[2]}".lstrip(".")
    if named[1] == "contains unknown":
        return Mismatch("unknown", below, "", ", ".join(sorted(_fields(kind, value))))
    return Mismatch("missing", below, "", _words(_inside(kind, value, named[2])))


def _bare(kind: inspect.Type) -> inspect.Type:
    """A type without what is said about it, and without null."""
    if isinstance(kind, inspect.Metadata):
        return _bare(kind.type)
    if isinstance(kind, inspect.UnionType):
        kinds = [_bare(each) for each in kind.types if not isinstance(each, inspect.NoneType)]
        return kinds[0] if len(kinds) == 1 else kind
    return kind


def _fields(kind: inspect.Type, value: object) -> dict[str, inspect.Type]:
    """The fields of an object's type; of a union, those of the type that the object's tag names."""
    bare = _bare(kind)
    if isinstance(bare, inspect.UnionType):
        kinds = [each for each in map(_bare, bare.types) if isinstance(each, inspect.StructType)]
        tagged = [each for each in kinds if cast("Mapping[str, object]", value).get(each.tag_field or "") == each.tag]
        return _fields(tagged[0], value) if tagged else {kinds[0].tag_field or "": inspect.LiteralType(_tags(kinds))}
    fields = cast("inspect.StructType", bare)
    known = {field.encode_name: field.type for field in fields.fields}
    tag = getattr(bare, "tag_field", None)
    return {tag: inspect.LiteralType((fields.tag,)), **known} if tag else known


def _tags(kinds: list[inspect.StructType]) -> tuple[Any, ...]:
    return tuple(each.tag for each in kinds)


def _inside(kind: inspect.Type, value: object, name: str) -> inspect.Type:
    """The type of a field of an object, or of an entry of a list where there is no name."""
    if name:
        return _fields(kind, value)[name]
    bare = _bare(kind)
    return bare.item_types[0] if isinstance(bare, inspect.TupleType) else cast("inspect.ListType", bare).item_type


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
