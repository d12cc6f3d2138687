"""What is stored of X: how, how much, and how many of its chunks there are. By Zarr's rules a chunk that is not there
holds the fill value, whether it was never written or lost.

Nothing of X is read, and nothing of it is changed.
"""

from typing import Any

from dnmf.matrix.matrix import Matrix
from dnmf.stores.missing_chunks import missing


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
