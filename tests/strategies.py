"""What Hypothesis draws: non-negative matrices with their hard cases, ways to cut a length, chunk grids of Zarr arrays;
and few cases that hold every pair of values of many parameters.

Entries come from a seed that Hypothesis draws: it shrinks shapes, zeros and scales, not single numbers.
"""

from itertools import combinations, product

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from dnmf.plan.dense import DenseGrid
from dnmf.plan.memory import MIB, Workers

Array = NDArray[np.floating]


def pairs(*choices) -> list[tuple]:
    """Cases, one value of each choice, in which every value of one choice meets every value of another one."""
    cases = [tuple(enumerate(case)) for case in product(*(range(len(values)) for values in choices))]
    open_pairs, found = {pair for case in cases for pair in combinations(case, 2)}, []
    while open_pairs:
        best = max(cases, key=lambda case: sum(pair in open_pairs for pair in combinations(case, 2)))
        open_pairs -= set(combinations(best, 2))
        found.append(tuple(choices[i][j] for i, j in best))
    return found


dtypes = st.sampled_from(["f4", "f8"])
seeds = st.integers(0, 2**32 - 1)


@st.composite
def matrices(draw, shape=None, dtype=dtypes, *, max_side: int = 12, scales=(-3, 3)) -> Array:
    """A read-only non-negative matrix (m, n), float32 or float64, with rows, columns or single entries of zeros.

    `shape` is drawn if None; `dtype` is a dtype or a strategy of them; entries are below 10 to a power in `scales`.
    """
    m, n = shape or draw(st.tuples(st.integers(1, max_side), st.integers(1, max_side)))
    dtype = draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype
    rng = np.random.default_rng(draw(seeds))
    x = rng.random((m, n)) * 10.0 ** draw(st.integers(*scales))
    x[rng.random((m, n)) < draw(st.sampled_from([0, 0.3, 0.9]))] = 0
    x[draw(st.lists(st.integers(0, m - 1), max_size=2))] = 0
    x[:, draw(st.lists(st.integers(0, n - 1), max_size=2))] = 0
    x = x.astype(dtype)
    x.flags.writeable = False
    return x


@st.composite
def problems(draw, dtype=dtypes, *, max_side: int = 12, max_rank: int = 4) -> tuple[Array, Array, Array]:
    """X (m, n), W (m, k) and V (k, n) of one dtype; components of zeros among them."""
    dtype = draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype
    m, n, k = draw(st.integers(1, max_side)), draw(st.integers(1, max_side)), draw(st.integers(1, max_rank))
    X = draw(matrices((m, n), dtype))
    W, V = (draw(matrices(shape, dtype, scales=(-1, 1))) for shape in ((m, k), (k, n)))
    return X, W, V


@st.composite
def cuts(draw, length: int) -> tuple[int, ...]:
    """Heights of consecutive strips of any height that make up a length."""
    edges = sorted(draw(st.sets(st.integers(1, length - 1), max_size=8))) if length > 1 else []
    return tuple(b - a for a, b in zip([0, *edges], [*edges, length], strict=True))


@st.composite
def chunk_grids(draw, shape: tuple[int, int]) -> dict[str, tuple[int, int] | None]:
    """`chunks` and `shards` (None, or a multiple of the chunks) as `zarr.create_array` takes them."""
    chunks = tuple(draw(st.integers(1, side)) for side in shape)
    if not draw(st.booleans()):
        return {"chunks": chunks, "shards": None}
    return {"chunks": chunks, "shards": tuple(chunk * draw(st.integers(1, 3)) for chunk in chunks)}


@st.composite
def grids(draw, *, max_side: int = 300_000) -> DenseGrid:
    """Grids of X from one entry to far beyond memory, chunked in any way that Zarr allows."""
    shape = draw(st.tuples(st.integers(1, max_side), st.integers(1, max_side)))
    stored = draw(chunk_grids(shape))
    chunk = tuple(stored["chunks"])
    shard = tuple(min(a, b) for a, b in zip(shape, stored["shards"] or chunk, strict=True))
    itemsize = draw(st.sampled_from([4, 8]))
    return DenseGrid(shape, chunk, draw(st.sampled_from([1, 2, 4, 8])), itemsize, shard)


workers = st.builds(
    Workers,
    count=st.integers(1, 64),
    threads=st.integers(1, 16),
    memory=st.integers(1, 2**16).map(lambda mib: mib * MIB),
    saturation=st.sampled_from([1.0, 1.1, 2.0]),
    stolen=st.integers(0, 1),
)
