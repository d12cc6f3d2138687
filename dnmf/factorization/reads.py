"""The reads of X that a factorization makes: a pass, the sample. Engines compute them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from dnmf.arrays.rows import Array, settled
from dnmf.arrays.sample import Sample, draw, merge
from dnmf.engine.read import Piece, Read
from dnmf.losses import Objective
from dnmf.plan.memory import SAMPLE_SPLIT
from dnmf.run.arrays import StoredArray


@dataclass(frozen=True, slots=True)
class Shared:
    S: Array
    gram: Array | None
    base: Array | None

    def aligned(self):
        return Shared(*(None if a is None else settled(a) for a in (self.S, self.gram, self.base)))


def pass_over(
    objective: Objective, shared: Shared, move: Callable[..., Array], sweeps: int, target: StoredArray | None
) -> Read:
    """A pass: the long factor moves, and gives the sums for the short one."""
    return Read(
        rows=partial(_move, move=move, sweeps=sweeps),
        part=partial(_sums, objective=objective),
        add=objective.add,
        shared=shared,
        rank=len(shared.S),
        target=target,
    )


def _move(piece: Piece, shared: Shared, L: Array | None = None, *, move: Callable[..., Array], sweeps: int) -> Array:
    return move(piece.rows, L, shared.S, shared.gram, sweeps)


def _sums(piece: Piece, shared: Shared, L: Array, *, objective: Objective) -> object:
    return objective.sums(piece.rows, L, shared.base)


def sampling(*, seed: int, size: int, beta: float) -> Read:
    """The read for a sample of `size` rows of Y, drawn by their size, see `dnmf.arrays.sample`."""
    return Read(part=partial(_draw, seed=seed, size=size, beta=beta), add=partial(merge, size=size), width=SAMPLE_SPLIT)


def _draw(piece: Piece, *, seed: int, size: int, beta: float) -> Sample:
    return draw(piece.rows, piece.first, seed=seed, size=size, beta=beta)


def solving(objective: Objective, V: Array, *, tol: float, max_iter: int) -> Read:
    """A read for the rows that belong to V (k, N), each solved by itself to its end."""
    settle = partial(_settle, objective=objective, tol=tol, iterations=max_iter)
    return Read(rows=settle, shared=Shared(V, None, None), rank=len(V))


def _settle(piece: Piece, shared: Shared, *, objective: Objective, tol: float, iterations: int) -> Array:
    return np.ascontiguousarray(objective.settled(piece.rows, shared.S, tol=tol, iterations=iterations).T).T


def products_with(objective: Objective) -> Read:
    """A read for the sums of Y with a long factor that stays as it is."""
    return Read(part=partial(_free_sums, objective=objective), add=objective.add)


def _free_sums(piece: Piece, L: Array, *, objective: Objective) -> object:
    return objective.sums(piece.rows, L, None)
