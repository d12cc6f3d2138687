"""A fold over the pieces of a strip: what is in memory meanwhile, and what is read ahead."""

import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from dnmf.arrays.rows import Array
from dnmf.engine import blocks
from dnmf.engine.read import Read
from dnmf.factorization.reads import Drawing, pass_over, sampling, solving
from dnmf.losses.choose import loss_of
from dnmf.losses.protocol import Known
from dnmf.matrix.strips import Cut, Strips, one_ahead
from dnmf.rules import NO_PENALTY


class Watched(np.ndarray):
    """An array that can be referred to weakly."""


@dataclass(frozen=True, slots=True)
class WatchedStrips(Strips):
    """Random rows; `most` pieces were still in memory when another one was read."""

    alive: set[int] = field(default_factory=set)
    most: list[int] = field(default_factory=lambda: [0])

    def rows(self, start: int, stop: int) -> Array:
        self.most.append(len(self.alive))
        y = np.random.default_rng(start).random((stop - start, self.shape[1])).view(Watched)
        self.alive.add(start)
        weakref.finalize(y, self.alive.discard, start)
        return y


def reads(beta: float) -> Iterator[Read]:
    """All reads of whole rows that a factorization makes."""
    loss = loss_of("cd" if beta == 2 else "mu", beta, NO_PENALTY, NO_PENALTY, sparse=False, short_sweeps=1)
    S = np.random.default_rng(1).random((3, 50)) + 0.1
    shared = loss.prepare(S, Known(None, float("nan"), exact=True))
    yield pass_over(loss, shared, loss.solve, sweeps=2, target=None, first=True)
    yield pass_over(loss, shared, loss.solve, sweeps=2, target=None)
    yield sampling(Drawing(seed=0, size=7, beta=beta))
    yield solving(loss, S, tol=1e-3, iterations=20)


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("beta", [2.0, 1.0, 0.5])
def test_a_piece_is_let_go_before_the_next_but_one_that_is_read_ahead(beta: float, ahead: bool) -> None:
    for read in reads(beta):
        strips = WatchedStrips((400, 50), np.dtype("f8"), 0, check=True)
        strip = Cut(strips, 40, ahead)[0:400, :]
        blocks.fold(strip, read.shared, None, what=read, reads=True)
        assert len(strips.most) == 1 + 10
        assert max(strips.most) <= ahead


def test_one_item_is_made_by_another_thread_while_the_one_before_is_used() -> None:
    made: list[int] = []
    here, second = threading.get_ident(), threading.Event()

    def make(i: int) -> int:
        assert threading.get_ident() != here
        made.append(i)
        if i == 1:
            second.set()
        return i

    items = one_ahead(map(make, range(4)))
    assert next(items) == 0
    assert second.wait(10), "nothing is made ahead"
    assert made == [0, 1]
    assert list(items) == [1, 2, 3]


def test_what_fails_while_it_is_read_ahead_is_raised_where_it_is_needed() -> None:
    items = one_ahead(1 // (2 - i) for i in range(4))
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(items)
