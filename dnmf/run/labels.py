"""The names of X's rows and columns in a run: arrays of texts that xarray takes as coordinates of W and V."""

import numpy as np
import zarr

from dnmf.matrix.labels import Labels, Names
from dnmf.run.arrays import chunks_missing, has, open_array

# The arrays of the names of rows and of columns: each has the name of its dimension. Names in a chunk.
ROW, COLUMN, CHUNK = "row", "column", 2**16

# No name: where it is read, a chunk is missing.
NO_NAME = "\0"


def write_labels(group: zarr.Group, labels: Labels) -> None:
    """Write the names that there are to the top of a run, or beside the W of new rows."""
    for name, names in ((ROW, labels.rows), (COLUMN, labels.columns)):
        if names is not None:
            _write(group, name, names)


def _write(group: zarr.Group, name: str, names: Names) -> None:
    array = group.create_array(
        name, shape=names.shape, chunks=(min(len(names), CHUNK),), dtype="string", fill_value=NO_NAME,
        dimension_names=(name,), config={"write_empty_chunks": True},
    )  # fmt: skip
    for start in range(0, len(names), CHUNK):
        array[start : start + CHUNK] = names[start : start + CHUNK].astype(np.dtypes.StringDType())


def has_labels(group: zarr.Group) -> bool:
    """Whether names of rows or columns are there."""
    return has(group, ROW) or has(group, COLUMN)


def read_labels(group: zarr.Group, shape: tuple[int, int]) -> Labels:
    """The names of the rows and columns of X (m, n), as far as the run has them.

    Raises
    ------
    FileNotFoundError, ValueError
        If they are damaged.
    """
    rows, columns = (
        _read(group, name, length) if has(group, name) else None
        for name, length in zip((ROW, COLUMN), shape, strict=True)
    )
    return Labels(rows, columns)


def _read(group: zarr.Group, name: str, length: int) -> Names:
    array = open_array(group, name, (length,), "T")
    found = np.asarray(array[...]).astype(object)
    # One by one: NumPy takes NO_NAME for an empty text, which a name may be.
    if any(name == NO_NAME for name in found):
        raise chunks_missing(array)
    return found
