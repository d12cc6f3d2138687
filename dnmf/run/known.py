"""The components that a run was given and that stay: its first rows of V, kept apart so that a run that goes on from
nothing, and who reads it later, finds them."""

import zarr

from dnmf.arrays.rows import Array
from dnmf.run.arrays import open_array, read_whole, write_array
from dnmf.run.record import Record

# Their array at the top of a run.
FIXED = "fixed"


def write_known(group: zarr.Group, known: Array) -> None:
    """Keep known components (k₀, n), in the dtype of V."""
    write_array(group, FIXED, known, ("known", "column"))


def read_known(group: zarr.Group, record: Record) -> Array | None:
    """The components that a run was given; None where it was given none.

    Raises
    ------
    FileNotFoundError, OSError, ValueError
        If they are gone or damaged.
    """
    count = record.parameters.fixed
    return None if count is None else read_whole(open_array(group, FIXED, (count, record.x.shape[1])))
