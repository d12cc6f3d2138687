"""Where results live: a run is a Zarr v3 group that xarray opens, with the factors, the history and a record.

While a run is going on, a generation (W, V and the history so far) is written to a sub-group of its own, then one write
of the record names it, then generations older than the previous one are deleted. A finished run holds its factors at
the top, and no generations. An array's metadata is written after its chunks, so that what is listed is whole. Every
generation has a group `next` with what the next pass needs and no reader does; first factors have a generation with
nothing else. The groups `lease` and `cancel` are those of `dnmf.lease`.

The attribute `dnmf_run` is a token, another one for every run at a path. The record is the JSON attribute `dnmf`:

    format          1
    status          "running", "finished" or "stopped"
    stopped         a sentence that says why the run ended, or null
    at              path of the sub-group that holds the last whole generation, "" for the top, null for none yet
    iteration       passes of that generation
    relative_error  ‖X − W V‖ / ‖X‖ of that generation; for other losses √(loss / Σ x^β)
    x               path, shape, dtype, chunks, decoded bytes, fingerprint, and squared norm (Σ x^β) of X
    parameters      everything that was asked for, the seed too
    start           how the first factors came about, null before they are there
    state           how X is cut, what is saved how often, and `next`: path of the group from which a resumed run goes
                    on, null where there are no first factors yet
    versions        of dnmf, dask, numpy and zarr
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import ZarrUserWarning
from zarr.storage import MemoryStore

from dnmf import lease
from dnmf.leftovers import folders
from dnmf.locations import answering, occupied, place
from dnmf.members import gone
from dnmf.paths import absolute, is_bucket
from dnmf.progress import KEPT
from dnmf.records import checked

FORMAT = 1
GENERATIONS = "generations"

# The attribute of a group with the W of new rows, as `dnmf` is that of a run; and the one of a run that never changes.
TRANSFORMED, IDENTITY = "dnmf_transformed", "dnmf_run"
DIMENSIONS = {
    "W": ("row", "component"),
    "V": ("component", "column"),
    **dict.fromkeys(KEPT, ("pass",)),
}

# Members of a run beside those of DIMENSIONS.
OLD = ("snapshots", "snapshot_pass", "sample", "lease", "cancel")

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Factor:
    """The stored form of a factor: its name ("W" or "V"), shape, chunk shape and dtype."""

    name: str
    shape: tuple[int, int]
    chunks: tuple[int, int]
    dtype: np.dtype[Any]

    def array(self, group: zarr.Group, at: str) -> Any:
        """A Zarr array for its chunks at `at`, a path below `group`, that is not listed yet: it has no metadata."""
        template = self._create(zarr.create_group(MemoryStore()), self.name)
        path = group.store_path / at / self.name if at else group.store_path / self.name
        return zarr.Array(zarr.AsyncArray(metadata=template.metadata, store_path=path))

    def publish(self, group: zarr.Group, at: str) -> None:
        """List the array whose chunks are all written."""
        self._create(group, f"{at}/{self.name}" if at else self.name)

    def _create(self, group: zarr.Group, path: str) -> Any:
        # Chunks equal to the fill value are not stored: NaN is the one value that no whole chunk has.
        return group.create_array(
            path,
            shape=self.shape,
            chunks=self.chunks,
            dtype=self.dtype,
            fill_value=np.nan,
            dimension_names=DIMENSIONS[self.name],
        )


def whole(block: Any, array: Any) -> NDArray[np.floating]:
    """A block of a factor as it was read, unless part of it is not there: then it holds the fill value, NaN.

    Raises
    ------
    FileNotFoundError
        If a chunk is missing.
    """
    values: NDArray[np.floating] = np.asarray(block)
    if np.isnan(values).any():
        raise gone(array)
    return values


def create_run(out: str | Path | None, *, overwrite: bool) -> zarr.Group:
    """Start a run at a path, or in this process's memory where `out` is None.

    Raises
    ------
    FileExistsError
        If something is there already: see `check_out`.
    """
    begun = {"dnmf": {"format": FORMAT, "status": "running", "stopped": None, "at": None}, IDENTITY: uuid4().hex}
    exists = out is not None and check_out(out, overwrite=overwrite)
    store = MemoryStore() if out is None else place(out)
    group = zarr.create_group(store, overwrite=exists, attributes=begun)
    for name in (*DIMENSIONS, *OLD) if exists else ():
        # What a listing left out would be taken for this run's.
        if name in group:
            del group[name]
    group.create_group(GENERATIONS, overwrite=exists)
    return group


def create_transformed(out: str | Path, record: Record, *, overwrite: bool) -> zarr.Group:
    """Start a group for the W of new rows, which a run's V belongs to: see `dnmf.transformation`."""
    exists = check_out(out, overwrite=overwrite, mark=TRANSFORMED)
    return zarr.create_group(place(out), overwrite=exists, attributes={TRANSFORMED: record})


def check_out(out: str | Path, *, overwrite: bool, mark: str = "dnmf") -> bool:
    """Whether there is a run at a path that a new one may replace; False where there is nothing.

    With the mark of a transformed X, the same for the W of one.

    Raises
    ------
    FileExistsError
        If something is there that may not be replaced.
    Busy
        If another process is at work on the run that is there.
    """
    path = absolute(out)
    if is_bucket(path):
        raise ValueError(f"{out} is a whole bucket, which is not written to: name a place in it, as in {path}/run.zarr")
    if not occupied(path):
        return False
    group = _at(path)
    if not overwrite and not _holds_nothing(group):
        raise FileExistsError(f"{out} exists: choose another output, or overwrite it with --overwrite (overwrite=True)")
    if group is None or mark not in group.attrs:
        kind = "a run of dnmf" if mark == "dnmf" else "a transformed X"
        raise FileExistsError(f"{out} exists and is not {kind}, so it is not overwritten: choose another output")
    lease.check_free(group)
    return True


def _at(path: str, mode: Literal["r", "r+"] = "r") -> zarr.Group | None:
    """The group at a path, or None where there is none that can be opened."""
    try:
        return zarr.open_group(answering(path), mode=mode)
    except (FileNotFoundError, ValueError, NotADirectoryError, KeyError, TypeError, AttributeError):
        # The last three are what Zarr makes of metadata that nobody's library wrote.
        return None


def _holds_nothing(group: zarr.Group | None) -> bool:
    """Whether a run has ended before it had first factors."""
    record: Any = None if group is None else group.attrs.get("dnmf")
    if not isinstance(record, dict):
        return False
    # A process that was killed as it began has not even said what it was asked for.
    nothing = record.get("at", "") is None and record.get("start") is None
    return nothing and (record.get("status") == "stopped" or "parameters" not in record)


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


def new_generation(group: zarr.Group, iteration: int) -> str:
    """A path, never used before, for the generation after pass `iteration`; a group there that lists it."""
    path = f"{GENERATIONS}/{iteration:06d}-{uuid4().hex[:8]}"
    group.create_group(path)
    return path


def write_rows(factor: Factor, group: zarr.Group, at: str, values: Any) -> None:
    """Write a whole factor, chunk by chunk, from anything that is sliced like an array; then list it."""
    target = factor.array(group, at)
    for i in range(0, factor.shape[0], factor.chunks[0]):
        for j in range(0, factor.shape[1], factor.chunks[1]):
            where = (slice(i, i + factor.chunks[0]), slice(j, j + factor.chunks[1]))
            target[where] = np.asarray(values[where], factor.dtype)
    factor.publish(group, at)


def write_history(group: zarr.Group, at: str, history: Mapping[str, Sequence[float]]) -> None:
    """Write the history, one value per pass: float64, int64 for `sweeps` and `bytes_read`."""
    for name, values in history.items():
        data = np.asarray(values, "i8" if name in ("sweeps", "bytes_read") else "f8")
        write_array(group, f"{at}/{name}" if at else name, data, DIMENSIONS[name])


def write_snapshots(group: zarr.Group, at: str, factor: str, taken: Mapping[int, NDArray[np.floating]]) -> None:
    """Write snapshots of a factor, by pass (0 is the first factor): `snapshots` and `snapshot_pass`."""
    prefix = f"{at}/" if at else ""
    write_array(group, f"{prefix}snapshots", np.stack(list(taken.values())), ("snapshot", *DIMENSIONS[factor]))
    write_array(group, f"{prefix}snapshot_pass", np.asarray(list(taken), "i8"), ("snapshot",))


def write_array(group: zarr.Group, path: str, data: NDArray[Any], dimensions: Sequence[str]) -> None:
    """Write a small array, in one chunk (one for each of its first index where it has three)."""
    fill: Any = {"f": np.nan, "i": -1, "u": np.iinfo("u8").max}[data.dtype.kind]
    chunks = tuple(max(1, n) for n in data.shape) if data.ndim < 3 else (1, *data.shape[1:])
    array = group.create_array(
        path, shape=data.shape, chunks=chunks, dtype=data.dtype, fill_value=fill, dimension_names=dimensions
    )
    array[...] = data


def drop_generations(group: zarr.Group, keep: Sequence[str]) -> None:
    """Delete all generations but those named, as far as they are listed: what is missed goes with the next ones."""
    members = group.require_group(GENERATIONS)
    with warnings.catch_warnings():
        # A listing may name what is gone, or half gone.
        warnings.simplefilter("ignore", ZarrUserWarning)
        listed = set(members.group_keys())
    # A process that was killed while it deleted one has left what is no group any more.
    for name in listed | folders(members):
        if f"{GENERATIONS}/{name}" not in keep:
            del members[name]


def drop_all_generations(group: zarr.Group) -> None:
    """Delete all generations, and what is not listed as one any more, as the process was killed that deleted it."""
    del group[GENERATIONS]
    group.create_group(GENERATIONS)


def clear_top(group: zarr.Group) -> None:
    """Delete what lies at the top of a run that goes on: factors that were not finished, or that a generation has."""
    for name in (*DIMENSIONS, "snapshots", "snapshot_pass", "next"):
        del group[name]


def open_whole(path: str | Path | zarr.Group) -> tuple[zarr.Group, Record]:
    """The group and the record of a run that holds a whole generation.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no run, or one of a newer format, or one that holds no whole generation yet.
    """
    group, record = open_group(path)
    if record["at"] is None:
        if record["status"] == "running":
            raise ValueError(f"{path} holds no whole generation yet: wait, or `dnmf resume` it if it was killed")
        raise ValueError(f"{path} holds no whole generation: it {record['stopped']}; `dnmf resume` it")
    return group, record


def open_group(path: str | Path | zarr.Group, mode: Literal["r", "r+"] = "r") -> tuple[zarr.Group, Record]:
    """The group and the record of a run, whatever it holds.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no run, or one of a newer format, or none that dnmf wrote.
    """
    if isinstance(path, zarr.Group):
        group = path
    else:
        if not occupied(absolute(path)):
            raise FileNotFoundError(f"there is no run at {path}: give the --out of a factorization")
        found = _at(absolute(path), mode)
        if found is None or "dnmf" not in found.attrs:
            raise ValueError(f"{path} is not a run of dnmf: give the --out of a factorization")
        group = found
    return group, checked(group.attrs["dnmf"], path, FORMAT)
