"""A rule by the name of its solver, with all that is bound to it: what a loss moves factors by."""

from dataclasses import dataclass
from functools import partial

from dnmf.rules import KEEPS_ZEROS, RULES, Penalty, Rule, Solve
from dnmf.rules.from_scratch import balanced, from_scratch


@dataclass(frozen=True, slots=True)
class Solver:
    """A name of `RULES` and, for rules that are `IN_ORDER`, the components as they are set; None for 1…k.

    `even` says whether what has no penalty is made from scratch with components of like size.
    """

    name: str
    order: tuple[int, ...] | None = None
    even: bool = False

    @property
    def keeps_zeros(self) -> bool:
        """Whether an entry that is zero stays zero."""
        return self.name in KEEPS_ZEROS

    def rule(self, penalty: Penalty, known: int = 0) -> Rule:
        """What moves a factor that has a penalty, but for so many components, the first ones."""
        rule = partial(RULES[self.name], penalty=penalty, known=known)
        return rule if self.order is None else partial(rule, order=self.order)

    def solve(self, penalty: Penalty) -> Solve:
        """What makes a factor that has a penalty, from scratch."""
        solve = from_scratch(self.rule(penalty), keeps_zeros=self.keeps_zeros, penalty=penalty)
        return balanced(solve) if self.even and not penalty else solve
