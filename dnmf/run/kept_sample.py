"""The sample that a run keeps: other ranks, starts and losses need no further read of X."""

from dataclasses import dataclass, replace
from typing import Annotated

import msgspec
import numpy as np
import zarr
from msgspec import UNSET, Meta, UnsetType
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dnmf.arrays.extent import times_power
from dnmf.arrays.observed import MOST_NAMED, Observed
from dnmf.arrays.rows import Rows, is_sparse
from dnmf.arrays.sample import ColumnSums, Sample
from dnmf.arrays.weighted import Weighted
from dnmf.run.arrays import has, open_array, read_whole, write_array
from dnmf.run.record import CHECKSUMS, MOST_EXPONENT, open_below
from dnmf.validation import Mismatch, validated

# What is added up of every column of X; the last of it where entries have weights.
COLUMNS = ("sums", "squares", "weights")

# The weights of the entries of rows, and how many of each column of X are observed.
WEIGHTS, COUNTS = "row_weights", "column_observed"


@dataclass(frozen=True, slots=True)
class StoredSample:
    """A sample that is kept in a run.

    Attributes
    ----------
    sample : the sample.
    axis : 0 for one of rows, 1 for one of columns.
    size : rows of it that are drawn.
    bytes_read : of X, decoded, that it cost.
    checksums : (strips,) of the read that it came from.
    exponent : it is one of X times 2 to it.
    seconds : that drawing it took, where this process has drawn it.
    observed : what of X is observed, where some of it may be missing.
    """

    sample: Sample
    axis: int
    size: int
    bytes_read: int
    checksums: NDArray[np.uint64] | None
    exponent: int = 0
    seconds: float = 0.0
    observed: Observed | None = None

    @property
    def rows(self) -> int:
        """Rows that are drawn: fewer where X has fewer that are not zero."""
        return min(len(self.sample.keys), self.size)

    def scaled(self, exponent: int) -> "StoredSample":
        """The sample of X times 2 to another exponent; checksums are those of X as it was read."""
        if exponent == self.exponent:
            return self
        sample, by = self.sample, exponent - self.exponent
        with np.errstate(over="ignore", under="ignore"):
            grown, total = np.exp2(by * sample.beta), float(np.ldexp(sample.total, by))
            rows, keys, sizes = times_power(sample.rows, by), sample.keys / grown, sample.sizes * grown
        columns = sample.columns and sample.columns.times_power(by)
        norm = float(sample.norm * grown)
        moved = replace(sample, rows=rows, keys=keys, sizes=sizes, norm=norm, total=total, columns=columns)
        return replace(self, sample=moved, checksums=None, exponent=exponent)


class _Observed(msgspec.Struct, frozen=True):
    """How many entries are observed, how many rows have none, and the first of these."""

    entries: Annotated[int, Meta(ge=0)]
    empty: Annotated[int, Meta(ge=0)]
    first: Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(max_length=MOST_NAMED, description="a few integers")]


class _Numbers(msgspec.Struct, frozen=True):
    """The attributes of the group `sample`."""

    axis: Annotated[int, Meta(ge=0, le=1)]
    size: Annotated[int, Meta(ge=0)]
    beta: float
    norm: float
    total: float
    bytes_read: Annotated[int, Meta(ge=0)] = 0
    exponent: Annotated[int, Meta(ge=-MOST_EXPONENT, le=MOST_EXPONENT)] = 0
    observed: _Observed | UnsetType = UNSET


class _Rows(msgspec.Struct, frozen=True):
    """The attributes of sparse rows."""

    shape: Annotated[tuple[int, int], Meta(description="two integers")]


def write_sample(group: zarr.Group, kept: StoredSample) -> None:
    """Keep a sample of X; it is whole when its attributes say so."""
    sample, rows = kept.sample, kept.sample.rows
    found = kept.observed
    observed = UNSET if found is None else _Observed(found.entries, found.empty, found.first)
    numbers = _Numbers(
        kept.axis, kept.size, sample.beta, sample.norm, sample.total, kept.bytes_read, kept.exponent, observed
    )
    # A run that was killed may have left a part of one.
    there = group.create_group("sample", overwrite=True, attributes=msgspec.to_builtins(numbers))
    if kept.checksums is not None:
        write_array(there, CHECKSUMS, kept.checksums, ("strip",))
    for name in ("index", "keys", "sizes"):
        write_array(there, name, getattr(sample, name), ("drawn",))
    _write_columns(there, kept)
    _write_rows(there, rows)
    there.attrs["whole"] = True


def _write_columns(there: zarr.Group, kept: StoredSample) -> None:
    """What was added up of each column, as far as anything was."""
    for name in COLUMNS:
        if (column := getattr(kept.sample.columns, name, None)) is not None:
            write_array(there, f"column_{name}", column, ("across",))
    if kept.observed is not None:
        write_array(there, COUNTS, kept.observed.columns, ("across",))


def _write_rows(there: zarr.Group, rows: Rows) -> None:
    if isinstance(rows, Weighted):
        _write_rows(there, rows.values)
        # No truth value could tell that a chunk is missing.
        weights = rows.weights.astype("i1") if rows.masked else rows.weights
        write_array(there, WEIGHTS, weights, ("entry",) if rows.sparse else ("drawn", "across"))
        return
    if not is_sparse(rows):
        write_array(there, "rows", rows, ("drawn", "across"))
        return
    there.create_group("rows", attributes={"encoding-type": "csr_matrix", "shape": list(rows.shape)})
    for name in ("data", "indices", "indptr"):
        write_array(there, f"rows/{name}", getattr(rows, name), ("entry",))


def has_sample(group: zarr.Group) -> bool:
    """Whether a run holds a whole sample."""
    try:
        return bool(open_below(group, "sample").attrs.get("whole"))
    except FileNotFoundError:
        return False


def read_sample(group: zarr.Group) -> StoredSample:
    """The sample that a run keeps.

    Raises
    ------
    ValueError
        If the run holds none, or one that dnmf did not write.
    OSError
        If a chunk of it is damaged.
    """
    if not has_sample(group):
        raise ValueError(f"{group.store_path} holds no sample: name a run whose first factors came from one")
    kept = open_below(group, "sample")
    numbers = validated(dict(kept.attrs), _Numbers, lambda wrong: _damaged(kept, wrong))
    index = read_whole(open_array(kept, "index", (None,), "i"))
    keys, sizes = (read_whole(open_array(kept, name, index.shape)) for name in ("keys", "sizes"))
    checksums = read_whole(open_array(kept, CHECKSUMS, (None,), "u")) if has(kept, CHECKSUMS) else None
    rows = _with_weights(kept, _read_rows(kept, len(index)))
    columns, observed = _read_columns(kept, rows.shape[1]), _read_observed(kept, numbers, rows.shape[1])
    sample = Sample(rows, index, keys, sizes, numbers.norm, numbers.total, numbers.beta, columns)
    return StoredSample(
        sample, numbers.axis, numbers.size, numbers.bytes_read, checksums, numbers.exponent, observed=observed
    )


@dataclass(frozen=True, slots=True)
class Totals:
    """What the read for a sample added up of all of X times 2 to the exponent: ΣX, and Σx and Σx² of each column."""

    total: float
    columns: ColumnSums | None
    exponent: int


def read_totals(group: zarr.Group, n: int) -> Totals:
    """What the read for the sample of a run on X (m, n) added up; its rows are not read. Raises as `read_sample`."""
    kept = open_below(group, "sample")
    numbers = validated(dict(kept.attrs), _Numbers, lambda wrong: _damaged(kept, wrong))
    return Totals(numbers.total, _read_columns(kept, n) if numbers.axis == 0 else None, numbers.exponent)


def _read_columns(kept: zarr.Group, width: int) -> ColumnSums | None:
    """Sums by column; None of a sample that has none, as one of columns, or of an older dnmf."""
    if not has(kept, f"column_{COLUMNS[0]}"):
        return None
    names = [name for name in COLUMNS if has(kept, f"column_{name}")]
    return ColumnSums(**{name: read_whole(open_array(kept, f"column_{name}", (width,))) for name in names})


def _read_observed(kept: zarr.Group, numbers: _Numbers, width: int) -> Observed | None:
    """What of X is observed; None where nothing may be missing."""
    if (found := numbers.observed) is UNSET:
        return None
    counts = read_whole(open_array(kept, COUNTS, (width,), "i"))
    return Observed(found.entries, counts, found.empty, found.first)


def _with_weights(kept: zarr.Group, rows: Rows) -> Rows:
    """Rows of a sample with the weights of their entries, where they have some."""
    if not has(kept, WEIGHTS):
        return rows
    shape = rows.data.shape if is_sparse(rows) else rows.shape
    weights = read_whole(open_array(kept, WEIGHTS, shape, "if"))
    return Weighted(rows, weights != 0 if weights.dtype.kind == "i" else weights.astype(rows.dtype, copy=False))


def _damaged(kept: zarr.Group, wrong: Mismatch) -> ValueError:
    return ValueError(
        f"{kept.store_path} is no sample that dnmf wrote: {wrong.of('it')}; the run is damaged, take another"
    )


def _read_rows(kept: zarr.Group, count: int) -> Rows:
    """The rows of a sample, dense or sparse; none that would lead SciPy outside of its arrays."""
    attributes = kept["rows"].attrs if has(kept, "rows") else {}
    if attributes.get("encoding-type") != "csr_matrix":
        return read_whole(open_array(kept, "rows", (count, None)))
    shape = validated(dict(attributes), _Rows, lambda wrong: _damaged(kept, wrong)).shape
    indptr = read_whole(open_array(kept, "rows/indptr", (count + 1,), "i"))
    data = read_whole(open_array(kept, "rows/data", (None,)))
    indices = read_whole(open_array(kept, "rows/indices", data.shape, "i"))
    rows = csr_matrix((data, indices, indptr), shape=shape)
    rows.check_format(full_check=True)
    return rows
