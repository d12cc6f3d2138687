"""What is stored of X: how, how much, and how many of its chunks there are. By Zarr's rules a chunk that is not there
holds the fill value, whether it was never written or lost.

Nothing of X is read, and nothing of it is changed.
"""

from typing import Any

import zarr

from dnmf.locations import answering
from dnmf.matrices import Matrix, open_matrix
from dnmf.stores import SPARSE, Missing, missing


def arrays_of(matrix: Matrix) -> tuple[Any, ...]:
    """The Zarr arrays that X is stored in, one or, where it is sparse, three."""
    return matrix.members if matrix.sparse else (matrix.array,)


def check_complete(matrix: Matrix) -> None:
    """Refuse X that lacks chunks.

    Raises
    ------
    FileNotFoundError
        If one is missing, or if that cannot be known.
    ValueError
        If X is not in a store.
    """
    if not matrix.stored:
        raise ValueError(f"strict is for X in a store, and X is {matrix.location}: leave it out")
    for array in arrays_of(matrix):
        found = missing(array)
        if found is None:
            raise FileNotFoundError(f"whether {matrix.location} is complete cannot be known: its server lists nothing")
        if found.count:
            which, noun = f" ({found.key})" if found.key else "", "shards" if array.shards else "chunks"
            raise FileNotFoundError(
                f"{matrix.location} lacks {found.count} of {found.total} {noun}{which}, and strict forbids that: write "
                f"them again, or, if they hold nothing but the fill value {array.fill_value}, leave out --strict "
                f"(strict=True)"
            )


def is_matrix(path: str) -> bool:
    """Whether there is a Zarr array, a sparse matrix or AnnData at a path or URL."""
    try:
        found = zarr.open(answering(path), mode="r")
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return isinstance(found, zarr.Array) or found.attrs.get("encoding-type") in (*SPARSE, "anndata")


def matrix_facts(path: str) -> dict[str, str]:
    """What there is to tell of a stored X, by name, in the order in which it is shown."""
    matrix = open_matrix(path)
    arrays, grid = arrays_of(matrix), matrix.grid
    found = [missing(array) for array in arrays]
    decoded, stored = sum(a.nbytes for a in arrays), sum(a.nbytes_stored() for a in arrays if a.store.supports_listing)
    said = {
        "X": f"{matrix.location}, {_by(grid.shape)} {matrix.stored_dtype}{', sparse' if matrix.sparse else ''}",
        "chunks": ", ".join(dict.fromkeys(_by(array.chunks) for array in arrays)),
        "shards": ", ".join(dict.fromkeys(_by(array.shards) for array in arrays if array.shards)),
        "codecs": ", ".join(dict.fromkeys(_codecs(array) for array in arrays)),
        "bytes": f"{decoded} decoded, {stored} stored" if stored else f"{decoded} decoded",
        "missing": _told(found, arrays),
    }
    return {name: text for name, text in said.items() if text}


def _told(found: list[Missing | None], arrays: tuple[Any, ...]) -> str:
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return "not known, as its server lists nothing"
    count, total = sum(each.count for each in known), sum(each.total for each in known)
    first = next((each for each in known if each.count), None)
    noun = "shards" if arrays[0].shards else "chunks"
    if first is None:
        return f"0 of {total} {noun}"
    fill = arrays[known.index(first)].fill_value
    return f"{count} of {total} {noun}, read as {fill}" + (f"; the first is {first.key}" if first.key else "")


def _by(shape: Any) -> str:
    return " × ".join(map(str, shape))


def _codecs(array: Any) -> str:
    """The names of filters and compressors, in the order in which they are applied."""
    stages = (*array.filters, *array.compressors)
    return " + ".join(map(_name, stages)) or "none"


def _name(codec: Any) -> str:
    described = codec.to_dict() if hasattr(codec, "to_dict") else codec.get_config()
    return str(described.get("name", described.get("id")))
