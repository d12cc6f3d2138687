"""How X is cut, as tables of numbers; and what holds for any grid and any workers."""

import re
from dataclasses import replace
from math import ceil

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from strategies import grids, workers

from dnmf.plan.choose import plan, refit
from dnmf.plan.dense import DenseGrid
from dnmf.plan.grid import Beside, Demand
from dnmf.plan.memory import IDLE_WORKER, MIB, Workers
from dnmf.plan.parts import part_rows, well_chunked
from dnmf.plan.sizes import Sizes, current, using
from dnmf.plan.strips import Plan
from dnmf.plan.weighing import pair_sums_bytes

ranks = st.integers(1, 300)
tight = workers.flatmap(lambda w: st.integers(160, 1200).map(lambda mib: replace(w, memory=mib * MIB)))


def grid(shape, chunk, shard=None, *, stored=4, itemsize=4, in_flight=10) -> DenseGrid:
    return DenseGrid(shape, chunk, stored, itemsize, shard or chunk, in_flight=in_flight)


def peak_bytes(grid, axis, height, *, rank, workers, **options) -> int:
    """Projected peak of strips of a height, in the pieces that X is read in."""
    demand = Demand(rank, workers)
    return grid.peak(replace(grid.in_strips(axis, height, grid.piece(axis, demand)), **options), demand)


def team(count, threads, mib, **more) -> Workers:
    return Workers(count, threads, int(mib * MIB), **more)


def planned(grid, rank, workers, **options) -> Plan | None:
    """A plan, or None where X is refused."""
    try:
        return plan(grid, rank=rank, workers=workers, **options)
    except MemoryError:
        return None


ARTICLE, TALL = (512, 16_384), (131_072, 4096)


@pytest.mark.parametrize(
    ("grid", "rank", "workers", "axis", "height", "strips"),
    [
        # The chunk grid decides the axis, …
        (grid(ARTICLE, (64, 16_384)), 4, team(2, 1, 2048), 0, 256, 2),
        (grid(ARTICLE, (512, 2048)), 4, team(2, 1, 2048), 1, 8192, 2),
        # … then the partial sums: these chunks are as good for both, …
        (grid(ARTICLE, (64, 2048)), 4, team(2, 1, 2048), 1, 8192, 2),
        (grid((16_384, 512), (2048, 64)), 4, team(2, 1, 2048), 0, 8192, 2),
        (grid((2000, 200_000), (500, 512)), 50, team(2, 1, 1024), 1, 25_088, 8),
        # … and the number of strips: one that is all of X keeps every other worker idle.
        (grid((4096, 4096), (4096, 1024)), 4, team(4, 1, 2048), 1, 1024, 4),
        # X is one chunk, or smaller than what a strip costs.
        (grid(ARTICLE, ARTICLE), 4, team(2, 1, 2048), 1, 16_384, 1),
        (grid((1, 1), (1, 1)), 1, team(4, 2, 1024), 0, 1, 1),
        (grid((1000, 1000), (1, 1)), 1, team(1, 4, 4096), 0, 1000, 1),
        # Four strips to a thread where that leaves them large, and never over 4 GiB.
        (grid(TALL, (1024, 4096)), 20, team(2, 1, 2047), 0, 16_384, 8),
        (grid((2**22, 4096), (1024, 4096)), 20, team(2, 1, 8192), 0, 262_144, 16),
        # Their blocks of the long factor are not over 64 MiB, …
        (grid((2**22, 512), (8192, 512)), 100, team(2, 1, 8192), 0, 163_840, 26),
        # … and of these a worker must have some beside its share.
        (grid((2**22, 512), (8192, 512)), 100, team(2, 1, 800), 0, 163_840, 26),
        # Strips are whole shards, however small the memory that their pieces of whole chunks need.
        (grid(TALL, (512, 4096), (12_288, 4096)), 20, team(2, 1, 2047), 0, 24_576, 6),
        (grid(TALL, (512, 4096), (12_288, 4096)), 20, team(1, 1, 512), 0, 36_864, 4),
    ],
)
def test_the_cut(grid, rank, workers, axis, height, strips):
    cut = plan(grid, rank=rank, workers=workers)
    assert (cut.axis, cut.height, len(cut.heights)) == (axis, height, strips)
    assert (cut.length, cut.width) == (grid.shape[axis], grid.shape[1 - axis])


def test_the_last_strip_may_be_lower():
    assert Plan(0, 4, 10, 3, 0, False, False).heights == (4, 4, 2)
    assert Plan(0, 5, 10, 3, 0, False, False).heights == (5, 5)


# Strips of 2048 × 4096 float32 in two workers of one thread; bytes by hand.
BLOCK = 2048 * 20 * 4  # of the long factor, of one strip
BASE = {
    "idle": 155 * MIB,
    "pieces": 2 * 16 * MIB,  # one is read ahead
    "chunks": 2 * 16 * MIB,  # those of a piece, compressed and decoded, 8 MiB each
    "residual": 4 * MIB,  # model and residual of 64 rows, float64
    "rule": 6 * BLOCK // 2,  # of a piece: the numerator, what a rule works with
    "blocks": 4 * BLOCK,
    "long": 2 * 32 * BLOCK,  # old and new, half of the 64 blocks
    "short": 2 * 4096 * 20 * 4,
    "sums": 10 * 8 * 20 * (4096 + 20),
    "kept": 0,
}

# As they are where strips are in memory as a whole.
WHOLE = {"pieces": 32 * MIB, "chunks": 4 * 16 * MIB, "rule": 6 * BLOCK}


@pytest.mark.parametrize(
    ("height", "workers", "options", "changed"),
    [
        (2048, {}, {}, {}),
        (2048, {"count": 4}, {}, {"long": BASE["long"] // 2}),
        # A higher strip has larger blocks of the long factor, and no other memory.
        (8192, {}, {}, {"blocks": 16 * BLOCK}),
        # What Dask loads ahead or steals is not loaded before its task has a thread.
        (2048, {"saturation": 1.1, "stolen": 1}, {}, {}),
        (
            2048,
            {"threads": 2},
            {},
            {part: 2 * BASE[part] for part in ("pieces", "chunks", "residual", "rule", "blocks")},
        ),
        (2048, {"slack": 64 * MIB}, {}, {"idle": (127 + 64) * MIB}),
        # W in the run: the blocks that are computed with, no more.
        (2048, {}, {"in_run": True}, {"long": 0}),
        (2048, {}, {"cached": True}, {"kept": 32 * 32 * MIB}),
        # Whole strips: ten chunks of a read are decoded at a time, …
        (2048, {}, {"piece": 0}, WHOLE),
        (
            8192,
            {},
            {"piece": 0},
            {"pieces": 128 * MIB, "chunks": 10 * 16 * MIB, "rule": 24 * BLOCK, "blocks": 16 * BLOCK},
        ),
        # … Dask's default saturation loads one ahead, and stealing may add one.
        (2048, {"saturation": 1.1}, {"piece": 0}, WHOLE | {"pieces": 2 * 32 * MIB}),
        (2048, {"stolen": 1}, {"piece": 0}, WHOLE | {"pieces": 2 * 32 * MIB}),
    ],
)
def test_the_peak_is_the_sum_of_its_terms(height, workers, options, changed):
    options = {"rank": 20, "workers": replace(team(2, 1, 0), **workers), "in_run": False, "cached": False} | options
    assert peak_bytes(grid(TALL, (512, 4096)), 0, height, **options) == sum((BASE | changed).values())


@pytest.mark.parametrize(
    ("shape", "chunk", "shard", "rank", "piece"),
    [
        (TALL, (512, 4096), None, 20, 1024),  # 16 MiB
        (TALL, (300, 4096), None, 20, 900),  # whole chunks, …
        (TALL, (3000, 4096), None, 20, 3000),  # … one at least
        ((4096, 1000), (512, 1000), None, 20, 4096),
        ((200_000, 50_000), (64, 50_000), None, 20, 64),
        ((200_000, 50_000), (64, 50_000), None, 200, 768),  # twice the 80 MB that a piece adds
        # Whole shards, or so many chunks that shards are whole pieces.
        (TALL, (64, 4096), (768, 4096), 20, 768),
        (TALL, (64, 4096), (320, 4096), 20, 960),
        (TALL, (512, 4096), (12_288, 4096), 20, 1024),
        (TALL, (512, 4096), (2560, 4096), 20, 512),
    ],
)
def test_a_piece_depends_on_x_and_the_rank_alone(shape, chunk, shard, rank, piece):
    x = grid(shape, chunk, shard)
    assert {plan(x, rank=rank, workers=team(2, 1, mib)).piece for mib in (2**11, 2**14)} == {piece}
    assert plan(replace(x, copies=2), rank=rank, workers=team(2, 1, 2**14)).piece == 0


def test_on_a_local_disk_one_chunk_is_decoded_at_a_time_and_no_piece_read_ahead():
    options = {"rank": 20, "workers": team(2, 1, 0)}
    far, near = (peak_bytes(grid(TALL, (512, 4096), in_flight=n), 0, 2048, **options) for n in (10, 1))
    assert far - near == BASE["pieces"] // 2 + BASE["chunks"] // 2


def test_the_peak_along_columns_is_that_of_the_turned_grid():
    options = {"rank": 20, "workers": team(2, 1, 0), "in_run": False, "cached": False}
    turned = peak_bytes(grid((4096, 131_072), (4096, 512)), 1, 2048, **options)
    assert turned == peak_bytes(grid(TALL, (512, 4096)), 0, 2048, **options)


def test_entries_are_counted_as_stored_and_as_computed_with():
    options = {"rank": 20, "workers": team(2, 1, 0), "in_run": True, "cached": False}
    wide = peak_bytes(grid(TALL, (512, 4096), stored=1, itemsize=4), 0, 2048, **options)
    assert peak_bytes(grid(TALL, (512, 4096)), 0, 2048, **options) - wide == 2 * 2 * 512 * 4096 * 3
    # A piece has as many bytes and half as many rows; what a strip has of the long factor and the short one is doubled.
    double = peak_bytes(grid(TALL, (512, 4096), stored=4, itemsize=8), 0, 2048, **options)
    assert double - peak_bytes(grid(TALL, (512, 4096)), 0, 2048, **options) == 4 * BLOCK + 655_360 - 16 * MIB


@pytest.mark.parametrize(
    ("width", "residual", "rows"),
    [(1, False, 512), (512, False, 512), (1024, False, 256), (4096, False, 128), (10**6, False, 128),
     (512, True, 512), (4096, True, 64), (16_384, True, 16), (10**6, True, 16)],
)  # fmt: skip
def test_rows_that_are_multiplied_at_a_time(width, residual, rows):
    assert part_rows(width, residual=residual) == rows


@pytest.mark.parametrize(
    ("shape", "itemsize", "chunk"),
    [
        ((1_000_000, 2048), 4, (1024, 2048)),  # tall: whole rows, 8 MiB
        ((1_000_000, 2048), 8, (512, 2048)),
        ((512, 16_384), 4, (512, 4096)),  # wide: whole columns, 8 MiB
        ((3000, 3000), 8, (349, 3000)),
        ((10, 3), 4, (10, 3)),
        ((1, 1), 4, (1, 1)),
        ((200_000, 1), 4, (200_000, 1)),
        ((10, 10**9), 8, (1, 2**20)),  # wide beyond the writer's buffer: one row at a time
        ((10**7, 3 * 10**6), 8, (1, 3 * 10**6)),  # a row is larger than a chunk should be
    ],
)
def test_chunks_for_a_shape(shape, itemsize, chunk):
    assert well_chunked(shape, itemsize) == chunk


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.sampled_from([1, 2, 4, 8]))
def test_chunks_lie_inside_x_and_are_neither_large_nor_tiny(m, n, itemsize):
    height, width = well_chunked((m, n), itemsize)
    assert 1 <= height <= m
    assert 1 <= width <= n
    nbytes = height * width * itemsize
    assert nbytes <= max(8 * MIB, (n if m >= n else height) * itemsize)
    assert nbytes >= min(m * n * itemsize, 4 * MIB), "half the target at least: halving rows cannot lose more"


@given(grids(), workers, ranks, st.booleans())
def test_a_plan_fits_and_cuts_every_chunk_once(grid, workers, rank, cache):
    cut = planned(grid, rank, workers, cache=cache)
    assume(cut)
    assert cut.peak <= workers.usable
    options = {"rank": rank, "workers": workers, "in_run": cut.in_run, "cached": cut.cached}
    assert cut.peak == peak_bytes(grid, cut.axis, cut.height, **options)
    assert sum(cut.heights) == cut.length == grid.shape[cut.axis]
    edges = {sum(cut.heights[:i]) for i in range(1, len(cut.heights))}
    assert all(edge % grid.chunk[cut.axis] == 0 for edge in edges), "a chunk lies in two strips"
    assert cache or not cut.cached


@given(grids(max_side=10**4), tight, ranks)
@example(grid(TALL, (512, 4096), (12_288, 4096)), team(1, 1, 512), 20)
def test_strips_are_whole_shards_where_one_fits(grid, workers, rank):
    cut = planned(grid, rank, workers)
    if cut and cut.height < cut.length and cut.height % grid.shard[cut.axis]:
        options = {"rank": rank, "workers": workers, "in_run": cut.in_run, "cached": cut.cached}
        assert peak_bytes(grid, cut.axis, grid.shard[cut.axis], **options) > workers.usable


@given(grids(), workers, ranks, st.integers(1, 2**14))
def test_more_memory_never_gives_more_strips(grid, workers, rank, more):
    """As long as the same axis is cut, and W and X live in the same place: those are better bought with memory."""
    cut, larger = (
        planned(grid, rank, w) for w in (workers, replace(workers, memory=workers.memory + more * MIB))
    )  # fmt: skip
    assume(cut and larger)
    assume((cut.axis, cut.in_run, cut.cached) == (larger.axis, larger.in_run, larger.cached))
    assert len(larger.heights) <= len(cut.heights)


# W's share is 34 % of the smaller worker and 18 % of the larger one, where it moves into memory.
SHARE = grid((7_389_897, 1061), (1967, 1), stored=1), team(46, 6, 436), 272


@given(grids(max_side=10**7), workers, ranks, st.integers(1, 2**14))
@example(*SHARE, 409)
def test_what_fits_in_a_worker_fits_in_a_larger_one(grid, workers, rank, more):
    assume(planned(grid, rank, workers))
    assert planned(grid, rank, replace(workers, memory=workers.memory + more * MIB))


def test_w_lives_in_the_run_from_a_fifth_of_a_worker_on():
    x = grid((2_000_000, 100), (10_000, 100))
    share = 1_000_000 * 50 * 4
    assert not plan(x, rank=50, workers=Workers(2, 1, 5 * share), cache=False).in_run
    assert plan(x, rank=50, workers=Workers(2, 1, 5 * share - 1), cache=False).in_run


def test_x_is_cached_where_it_fits_in_half_of_the_memory_and_in_the_peak():
    x = grid(TALL, (512, 4096))  # 2048 MiB
    assert plan(x, rank=20, workers=team(2, 1, 2048)).cached
    assert not plan(x, rank=20, workers=team(2, 1, 2047)).cached
    assert not plan(x, rank=20, workers=team(2, 1, 2048), cache=False).cached
    # Half of the memory is enough for X, the rest is not enough for strips: the run goes on without the cache.
    x = grid((131_072, 512), (65_536, 512), in_flight=1)  # 256 MiB, in two strips at least
    assert not plan(x, rank=4, workers=team(1, 1, 800)).cached


def test_the_refusal_names_bytes_limit_chunks_and_memory():
    with pytest.raises(MemoryError) as refused:
        plan(grid(TALL, (512, 4096), in_flight=1), rank=20, workers=team(1, 1, 256))
    assert str(refused.value) == (
        "X does not fit: with chunks of 512 × 4096 and 6 MiB of partial sums of 20 × 4096, the smallest strips need "
        "190 MiB in a worker that may use 179 MiB (0.7 of its limit of 256 MiB); rewrite X in chunks of 256 × 4096, or "
        "give workers 272 MiB"
    )


def test_the_refusal_says_when_no_chunks_would_help():
    with pytest.raises(MemoryError) as refused:
        plan(grid((200, 200_000), (200, 1000), in_flight=1), rank=50, workers=team(1, 1, 128))
    assert str(refused.value) == (
        "X does not fit: with chunks of 200 × 1000 and 1 MiB of partial sums of 50 × 200, the smallest strips need "
        "162 MiB in a worker that may use 90 MiB (0.7 of its limit of 128 MiB); "
        "no chunks would help at rank 50: give workers 232 MiB"
    )


def refusal(grid, rank, workers) -> str:
    with pytest.raises(MemoryError) as refused:
        plan(grid, rank=rank, workers=workers)
    return str(refused.value)


@given(grids(), workers, ranks)
@example(grid((34_830, 1), (17_411, 1)), team(1, 1, 164), 1)
@example(grid((103, 111), (20, 35), stored=8, itemsize=8), team(1, 3, 227), 153)
@example(SHARE[0], team(46, 6, 200), 272)
def test_the_memory_that_a_refusal_asks_for_is_enough(grid, workers, rank):
    assume(planned(grid, rank, workers) is None)
    mib = int(re.search(r"give workers (\d+) MiB$", refusal(grid, rank, workers))[1])
    assert mib * MIB > workers.memory
    assert planned(grid, rank, replace(workers, memory=mib * MIB))


@settings(suppress_health_check=[HealthCheck.filter_too_much])  # most refusals ask for more memory, not for chunks
@given(grids(), tight, ranks)
@example(grid((103, 111), (20, 35), stored=8, itemsize=8), team(1, 3, 227), 153)
def test_the_chunks_that_a_refusal_asks_for_are_small_enough(grid, workers, rank):
    assume(planned(grid, rank, workers) is None)
    asked = re.search(r"rewrite X in chunks of (\d+) × (\d+),", refusal(grid, rank, workers))
    assume(asked)
    chunk = int(asked[1]), int(asked[2])
    assert planned(replace(grid, chunk=chunk, shard=chunk), rank, workers)


def test_a_worker_is_used_up_to_where_dask_spills():
    assert Workers(1, 1, 1000).usable == 700
    assert IDLE_WORKER + Workers(1, 1, 1000).slack == 155 * MIB


def test_bytes_of_x_are_those_it_is_computed_with():
    assert grid((10, 3), (1, 1), stored=1, itemsize=8).nbytes == 240
    assert ceil(grid((1, 1), (1, 1)).nbytes) == 4


def test_a_plan_stays_where_workers_change_and_it_still_fits():
    x, roomy, small = grid(TALL, (512, 4096)), team(2, 1, 2048), team(2, 1, 300)
    cut = plan(x, rank=20, workers=roomy)
    assert refit(cut, x, rank=20, workers=roomy) == cut
    other = refit(cut, x, rank=20, workers=team(2, 1, 1600))
    assert other
    assert (other.heights, other.cached) == (cut.heights, False)
    assert other.peak == peak_bytes(x, cut.axis, cut.height, rank=20, workers=roomy)
    assert refit(cut, x, rank=20, workers=small) is None


def test_a_sample_is_bounded_by_rows_bytes_and_workers():
    x = grid(TALL, (1024, 4096))
    rows = [x.sample_rows(0, Demand(20, team(2, 1, mib))) for mib in (4096, 512)]
    assert rows == [2048, 512], "32 MiB, and halved until merging it takes half of what a worker may use"
    narrow = grid((131_072, 16), (1024, 16))
    assert narrow.sample_rows(0, Demand(20, team(2, 1, 4096))) == 8000


# Weights


@given(grids(), workers, ranks)
def test_weights_cost_memory_and_without_them_nothing_changes(x, team, rank):
    peaks = [replace(x, omega=omega).least(0, Demand(rank, team)) for omega in (0, 1, x.itemsize)]
    assert peaks == sorted(peaks)
    assert peaks[0] < peaks[1]


def test_what_weights_cost():
    rank, workers, chunk = 20, team(1, 2, 4096), (512, 4096)
    x = grid(TALL, chunk, in_flight=1)
    masked = replace(x, omega=1)
    assert masked.nbytes == x.nbytes * 5 // 4
    # A piece is as many bytes, and so fewer rows.
    assert [each.piece(0, Demand(rank, workers)) for each in (x, masked)] == [1024, 512]
    peaks = [each.peak(each.in_strips(0, 4096, 512), Demand(rank, workers)) for each in (x, masked)]
    pairs, of_a_piece = 4 * 4096 * rank * (rank + 1), 512 * 4096
    assert peaks[1] - peaks[0] == (
        2 * of_a_piece  # the masks, one of a piece for each thread, none of which is read ahead
        + 2 * of_a_piece * 6  # a copy of it and of its mask, and one more truth value
        + 2 * (pairs // 2 + 24 * MIB + 8 * rank * 2**15 + pairs + pairs // 2)  # Gram matrices as they are formed
        + 10 * pairs  # sums of those of columns
    )
    # Too many columns for these: none is added up.
    assert pair_sums_bytes(rank, 4096) == pairs
    assert pair_sums_bytes(rank, 100_000) == 0


def test_two_arrays_are_decoded_one_beside_the_other():
    rank, workers = 5, team(1, 1, 4096)
    x = grid(TALL, (1024, 4096), in_flight=1)
    both = replace(x, stored=5, together=(((512, 4096), 4), ((1024, 4096), 1)))
    cut, demand = x.in_strips(0, 4096, 1024), Demand(rank, workers)
    assert both.peak(cut, demand) - x.peak(cut, demand) == 2 * 4096 * (512 * 4 + 1024 * 1) - 2 * 4096 * 1024 * 4
    assert both.stored_nbytes == 5 * 131_072 * 4096
    assert replace(x, beside=Beside(held=7, line=3, stored_nbytes=11)).stored_nbytes == x.stored_nbytes + 11
    beside = replace(x, beside=Beside(held=7, line=3))
    assert beside.peak(cut, demand) - x.peak(cut, demand) == 7 + 3 * 4096


def test_x_may_be_cut_along_one_axis_alone():
    x = replace(grid((512, 16_384), (512, 2048)), along=(0,))
    assert plan(x, rank=4, workers=team(2, 1, 2048)).axis == 0
    assert plan(x, rank=4, workers=team(2, 1, 2048), axes=(1,)).axis == 0
    with pytest.raises(MemoryError, match="rewrite X in chunks of"):
        plan(replace(grid((300_000, 16_384), (300_000, 2048)), along=(0,)), rank=4, workers=team(2, 1, 512))


# Sizes


def test_sizes_are_others_in_a_block_and_what_they_were_after_it():
    x, workers = grid(TALL, (512, 4096)), team(2, 1, 8192)
    before = plan(x, rank=4, workers=workers, sampled=True)
    with using(Sizes.of_strips(16 * MIB, sample_rows=7)):
        cut = plan(x, rank=4, workers=workers, sampled=True)
        assert (cut.height, cut.sample) == (1024, 7)
        with using(Sizes()):
            assert plan(x, rank=4, workers=workers, sampled=True) == before
        assert plan(x, rank=4, workers=workers, sampled=True) == cut
    assert current() == Sizes()
    assert plan(x, rank=4, workers=workers, sampled=True) == before
