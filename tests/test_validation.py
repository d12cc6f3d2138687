"""Plain data become typed values, or one sentence that says which value is wrong and what is required."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, Self

import pytest
from msgspec import Meta, Struct

from dnmf.validation import validated


class Even(int):
    required: ClassVar[str] = "an even number"

    @classmethod
    def read(cls, value: object) -> Self:
        if not isinstance(value, int) or value % 2:
            raise ValueError("odd")
        return cls(value)


@dataclass(frozen=True)
class Both:
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low is {self.low}: at most {self.high} is required")


class Inner(Struct, frozen=True):
    rank: Annotated[int, Meta(ge=1)]
    counts: tuple[Annotated[int, Meta(ge=1, le=9)], ...] = ()
    share: Annotated[float, Meta(ge=0)] | None = None
    shape: Annotated[tuple[int, int], Meta(description="two integers")] = (1, 1)
    says: dict[str, str] = {}
    both: Both | None = None
    even: Even | None = None
    free: float = 0.0


class Outer(Struct, frozen=True):
    status: Literal["running", "finished"]
    inner: Inner


class Closed(Struct, frozen=True, forbid_unknown_fields=True):
    address: str


def record(**changes: Any) -> dict[str, Any]:
    inner: dict[str, Any] = {"rank": 2, "counts": [1, 2], "more": object} | changes
    return {"status": "running", "inner": {k: v for k, v in inner.items() if v is not ...}, "unknown": None}


def said(data: object, of: Any) -> str:
    with pytest.raises(KeyError) as refused:
        validated(data, of, lambda wrong: KeyError(wrong.of("its record")))
    return str(refused.value.args[0])


def test_what_is_as_required_becomes_a_value() -> None:
    got = validated(record(share=1, even=4, both={"low": 1, "high": 2}), Outer, lambda _: KeyError())
    assert got == Outer("running", Inner(2, (1, 2), 1.0, both=Both(1, 2), even=Even(4)))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (5, "its record is 5, and an object is required"),
        ({"inner": {"rank": 1}}, "its record has no status, and one of finished, running is required"),
        ({"status": 7, "inner": {"rank": 1}}, "its record has status 7, and one of finished, running is required"),
        (record(rank=0), "its record has inner.rank 0, and an integer of at least 1 is required"),
        (record(rank=True), "its record has inner.rank True, and an integer of at least 1 is required"),
        (record(rank=1.0), "its record has inner.rank 1.0, and an integer of at least 1 is required"),
        (record(rank=...), "its record has no inner.rank, and an integer of at least 1 is required"),
        (
            record(counts=[1, 10]),
            "its record has inner.counts[1] 10, and an integer of at least 1 and at most 9",
        ),
        (record(counts=7), "its record has inner.counts 7, and a list is required"),
        (record(share="x"), "its record has inner.share 'x', and a finite number of at least 0, or null is required"),
        (record(share=10**400), "its record has inner.share 1000"),
        (record(free=float("inf")), "its record has inner.free inf, and a finite number is required"),
        (record(shape=[1]), "its record has inner.shape [1], and two integers is required"),
        (record(shape=[1, "2"]), "its record has inner.shape[1] '2', and an integer is required"),
        (record(says={"a": 1}), "its record has inner.says {'a': 1}, and an object is required"),
        (record(both={"low": 2, "high": 1}), "its record has inner.both whose low is 2: at most 1 is required"),
        (record(even=3), "its record has inner.even 3, and an even number, or null is required"),
        (
            record(rank="x" * 99),
            f"its record has inner.rank '{27 * 'x'}...{28 * 'x'}', and an integer of",
        ),
        (record(rank=PurePosixPath("x")), "its record has inner.rank PurePosixPath('x'), and an integer"),
    ],
)
def test_what_is_not_is_told_with_its_path_and_what_is_required(data: object, text: str) -> None:
    assert said(data, Outer).startswith(text)


def test_a_name_that_is_unknown_is_told_where_that_is_forbidden() -> None:
    assert (
        said({"address": "x", "adress": 1}, Closed)
        == "its record has an unknown adress, and one of address is required"
    )
