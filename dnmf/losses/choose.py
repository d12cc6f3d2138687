"""Which loss is meant: the one place that knows all of them."""

from dnmf.losses.divergence.loss import Divergence
from dnmf.losses.least_squares.loss import LeastSquares
from dnmf.losses.protocol import AnyLoss
from dnmf.losses.weighted_least_squares.loss import WeightedLeastSquares
from dnmf.rules import IN_ORDER, Penalty
from dnmf.rules.solver import Solver


def loss_of(
    solver: str,
    beta: float,
    long: Penalty,
    short: Penalty,
    *,
    sparse: bool,
    short_sweeps: int,
    order: tuple[int, ...] | None = None,
    known: int = 0,
    signed: bool = False,
    weighted: bool = False,
    per_observed: bool = False,
) -> AnyLoss:
    """The loss of a β, with penalties on the long and on the short factor, for strips that are sparse or not.

    The short factor makes `short_sweeps` after a pass where one look at X allows more than one. Rules that set one
    component after the other do so in the `order` that is given, or from the first to the last. So many components of
    the short factor, the first ones, are `known` and stay what they are. Entries below 0 are data where X is `signed`,
    which least squares alone allow. Where strips are `weighted`, penalties on a row or a column may grow with its
    weights, `per_observed`.
    """
    if beta == 2:
        rule = Solver(solver, order if solver in IN_ORDER else None, even=known > 0)
        if weighted:
            return WeightedLeastSquares(rule, long, short, short_sweeps, per_observed, known, signed)
        return LeastSquares(rule, long, short, sparse=sparse, short_sweeps=short_sweeps, known=known, signed=signed)
    return Divergence(beta, long, short, known, per_observed)
