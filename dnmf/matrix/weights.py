"""X with an array of weights beside it, of the same shape: both are read with one cut, each chunk once in a pass.

Which entries count how much is what the weights say, see `dnmf.matrix.weighing`. Dense weights of dense X make dense
rows; sparse ones, rows of what they store; of sparse X, dense weights make dense rows, unless what X does not store is
missing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, lcm
from typing import Any, ClassVar, Self

import numpy as np

from dnmf.arrays.rows import Rows, stack
from dnmf.arrays.weighted import Weighted
from dnmf.matrix.matrix import Matrix, Node
from dnmf.matrix.missing import Missing
from dnmf.matrix.sparse import FORMATS, SparseInMemory
from dnmf.matrix.strips import Dtype, Strips
from dnmf.matrix.weighing import Weighing
from dnmf.plan.dense import DenseGrid
from dnmf.plan.grid import Beside, Grid
from dnmf.plan.memory import MIB
from dnmf.plan.sparse import SparseGrid
from dnmf.plan.strips import rows_or_columns
from dnmf.stores.missing_chunks import ZarrArray

# Bytes of dense rows of X that are read at a time where no more of them is kept than sparse weights say.
AT_A_TIME = 16 * MIB


@dataclass(frozen=True, slots=True)
class WeighedStrips(Strips):
    """Strips of X and of its weights: see `Strips`. `step` rows are read and made one at a time; 0 for all of them."""

    x: Strips
    weights: Strips
    weighing: Weighing
    step: int

    def rows(self, start: int, stop: int) -> Rows:
        step = self.step or stop - start
        parts = [self._part(first, min(first + step, stop)) for first in range(start, stop, max(1, step))]
        if len(parts) == 1:
            return parts[0]
        return stack(parts, [np.arange(part.shape[0]) for part in parts])

    def _part(self, start: int, stop: int) -> Weighted:
        where = slice(start, stop), slice(None)
        return self.weighing(self.x[where], self.weights[where], start)
