"""Where results live: a run is a Zarr v3 group that xarray opens, with the factors, the history and a record.

While a run is going on, a generation (W, V and the history so far) is written to a sub-group of its own, then one write
of the record names it, then generations older than the previous one are deleted. A finished run holds its factors at
the top, and no generations. An array's metadata is written after its chunks, so that what is listed is whole.

The record is the JSON attribute `dnmf` of the group:

    format          1
    status          "running", "finished" or "stopped"
    stopped         a sentence that says why the run ended, or null
    at              path of the sub-group that holds the last whole generation, "" for the top, null for none yet
    iteration       passes of that generation
    relative_error  ‖X − W V‖ / ‖X‖ of that generation; for other losses √(loss / Σ x^β)
    x               path, shape, dtype, chunks, decoded bytes, fingerprint, and squared norm (Σ x^β) of X
    parameters      everything that was asked for, the seed too
    state           strips and dtype: what a resumed run needs beside W, V and the history
    versions        of dnmf, dask, numpy and zarr
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import zarr
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from zarr.storage import MemoryStore

from dnmf.paths import absolute
from dnmf.products import is_sparse
from dnmf.progress import KEPT
from dnmf.sample import Sample

FORMAT = 1
GENERATIONS = "generations"

# The attribute of a group with the W of new rows, as `dnmf` is that of a run.
TRANSFORMED = "dnmf_transformed"
DIMENSIONS = {
    "W": ("row", "component"),
    "V": ("component", "column"),
    **dict.fromkeys(KEPT, ("pass",)),
}

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
        raise FileNotFoundError(
            f"chunks of {array.path} are missing in {array.store}: the run went on since it was opened, or was moved "
            f"or damaged; open it again"
        )
    return values


def create_run(out: str | Path | None, *, overwrite: bool) -> zarr.Group:
    """Start a run at a path, or in this process's memory where `out` is None.

    Raises
    ------
    FileExistsError
        If something is there already: see `check_out`.
    """
    begun = {"dnmf": {"format": FORMAT, "status": "running", "stopped": None, "at": None}}
    exists = out is not None and check_out(out, overwrite=overwrite)
    store = MemoryStore() if out is None else absolute(out)
    group = zarr.create_group(store, overwrite=exists, attributes=begun)
    group.create_group(GENERATIONS)
    return group


def create_transformed(out: str | Path, record: Record, *, overwrite: bool) -> zarr.Group:
    """Start a group for the W of new rows, which a run's V belongs to: see `dnmf.transformation`."""
    exists = check_out(out, overwrite=overwrite, mark=TRANSFORMED)
    return zarr.create_group(absolute(out), overwrite=exists, attributes={TRANSFORMED: record})


def check_out(out: str | Path, *, overwrite: bool, mark: str = "dnmf") -> bool:
    """Whether there is a run at a path that a new one may replace; False where there is nothing.

    With the mark of a transformed X, the same for the W of one.

    Raises
    ------
    FileExistsError
        If something is there that may not be replaced.
    """
    if not isinstance(out, str) and ":" in Path(out).parts[0]:
        raise ValueError(f"{out} looks like a URL that was made a Path, which drops a slash: give it as a str")
    path = absolute(out)
    exists = _exists(path)
    if exists and not overwrite and not _holds_nothing(path):
        raise FileExistsError(f"{out} exists: choose another output, or overwrite it with --overwrite (overwrite=True)")
    if exists and not _is_marked(path, mark):
        kind = "a run of dnmf" if mark == "dnmf" else "a transformed X"
        raise FileExistsError(f"{out} exists and is not {kind}, so it is not overwritten: choose another output")
    return exists


def _exists(path: str) -> bool:
    if "://" not in path:
        return Path(path).exists()
    return _is_run(path)


def _is_run(path: str) -> bool:
    return _is_marked(path, "dnmf")


def _is_marked(path: str, mark: str) -> bool:
    """Whether there is a group with this attribute."""
    try:
        return mark in zarr.open_group(path, mode="r").attrs
    except (FileNotFoundError, ValueError, NotADirectoryError):
        return False


def _holds_nothing(path: str) -> bool:
    """Whether a run has ended before its first whole generation."""
    record: Any = zarr.open_group(path, mode="r").attrs["dnmf"] if _is_run(path) else {}
    return record.get("status") == "stopped" and record["at"] is None


def write_record(group: zarr.Group, record: Mapping[str, Any]) -> None:
    """Replace the record: one write of one key."""
    group.update_attributes({"dnmf": dict(record)})


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
        _write(group, f"{at}/{name}" if at else name, data, DIMENSIONS[name])


def write_snapshots(group: zarr.Group, at: str, factor: str, taken: Mapping[int, NDArray[np.floating]]) -> None:
    """Write snapshots of a factor, by pass (0 is the first factor): `snapshots` and `snapshot_pass`."""
    prefix = f"{at}/" if at else ""
    _write(group, f"{prefix}snapshots", np.stack(list(taken.values())), ("snapshot", *DIMENSIONS[factor]))
    _write(group, f"{prefix}snapshot_pass", np.asarray(list(taken), "i8"), ("snapshot",))


def write_sample(group: zarr.Group, sample: Sample, axis: int, size: int) -> None:
    """Keep the sample of rows (axis 0) or columns of X: other ranks, starts and losses need no further read."""
    facts = {"axis": axis, "size": size, "beta": sample.beta, "norm": sample.norm, "total": sample.total}
    kept = group.create_group("sample", attributes=facts)
    for name in ("index", "keys", "sizes"):
        _write(group, f"sample/{name}", getattr(sample, name), ("drawn",))
    if is_sparse(rows := sample.rows):
        group.create_group("sample/rows", attributes={"encoding-type": "csr_matrix", "shape": list(rows.shape)})
        for name in ("data", "indices", "indptr"):
            _write(group, f"sample/rows/{name}", getattr(rows, name), ("entry",))
    else:
        _write(group, "sample/rows", rows, ("drawn", "across"))
    kept.attrs["whole"] = True


def read_sample(group: zarr.Group) -> tuple[Sample, int, int]:
    """A kept sample, the axis of X along which it was drawn, and its size.

    Raises
    ------
    ValueError
        If the run holds none.
    """
    kept: Any = group.get("sample")
    if kept is None or not kept.attrs.get("whole"):
        raise ValueError(f"{group.store_path} holds no sample: name a run whose first factors came from one")
    facts: Any = dict(kept.attrs)
    values = {name: np.asarray(kept[name][...]) for name in ("index", "keys", "sizes")}
    rows = kept["rows"]
    if isinstance(rows, zarr.Group):
        parts: Any = [rows[name] for name in ("data", "indices", "indptr")]
        values["rows"] = csr_matrix(tuple(part[...] for part in parts), shape=tuple(rows.attrs["shape"]))  # type: ignore
    else:
        values["rows"] = np.asarray(rows[...])
    sample = Sample(**values, norm=facts["norm"], total=facts["total"], beta=facts["beta"])
    return sample, facts["axis"], facts["size"]


def _write(group: zarr.Group, path: str, data: NDArray[Any], dimensions: Sequence[str]) -> None:
    fill = np.nan if data.dtype.kind == "f" else -1
    chunks = tuple(max(1, n) for n in data.shape) if data.ndim < 3 else (1, *data.shape[1:])
    array = group.create_array(
        path, shape=data.shape, chunks=chunks, dtype=data.dtype, fill_value=fill, dimension_names=dimensions
    )
    array[...] = data


def drop_generations(group: zarr.Group, keep: Sequence[str]) -> None:
    """Delete all generations but those named."""
    members = group[GENERATIONS]
    assert isinstance(members, zarr.Group)
    for name in list(members.group_keys()):
        if f"{GENERATIONS}/{name}" not in keep:
            del members[name]


def open_group(path: str | Path | zarr.Group) -> tuple[zarr.Group, Record]:
    """The group and the record of a run.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no run, or one of a newer format, or one that holds no whole generation yet.
    """
    if isinstance(path, zarr.Group):
        group = path
    else:
        if not _exists(absolute(path)):
            raise FileNotFoundError(f"there is no run at {path}: give the --out of a factorization")
        if not _is_run(absolute(path)):
            raise ValueError(f"{path} is not a run of dnmf: give the --out of a factorization")
        group = zarr.open_group(absolute(path), mode="r")
    record: Record = dict(group.attrs["dnmf"])  # type: ignore[arg-type]
    if record["format"] > FORMAT:
        raise ValueError(
            f"{path} has format {record['format']}, this dnmf reads up to {FORMAT}: install a newer dnmf to open it"
        )
    if record["at"] is None:
        if record["status"] == "running":
            raise ValueError(f"{path} holds no whole generation yet: wait, or start it again if it was killed")
        raise ValueError(f"{path} holds no whole generation: it {record['stopped']}; start it again")
    return group, record
