"""What to say where a disk takes no more. Standard library only."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

# None of these comes from reading.
WHY = {
    errno.ENOSPC: "its disk is full; make room",
    errno.EDQUOT: "the quota there is used up; make room",
    errno.EROFS: "its disk is read-only; choose another place, or mount it for writing",
}


@contextmanager
def writing(where: object) -> Iterator[None]:
    """Raise OSError, one sentence that names `where`, in place of those that say no more than that a disk is full.

    They come from this process or from a worker.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in WHY:
            raise
        raise OSError(f"{where} cannot be written: {WHY[error.errno]}") from error
