"""dnmf.plan.pieces."""

# Non-zeros of sparse X that are worked on at a time, more only where one row has more: temporary arrays of one number
# per non-zero and component stay in a core's caches.
PIECE_NON_ZEROS = 2**15


# Of a piece whose temporary arrays have one or two numbers per non-zero.
LARGE_PIECE = 2**20


def piece_rows(width: int, *, residual: bool) -> int:
    """How many rows of a strip are multiplied at a time before they are added up in float64.

    More would lose digits, fewer would spend the time on additions; a residual needs float64 copies of the piece, so
    there the least is lower.
    """
    return max(16 if residual else 128, min(512, 2**18 // width))
