"""What the next pass needs and no reader does, as a run keeps it: the group `next` of a generation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from dnmf.run.factors import write_array
from dnmf.run.reading import read_whole
from dnmf.run.record import Record


def write_next(group: zarr.Group, path: str, arrays: Mapping[str, NDArray[np.generic]], facts: Record) -> str:
    """Write what the next pass needs: arrays, and numbers, of which those that are NaN or infinite are left out."""
    group.create_group(path, attributes={name: x for name, x in facts.items() if x is not None and np.isfinite(x)})
    for name, values in arrays.items():
        write_array(group, f"{path}/{name}", values, [f"{name}_{i}" for i in range(values.ndim)])
    return path


def read_next(group: zarr.Group, path: str, names: Sequence[str]) -> tuple[dict[str, Any], Record]:
    """The arrays of these names that there are, and the numbers."""
    found: Any = zarr.open_group(group.store, path=f"{group.path}/{path}".lstrip("/"), mode="r")
    facts = dict(found.attrs)
    numbers = all(type(x) in (int, float, bool) for x in facts.values())
    if not numbers or not {"iteration", "modelled"} <= facts.keys() or "short" not in found:
        raise ValueError(f"{found.store_path} lacks what a run goes on from: the run is damaged; start it again")
    return {name: read_whole(found[name]) for name in names if name in found}, facts
