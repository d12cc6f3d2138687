"""X of a run, opened again from where its record says that it is."""

from dnmf.matrix.matrix import Matrix
from dnmf.matrix.opening import open_matrix
from dnmf.matrix.stacked import open_stacked
from dnmf.run.record import Part, StoredX


def open_x(x: StoredX, missing: str | None = None) -> Matrix:
    """X as a run had it: all that is at its path, or rows of that, or rows of several matrices.

    `missing` says which entries are, see `open_matrix`.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is not there any more.
    """
    return open_rows(x.parts, missing) if x.parts else open_matrix(x.path, missing=missing)


def open_rows(parts: tuple[Part, ...], missing: str | None = None) -> Matrix:
    """X of rows that are in these places, one below the other."""
    return open_stacked([(part.path, part.start, part.stop) for part in parts], missing=missing)
