"""The record of a run as a typed value, and as the JSON attribute `dnmf` that it is read from and written to.

A run may come from anywhere, and may mean harm. So a record is a value only if everything that dnmf reads of it is
possible: sizes have ceilings that no run comes near, so that nobody can ask for memory with them. What other keys hold
is not looked at. What the keys mean is said in `dnmf.run.opening`.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib.metadata import version
from typing import Annotated, Literal, TypeAlias, TypeVar

import msgspec
import zarr
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from dnmf.matrix.matrix import Matrix
from dnmf.parameters import Parameters
from dnmf.plan.memory import SPLIT_EVERY
from dnmf.plan.strips import Plan, rows_or_columns
from dnmf.run.observed import Observed
from dnmf.stores.paths import shown
from dnmf.validation import Mismatch, validated

# The format of runs that are written, and the name of their checksums of X's strips. Runs of all formats so far open
# and go on. What going on with one of an older format costs:
# 1: its checksums have another name, as they are of another kind: X is not compared with what it was until it is read.
# 2: nothing. A dnmf that knows no later one would go on with X itself where 3 computes with a power of two times X.
# 3: nothing. A dnmf that knows no later one would take X to be all that is at its path, and new rows to be all rows.
# 4: nothing. A dnmf that knows no later one would refuse what is missing or below zero, or take it for what is there,
# and move components that are known.
FORMAT, CHECKSUMS = 5, "xxh3"

# More than any matrix has rows or columns, and more passes than anybody makes.
LONGEST, MOST_PASSES = 2**48, 10**7

# Chunks of W at most: each is one strip, or part of one, and passes over more strips would never end.
MOST_CHUNKS = 10**6

# Powers of two from the least to the largest number of float64.
MOST_EXPONENT = 2200

# Names of generations: nothing that leads elsewhere.
GENERATION = "generations/[0-9A-Za-z][0-9A-Za-z-]*"

DTYPE = "[<>=|]?[biuf](1|2|4|8|16)|bool|u?int(8|16|32|64)|float(16|32|64|96|128)"


def _text(pattern: str, words: str) -> Meta:
    return Meta(pattern=rf"\A({pattern})\Z", description=words)


Count: TypeAlias = Annotated[int, Meta(ge=0)]
Number: TypeAlias = Annotated[float, Meta(ge=0)]
Length: TypeAlias = Annotated[int, Meta(ge=1, le=LONGEST)]
Positive: TypeAlias = Annotated[int, Meta(ge=1)]
At: TypeAlias = Annotated[str, _text(f"|{GENERATION}", "the path of a generation, generations/NAME, or an empty text")]
Next: TypeAlias = Annotated[str, _text(f"next|{GENERATION}/next", "next, or generations/NAME/next")]


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """All that a run says that has just begun."""

    format: Positive
    status: Annotated[Literal["running", "finished", "stopped"], Meta(description="one of running, finished, stopped")]
    stopped: str | None
    at: At | None


class Part(msgspec.Struct, frozen=True):
    """Rows start to stop − 1 of a matrix at a path."""

    path: str
    start: Annotated[int, Meta(ge=0, le=LONGEST)]
    stop: Annotated[int, Meta(ge=1, le=LONGEST)]

    def __post_init__(self) -> None:
        """Raise ValueError where there are no such rows."""
        if self.stop <= self.start:
            raise ValueError(f"rows {self.start} to {self.stop - 1}: a part has one row at least")


class StoredX(msgspec.Struct, frozen=True, kw_only=True):
    """X as it was when the run began. `parts`: where its rows are, if they are not all that is at its path."""

    path: str
    shape: Annotated[tuple[Length, Length], Meta(description="two positive integers")]
    dtype: Annotated[str, _text(DTYPE, "the name of a dtype of real numbers")]
    nbytes: Count
    chunks: Annotated[
        tuple[Positive, ...], Meta(min_length=1, max_length=2, description="one or two positive integers")
    ]
    fingerprint: str
    norm: float | None = None
    parts: Annotated[tuple[Part, ...], Meta(max_length=MOST_CHUNKS, description="parts")] = ()

    @property
    def rows(self) -> tuple[Part, ...]:
        """Where its rows are."""
        return self.parts or (Part(self.path, 0, self.shape[0]),)


class Extends(msgspec.Struct, frozen=True, kw_only=True):
    """What a run extends by new rows.

    `run` is the path of another one, `identity` its token; `earlier` is where the rows are that it stands for, as many
    as its sample was drawn from. With `exact`, X holds these rows, too; else it holds the new ones alone.
    """

    run: str
    identity: str | None
    earlier: Annotated[tuple[Part, ...], Meta(min_length=1, max_length=MOST_CHUNKS, description="one or more parts")]
    exact: bool = False

    @property
    def rows(self) -> int:
        """Rows before the new ones."""
        return sum(part.stop - part.start for part in self.earlier)


class Start(msgspec.Struct, frozen=True):
    """How the first factors came about: seconds, bytes of X read (decoded), rows of the sample and its relative error.

    The error is that of the sample's own factorization; None without one. Without a sample there are 0 rows.
    """

    seconds: Number
    bytes_read: Count
    rows: Count = 0
    relative_error: Number | None = None


class State(msgspec.Struct, frozen=True, kw_only=True):
    """How X is cut and what a resumed run goes on from. A run of a dnmf that resumed none lacks what has a default.

    What is in `next` and `sums` is that of X times 2 to the `exponent`; all else is that of X.
    """

    axis: Literal[0, 1]
    height: Length
    dtype: Literal["float32", "float64"]
    length: Length | None = None
    width: Length | None = None
    peak: Count | None = None
    in_run: bool | None = None
    cached: bool | None = None
    sample: Annotated[int, Meta(ge=0, le=LONGEST)] | None = None
    largest: Count | None = None
    counts: Annotated[tuple[Length, ...], Meta(max_length=MOST_CHUNKS, description="positive integers")] = ()
    piece: Annotated[int, Meta(ge=0, le=LONGEST)] = 0
    every: Positive | None = None
    split_every: int | None = None
    next: Next | UnsetType | None = UNSET
    reason: str | None = None
    before: At | UnsetType | None = UNSET
    exponent: Annotated[int, Meta(ge=-MOST_EXPONENT, le=MOST_EXPONENT)] = 0

    @property
    def plan(self) -> Plan:
        """How X is cut."""
        return Plan(**{field.name: getattr(self, field.name) for field in fields(Plan)})


class Record(Begun, frozen=True, kw_only=True):
    """What a run says of itself once it is known what is asked for."""

    iteration: Annotated[int, Meta(ge=0, le=MOST_PASSES)]
    relative_error: Number | None
    x: StoredX
    parameters: Parameters
    start: Start | None
    state: State
    versions: Annotated[dict[str, str], Meta(description="an object of texts")]
    extends: Extends | None = None
    weights: StoredX | None = None
    observed: Observed | None = None

    @property
    def weighted(self) -> bool:
        """Whether entries of X may be missing or have weights."""
        return self.parameters.missing is not None or self.weights is not None

    @property
    def before(self) -> int:
        """Rows before those of X for which V and the sample stand, too."""
        return 0 if self.extends is None or self.extends.exact else self.extends.rows

    @property
    def all_rows(self) -> tuple[Part, ...]:
        """Where all rows are for which V and the sample stand."""
        return (*(self.extends.earlier if self.extends and self.before else ()), *self.x.rows)


BegunT = TypeVar("BegunT", bound=Begun)


class _Formatted(msgspec.Struct, frozen=True):
    format: Positive


def new_record(matrix: Matrix, parameters: Parameters, plan: Plan, *, extends: Extends | None = None) -> Record:
    """The record of a run that holds nothing yet."""
    return Record(
        format=FORMAT, status="running", stopped=None, at=None, iteration=0, relative_error=None, x=stored_x(matrix),
        parameters=parameters, start=None, state=state_of(matrix, plan, every=parameters.checkpoint_every),
        versions=versions(), extends=extends, weights=stored_weights(matrix),
    )  # fmt: skip


def stored_x(matrix: Matrix) -> StoredX:
    """X as it is now."""
    return StoredX(
        path=matrix.location,
        shape=matrix.grid.shape,
        dtype=str(matrix.stored_dtype),
        nbytes=matrix.grid.stored_nbytes,
        chunks=tuple(matrix.grid.chunk),
        fingerprint=matrix.fingerprint,
        parts=tuple(Part(*place) for place in matrix.parts),
    )


def stored_weights(matrix: Matrix) -> StoredX | None:
    """The weights of its entries as they are now, where X has some."""
    return None if matrix.weights is None else stored_x(matrix.weights)


def state_of(matrix: Matrix, plan: Plan, *, every: int | None = None) -> State:
    """How X is cut, where there is nothing yet to go on from."""
    cut = {field.name: getattr(plan, field.name) for field in fields(Plan)}
    dtype: Literal["float32", "float64"] = "float32" if matrix.dtype.itemsize == 4 else "float64"
    return State(**cut, dtype=dtype, every=every, split_every=SPLIT_EVERY, next=None, exponent=matrix.exponent)


@cache
def versions() -> dict[str, str]:
    """Of dnmf and what it computes with."""
    return {name: version(name) for name in ("dnmf", "dask", "numpy", "zarr")}


def as_json(record: msgspec.Struct) -> dict[str, object]:
    """A record, or a part of one, as plain data, as JSON has them."""
    plain: dict[str, object] = msgspec.json.decode(msgspec.json.encode(record))
    return plain


def parse_record(data: object, path: object) -> Begun:
    """The record of the run at a path from plain data, if it can be one.

    Raises
    ------
    ValueError
        If it cannot, or if its format is newer than this dnmf's: names the first value that is wrong.
    """

    def refuse(wrong: Mismatch) -> ValueError:
        return refusal(path, wrong.of("its record"))

    found = validated(data, _Formatted, refuse)
    if found.format > FORMAT:
        raise ValueError(
            f"{path} has format {found.format}, this dnmf reads up to {FORMAT}: install a newer dnmf to open it"
        )
    if isinstance(data, Mapping) and "x" not in data and data.get("at") is None:
        return validated(data, Begun, refuse)
    record = validated(data, Record, refuse)
    if record.at is not None:
        _check_whole(record, path)
    return record


def full_record(record: Begun, where: object) -> Record:
    """The record of a run that says what is asked for.

    Raises
    ------
    ValueError
        If it does not: the process that began it was killed at once.
    """
    if not isinstance(record, Record):
        raise ValueError(f"the process that began {where} was killed before it said what was asked for: start it again")
    return record


def _check_whole(record: Record, path: object) -> None:
    """Raise ValueError where values that are possible do not go together."""
    if record.iteration == 0 or record.start is None or record.relative_error is None:
        raise refusal(path, "its record names a generation, and no pass, no start or no relative_error")
    axis, height, rank = record.state.axis, record.state.height, record.parameters.rank
    if rank > LONGEST:
        raise refusal(path, f"its record has parameters.rank {rank}, and at most {LONGEST} is possible")
    length = record.x.shape[axis]
    if length > MOST_CHUNKS * height:
        raise refusal(
            path,
            f"its record cuts {length} {rows_or_columns(axis)} into strips of {height}, and at most {MOST_CHUNKS} "
            f"strips are possible",
        )


def refusal(path: object, why: str) -> ValueError:
    """What to raise where the run at a path is not what it must be."""
    return ValueError(f"{path} is not a run that dnmf wrote: {why}")


def write_record(group: zarr.Group, record: Begun) -> None:
    """Replace the record: one write of one key."""
    group.update_attributes({"dnmf": as_json(record)})


def open_below(group: zarr.Group, path: str, mode: Literal["r", "r+", "a"] = "r") -> zarr.Group:
    """The group at a path below another one, as it is in the store now: what a group object remembers may be old."""
    return zarr.open_group(group.store, path=f"{group.path}/{path}".strip("/"), mode=mode, use_consolidated=False)


def read_record(group: zarr.Group, at: str = "") -> Begun:
    """The record as it is in the store now, or as it was when the generation at a path was the last one."""
    found = open_below(group, at)
    return parse_record(found.attrs["dnmf"], shown(found.store_path))


def remembered_record(group: zarr.Group) -> Begun:
    """The record as this process wrote or read it last."""
    return parse_record(group.attrs["dnmf"], shown(group.store_path))


def keep_record(group: zarr.Group, at: str, record: Record) -> None:
    """Write the record to its generation too: a run goes back to it where the next one is damaged."""
    write_record(open_below(group, at, "r+"), record)


def set_stopped(group: zarr.Group, why: str) -> None:
    """Say in the record why a run that was going on did not end: its lease must be held."""
    record = read_record(group)
    if record.status == "running":
        # Nothing is deleted: a write of the record that was interrupted may still arrive.
        write_record(group, stopped(record, why))


def stopped(record: BegunT, why: str) -> BegunT:
    """A record that says why its run did not end."""
    return replace(record, status="stopped", stopped=why)
