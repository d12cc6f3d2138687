"""The sample that a run keeps: other ranks, starts and losses need no further read of X."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dnmf.arrays.rows import is_sparse
from dnmf.arrays.sample import Sample
from dnmf.run.factors import write_array
from dnmf.run.reading import has, member, read_whole


@dataclass(frozen=True, slots=True)
class Kept:
    """A sample that is kept in a run.

    Attributes
    ----------
    sample : the sample.
    axis : 0 for one of rows, 1 for one of columns.
    size : rows of it that are drawn.
    bytes_read : of X, decoded, that it cost.
    checksums : (strips,) of the read that it came from.
    """

    sample: Sample
    axis: int
    size: int
    bytes_read: int
    checksums: NDArray[np.uint64] | None


def write_sample(group: zarr.Group, kept: Kept) -> None:
    """Keep a sample of X: other ranks, starts and losses need no further read."""
    sample = kept.sample
    facts: dict[str, Any] = {"axis": kept.axis, "size": kept.size, "bytes_read": kept.bytes_read}
    facts |= {"beta": sample.beta, "norm": sample.norm, "total": sample.total}
    # A run that was killed may have left a part of one.
    there = group.create_group("sample", overwrite=True, attributes=facts)
    if kept.checksums is not None:
        write_array(group, "sample/checksums", kept.checksums, ("strip",))
    for name in ("index", "keys", "sizes"):
        write_array(group, f"sample/{name}", getattr(sample, name), ("drawn",))
    if is_sparse(rows := sample.rows):
        group.create_group("sample/rows", attributes={"encoding-type": "csr_matrix", "shape": list(rows.shape)})
        for name in ("data", "indices", "indptr"):
            write_array(group, f"sample/rows/{name}", getattr(rows, name), ("entry",))
    else:
        write_array(group, "sample/rows", rows, ("drawn", "across"))
    there.attrs["whole"] = True


def has_sample(group: zarr.Group) -> bool:
    """Whether a run holds a whole sample."""
    try:
        return bool(_sample_group(group).attrs.get("whole"))
    except FileNotFoundError:
        return False


def _sample_group(group: zarr.Group) -> zarr.Group:
    return zarr.open_group(group.store, path=f"{group.path}/sample".lstrip("/"), mode="r", use_consolidated=False)


def read_sample(group: zarr.Group) -> Kept:
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
    kept = _sample_group(group)
    facts: Any = _checked_facts(kept)
    index = read_whole(member(kept, "index", (None,), "i"))
    keys, sizes = (read_whole(member(kept, name, index.shape)) for name in ("keys", "sizes"))
    rows = _rows(kept, len(index))
    checksums = read_whole(member(kept, "checksums", (None,), "u")) if has(kept, "checksums") else None
    sample = Sample(rows, index, keys, sizes, norm=facts["norm"], total=facts["total"], beta=facts["beta"])
    return Kept(sample, facts["axis"], facts["size"], facts.get("bytes_read", 0), checksums)


def _checked_facts(kept: zarr.Group) -> dict[str, Any]:
    """The numbers beside a sample, all of which must be there."""
    facts = dict(kept.attrs)
    numbers = ("axis", "size", "beta", "norm", "total")
    if any(type(facts.get(name)) not in (int, float) for name in numbers) or facts["axis"] not in (0, 1):
        raise ValueError(f"{kept.store_path} is no sample that dnmf wrote: the run is damaged; take another")
    return facts


def _rows(kept: zarr.Group, count: int) -> Any:
    """The rows of a sample, dense or sparse; none that would lead SciPy outside of its arrays."""
    attributes: Any = kept["rows"].attrs if has(kept, "rows") else {}
    if attributes.get("encoding-type") != "csr_matrix":
        return read_whole(member(kept, "rows", (count, None)))
    indptr = read_whole(member(kept, "rows/indptr", (count + 1,), "i"))
    data = read_whole(member(kept, "rows/data", (None,)))
    indices = read_whole(member(kept, "rows/indices", data.shape, "i"))
    rows = csr_matrix((data, indices, indptr), shape=tuple(attributes["shape"]))
    rows.check_format(full_check=True)
    return rows
