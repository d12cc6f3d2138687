"""What a factorization leaves in its run, and in which order.

A generation is written whole, then one write of the record names it, then the one before the previous is deleted. At
the end the factors are written to the top, named, and all generations are deleted. So a process that dies at any moment
leaves a run from which the next one goes on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import zarr
from msgspec.structs import replace

from dnmf.arrays.rows import Array
from dnmf.components.sums import ComponentSums
from dnmf.losses.scale import in_units_of_x
from dnmf.run.arrays import StoredArray
from dnmf.run.checkpoint import Checkpoint, write_checkpoint
from dnmf.run.factors import Factor, long_factor, short_factor, write_factor
from dnmf.run.generations import clear_top, drop_all_generations, drop_generations, new_generation
from dnmf.run.history import History, write_history, write_snapshots
from dnmf.run.kept_sample import StoredSample, write_sample
from dnmf.run.kept_sums import write_sums
from dnmf.run.known import write_known
from dnmf.run.observed import Observed
from dnmf.run.record import Record, Start, keep_record, remembered_record, set_stopped, write_record
from dnmf.stores.local_disk import sweep

# What writes all chunks of the long factor to an array.
Save: TypeAlias = Callable[[StoredArray], None]


@dataclass(frozen=True, slots=True)
class Ending:
    """What a pass ended with, as the record says it; `short` is the short factor (k, N) of its loss.

    `sums` are those of the pass, None where they are not to be kept. `observed` says what of X is there, None where all
    is.
    """

    short: Array
    start: Start
    relative_error: float
    reason: str | None = None
    sums: ComponentSums | None = None
    observed: Observed | None = None


def nobody_else() -> None:
    """No other process can drive a run that is in this one's memory."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """Writes a run.

    Attributes
    ----------
    group : the run.
    record : what the record says when the run begins; so also what is written.
    lasting : whether the run outlives this process: nobody could open the generations of one in memory.
    check : raises where another process drives the run by now.
    """

    group: zarr.Group
    record: Record
    lasting: bool = True
    check: Callable[[], None] = nobody_else

    @property
    def long(self) -> Factor:
        """The factor along the axis that is cut, as it is stored."""
        return long_factor(self.record)

    @property
    def short(self) -> Factor:
        """The other factor, as it is stored."""
        return short_factor(self.record)

    def begin(self, sample: StoredSample | None, known: Array | None = None) -> None:
        """Write the record of a run that holds nothing yet, but for the sample and the components that it is given."""
        if known is not None:
            write_known(self.group, known)
        if sample is not None:
            # Before the record says what is asked for: who goes on with this run must not draw another one.
            write_sample(self.group, sample)
        write_record(self.group, self.record)

    def keep_sample(self, sample: StoredSample) -> None:
        """Write the sample that a run has drawn, which has nothing else yet."""
        self.check()
        write_sample(self.group, sample)

    def keep_start(self, at: str | None, start: Start, first: Checkpoint, observed: Observed | None = None) -> bool:
        """Save first factors, unless drawing them again is as good; whether they were. `at` has the long one."""
        if not self.lasting or self.record.parameters.init == "random":
            return False
        following = write_checkpoint(self.group, at or new_generation(self.group, 0), first)
        self._name(
            replace(self.record, start=start, observed=observed, state=replace(self.record.state, next=following))
        )
        return True

    def commit(self, at: str, ended: Ending, following: Checkpoint, history: History) -> None:
        """Make a generation whose long factor is written the one that the record names; keep the one before.

        `ended` is where a pass ended, `following` is where the next one begins.
        """
        before = remembered_record(self.group).at
        self._write_all(at, ended, history)
        record = self._record(at, ended, following, write_checkpoint(self.group, at, following))
        record = replace(record, state=replace(record.state, before=before))
        keep_record(self.group, at, record)
        self._name(record)
        self.check()
        drop_generations(self.group, [at, before])

    def finish(self, ended: Ending, last: Checkpoint, history: History, save: Save) -> None:
        """Write the last factors to the top of the run, name them, and delete the generations."""
        self.check()
        self._write_long("", save)
        self.check()
        self._write_all("", ended, history)
        following = write_checkpoint(self.group, "", last) if self.lasting else None
        record = self._record("", ended, last, following)
        self._name(replace(record, status="finished", stopped=ended.reason))
        drop_all_generations(self.group)
        # A worker that was killed may have left a part of a chunk.
        sweep(self.group)

    def move_down(self, ended: Ending, last: Checkpoint, history: History, save: Save) -> str:
        """Make a generation of the factors of a finished run, so that it can go on: its top is free then. Its path."""
        at = new_generation(self.group, last.iteration)
        self._write_long(at, save)
        self.commit(at, ended, last, history)
        clear_top(self.group)
        return at

    def stop(self, why: str) -> None:
        """Say in the record why a run that was going on did not end."""
        self.check()
        set_stopped(self.group, why)

    def go_on(self, record: Record) -> None:
        """Say in the record of a run that was stopped that it goes on, and with what."""
        self.check()
        # Why a finished run ended is no reason for one that goes on.
        reason = None if record.status == "finished" else record.state.reason
        state = replace(record.state, every=self.record.state.every, reason=reason)
        asked = self.record.parameters
        write_record(self.group, replace(record, status="running", stopped=None, parameters=asked, state=state))

    def _name(self, record: Record) -> None:
        """Replace the record, unless another process drives the run by now."""
        self.check()
        write_record(self.group, record)

    def _record(self, at: str, ended: Ending, last: Checkpoint, following: str | None) -> Record:
        """The record that names the generation at a path; one before the first pass holds nothing to be named."""
        state = replace(self.record.state, next=following)
        if last.iteration == 0:
            return replace(self.record, start=ended.start, observed=ended.observed, state=state)
        return replace(
            self.record,
            at=at,
            iteration=last.iteration,
            relative_error=ended.relative_error,
            start=ended.start,
            observed=ended.observed,
            x=replace(self.record.x, norm=in_units_of_x(last.norm, state.exponent, self.record.parameters.beta_loss)),
            state=replace(state, reason=ended.reason),
        )

    @property
    def _keeps_long(self) -> bool:
        """Whether the long factor is wanted: V always is."""
        return self.record.parameters.keep_W or self.long.name == "V"

    def _write_long(self, at: str, save: Save) -> None:
        if self._keeps_long:
            save(self.long.array(self.group, at))

    def _write_all(self, at: str, ended: Ending, history: History) -> None:
        """Beside the chunks of the long factor: all else of a pass; then list the long factor."""
        short = self.short
        write_factor(short, self.group, at, ended.short if short.name == "V" else ended.short.T)
        write_history(self.group, at, history.passes)
        write_snapshots(self.group, at, short.dimensions, history.snapshots)
        if ended.sums is not None:
            write_sums(self.group, at, ended.sums, short.across)
        if self._keeps_long:
            self.long.publish(self.group, at)
