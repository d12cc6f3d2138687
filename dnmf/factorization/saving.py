"""When what a pass left is saved, and how the last finished one is kept where a run ends early.

What is saved changes no bit of what follows, so when may depend on time.
"""

import threading
import time
from contextlib import suppress
from dataclasses import replace

from dnmf.events import Saved, log
from dnmf.factorization.job import Iterate, Job
from dnmf.run.arrays import StoredArray
from dnmf.run.generations import new_generation
from dnmf.run.history import History
from dnmf.run.record import stopped

# A generation is due as soon as this many times what the last one took has passed since then; seconds that the first
# one is taken to cost.
PER_COST, FIRST_COST = 50, 0.1

# Seconds for keeping the last finished pass where a run ends early: the process has five in all.
IN_TIME = 3.0


class Saving:
    """Saves the passes of a run where that is due. Not pure: it keeps time, and what the last pass left."""

    _job: Job
    _history: History

    def __init__(self) -> None:
        self._unsaved: tuple[Iterate, Iterate] | None = None

    def begin(self, job: Job, history: History, iteration: int) -> None:
        """Passes of a job follow, with the history of all of them; the run holds so many already."""
        self._job, self._history, self._saved = job, history, iteration
        self._since, self._cost = time.monotonic(), FIRST_COST

    def passed(self, ended: Iterate, following: Iterate) -> None:
        """Keep at hand what a pass ended with, and where the next one begins, until it is saved or the next is done."""
        self._unsaved = ended, following

    def save(self) -> Iterate:
        """Save the pass that is done, where that is due; where the next one begins."""
        assert self._unsaved is not None
        (ended, following), job, began = self._unsaved, self._job, time.monotonic()
        if not self._is_due(ended.iteration, began):
            return following
        at = ended.at
        if at is None:
            at = new_generation(job.group, ended.iteration)
            # As it is read back: else a scheduler would remember where it came from for ever.
            L = job.engine.save(ended.L, job.long_at(at))
            following = replace(following, at=at, L=L)
        # Sums are as large as two short factors: they are kept of a pass that the run may end with.
        ending = ended.ending if ended.reason else replace(ended.ending, sums=None)
        job.keeper.commit(at, ending, following.checkpoint, self._history)
        self._unsaved, self._saved, self._since = None, ended.iteration, time.monotonic()
        self._cost = self._since - began
        job.tell(Saved(ended.iteration))
        return following

    def _is_due(self, iteration: int, now: float) -> bool:
        """Whether what a pass left is to be saved now."""
        job, every = self._job, self._job.parameters.checkpoint_every
        if job.plan.in_run:
            return True
        if not job.keeper.lasting:
            return False
        if every is not None:
            return iteration % every == 0
        forgets = job.most is not None and iteration - self._saved >= job.most
        return forgets or now - self._since >= PER_COST * self._cost

    def keep_last(self, why: str) -> None:
        """Save the last finished pass of a run that ends early, if it is not saved and can be in time.

        Listeners are told nothing: they may be what ends it.
        """
        if self._unsaved is None or not self._job.keeper.lasting:
            return
        (ended, following), job = self._unsaved, self._job
        history = self._history.until(ended.iteration)
        keeper = replace(job.keeper, record=stopped(job.keeper.record, why))
        at = ended.at
        if at is None:
            at = new_generation(job.group, ended.iteration)
            _within(IN_TIME, job, ended, job.long_at(at))
        keeper.commit(at, ended.ending, following.checkpoint, history)
        log(Saved(ended.iteration))


def _within(seconds: float, job: Job, ended: Iterate, target: StoredArray) -> None:
    """Write a long factor from where it is, or raise TimeoutError: what computes may be busy, or gone."""
    done = threading.Event()

    def write() -> None:
        with suppress(Exception):
            job.engine.save(ended.L, target)
            done.set()

    thread = threading.Thread(target=write, name="dnmf-keep", daemon=True)
    thread.start()
    thread.join(seconds)
    if not done.is_set():
        raise TimeoutError(f"pass {ended.iteration} could not be saved within {seconds:g} s")
