"""How sparse X is cut: strips that weigh the same, whole units of rows, within what a worker may hold."""

import re
from bisect import bisect_right
from dataclasses import replace
from itertools import accumulate, pairwise
from math import gcd

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from strategies import seeds, workers

from dnmf.plan.choose import plan
from dnmf.plan.grid import Beside, Demand
from dnmf.plan.memory import MIB, Workers, partial_sums_bytes
from dnmf.plan.parts import PART_NON_ZEROS
from dnmf.plan.sparse import LEAST_STRIP, UNITS, SparseGrid
from dnmf.plan.strips import Plan
from dnmf.plan.weighing import weighing_bytes

ranks = st.integers(1, 300)
tight = workers.flatmap(lambda w: st.integers(160, 1200).map(lambda mib: replace(w, memory=mib * MIB)))


def grid(shape, lines, axis=0, *, chunk=2**18, **more) -> SparseGrid:
    """A grid of X whose rows (axis 1: columns) have so many non-zeros."""
    lines = np.broadcast_to(lines, shape[axis]).astype("i8")
    ends = np.concatenate([[0], np.cumsum(lines)])
    facts = {"stored": 8, "itemsize": 4, "fullest": int(lines.max()), "in_flight": 1}
    return SparseGrid(shape=shape, axis=axis, ends=ends, chunk=(chunk,), **(facts | more))


def peak_bytes(grid, cut, *, rank, workers, **options) -> int:
    """Projected peak of strips of given heights, or as they are cut."""
    if not isinstance(cut, Plan):
        unit, length = gcd(*cut[:-1], cut[-1] if len(cut) == 1 else 0), grid.shape[grid.axis]
        counts = tuple(-(-height // unit) for height in cut)
        cut = Plan(grid.axis, unit, length, grid.shape[1 - grid.axis], counts=counts)
    return grid.peak(replace(cut, **options), Demand(rank, workers))


@st.composite
def sparse_grids(draw) -> SparseGrid:
    """Grids of sparse X with rows of any weight: empty ones, a dense one, all of them empty; cut along either axis."""
    length, width, axis = draw(st.integers(1, 3000)), draw(st.integers(1, 10**6)), draw(st.integers(0, 1))
    rng = np.random.default_rng(draw(seeds))
    kind = draw(st.sampled_from(["even", "skewed", "one dense", "empty"]))
    lines = np.zeros(length) if kind in ("empty", "one dense") else rng.random(length)
    if kind == "skewed":
        lines = lines ** draw(st.integers(2, 30))
        lines[rng.random(length) < 0.3] = 0
    lines = (lines * min(width, draw(st.sampled_from([1, 100, 10**5])))).astype("i8")
    if kind == "one dense":
        lines[draw(st.integers(0, length - 1))] = width
    itemsize = draw(st.sampled_from([4, 8]))
    unit = min(length, draw(st.sampled_from([0, 0, 1, 7, 1000])))
    chunk = unit * max(1, int(lines.max())) if unit else draw(st.sampled_from([1, 1000, 2**18, 2**24]))
    shape = (length, width) if axis == 0 else (width, length)
    return grid(
        shape, lines, axis, chunk=chunk, itemsize=itemsize, unit=unit, copies=1 + bool(unit),
        stored=draw(st.sampled_from([5, 8, 16])), pointers=8 * length, in_flight=draw(st.sampled_from([1, 10])),
    )  # fmt: skip


def planned(grid, rank, workers, **options) -> Plan | None:
    """A plan, or None where X is refused."""
    try:
        return plan(grid, rank=rank, workers=workers, **options)
    except MemoryError:
        return None


def edges_of(heights) -> list[int]:
    return list(accumulate(heights, initial=0))


# Cuts


@given(sparse_grids(), ranks, st.integers(1, 200), st.integers(1, 16))
def test_every_cut_covers_all_rows_once_in_whole_units_that_weigh_the_same(grid, rank, strips, threads):
    length = grid.shape[grid.axis]
    total = grid.weight(rank, length)
    for cut in grid.more_and_more(rank, strips=strips, threads=threads):
        heights = cut.heights
        edges = edges_of(heights)
        assert edges[-1] == length
        assert all(height > 0 for height in heights)
        assert all(edge % cut.height == 0 for edge in edges[:-1])
        assert len(cut.counts) == len(heights)
        units = [grid.weight(rank, b) - grid.weight(rank, a) for a, b in pairwise(edges_of_units(cut.height, length))]
        weights = [grid.weight(rank, b) - grid.weight(rank, a) for a, b in pairwise(edges)]
        assert max(weights) <= total / len(weights) + max(units) + 1
        assert grid.unit in (0, cut.height)


def edges_of_units(unit, length) -> list[int]:
    return [*range(0, length, unit), length]


@given(sparse_grids(), ranks, st.integers(1, 50), st.integers(1, 16))
def test_cuts_go_from_what_is_wanted_to_the_least_strip_that_is_worth_it(grid, rank, strips, threads):
    found = [len(cut.counts) for cut in grid.more_and_more(rank, strips=strips, threads=threads)]
    assert found[0] <= threads * -(-strips // threads)
    assert found == sorted(found)
    assert found[-1] <= max(threads, 2) * max(strips, grid.weight(rank, grid.shape[grid.axis]) / LEAST_STRIP + 1)


def test_even_rows_make_even_strips_of_some_units_each():
    x = grid((100_000, 1000), 100)
    (cut, *_) = x.more_and_more(10, strips=3, threads=2)
    assert (cut.height, cut.counts) == (100_000 // (UNITS * 4), (8, 8, 8, 8))
    assert cut.heights == (25_000,) * 4
    (cut, *_) = x.more_and_more(10, strips=1, threads=2)
    assert (cut.height, cut.counts) == (100_000, (1,)), "one strip is one unit"


def test_strips_are_cut_by_non_zeros_and_not_by_rows():
    x = grid((8000, 100_000), [10_000] * 1000 + [100] * 7000)
    (cut, *_) = x.more_and_more(1, strips=4, threads=1)
    heights = cut.heights
    assert heights[0] < 300
    assert heights[-1] > 5000


def test_empty_rows_weigh_what_a_rule_needs_for_them():
    x = grid((1000, 50), 0)
    (cut, *_) = x.more_and_more(5, strips=4, threads=4)
    assert cut.heights == (248, 248, 248, 256)


def test_a_row_that_outweighs_strips_takes_their_place():
    lines = np.zeros(1000)
    lines[500] = 10**6
    (cut, *_) = grid((1000, 10**6), lines).more_and_more(1, strips=8, threads=1)
    heights = cut.heights
    edges = edges_of(heights)
    at = bisect_right(edges, 500) - 1
    assert heights[at] <= 2 * cut.height
    assert len(heights) < 8


def test_rows_that_come_in_pieces_are_cut_between_them():
    (cut, *_) = grid((1000, 50), 10, unit=300).more_and_more(5, strips=4, threads=1)
    assert (cut.height, cut.counts) == (300, (1, 1, 1, 1))
    (cut, *_) = grid((1000, 50), 10, unit=300).more_and_more(5, strips=1, threads=1)
    assert (cut.height, cut.counts) == (300, (4,)), "the pieces stay, also in one strip"


# Plans


@given(sparse_grids(), workers, ranks, st.booleans(), st.booleans())
def test_a_plan_fits_and_is_what_was_projected(grid, workers, rank, cache, sampled):
    cut = planned(grid, rank, workers, cache=cache, sampled=sampled)
    assume(cut)
    length = grid.shape[grid.axis]
    assert (cut.axis, cut.length, cut.width) == (grid.axis, length, grid.shape[1 - grid.axis])
    assert cut.peak <= workers.usable
    options = {"rank": rank, "workers": workers, "in_run": cut.in_run, "cached": cut.cached, "sample": cut.sample}
    assert cut.peak == peak_bytes(grid, cut, **options)
    assert sum(cut.heights) == length
    assert sum(cut.counts) == -(-length // cut.height)
    assert cut.largest == max(grid.strip_bytes(a, b) for a, b in pairwise(edges_of(cut.heights)))
    assert cache or not cut.cached
    assert bool(cut.sample) == sampled
    assert all(type(n) is int for n in (cut.height, cut.peak, cut.largest, *cut.counts)), "a plan goes into a record"


@pytest.mark.long
@given(sparse_grids(), workers, ranks, st.integers(1, 2**14))
def test_what_fits_in_a_worker_fits_in_a_larger_one(grid, workers, rank, more):
    assume(planned(grid, rank, workers, sampled=True))
    assert planned(grid, rank, replace(workers, memory=workers.memory + more * MIB), sampled=True)


@pytest.mark.long
@given(sparse_grids(), tight, ranks, st.booleans())
@example(grid((1000, 10**6), 1000), Workers(2, 1, 256 * MIB), 20, True)
def test_the_memory_that_a_refusal_asks_for_is_enough(grid, workers, rank, sampled):
    assume(planned(grid, rank, workers, sampled=sampled) is None)
    mib = int(re.search(r"give workers (\d+) MiB$", refusal(grid, rank, workers, sampled=sampled))[1])
    assert mib * MIB > workers.memory
    assert planned(grid, rank, replace(workers, memory=mib * MIB), sampled=sampled)


@pytest.mark.long
@given(sparse_grids(), tight, ranks)
@example(grid((100_000, 1000), 100, chunk=10**7), Workers(2, 1, 256 * MIB), 4)
@example(grid((2**16, 2**16), 6554, unit=2**12, chunk=2**12 * 6554), Workers(1, 1, 400 * MIB), 2)
def test_the_chunks_that_a_refusal_asks_for_are_small_enough(grid, workers, rank):
    assume(planned(grid, rank, workers) is None)
    text = refusal(grid, rank, workers)
    if asked := re.search(r"write X again in chunks of (\d+) non-zeros", text):
        assert planned(replace(grid, chunk=(int(asked[1]),)), rank, workers)
    elif asked := re.search(r"rechunk X to blocks of (\d+) (rows|columns)", text):
        unit = int(asked[1])
        assert planned(replace(grid, unit=unit, chunk=(-(-unit * grid.chunk[0] // grid.unit),)), rank, workers)
    else:
        assert "no chunks would help" in text


def refusal(grid, rank, workers, **options) -> str:
    with pytest.raises(MemoryError) as refused:
        plan(grid, rank=rank, workers=workers, **options)
    return str(refused.value)


# 100 million non-zeros, of a million rows and a hundred thousand columns: dense X would be 400 GB.
LARGE, NON_ZEROS = (10**6, 10**5), 10**8


def test_memory_follows_non_zeros_and_not_what_x_would_be_if_it_were_dense():
    x = grid(LARGE, NON_ZEROS // LARGE[0])
    cut = plan(x, rank=20, workers=Workers(2, 1, 1024 * MIB), sampled=True)
    assert len(cut.heights) == 16
    assert cut.sample == 8000
    assert not cut.in_run
    assert cut.largest == pytest.approx(x.nbytes / 16, rel=1e-3)
    # More columns cost sums of that width, in some terms, and nothing else.
    roomy = Workers(2, 1, 4096 * MIB)
    narrow, wide = (plan(replace(x, shape=(10**6, n)), rank=20, workers=roomy, cache=False) for n in (10**5, 2 * 10**5))
    assert narrow.heights == wide.heights
    assert wide.peak - narrow.peak == (10 * 8 + 2 * 4 + 2 * 8) * 20 * 10**5


def test_sums_along_columns_are_as_long_as_x_is_high():
    x = grid(LARGE, NON_ZEROS // LARGE[1], 1)
    assert refusal(x, 20, Workers(2, 1, 1024 * MIB)) == (
        "X does not fit: with 262144 non-zeros in a chunk, 1000 in the fullest of its columns and 1526 MiB of partial "
        "sums of 20 × 1000000, the smallest strips need 2157 MiB in a worker that may use 717 MiB (0.7 of its limit of "
        "1024 MiB); no chunks would help at rank 20: give workers 3082 MiB"
    )
    assert plan(x, rank=20, workers=Workers(2, 1, 4096 * MIB)).axis == 1


def test_one_chunk_of_all_of_x_is_refused_with_chunks_that_would_do():
    x = grid(LARGE, NON_ZEROS // LARGE[0], chunk=NON_ZEROS)
    assert "write X again in chunks of 1048576 non-zeros, as `dnmf convert` does, or give workers" in refusal(
        x, 20, Workers(2, 1, 1024 * MIB)
    )


def test_a_row_that_no_worker_holds_is_refused():
    lines = np.zeros(100)
    lines[7] = 10**8
    text = refusal(grid((100, 10**8), lines), 1, Workers(2, 1, 2048 * MIB))
    assert "100000000 in the fullest of its rows" in text
    assert "no chunks would help at rank 1" in text


def test_blocks_of_a_dask_array_that_are_too_large_are_to_be_rechunked():
    x = grid((2**16, 2**16), 6554, unit=2**12, chunk=2**12 * 6554, copies=2, in_flight=10)
    assert re.search(r"rechunk X to blocks of \d+ rows, or give workers", refusal(x, 2, Workers(1, 1, 400 * MIB)))


def test_strips_are_not_smaller_than_chunks_where_a_thread_would_not_be_idle():
    even = grid((10**6, 1000), 100)
    team = Workers(2, 1, 8192 * MIB)
    assert len(plan(even, rank=4, workers=team).heights) == 8
    assert len(plan(replace(even, chunk=(NON_ZEROS,)), rank=4, workers=team).heights) == 2


# 1000 rows of 100 non-zeros each in strips of 500 rows, in two workers of one thread; bytes by hand.
STRIP = 500 * 100 * 8 + 501 * 4
BASE = {
    "idle": 155 * MIB,
    "strips": STRIP,
    "chunks": 2 * 8 * 10_000,
    "pieces": 24 * (STRIP // 8) + 2 * 8 * 5 * PART_NON_ZEROS,
    "rule": 8 * 500 * 5 * 4,
    "long": 2 * 500 * 5 * 4,
    "sums": 10 * 8 * 5 * (3000 + 5) + 2 * 3000 * 5 * 4,
    "turned": 2 * 8 * 3000 * 5,
    "sample": 0,
    "kept": 0,
}


@pytest.mark.parametrize(
    ("workers", "options", "facts", "changed"),
    [
        ({}, {}, {}, {}),
        ({"count": 1}, {}, {}, {"long": 2 * BASE["long"]}),
        ({"saturation": 1.1}, {}, {}, {"strips": 2 * STRIP}),
        ({"stolen": 1}, {}, {}, {"strips": 2 * STRIP}),
        (
            {"threads": 2},
            {},
            {},
            {"strips": 2 * STRIP, "rule": 2 * BASE["rule"]} | {n: 2 * BASE[n] for n in ("chunks", "pieces", "turned")},
        ),
        ({}, {"in_run": True}, {}, {"long": 0}),
        ({}, {"cached": True}, {}, {"kept": STRIP}),
        ({"count": 1}, {"cached": True}, {}, {"long": 2 * BASE["long"], "kept": 2 * STRIP}),
        # Seven samples are merged at a time; drawn rows are twice as full as the average.
        ({}, {"sample": 10}, {}, {"sample": 7 * 10 * 2 * (804 + 1)}),
        ({}, {}, {"copies": 2}, {"strips": 2 * STRIP}),
        # A strip is in six chunks of 10 000, and may begin and end inside one.
        ({}, {}, {"in_flight": 10}, {"chunks": 7 * BASE["chunks"]}),
        ({}, {}, {"pointers": 10**6}, {"chunks": 2 * 10**6}),
        ({}, {}, {"fullest": 40_000}, {"pieces": 24 * (STRIP // 8) + 2 * 8 * 5 * 40_000}),
    ],
)
def test_the_peak_is_the_sum_of_its_terms(workers, options, facts, changed):
    options = {"rank": 5, "workers": replace(Workers(2, 1, 0), **workers), "in_run": False, "cached": False} | options
    x = replace(grid((1000, 3000), 100, chunk=10_000), **facts)
    assert peak_bytes(x, (500, 500), **options) == sum((BASE | changed).values())


def test_a_share_of_uneven_strips_is_counted_as_that_of_the_largest():
    x = grid((1000, 3000), [0] * 900 + [1000] * 100)
    options = {"rank": 5, "workers": Workers(2, 1, 0), "in_run": True}
    heights = (900, 50, 50)
    kept = peak_bytes(x, heights, cached=True, **options) - peak_bytes(x, heights, cached=False, **options)
    assert kept == x.strip_bytes(900, 1000) + 4, "two of three strips, those with non-zeros"


def test_few_non_zeros_make_small_pieces():
    x = grid((10, 3000), 1)
    options = {"rank": 5, "workers": Workers(1, 1, 0), "in_run": True, "cached": False}
    fuller = replace(x, ends=range(0, 10 * 10**4 + 1, 10**4), fullest=10**4)
    assert peak_bytes(fuller, (10,), **options) > peak_bytes(x, (10,), **options) + 2 * 8 * 5 * 30_000


def test_a_sample_has_rows_of_average_bytes():
    workers = Workers(2, 1, 4096 * MIB)
    x = grid((100_000, 10**6), 1000)  # 8 kB each
    assert x.sample_rows(0, Demand(10, workers)) == 32 * MIB // 8005
    assert grid((100_000, 10**6), 10).sample_rows(0, Demand(10, workers)) == 8000
    assert grid((100, 10**6), 10).sample_rows(0, Demand(10, workers)) == 100


def test_a_smaller_sample_is_drawn_where_nothing_fits_beside_the_whole_one():
    x = grid((100_000, 30_000), 3000, unit=500, chunk=500 * 3000)  # 24 kB each
    team = Workers(1, 1, 400 * MIB)
    full = x.sample_rows(0, Demand(10, team))
    cut = plan(x, rank=10, workers=team, sampled=True)
    assert 1 <= cut.sample < full


# Grids


def test_bytes_of_x_are_those_of_non_zeros_and_their_places():
    x = grid((4, 10), [1, 0, 2, 3])
    assert x.nbytes == 6 * 8 + 5 * 4
    assert x.strip_bytes(0, 2) == 8 + 3 * 4
    assert x.strips_bytes((2, 2)) == [8 + 3 * 4, 5 * 8 + 3 * 4]
    assert x.stored_nbytes == 6 * 8 + 5 * 8
    assert partial_sums_bytes(3, 10) == 10 * 8 * 3 * 13


def test_weights_are_bytes_of_non_zeros_and_gram_matrices():
    x, demand = grid((1000, 3000), 100, chunk=10_000), Demand(5, Workers(2, 1, 4096 * MIB))
    masked, cut = replace(x, omega=1), Plan(0, 500, 1000, 3000, in_run=True)
    assert masked.nbytes == x.nbytes + 100_000
    more = masked.peak(cut, demand) - x.peak(cut, demand)
    # A strip that is loaded, its copy in a part, and what is formed and added up.
    assert more == pytest.approx(50_000 + 50_000 + weighing_bytes(5, 3000, 4, 1), rel=1e-4)
    held = replace(masked, beside=Beside(held=9, line=2, stored_nbytes=5))
    assert held.peak(cut, demand) - masked.peak(cut, demand) == 9 + 2 * 500
    assert held.stored_nbytes == x.stored_nbytes + 5
