"""Arrays of a run: small ones are written whole, and all are opened and read only if they are what they must be.

A run may come from anywhere: an array that claims a million times a million numbers must be refused, not waited for.
No number that dnmf writes is an array's fill value, so a chunk that is missing shows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from dnmf.arrays.extent import times_power
from dnmf.run.record import MOST_CHUNKS

# An array of a run, of whatever numbers.
StoredArray: TypeAlias = zarr.Array[Any]

# Bytes that one byte of a file can become at most: Zstandard packs 128 KiB that are all the same into four bytes.
DENSEST = 2**16


@dataclass(frozen=True, slots=True)
class ScaledArray:
    """A stored factor as it is computed with: 2 to the exponent times what is stored. Sliced like an array."""

    array: StoredArray
    exponent: int

    def __getitem__(self, where: tuple[slice, slice]) -> NDArray[Any]:
        return np.asarray(times_power(np.asarray(self.array[where]), self.exponent))

    def __setitem__(self, where: tuple[slice, slice], values: NDArray[Any]) -> None:
        self.array[where] = times_power(values, -self.exponent)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def chunks(self) -> tuple[int, ...]:
        return self.array.chunks

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.array.dtype)

    @property
    def path(self) -> str:
        return self.array.path

    @property
    def store(self) -> object:
        return self.array.store


def scaled_array(array: StoredArray, exponent: int) -> StoredArray:
    """A stored factor of X as one of 2ᵉ X: what reads and writes it in strips takes the one for the other."""
    return array if exponent == 0 else cast(StoredArray, ScaledArray(array, exponent))


def below(at: str, name: str) -> str:
    """The path of a member of the generation at a path; "" is the top of a run."""
    return f"{at}/{name}" if at else name


def write_array(group: zarr.Group, path: str, data: NDArray[np.generic], dimensions: Sequence[str]) -> None:
    """Write a small array, in one chunk (one for each of its first index where it has three)."""
    fill = {"f": np.nan, "i": -1, "u": np.iinfo("u8").max}[data.dtype.kind]
    chunks = tuple(max(1, n) for n in data.shape) if data.ndim < 3 else (1, *data.shape[1:])
    array = group.create_array(
        path, shape=data.shape, chunks=chunks, dtype=data.dtype, fill_value=fill, dimension_names=dimensions
    )
    array[...] = data


def open_array(group: zarr.Group, path: str, shape: Sequence[int | None], kinds: str = "f") -> StoredArray:
    """The array at a path below a group, if it has this shape (None: any length) and a dtype of one of these kinds.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is something else.
    """
    place = f"{group.store_path}/{path}"
    try:
        array = group[path]
    except KeyError:
        raise FileNotFoundError(
            f"there is no {path} in {group.store_path}: the run went on since it was opened, or was moved or damaged; "
            f"open it again"
        ) from None
    except (ValueError, TypeError, AttributeError) as error:
        # What Zarr makes of metadata that nobody's library wrote.
        raise ValueError(f"{place} is no array that dnmf wrote ({error}): the run is damaged") from error
    wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
    if not isinstance(array, zarr.Array):
        raise ValueError(f"{place} is a group, and an array of shape {wanted} is required: the run is damaged")
    fits = len(array.shape) == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    if not fits or array.dtype.kind not in kinds:
        raise ValueError(
            f"{place} has shape {array.shape} and dtype {array.dtype}, and shape {wanted} of kind {kinds} is required: "
            f"the run is damaged"
        )
    if math.prod(array.cdata_shape) > MOST_CHUNKS:
        raise ValueError(
            f"{place} has {math.prod(array.cdata_shape)} chunks, and at most {MOST_CHUNKS} are possible: the run is "
            f"damaged"
        )
    return array


def has(group: zarr.Group, path: str) -> bool:
    """Whether there is anything at a path below a group, be it damaged."""
    try:
        group[path]
    except KeyError:
        return False
    except (ValueError, TypeError, AttributeError):
        return True
    return True


def read_whole(array: StoredArray) -> NDArray[Any]:
    """All numbers of an array of a run.

    Raises
    ------
    OSError
        If a chunk is damaged or gone.
    ValueError
        If its files are too small for what it claims to hold.
    """
    place = str(array.store_path)
    # A web server lists nothing.
    stored = array.nbytes_stored() if array.store.supports_listing else math.inf
    if array.nbytes > DENSEST * stored:
        raise ValueError(
            f"{place} claims to hold {array.nbytes} bytes in {stored} bytes of files, which is not possible: the run "
            f"is damaged"
        )
    try:
        found = np.asarray(array[...])
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise OSError(f"{place} cannot be read ({error}): a chunk is damaged; make the run again") from error
    if (np.isnan(found) if found.dtype.kind == "f" else found == array.fill_value).any():
        raise chunks_missing(array)
    return found


def chunks_missing(array: StoredArray) -> FileNotFoundError:
    """What to raise where an array of a run holds its fill value: chunks of it are not there."""
    return FileNotFoundError(
        f"chunks of {array.path} are missing in {array.store}: the run went on since it was opened, or was moved or "
        f"damaged; open it again"
    )
