"""What stays the same while a factorization runs, and where it stands between two passes."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import zarr
from msgspec import structs

from dnmf.arrays import observed as arrays
from dnmf.arrays.checksum import Checksums
from dnmf.arrays.extent import Extent
from dnmf.arrays.rows import Array
from dnmf.components.sums import ComponentSums
from dnmf.engine.protocol import Engine, Source, Tick
from dnmf.engine.read import check_same
from dnmf.events import Event, Listener, Planned, StripDone, log
from dnmf.losses.choose import loss_of
from dnmf.losses.protocol import STEPS, AnyLoss, AnySurrogate, relative_error
from dnmf.losses.scale import check_fits, in_units_of_x, scaled_penalties
from dnmf.matrix.matrix import Matrix
from dnmf.parameters import Factors, Parameters
from dnmf.plan.memory import Workers
from dnmf.plan.strips import Plan
from dnmf.run.arrays import StoredArray, scaled_array
from dnmf.run.checkpoint import Checkpoint
from dnmf.run.factors import write_blocks
from dnmf.run.keeper import Ending, Keeper
from dnmf.run.kept_sample import StoredSample
from dnmf.run.observed import Observed, observed_of, told
from dnmf.run.record import Start


class OutOfRange(Exception):  # noqa: N818, no error: what is computed begins again
    """X must be multiplied by 2 to an exponent, so that powers of its entries stay in the range of their dtype."""

    def __init__(self, exponent: int) -> None:
        super().__init__(f"X must be multiplied by 2 to {exponent}")
        self.exponent = exponent


def loss_for(
    parameters: Parameters, matrix: Matrix, axis: int, order: tuple[int, ...] | None = None, *, before: int = 0
) -> AnyLoss:
    """What is minimized for X that is cut along an axis; in a pass maybe with an order of the components.

    `before` are rows before those of X that count, too: penalties grow with their number.
    """
    m, n = matrix.grid.shape
    per_observed = matrix.weighted and parameters.alpha_scale == "observed"
    long, short = parameters.penalties((1, 1) if per_observed else (before + m, n), axis)
    long, short = scaled_penalties(long, short, matrix.exponent, parameters.beta_loss, matrix.dtype)
    return loss_of(
        parameters.solver, parameters.beta_loss, long, short,
        sparse=matrix.sparse, short_sweeps=parameters.sweeps, order=order, known=parameters.fixed or 0,
        signed=matrix.signed, weighted=matrix.weighted, per_observed=per_observed,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """All that stays the same from the first pass to the last.

    `keeper` writes the run. `given` are the caller's first factors, `kept` is a sample that this or another run kept,
    where there are any; `warm` is the V (k, n) of a run that is extended, `begun` the short factor (k, N) that a
    comparison of ranks has made an exact step with, `known` the rows (k₀, N) of the short factor that are known, as it
    is computed with. `by_blocks` says whether what computes reaches the run, `relayed`
    whether another process goes on where this one can not. `most` is how many passes may be from one generation to the
    next, None for any number.
    """

    matrix: Matrix
    parameters: Parameters
    plan: Plan
    workers: Workers
    loss: AnyLoss
    engine: Engine[Any]
    keeper: Keeper
    given: Factors | None
    kept: StoredSample | None
    listeners: tuple[Listener, ...]
    by_blocks: bool
    relayed: bool = False
    most: int | None = None
    begun: Array | None = None
    warm: Array | None = None
    known: Array | None = None

    @property
    def before(self) -> int:
        """Rows before those of X for which the sample and the short factor stand, too: see `extend`."""
        return self.keeper.record.before

    @property
    def passes(self) -> int:
        """Passes at most: new rows are solved in one, for more of them would fit V to these alone."""
        return 1 if self.before else self.parameters.passes

    @property
    def loss_of_all(self) -> AnyLoss:
        """The loss of all rows for which the sample stands."""
        if not self.before:
            return self.loss
        return loss_for(self.parameters, self.matrix, self.plan.axis, before=self.before)

    @property
    def group(self) -> zarr.Group:
        """The run."""
        return self.keeper.group

    @property
    def planned(self) -> Planned:
        """What is told before anything is read."""
        grid, cut, workers = self.matrix.grid, self.plan, self.workers
        return Planned(
            shape=grid.shape,
            nbytes=grid.stored_nbytes,
            strips=len(cut.heights),
            strip_bytes=cut.largest,
            axis=cut.axis,
            workers=workers.count,
            threads=workers.threads,
            peak=cut.peak,
            limit=workers.memory,
            max_iter=min(self.passes, self.parameters.max_iter),
        )

    def tell(self, event: Event) -> None:
        """Emit an event."""
        for listener in (log, *self.listeners):
            listener(event)

    def scaled(self, exponent: int) -> "Job":
        """The same job on 2ᵉ X: the long factor takes that up, the run holds what belongs to X itself."""
        matrix, record = self.matrix.scaled(exponent), self.keeper.record
        record = structs.replace(record, state=structs.replace(record.state, exponent=exponent))
        return replace(
            self,
            matrix=matrix,
            loss=loss_for(self.parameters, matrix, self.plan.axis),
            keeper=replace(self.keeper, record=record),
            kept=self.kept and self.kept.scaled(exponent),
        )

    def check_range(self, extent: Extent) -> None:
        """Raise OutOfRange where X must be scaled, ValueError where that does not help, once X has been seen."""
        if exponent := check_fits(extent, self.loss.beta, self.matrix.dtype):
            raise OutOfRange(self.matrix.exponent + exponent)

    def long_at(self, at: str) -> StoredArray:
        """The array of the long factor of a generation, as it is computed with."""
        return scaled_array(self.keeper.long.array(self.group, at), self.matrix.exponent)

    def in_units_of_x(self, loss: float) -> float:
        """A loss of what is computed with, as one of X."""
        return in_units_of_x(loss, self.matrix.exponent, self.loss.beta)

    def save(self, L: Any, target: StoredArray) -> None:
        """Write a long factor to a run, each block from where it is, if what computes reaches it."""
        target = scaled_array(target, self.matrix.exponent)
        if self.by_blocks:
            self.engine.save(L, target)
        else:
            write_blocks(target, self.engine.collect(L).T)

    def checked(self, before: Checksums | None, now: Checksums) -> Checksums | None:
        """The checksums of X's strips after one more pass; None for a Dask array, which may come out rounded otherwise.

        Raises
        ------
        OSError
            If X changed since it was first read.
        """
        return check_same(before, now, self.plan, weighted=self.matrix.weighted) if self.matrix.repeats else None

    def observe(self, found: arrays.Observed | None) -> Observed | None:
        """What of X is there, by a read of it, told once; None where all is."""
        if found is None:
            return None
        observed = observed_of(found, self.plan.axis)
        self.tell(told(observed, self.matrix.grid.shape, self.matrix.labels))
        return observed

    def ticker(self, iteration: int) -> Tick:
        """What tells of every strip of a pass that is done; iteration 0 is the pass that samples."""
        total = len(self.plan.heights)
        return lambda done: self.tell(StripDone(iteration, done, total))


@dataclass(frozen=True, slots=True)
class Iterate:
    """Where the factorization stands between two passes.

    Attributes
    ----------
    iteration : passes so far, that of the sample aside.
    source, L : X as it is cut and the long factor, as the engine has them; None for L before a pass has made it.
    S : (k, N) short factor for the next pass.
    move : of the long factor, if the next pass is the first one: a method of the loss.
    start : how the first factors came about.
    surrogate : what stands for X between passes, or None.
    plain : (k, N) short factor that the next pass would have had without a surrogate.
    steps : that the surrogate is trusted with between two passes.
    loss : of the last pass; before the first one what is expected, or None.
    total : the objective of the last pass.
    gain : the decrease that moving the short factor brings, relative to the objective.
    norm : ‖X‖², Σ x^β for other losses; NaN before it is known.
    at : the generation that holds the factors of the last pass, or None.
    sums : of the last pass, of every component; None before the first one.
    observed : what of X is there; None where all is, and before it was read once.
    checksums : of the strips of X, as they were first read; None before that.
    reason : why the last pass was the last one, as a sentence, or None.
    """

    iteration: int
    source: Source[Any]
    L: Any
    S: Array
    move: Callable[..., Array]
    start: Start
    surrogate: AnySurrogate | None = None
    plain: Array | None = None
    steps: int = STEPS
    loss: float | None = None
    total: float = math.nan
    gain: float = math.inf
    norm: float = math.nan
    at: str | None = None
    sums: ComponentSums | None = None
    observed: Observed | None = None
    checksums: Checksums | None = None
    reason: str | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """What a resumed run needs of it."""
        return Checkpoint(
            iteration=self.iteration,
            short=self.S,
            plain=self.plain,
            modelled=self.surrogate is not None,
            steps=self.steps,
            rows=None if self.surrogate is None else self.surrogate.rows,
            checksums=self.checksums,
            loss=self.loss,
            total=self.total,
            gain=self.gain,
            norm=self.norm,
        )

    @property
    def ending(self) -> Ending:
        """What the record of a run says of it, as where a pass ended."""
        return Ending(
            self.S, self.start, relative_error(self.loss or 0.0, self.norm), self.reason, self.sums, self.observed
        )
