"""Which loss is meant: the one place that knows all of them."""

from dnmf.losses.divergence.loss import Divergence
from dnmf.losses.least_squares.loss import LeastSquares
from dnmf.losses.protocol import AnyLoss
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
) -> AnyLoss:
    """The loss of a β for X as it is cut.

    Parameters
    ----------
    solver : name of the rule.
    beta : of the loss.
    long, short : penalties on the long and on the short factor.
    sparse : whether strips are sparse.
    short_sweeps : of the short factor after a pass, where one look at X allows more than one.
    order : of the components, for rules that set one after the other; None for 1…k.
    """
    if beta == 2:
        rule = Solver(solver, order if solver in IN_ORDER else None)
        return LeastSquares(rule, long, short, sparse=sparse, short_sweeps=short_sweeps)
    return Divergence(beta, long, short)
