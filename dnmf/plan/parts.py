"""The chunks that X is best stored in, and how much of a piece is worked on at a time."""

from dnmf.plan.memory import MIB

# Non-zeros of sparse X that are worked on at a time, more only where one row has more: temporary arrays of one number
# per non-zero and component stay in a core's caches.
PART_NON_ZEROS = 2**15

# Of a part whose temporary arrays have one or two numbers per non-zero.
LARGE_PART = 2**20


def part_rows(width: int, *, residual: bool) -> int:
    """How many rows of a piece are multiplied at a time before they are added up in float64.

    More would lose digits, fewer would spend the time on additions; a residual needs float64 copies of the piece, so
    there the least is lower.
    """
    return max(16 if residual else 128, min(512, 2**18 // width))


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
