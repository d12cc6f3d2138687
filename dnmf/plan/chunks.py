"""dnmf.plan.chunks."""

from dnmf.plan.memory import MIB


def well_chunked(
    shape: tuple[int, int], itemsize: int, *, target: int = 8 * MIB, buffer: int = 256 * MIB
) -> tuple[int, int]:
    """Chunks in which X is read fast whichever way it is cut, and which can be written row by row.

    Tall X gets whole rows, about `target` bytes a chunk; of wide X as many rows as a writer's `buffer` holds.

    >>> well_chunked((1_000_000, 2048), 4)
    (1024, 2048)
    >>> well_chunked((512, 16_384), 4)
    (512, 4096)
    """
    m, n = shape
    if m >= n:
        return max(1, min(m, target // max(1, n * itemsize))), n
    height = max(1, min(m, buffer // (n * itemsize)))
    return height, max(1, min(n, target // (height * itemsize)))
