"""What the loop hands over between two passes and gets back when a run goes on, and the generation that holds it."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Annotated, Any

import msgspec
import numpy as np
import zarr
from msgspec import Meta
from numpy.typing import NDArray

from dnmf.arrays.rows import Array
from dnmf.components.sums import ComponentSums
from dnmf.losses.protocol import STEPS
from dnmf.run.arrays import below, has, open_array, read_whole, write_array
from dnmf.run.factors import long_factor, stored_long
from dnmf.run.history import read_history, read_snapshots
from dnmf.run.kept_sums import read_sums
from dnmf.run.record import CHECKSUMS, MOST_PASSES, Record, open_below, read_record
from dnmf.stores.missing_chunks import missing
from dnmf.validation import Mismatch, validated


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What the next pass needs and no reader does; it is in the group `next` of a generation.

    Attributes
    ----------
    iteration : passes so far, that of the sample aside.
    short : (k, N) short factor for the next pass.
    plain : (k, N) short factor that the next pass would have had without a model, or None.
    modelled : whether a sample stands for X between passes.
    steps : that it is trusted with between two passes.
    rows : what its model keeps of the long factor, (k, rows of it), or None.
    checksums : (strips,) of X, as it was first read, or None.
    loss, total : of the last pass, and its objective; before the first one what is expected, or None and NaN.
    gain : the decrease that moving the short factor brings, relative to the objective.
    norm : ‖X‖², Σ x^β for other losses; NaN before it is known.
    """

    iteration: int
    short: Array
    plain: Array | None = None
    modelled: bool = False
    steps: int = STEPS
    rows: Array | None = None
    checksums: NDArray[np.uint64] | None = None
    loss: float | None = None
    total: float = math.nan
    gain: float = math.inf
    norm: float = math.nan

    def __eq__(self, other: object) -> bool:
        """Whether all numbers and arrays are the same, bit by bit; NaN is NaN."""
        return isinstance(other, Checkpoint) and all(
            _alike(getattr(self, each.name), getattr(other, each.name)) for each in fields(self)
        )


def _alike(one: object, other: object) -> bool:
    if one is None or other is None:
        return one is other
    a, b = np.asarray(one), np.asarray(other)
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


class _Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """The attributes of the group. JSON has no NaN and no infinity: what is not finite is left out."""

    iteration: Annotated[int, Meta(ge=0, le=MOST_PASSES)]
    modelled: bool
    steps: Annotated[int, Meta(ge=1, le=STEPS)] = STEPS
    loss: float | None = None
    total: float | None = None
    gain: float | None = None
    norm: float | None = None


def write_checkpoint(group: zarr.Group, at: str, checkpoint: Checkpoint) -> str:
    """Write a checkpoint to the generation at a path; the path of its group."""
    path = below(at, "next")
    numbers = {name: getattr(checkpoint, name) for name in _Numbers.__struct_fields__}
    group.create_group(path, attributes={name: x for name, x in numbers.items() if x is not None and np.isfinite(x)})
    arrays = {"short": checkpoint.short, "plain": checkpoint.plain, "rows": checkpoint.rows}
    for name, values in {**arrays, CHECKSUMS: checkpoint.checksums}.items():
        if values is not None:
            write_array(group, below(path, name), values, [f"{name}_{i}" for i in range(values.ndim)])
    return path


def read_checkpoint(group: zarr.Group, path: str) -> Checkpoint:
    """The checkpoint whose group is at a path.

    Raises
    ------
    OSError, ValueError
        If it is damaged, or none that dnmf wrote.
    """
    found = open_below(group, path)

    def refuse(wrong: Mismatch) -> ValueError:
        return ValueError(f"{wrong.of(str(found.store_path))}: the run is damaged; start it again")

    def there(name: str, ndim: int, kind: str = "f") -> Any:
        return read_whole(open_array(found, name, [None] * ndim, kind)) if has(found, name) else None

    numbers = validated(dict(found.attrs), _Numbers, refuse)
    return Checkpoint(
        short=read_whole(open_array(found, "short", (None, None))),
        plain=there("plain", 2),
        rows=there("rows", 2),
        checksums=there(CHECKSUMS, 1, "u"),
        **{name: x for name, x in msgspec.structs.asdict(numbers).items() if x is not None},
    )


@dataclass(frozen=True, slots=True)
class Generation:
    """A whole state as it was read: the record that names it, its checkpoint, the history, sums if it has them."""

    record: Record
    checkpoint: Checkpoint
    passes: Mapping[str, NDArray[np.generic]]
    snapshots: Mapping[int, Array]
    sums: ComponentSums | None = None


def read_generation(group: zarr.Group, record: Record) -> Generation:
    """The last generation that lacks nothing, from the one that a record names: before a damaged one there is another.

    Raises
    ------
    OSError
        If that is damaged too.
    """
    while True:
        try:
            return _read(group, record)
        except (OSError, ValueError, KeyError) as wrong:
            if not record.at:
                raise
            record = _before(group, record, wrong)


def _read(group: zarr.Group, record: Record) -> Generation:
    """All of a generation but its factors, of which the long one must have all of its chunks."""
    assert record.state.next
    checkpoint = read_checkpoint(group, record.state.next)
    if record.at is None or not record.iteration:
        return Generation(record, checkpoint, {}, {})
    passes, snapshots = read_history(group, record.at, record.iteration), read_snapshots(group, record.at)
    found = missing(stored_long(group, record)) if record.at else None
    if found and found.count:
        raise OSError(f"{found.count} of {found.total} chunks of {long_factor(record).name} are missing")
    sums = None
    # A run goes on without them as well: the next pass gives new ones.
    with suppress(OSError, ValueError):
        sums = read_sums(group, record)
    return Generation(record, checkpoint, passes, snapshots, sums)


def _before(group: zarr.Group, record: Record, wrong: Exception) -> Record:
    """The record of the generation before, where there is one."""
    with suppress(FileNotFoundError, ValueError, KeyError):
        if (before := record.state.before) and isinstance(found := read_record(group, before), Record):
            return found
    raise OSError(f"what the run would go on from is damaged ({wrong}): start it again") from wrong
