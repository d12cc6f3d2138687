"""Names of rows and columns beside the numbers of X in Zarr: two arrays of texts, `labels/rows` and `labels/columns`.

They lie below the node of X, an array or a sparse group, so that they are copied, moved and removed with it.
"""

from itertools import chain, islice

import numpy as np
import zarr

from dnmf.formats.contents import About, Names, Shape
from dnmf.matrix.names import LABELS
from dnmf.stores.places import place

# How many names are in a chunk.
CHUNK = 2**16


def write_labels(node: str, about: About, shape: Shape) -> None:
    """Write the names that a matrix file (m, n) has to X at a path. Writes to disk, some names at a time.

    Raises
    ------
    ValueError
        If there are not as many as rows or columns.
    """
    named = {"rows": (about.rows, shape[0]), "columns": (about.columns, shape[1])}
    for axis, (names, count) in named.items():
        if names is not None:
            _write(zarr.open_group(place(f"{node}/{LABELS}"), mode="a"), axis, names, count)


def _write(group: zarr.Group, axis: str, names: Names, count: int) -> None:
    """Write the names along an axis."""
    array = group.create_array(axis, shape=(count,), chunks=(min(count, CHUNK),), dtype="string", fill_value="")
    each, start = chain.from_iterable(names), 0
    while some := list(islice(each, CHUNK)):
        if start + len(some) > count:
            break
        array[start : start + len(some)] = np.array(some, np.dtypes.StringDType())
        start += len(some)
    if some or start < count:
        held = f"more than {count}" if some else str(start)
        raise ValueError(f"there are {held} names of {count} {axis}: one for each is required; write the file again")
